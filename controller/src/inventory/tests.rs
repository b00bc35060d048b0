use std::path::Path;
use std::time::Duration;

use super::{Fleet, Policy, Share};

const FLEET: &str = r#"
[fleet]
name        = "prod"
certificate = "operator.crt"
key         = "/etc/baton/operator.key"
authority   = "fleet-ca.crt"
[[host]]
name    = "web-1"
address = "10.0.0.11:7646"
labels  = { zone = "a", role = "web" }
[[host]]
name    = "web-2"
address = "web-2.internal:7646"
[service.web]
max-in-flight = "10%"
max-failures  = 0
"#;

fn mistakes(text: &str) -> String {
    Fleet::read(text, Path::new("/fleet")).map_or_else(|mistakes| mistakes.to_string(), |_| String::new())
}

#[test]
fn a_fleet_is_read_whole() {
    let fleet = Fleet::read(FLEET, Path::new("/fleet")).unwrap();
    assert_eq!(fleet.name(), "prod");
    assert_eq!(fleet.credentials().certificate, Path::new("/fleet/operator.crt"));
    assert_eq!(fleet.credentials().key, Path::new("/etc/baton/operator.key"));
    let hosts: Vec<_> = fleet.hosts().iter().map(|host| (host.name.as_str(), host.address.as_str())).collect();
    assert_eq!(hosts, [("web-1", "10.0.0.11:7646"), ("web-2", "web-2.internal:7646")]);
    assert_eq!(fleet.hosts()[0].labels["zone"], "a");
    let policy = Policy { max_in_flight: Some(Share::Percent(10)), max_failures: Some(Share::Count(0)), ..Policy::default() };
    assert_eq!((fleet.hosts()[0].zone(), fleet.hosts()[1].zone()), (Some("a"), None));
    assert_eq!(fleet.policy("web"), policy);
    assert_eq!(fleet.policy("api"), Policy::default());
}

#[test]
fn all_mistakes_are_told_at_once_with_line_and_key() {
    let text = r#"[fleet]
name = "prod!"
certificate = "operator.crt"
key = 5
[[host]]
name = "web-1"
address = "10.0.0.11"
[[host]]
name = "web-1"
address = "10.0.0.12:7646"
lables = {}
[[host]]
name = "10.0.0.13"
address = "10.0.0.12:7646"
[service.web]
max-in-flight = 0
max-failures = "many"
canary = "10%"
soak = "a while"
stop-after = 0
min-available = "180%"
by-zone = "yes"
"#;
    insta::assert_snapshot!(mistakes(text), @r#"
line 1: fleet.authority: is missing
line 2: fleet.name: "prod!" is not a fleet name: 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit
line 4: fleet.key: is integer, wanted a string
line 7: host[0].address: "10.0.0.11" is no address such as "10.0.0.11:7646" or "web-1.internal:7646"
line 9: host[1].name: the host "web-1" is listed twice
line 11: host[1].lables: is not a known key here
line 13: host[2].name: "10.0.0.13" could not be the DNS name in a certificate; an address belongs in `address`
line 14: host[2].address: another host has the address "10.0.0.12:7646"
line 16: service.web.max-in-flight: 0 hosts in flight would never restart anything; at least 1 is wanted
line 17: service.web.max-failures: "many" is neither a number of hosts nor a percentage such as "10%"
line 18: service.web.canary: "10%" is not a number of hosts
line 19: service.web.soak: "a while" is not a duration such as "90s", "1m 30s", "500ms" or "0s"
line 20: service.web.stop-after: to stop after 0 hosts would never restart anything; at least 1 is wanted
line 21: service.web.min-available: 180% is more than all
line 22: service.web.by-zone: is string, wanted true or false
"#);
}

#[test]
fn a_fleet_without_hosts_or_identity_is_a_mistake() {
    insta::assert_snapshot!(mistakes(""), @r#"
line 1: the table [fleet] is missing
line 1: no [[host]] is listed
"#);
    assert!(mistakes("[fleet").starts_with("line 1: "));
}

#[test]
fn every_key_of_a_policy_is_read_and_a_flag_goes_before_it() {
    let more = r#"min-available = "80%"
min-available-per-zone = 1
max-failures-per-zone = "5%"
canary = 2
soak = "30s"
by-zone = true
stop-after = 7
host-deadline = "15m"
deadline = "4h"
"#;
    let policy = Fleet::read(&format!("{FLEET}{more}"), Path::new("/fleet")).unwrap().policy("web");
    let whole = Policy {
        max_in_flight: Some(Share::Percent(10)),
        max_failures: Some(Share::Count(0)),
        max_failures_per_zone: Some(Share::Percent(5)),
        min_available: Some(Share::Percent(80)),
        min_available_per_zone: Some(Share::Count(1)),
        canary: Some(2),
        soak: Some(Duration::from_secs(30)),
        by_zone: Some(true),
        stop_after: Some(7),
        host_deadline: Some(Duration::from_mins(15)),
        deadline: Some(Duration::from_hours(4)),
    };
    assert_eq!(policy, whole);
    let flags = Policy { canary: Some(0), by_zone: Some(false), ..Policy::default() };
    assert_eq!(flags.or(whole), Policy { canary: Some(0), by_zone: Some(false), ..whole });
    assert_eq!(Policy::default().or(whole), whole);
}
