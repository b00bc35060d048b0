use std::path::{Path, PathBuf};

use super::{Condition, Place, Wanted};
use crate::config::Config;

/// A configuration with this table.
fn config(ready: &str) -> String {
    format!(
        "[agent]\nfleet = \"prod\"\nhost = \"web-1\"\n[agent.tls]\ncertificate = \"/c\"\nkey = \"/k\"\nauthority = \"/a\"\n\
         [service.web]\ndialect = \"unicorn\"\npidfile = \"/run/web.pid\"\nready = {{ {ready} }}\n"
    )
}

/// The conditions that are read.
#[track_caller]
fn conditions(ready: &str) -> Vec<Condition> {
    let config = Config::parse(&config(ready)).expect("valid");
    config.services[0].ready.conditions.clone()
}

/// What is wrong with it, all of it on the one line.
#[track_caller]
fn refused(ready: &str, expected: &[&str]) {
    let told = Config::parse(&config(ready)).expect_err("it is wrong").to_string();
    let expected: Vec<String> = expected.iter().map(|what| format!("line 11: service.web.ready{what}")).collect();
    assert_eq!(told, expected.join("\n"), "{ready}");
}

fn tcp(address: &str) -> Place {
    Place::Tcp(address.parse().expect("an address"))
}

fn http(place: Place, host: &str, path: &str, wanted: Wanted) -> Condition {
    Condition::Http { place, host: host.to_owned(), path: path.to_owned(), wanted }
}

#[test]
fn each_key_is_a_condition_and_the_cheap_ones_come_first() {
    let all = "exec = [\"/usr/lib/check\", \"-v\", 3], grpc = \"localhost:50051\", grpc-service = \"app.Shop\", http = \"http://[::1]/up\", \
               tcp = \"127.0.0.1:9000\", notify = true, workers = 4";
    let expected = [
        Condition::Workers(4.try_into().expect("more than 0")),
        Condition::Notify(None),
        Condition::Tcp(tcp("127.0.0.1:9000")),
        http(tcp("[::1]:80"), "[::1]", "/up", Wanted::default()),
        Condition::Grpc { place: tcp("127.0.0.1:50051"), service: "app.Shop".to_owned() },
        Condition::Exec(["/usr/lib/check", "-v", "3"].map(str::to_owned).to_vec()),
    ];
    assert_eq!(conditions(all), expected);
    assert_eq!(conditions("exec = [\"/usr/lib/check\"]"), [Condition::Exec(vec!["/usr/lib/check".to_owned()])]);
    assert_eq!(conditions("notify = false, tcp = \"127.0.0.1:1\""), [Condition::Tcp(tcp("127.0.0.1:1"))]);
}

#[test]
fn unix_sockets_are_places_too() {
    let socket = || Place::Unix(PathBuf::from("/run/web.sock"));
    assert_eq!(conditions("tcp = \"unix:/run/web.sock\""), [Condition::Tcp(socket())]);
    assert_eq!(conditions("http = \"unix:/run/web.sock\""), [http(socket(), "localhost", "/", Wanted::default())]);
    let url = "http = \"unix:/run/web.sock:/up?from=a:/b\"";
    assert_eq!(conditions(url), [http(socket(), "localhost", "/up?from=a:/b", Wanted::default())]);
    refused("http = \"unix:web.sock:/up\"", &[".http: \"web.sock\" is not absolute: it must begin with a slash"]);
    let long = format!("grpc = \"unix:/{}\"", "a".repeat(107));
    refused(&long, &[".grpc: has 108 bytes, at most 107 are possible"]);
}

#[test]
fn the_answer_that_counts_can_be_described() {
    let url = "http = \"http://127.0.0.1/\"";
    let wanted = |more: &str| {
        let Condition::Http { wanted, .. } = conditions(&format!("{url}, {more}")).remove(0) else { panic!("{more}") };
        wanted
    };
    assert_eq!(wanted("status = 204").statuses, [204..=204]);
    assert_eq!(wanted("status = \"200-299\"").statuses, [200..=299]);
    assert_eq!(wanted("status = [200, \"301-302\"]").statuses, [200..=200, 301..=302]);
    assert_eq!(wanted("body = \"v2 ok\"").body.as_deref(), Some("v2 ok"));
    assert_eq!(wanted("header = \"X-Release:  v2 \"").header, Some(("X-Release".to_owned(), "v2".to_owned())));
    let wrong = |more: &str, what: &str| refused(&format!("{url}, {more}"), &[what]);
    for text in ["99", "600", "20", "0200", "200-", "299-200", "ok", "+200"] {
        let what = format!(".status: {text:?} is neither a status such as \"200\" nor a range such as \"200-299\"");
        wrong(&format!("status = {text:?}"), &what);
    }
    wrong("status = []", ".status: has 0 entries, wanted 1 to 16");
    wrong("status = true", ".status: is boolean, wanted a string, or an array of strings and whole numbers");
    wrong("body = \"\"", ".body: has 0 bytes, wanted 1 to 1024");
    for text in ["X-Release", ": v2", "X Release: v2", "X-Release: v2\\r\\nX-Other: 1"] {
        let told = text.replace("\\r\\n", "\r\n");
        wrong(&format!("header = \"{text}\""), &format!(".header: {told:?} is not a header such as \"X-Release: v2\""));
    }
}

#[test]
fn something_must_be_asked() {
    let none = ": has no condition: at least one of workers, tcp, http, grpc, exec is wanted, such as http = \"http://127.0.0.1:8080/up\"";
    refused("within = \"5s\"", &[none]);
    refused("notify = false, status = 200", &[none, ".status: is for an http probe, and there is none"]);
    refused("tcp = \"127.0.0.1:1\", grpc-service = \"a\"", &[".grpc-service: is for a grpc probe, and there is none"]);
    refused(
        "file = \"/run/ready\", tcp = \"127.0.0.1:1\"",
        &[".file: a file probe is not supported: whoever was killed leaves it behind; notify, http and workers are"],
    );
}

#[test]
fn what_a_process_says_of_itself_is_not_enough() {
    let alone = ": notify is the only condition, and proves too little: gunicorn sends READY=1 even when its application is broken and dies \
                 a moment later; add workers, tcp, http, grpc or exec";
    refused("notify = true", &[alone]);
    refused("notify = \"/run/web/notify\"", &[alone]);
}

#[test]
fn the_socket_for_notices_has_a_usual_place() {
    let path = |ready: &str| {
        let config = Config::parse(&config(ready)).expect("valid");
        config.services[0].ready.notify_path(Path::new("/var/lib/baton"), "web")
    };
    assert_eq!(path("workers = 1"), None);
    assert_eq!(path("workers = 1, notify = true"), Some(PathBuf::from("/var/lib/baton/web.notify")));
    assert_eq!(path("workers = 1, notify = \"/run/web/notify\""), Some(PathBuf::from("/run/web/notify")));
    refused("workers = 1, notify = \"/run/web.pid\"", &[".notify: is service.web.pidfile already"]);
    refused("workers = 1, notify = \"notify\"", &[".notify: \"notify\" is not absolute: it must begin with a slash"]);
    refused("workers = 1, notify = 1", &[".notify: is integer, wanted true, false or a string"]);
}

#[test]
fn workers_are_counted_for_a_while() {
    let least = "workers takes a settle time of 1 s or more: in less a loop of crashes looks like workers that stay";
    refused("workers = 2, settle = \"999ms\"", &[&format!(": {least}")]);
    assert_eq!(conditions("workers = 2, settle = \"1s\"").len(), 1);
    assert_eq!(conditions("workers = \"2\"").len(), 1);
    for number in ["0", "1025", "-1"] {
        refused(&format!("workers = {number}"), &[&format!(".workers: {number:?} is not a number of workers from 1 to 1024")]);
    }
}

#[test]
fn places_and_programs_are_checked() {
    let neither = "is neither an IP address of this host or localhost, with a port, nor a socket such as \"unix:/run/web.sock\"";
    for text in ["127.0.0.1", "example.com:80", "0.0.0.0:80", "http://127.0.0.1:80", "127.0.0.1:0", ""] {
        refused(&format!("tcp = {text:?}"), &[&format!(".tcp: {text:?} {neither}")]);
    }
    refused("exec = []", &[".exec: has 0 words, wanted 1 to 256, the program first"]);
    refused("exec = [\"\", \"-v\"]", &[".exec: names no program"]);
    refused("exec = [\"/check\", \"a\\u0000b\"]", &[".exec: has a zero byte in it"]);
    refused("grpc = \"127.0.0.1:1\", grpc-service = \"a b\"", &[".grpc-service: \"a b\" is not the name of a gRPC service"]);
}
