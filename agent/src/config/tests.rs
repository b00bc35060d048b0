use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use baton_proto::custody::Shape;

use super::{Condition, Config, Drain, Memory, Place, Then, Wanted};
use crate::dialect::{Custodian, Dialect, PidFiles, Signal};

const SMALL: &str = r#"
[agent]
fleet = "prod"
host = "web-1"
[agent.tls]
certificate = "/etc/baton/web-1.crt"
key = "/etc/baton/web-1.key"
authority = "/etc/baton/fleet-ca.crt"
[service.web]
dialect = "unicorn"
pidfile = "/run/web/unicorn.pid"
ready = { http = "http://127.0.0.1:8080/up" }
"#;

/// The small configuration with one text in place of another; what is wrong with it.
fn check(from: &str, to: &str, expected: &str) {
    assert!(SMALL.contains(from), "{from:?} is not in the sample");
    let told = Config::parse(&SMALL.replacen(from, to, 1)).map_or_else(|mistakes| mistakes.to_string(), |_| String::new());
    assert_eq!(told, expected, "for {to:?}");
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = Config::parse(SMALL).expect("the sample is valid");
    assert_eq!(config.listen.to_string(), "0.0.0.0:7646");
    assert_eq!(config.socket, PathBuf::from("/run/baton/agent.sock"));
    assert_eq!(config.state, PathBuf::from("/var/lib/baton"));
    let [web] = config.services.as_slice() else { panic!("{config:?}") };
    assert_eq!(web.lock, PathBuf::from("/run/web/unicorn.pid.lock"));
    assert_eq!(web.drain, Drain { within: Duration::from_mins(2), then: Then::Wait, lingering: 0 });
    assert_eq!(web.memory, Memory { reserve: 0, allows_shortage: false });
    assert_eq!(config.handovers, 1);
    assert_eq!((web.ready.within, web.ready.settle), (Duration::from_mins(1), Duration::from_secs(3)));
    assert_eq!(web.handover_within(), Duration::from_secs(60 + 3 + 120 + 30));
    let place = Place::Tcp("127.0.0.1:8080".parse().unwrap());
    let expected = Condition::Http { place, host: "127.0.0.1:8080".into(), path: "/up".into(), wanted: Wanted::default() };
    assert_eq!(web.ready.conditions, [expected]);
}

#[test]
fn what_is_given_is_taken() {
    let text = r#"
        [agent]
        fleet = "prod"
        host = "web-1"
        listen = "[::1]:0"
        socket = "/tmp/agent.sock"
        state = "/tmp/state"
        handovers = 2
        tls = { certificate = "/c", key = "/k", authority = "/a" }
        [service.web]
        dialect = "unicorn"
        pidfile = "/run/web/unicorn.pid"
        lock = "/run/web/lock"
        ready = { http = "http://localhost", within = "5s", settle = "0s" }
        drain = { within = "1m 30s", then = "kill", lingering = 2 }
        memory = { reserve = "256M", shortage = "allow" }
        [service.api]
        dialect = "unicorn"
        pidfile = "/run/api/unicorn.pid"
        ready = { http = "http://[::1]:81?deep=1", within = "60s" }
        drain = { within = "5s" }
    "#;
    let config = Config::parse(text).expect("it is valid");
    assert_eq!(config.listen.to_string(), "[::1]:0");
    assert_eq!((config.socket, config.state), (PathBuf::from("/tmp/agent.sock"), PathBuf::from("/tmp/state")));
    let [api, web] = config.services.as_slice() else { panic!("{:?}", config.services) };
    assert_eq!((api.name.as_str(), web.name.as_str()), ("api", "web"));
    assert_eq!(web.lock, PathBuf::from("/run/web/lock"));
    assert_eq!((web.ready.within, web.ready.settle), (Duration::from_secs(5), Duration::ZERO));
    assert_eq!(web.drain, Drain { within: Duration::from_secs(90), then: Then::Kill, lingering: 2 });
    assert_eq!(web.handover_within(), Duration::from_secs(5 + 90 + 5 + 5 + 30));
    // One that failed may wait for a late master as long as for one in time.
    assert_eq!(api.handover_within(), Duration::from_secs(60 + 3 + 60 + 30));
    assert_eq!(web.memory, Memory { reserve: 256 << 20, allows_shortage: true });
    assert_eq!(config.handovers, 2);
    let asked = |conditions: &[Condition]| match conditions {
        [Condition::Http { place, host, path, .. }] => (place.to_string(), host.clone(), path.clone()),
        other => panic!("{other:?}"),
    };
    let owned = |place: &str, host: &str, path: &str| (place.to_owned(), host.to_owned(), path.to_owned());
    assert_eq!(asked(&web.ready.conditions), owned("127.0.0.1:80", "localhost", "/"));
    assert_eq!(asked(&api.ready.conditions), owned("[::1]:81", "[::1]:81", "/?deep=1"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = r#"
[agent]
fleet = "prod/../other"
listen = "localhost"
socket = "agent.sock"
colour = "blue"
[agent.tls]
certificate = "web-1.crt"
key = 5
[service.web]
dialect = "unicron"
pidfile = "/run/web/../unicorn.pid"
ready = { unix = "127.0.0.1:8080", within = "2h", settle = "soon" }
start = { command = ["unicorn"] }
hooks = { before = [], after = "ls" }
release = { directory = "/srv/web", link = "/srv/web/current" }
check = { within = "0s" }
drain = { within = "0s", without = "1s" }
[service.api]
ready = { http = "https://127.0.0.1/" }
"#;
    let told = Config::parse(text).expect_err("it is full of mistakes").to_string();
    let expected = "\
line 2: agent.host: is missing
line 3: agent.fleet: \"prod/../other\" is not a fleet name: 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit
line 4: agent.listen: \"localhost\" is not an IP address with a port, such as \"0.0.0.0:7646\"
line 5: agent.socket: \"agent.sock\" is not absolute: it must begin with a slash
line 6: agent.colour: is not a known key here
line 7: agent.tls.authority: is missing
line 8: agent.tls.certificate: \"web-1.crt\" is not absolute: it must begin with a slash
line 9: agent.tls.key: is integer, wanted a string
line 11: service.web.dialect: \"unicron\" is not a known dialect; known: unicorn, gunicorn, puma, haproxy, uwsgi, nginx, php-fpm, generic
line 12: service.web.pidfile: \"/run/web/../unicorn.pid\" has a \"..\" in it
line 13: service.web.ready.settle: \"soon\" is not a duration such as \"90s\", \"1m 30s\", \"500ms\" or \"0s\"
line 13: service.web.ready.unix: is no condition: write tcp = \"unix:/run/web.sock\" or http = \"unix:/run/web.sock:/up\"
line 13: service.web.ready.within: is 7200 s, wanted 1 to 3600 s
line 14: service.web.start.directory: is missing
line 15: service.web.hooks.after: is string, wanted an array of strings and whole numbers
line 15: service.web.hooks.before: has 0 words, wanted 1 to 256, the program first
line 16: service.web.release: the link lies among the releases: it must be outside of their directory
line 17: service.web.check.command: is missing
line 17: service.web.check.within: is 0 s, wanted 1 to 3600 s
line 18: service.web.drain.within: is 0 s, wanted 1 to 86400 s
line 18: service.web.drain.without: is not a known key here
line 19: service.api.dialect: is missing
line 19: service.api.pidfile: is missing
line 20: service.api.ready.http: https is not supported yet; http is";
    assert_eq!(told, expected);
}

#[test]
fn missing_tables_are_told() {
    let told = Config::parse("").expect_err("it is empty").to_string();
    assert_eq!(
        told,
        "line 1: there is no service: at least one table such as [service.web] is wanted\nline 1: the table [agent] is missing"
    );
    check(
        "[agent.tls]",
        "[agent.tsl]",
        "line 2: agent: the table [agent.tls] is missing\nline 5: agent.tsl: is not a known key here",
    );
    check(
        "ready = { http = \"http://127.0.0.1:8080/up\" }",
        "",
        "line 9: service.web: ready is missing: such as { http = \"http://127.0.0.1:8080/up\" }",
    );
    let told = Config::parse("agent = 1").expect_err("it is no table").to_string();
    assert!(told.ends_with("line 1: agent: is integer, wanted a table"), "{told}");
    assert!(Config::parse("[agent\n").is_err());
}

#[test]
fn names_are_checked() {
    let rule = "1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit";
    check("\"web-1\"", "\"\"", &format!("line 4: agent.host: \"\" is not a host name: {rule}"));
    check("service.web", "service.\"a/b\"", &format!("line 9: service.a/b: \"a/b\" is not a service name: {rule}"));
}

#[test]
fn no_file_serves_two_purposes() {
    let second = |rest: &str| {
        format!("[service.api]\ndialect = \"unicorn\"\nready = {{ http = \"http://127.0.0.1/\" }}\n{rest}\n[service.web]")
    };
    check(
        "[service.web]",
        &second("pidfile = \"/run//web/./unicorn.pid\""),
        "line 15: service.web.pidfile: is service.api.pidfile already",
    );
    check(
        "[service.web]",
        &second("pidfile = \"/run/api.pid\"\nlock = \"/run/web/unicorn.pid.lock\""),
        "line 16: service.web.pidfile: its default lock /run/web/unicorn.pid.lock is service.api.lock already",
    );
    check(
        "[service.web]\n",
        "[service.web]\nlock = \"/run/web/unicorn.pid\"\n",
        "line 10: service.web.lock: is service.web.pidfile already",
    );
}

#[test]
fn paths_are_checked() {
    let path = "\"/run/web/unicorn.pid\"";
    check(path, "\"/\"", "line 11: service.web.pidfile: \"/\" names no file");
    check(path, "\"/a\\u0000b\"", "line 11: service.web.pidfile: has a control character in it");
    check(
        path,
        &format!("\"/{}\"", "a".repeat(5_000)),
        "line 11: service.web.pidfile: has 5001 bytes, at most 4095 are possible",
    );
    check(
        "host = \"web-1\"",
        &format!("host = \"web-1\"\nsocket = \"/{}\"", "a".repeat(107)),
        "line 5: agent.socket: has 108 bytes, at most 107 are possible",
    );
}

#[test]
fn probe_urls_are_checked() {
    let url = "http://127.0.0.1:8080/up";
    let refused = |to: &str, why: &str| check(url, to, &format!("line 12: service.web.ready.http: {why}"));
    for authority in
        ["example.com", "0.0.0.0:80", "127.0.0.1:0", "127.0.0.1:65536", "a@127.0.0.1", "::1", "[::1", "127.0.0.1:", ""]
    {
        refused(
            &format!("http://{authority}/up"),
            &format!("{authority:?} is not an IP address of this host or localhost, with a port or without"),
        );
    }
    refused(
        "ftp://127.0.0.1/",
        "\"ftp://127.0.0.1/\" is not a URL such as \"http://127.0.0.1:8080/up\" or \"unix:/run/web.sock:/up\"",
    );
    refused("http://127.0.0.1/#top", "a fragment (#) is never sent");
    refused("http://127.0.0.1/ HTTP/1.1", "\"http://127.0.0.1/ HTTP/1.1\" has a character in it that is not plain visible ASCII");
}

/// The dialect of the small configuration with these lines instead.
fn dialect(lines: &str) -> Dialect {
    let config = Config::parse(&SMALL.replacen("dialect = \"unicorn\"", lines, 1)).expect("valid");
    config.services[0].dialect.clone()
}

#[test]
fn a_signal_chooses_between_the_ways_of_one_server() {
    let reload = |lines: &str| (dialect(lines).row().reload, dialect(lines).row().shape);
    assert_eq!(reload("dialect = \"gunicorn\"\ncheck = \"none\""), (Signal::Usr2, Shape::Beside));
    assert_eq!(reload("dialect = \"gunicorn\"\ncheck = \"none\"\nsignal = \"HUP\""), (Signal::Hup, Shape::InPlace));
    assert_eq!(reload("dialect = \"nginx\"\ncheck = \"none\"\nsignal = \"SIGUSR2\""), (Signal::Usr2, Shape::Beside));
    assert_eq!(reload("dialect = \"puma\"\nsignal = \"USR1\""), (Signal::Usr1, Shape::InPlace));
    let refused = |lines: &str, why: &str| check("dialect = \"unicorn\"", lines, why);
    refused(
        "dialect = \"unicorn\"\nsignal = \"HUP\"",
        "line 11: service.web.signal: SIGHUP does not reload unicorn in a way that is known; known: USR2",
    );
    refused(
        "dialect = \"nginx\"\nsignal = \"reload\"",
        "line 11: service.web.signal: \"reload\" is not a signal that is known here; known: HUP, USR1, USR2, WINCH, INT, QUIT, TERM",
    );
    refused(
        "dialect = \"unicorn\"\ngeneric = {}",
        "line 9: service.web: has a table `generic`, which only the dialect \"generic\" has",
    );
}

#[test]
fn a_server_that_is_not_in_the_table_is_described() {
    let described = |rest: &str| dialect(&format!("dialect = \"generic\"\ngeneric = {{ {rest} }}"));
    let beside =
        described("reload = \"USR2\", shape = \"beside\", retire = \"QUIT\", lock = \"hook\", old-pid-file-suffix = \".old\"");
    let row = beside.row();
    assert_eq!((row.name, row.reload, row.shape, row.retire), ("generic", Signal::Usr2, Shape::Beside, Signal::Quit));
    assert_eq!((&row.pid_files, row.lock), (&PidFiles::OldRenamed(".old".into()), Custodian::Hook));
    let late =
        described("reload = \"HUP\", shape = \"beside\", retire = \"INT\", lock = \"inherited\", new-pid-file-suffix = \".new\"");
    assert_eq!((&late.row().pid_files, late.row().lock), (&PidFiles::NewBeside(".new".into()), Custodian::Inherited));
    for (shape, expected) in [("in-place", Shape::InPlace), ("exec", Shape::Exec)] {
        let stays = described(&format!("reload = \"HUP\", shape = \"{shape}\", retire = \"TERM\", lock = \"hook\""));
        assert_eq!((stays.row().shape, &stays.row().pid_files), (expected, &PidFiles::Unchanged));
    }
}

#[test]
fn what_is_missing_or_contradicts_itself_in_a_description_is_told() {
    let refused = |rest: &str, why: &[&str]| {
        let told: Vec<String> = why.iter().map(|why| format!("line {why}")).collect();
        check("dialect = \"unicorn\"", &format!("dialect = \"generic\"\n{rest}"), &told.join("\n"));
    };
    let sound = "reload = \"USR2\", shape = \"beside\", retire = \"QUIT\", lock = \"hook\"";
    refused(
        "",
        &[
            "9: service.web: the table `generic` is missing: such as { reload = \"HUP\", shape = \"in-place\", retire = \"TERM\", lock = \"inherited\" }",
        ],
    );
    let missing = ["lock", "reload", "retire", "shape"].map(|key| format!("11: service.web.generic.{key}: is missing"));
    refused("generic = {}", &missing.each_ref().map(String::as_str));
    refused(
        "generic = { reload = \"RTMIN+1\", shape = \"over\", retire = \"KILL\", lock = \"none\", colour = \"blue\" }",
        &[
            "11: service.web.generic.colour: is not a known key here",
            "11: service.web.generic.lock: \"none\" is neither \"hook\" nor \"inherited\"",
            "11: service.web.generic.reload: \"RTMIN+1\" is not a signal that is known here; known: HUP, USR1, USR2, WINCH, INT, QUIT, TERM",
            "11: service.web.generic.retire: \"KILL\" is not a signal that is known here; known: HUP, USR1, USR2, WINCH, INT, QUIT, TERM",
            "11: service.web.generic.shape: \"over\" is neither \"beside\" nor \"in-place\" nor \"exec\"",
        ],
    );
    refused(
        &format!("generic = {{ {sound} }}"),
        &[
            "11: service.web.generic: two masters have two pid files: old-pid-file-suffix is missing, or new-pid-file-suffix where the new master's has another name",
        ],
    );
    refused(
        &format!("generic = {{ {sound}, old-pid-file-suffix = \".old\", new-pid-file-suffix = \".new\" }}"),
        &["11: service.web.generic.new-pid-file-suffix: contradicts old-pid-file-suffix: one of the two masters keeps the name"],
    );
    refused(
        &format!("generic = {{ {sound}, old-pid-file-suffix = \"/../x\" }}"),
        &[
            "11: service.web.generic.old-pid-file-suffix: \"/../x\" is not the end of a file's name: 1 to 32 plain visible characters without a slash",
        ],
    );
    refused(
        &format!("generic = {{ {sound}, old-pid-file-suffix = \".lock\" }}"),
        &["9: service.web: its lock /run/web/unicorn.pid.lock is also the other master's pid file"],
    );
    refused(
        "generic = { reload = \"HUP\", shape = \"exec\", retire = \"HUP\", lock = \"hook\", old-pid-file-suffix = \".old\" }",
        &[
            "11: service.web.generic: has one signal for `reload` and `retire`: a server cannot tell what is meant",
            "11: service.web.generic.old-pid-file-suffix: is only for the shape \"beside\": a master that stays has one pid file",
        ],
    );
    refused(
        &format!("signal = \"HUP\"\ngeneric = {{ {sound}, old-pid-file-suffix = \".old\" }}"),
        &["11: service.web.signal: is `reload` in the table `generic` where the dialect is generic"],
    );
}

#[test]
fn there_is_a_limit_to_services() {
    let mut text = SMALL.to_owned();
    for number in 0..256 {
        let files = format!("pidfile = \"/run/{number}\"\nready = {{ http = \"http://127.0.0.1/\" }}");
        writeln!(text, "[service.s{number}]\ndialect = \"unicorn\"\n{files}").unwrap();
    }
    let told = Config::parse(&text).expect_err("it has one too many").to_string();
    assert!(told.ends_with("service: has 257 services where 1 to 256 are wanted"), "{told}");
}

#[test]
fn the_sample_to_deploy_is_valid() {
    let config = Config::parse(include_str!("../../../deploy/agent.toml")).expect("it is a beginning for everybody");
    assert!(!config.services.is_empty());
}

#[test]
fn foreign_holders_refuse_unless_they_are_allowed() {
    let allows = |line: &str| {
        let config = Config::parse(&format!("{SMALL}{line}")).expect("valid");
        config.services[0].allows_foreign_holders
    };
    assert!(!allows("") && !allows("foreign-holders = \"refuse\"\n") && allows("foreign-holders = \"allow\"\n"));
    check(
        "dialect = \"unicorn\"",
        "dialect = \"unicorn\"\nforeign-holders = \"yes\"",
        "line 11: service.web.foreign-holders: \"yes\" is neither \"refuse\" nor \"allow\"",
    );
}

#[test]
fn a_drain_a_reserve_and_a_number_of_handovers_have_their_bounds() {
    let drain = |keys: &str, expected: &str| {
        check(
            "[service.web]\n",
            &format!("[service.web]\ndrain = {{ {keys} }}\n"),
            &format!("line 10: service.web.drain.{expected}"),
        );
    };
    drain("then = \"shoot\"", "then: \"shoot\" is neither \"wait\" nor \"term\" nor \"kill\"");
    drain("lingering = 17", "lingering: \"17\" is no number of generations from 0 to 16");
    drain("lingering = -1", "lingering: \"-1\" is no number of generations from 0 to 16");
    let memory = |keys: &str, expected: &str| {
        check(
            "[service.web]\n",
            &format!("[service.web]\nmemory = {{ {keys} }}\n"),
            &format!("line 10: service.web.memory.{expected}"),
        );
    };
    memory("reserve = \"much\"", "reserve: \"much\" is not a size such as \"256M\", \"2G\" or \"0\"");
    memory("shortage = \"ignore\"", "shortage: \"ignore\" is neither \"refuse\" nor \"allow\"");
    check("[agent]\n", "[agent]\nhandovers = 0\n", "line 3: agent.handovers: \"0\" is no number from 1 to 256");
}

#[test]
fn a_server_that_can_test_its_configuration_has_to_unless_that_is_said() {
    let nginx = "dialect = \"nginx\"";
    check(
        "dialect = \"unicorn\"",
        nginx,
        "line 9: service.web: check is missing: nginx must test its configuration before it is signalled, such as \
         { command = [\"nginx\", \"-t\"] }; or \"none\"",
    );
    let checked = |line: &str| {
        let config = Config::parse(&SMALL.replacen("dialect = \"unicorn\"", &format!("{nginx}\n{line}"), 1));
        config.map(|config| config.services[0].errands.check.clone()).map_err(|mistakes| mistakes.to_string())
    };
    assert_eq!(checked("check = \"none\""), Ok(None));
    let found = checked("check = { command = [\"nginx\", \"-t\"], within = \"5s\" }").expect("valid").expect("it is there");
    assert_eq!((found.command[0].as_str(), found.within), ("nginx", Duration::from_secs(5)));
    let told = checked("check = \"never\"").expect_err("no such word");
    assert!(told.ends_with("service.web.check: is neither a table nor \"none\""), "{told}");
}
