use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Bound, Limit, Start};
use crate::config::Config;
use crate::supervision::Policy;

/// A configuration whose service is started like this.
fn read(dialect: &str, start: &str) -> Result<Start, String> {
    let text = format!(
        r#"
[agent]
fleet = "prod"
host = "web-1"
tls = {{ certificate = "/c", key = "/k", authority = "/a" }}
[service.web]
dialect = "{dialect}"
pidfile = "/run/web/unicorn.pid"
ready = {{ http = "http://127.0.0.1:8080/up" }}
check = "none"
[service.web.start]
{start}"#
    );
    let config = Config::parse(&text).map_err(|mistakes| mistakes.to_string())?;
    Ok(config.services.into_iter().next().and_then(|service| service.start).expect("it is there"))
}

#[track_caller]
fn check(start: &str, expected: &str) {
    let told = read("unicorn", start).expect_err(start);
    // The table begins in this line.
    let lines: Vec<&str> = told.lines().map(|line| line.split_once("service.web.start").expect("it is about start").1).collect();
    assert_eq!(lines.join("\n"), expected, "{start}");
}

const SMALL: &str = "command = [\"unicorn\"]\ndirectory = \"/srv/web/current\"\n";

#[test]
fn what_is_left_out_has_its_default() {
    let expected = Start {
        command: vec!["unicorn".into()],
        directory: PathBuf::from("/srv/web/current"),
        user: None,
        group: None,
        environment: BTreeMap::new(),
        limits: BTreeMap::new(),
        output: None,
        umask: 0o022,
        within: Duration::from_mins(1),
        stop_within: Duration::from_mins(1),
        policy: Policy::default(),
    };
    assert_eq!(read("unicorn", SMALL), Ok(expected));
}

#[test]
fn what_is_given_is_taken() {
    let start = r#"
command = ["bundle", "exec", "unicorn", "-E", "production", ""]
directory = "/"
user = "www-data"
group = 33
environment = { RAILS_ENV = "production", WEB_CONCURRENCY = 4, EMPTY = "" }
limits = { nofile = 65536, core = "unlimited", nproc = "512" }
output = "/var/log/web.log"
umask = "027"
within = "2m"
stop-within = "90s"
tries = 3
window = "1h"
"#;
    let start = read("haproxy", start).expect("it is valid");
    assert_eq!((start.command.len(), start.directory), (6, PathBuf::from("/")));
    assert_eq!((start.user.as_deref(), start.group.as_deref()), (Some("www-data"), Some("33")));
    let pairs: Vec<(&str, &str)> = start.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("EMPTY", ""), ("RAILS_ENV", "production"), ("WEB_CONCURRENCY", "4")]);
    let limits: Vec<(Limit, Bound)> = start.limits.into_iter().collect();
    let expected = [(Limit::Core, Bound::Unlimited), (Limit::Files, Bound::At(65_536)), (Limit::Processes, Bound::At(512))];
    assert_eq!(limits, expected);
    assert_eq!((start.output, start.umask), (Some(PathBuf::from("/var/log/web.log")), 0o027));
    assert_eq!((start.within, start.stop_within), (Duration::from_mins(2), Duration::from_secs(90)));
    assert_eq!(start.policy, Policy { tries: 3, window: Duration::from_hours(1) });
}

#[test]
fn all_mistakes_are_told_at_once() {
    let start = "command = []
directory = \"current\"
user = \"www data\"
group = \"\"
output = \"web.log\"
umask = \"0999\"
within = \"0s\"
stop-within = \"2h\"
tries = 0
window = \"soon\"
restart = \"always\"
";
    let expected = "\
.command: has 0 words, wanted 1 to 256, the program first
.directory: \"current\" is not absolute: it must begin with a slash
.user: \"www data\" is not a name or a number of a user
.group: \"\" is not a name or a number of a group
.output: \"web.log\" is not absolute: it must begin with a slash
.umask: \"0999\" is not an octal file mode such as \"022\"
.within: is 0 s, wanted 1 to 3600 s
.stop-within: is 7200 s, wanted 1 to 3600 s
.tries: \"0\" is not a number from 1 to 1000
.window: \"soon\" is not a duration such as \"90s\", \"1m 30s\", \"500ms\" or \"0s\"
.restart: is not a known key here";
    check(start, expected);
}

#[test]
fn a_command_is_a_program_and_words_that_can_be_handed_to_it() {
    let with = |command: &str| format!("directory = \"/srv\"\ncommand = {command}\n");
    check(&with("\"unicorn -D\""), ".command: is string, wanted an array of strings and whole numbers");
    check(&with("[\"unicorn\", [5]]"), ".command: is array, wanted an array of strings and whole numbers");
    check(&with("[\"\"]"), ".command: names no program");
    check(&with("[\"a\", \"b\\u0000\"]"), ".command: has a zero byte in it");
    check("directory = \"/srv\"\n", ".command: is missing");
}

#[test]
fn variables_and_limits_are_those_that_there_can_be() {
    let with = |more: &str| format!("{SMALL}{more}\n");
    check(&with("environment = { PWD = \"/srv\" }"), ".environment.PWD: is made of the key directory");
    check(&with("environment = { \"A=B\" = \"1\" }"), ".environment.A=B: is not the name of a variable");
    check(&with("environment = { A = [1] }"), ".environment.A: is array, wanted a whole number or a string");
    check(&with("limits = { nofile = \"many\" }"), ".limits.nofile: \"many\" is neither a number nor \"unlimited\"");
    check(
        &with("limits = { files = 5 }"),
        ".limits: \"files\" is not a limit; known: as, core, cpu, data, fsize, memlock, nofile, nproc, stack",
    );
}

#[test]
fn whoever_inherits_the_lock_needs_a_descriptor_of_its_number() {
    let low = format!("{SMALL}limits = {{ nofile = 1024 }}\n");
    assert!(read("unicorn", &low).is_ok());
    let told = read("nginx", &low).expect_err("the lock is handed down");
    assert!(told.contains("is 1024, wanted 1026 or more: the lock is handed down on descriptor 1025"), "{told}");
}

#[test]
fn a_socket_for_notices_must_be_where_the_servers_user_may_go() {
    let text = |notify: &str, user: &str| {
        format!(
            "[agent]\nfleet = \"prod\"\nhost = \"web-1\"\ntls = {{ certificate = \"/c\", key = \"/k\", authority = \"/a\" }}\n[service.web]\n\
             dialect = \"unicorn\"\npidfile = \"/run/web/unicorn.pid\"\nready = {{ tcp = \"127.0.0.1:80\", notify = {notify} }}\n\
             [service.web.start]\ncommand = [\"unicorn\"]\ndirectory = \"/srv\"\n{user}"
        )
    };
    let told = Config::parse(&text("true", "user = \"web\"")).expect_err("it may not go there").to_string();
    assert!(told.contains("service.web: ready.notify = true is a socket in the agent's own directory"), "{told}");
    for (notify, user) in [("true", ""), ("\"/run/baton/web.notify\"", "user = \"web\"")] {
        assert!(Config::parse(&text(notify, user)).is_ok(), "{notify} {user}");
    }
}
