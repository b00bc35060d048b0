//! A plan is made before anything is touched, of what every host answers: it is refused while a host is broken, it can be carried out later
//! exactly as it was shown, and its order is the one that is walked.

use std::fs;
use std::path::Path;

use baton_tests::controller::Run;
use baton_tests::fleet::{Fleet, SERVICE};
use baton_tests::server::Kind;
use baton_tests::testified::local;

/// Patients, each in its zone.
fn fleet(zones: &[&str]) -> Fleet {
    let fleet = Fleet::of(zones.len()).server(Kind::Patient).start();
    let mut text = fs::read_to_string(fleet.config()).expect("a fleet has an inventory");
    for (host, zone) in fleet.hosts.iter().zip(zones) {
        let address = format!("address = \"{}\"\n", host.agent.address());
        text = text.replace(&address, &format!("{address}labels = {{ zone = \"{zone}\" }}\n"));
    }
    fs::write(fleet.config(), text).expect("a file in the sandbox can be written");
    fleet
}

/// The masters of all servers, by themselves.
fn masters(fleet: &Fleet) -> Vec<u32> {
    fleet.hosts.iter().map(|host| host.server.master().expect("it serves")).collect()
}

/// The hosts in the order in which they were begun.
fn begun(run: &Run) -> Vec<String> {
    let started = run.objects().into_iter().filter(|object| object["event"] == "started");
    started.filter_map(|object| Some(object["host"].as_str()?.to_owned())).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the sandbox has a name that is text")
}

#[test]
fn a_host_that_is_broken_already_refuses_the_rollout_unless_it_is_left_out() {
    let mut fleet = fleet(&["a", "a", "a"]);
    fleet.hosts[1].agent.kill();
    let before = masters(&fleet);
    // No budget changes that: what is left serves in its stead.
    let run = fleet.baton(&["restart", SERVICE, "--max-failures", "2"]).expect_code(2);
    run.says(&["error: web-2 is broken already: ", "Connection refused", "nothing was touched"]);
    run.says(&["hint: ", "`--leave-out-broken` restarts the others"]);
    fleet.baton(&["plan", SERVICE]).expect_code(2).says(&["Refuse", "web-2", "Connection refused"]);
    assert_eq!(masters(&fleet), before, "{run}");

    let run = fleet.baton(&["restart", SERVICE, "--leave-out-broken", "--output", "json"]).expect_code(3);
    let outcomes: Vec<_> = run.outcomes().into_iter().map(|outcome| format!("{} {}", outcome.host, outcome.outcome)).collect();
    assert!(["web-1 proven", "web-2 refused", "web-3 proven"].iter().all(|told| outcomes.iter().any(|one| one == told)), "{run}");
    assert_eq!(masters(&fleet)[1], before[1], "{run}");
    let floor = ["restart", SERVICE, "--leave-out-broken", "--min-available", "60%"];
    fleet
        .baton(&floor)
        .expect_code(2)
        .says(&["error: 2 must be available, and 2 are: none could be in flight; nothing was touched"]);
}

#[test]
fn a_plan_that_was_written_down_is_carried_out_exactly_and_once() {
    let fleet = fleet(&["a", "b"]);
    let path = fleet.directory().join("plan.json");
    let written = fleet.baton(&["plan", SERVICE, "--by-zone", "--max-in-flight", "50%", "--out", text(&path)]).expect_code(0);
    written.says(&["Limit", "50% of 2 hosts, rounded down: 1 at once"]);
    written.says(&["Written", text(&path)]);
    fleet.baton(&["plan", "--plan", text(&path)]).expect_code(0).says(&["Wave", "1 of 2: zone a, 1 host"]);

    let run = fleet.baton(&["restart", "--plan", text(&path), "--output", "json"]).expect_code(0);
    assert_eq!(begun(&run), ["web-1", "web-2"], "{run}");
    assert!(run.outcomes().iter().all(|outcome| outcome.is_proven("marked")), "{run}");

    let before = masters(&fleet);
    let again = fleet.baton(&["restart", "--plan", text(&path)]).expect_code(2);
    again.says(&["error: the fleet has changed since the plan was made, and nothing was touched:"]);
    again.says(&["web-1: the generation was 1, and is 2"]);
    again.says(&["web-2: the generation was 1, and is 2"]);
    assert_eq!(masters(&fleet), before, "{again}");
}

#[test]
fn a_plan_is_refused_when_somebody_has_restarted_a_host_by_hand_or_the_inventory_is_another() {
    let fleet = fleet(&["a", "b", "b"]);
    let path = fleet.directory().join("plan.json");
    let _written = fleet.baton(&["plan", SERVICE, "--out", text(&path)]).expect_code(0);
    let inventory = fs::read_to_string(fleet.config()).expect("a fleet has an inventory");

    fs::write(fleet.config(), inventory.replacen("zone = \"b\"", "zone = \"c\"", 1)).expect("it can be written");
    let before = masters(&fleet);
    fleet.baton(&["restart", "--plan", text(&path)]).expect_code(2).says(&["web-2: the zone was b, and is c"]);
    fs::write(fleet.config(), &inventory).expect("it can be written");

    let _by_hand = local(&fleet, &fleet.hosts[1], &["reload", SERVICE]).expect_code(0);
    let after = masters(&fleet);
    let run = fleet.baton(&["restart", "--plan", text(&path)]).expect_code(2);
    run.says(&["web-2: the generation was 1, and is 2"]);
    run.says(&["web-2: the master was ", &before[1].to_string(), &after[1].to_string()]);
    assert!(!run.stderr.contains("web-1") && !run.stderr.contains("web-3"), "{run}");
    assert_eq!(masters(&fleet), after, "{run}");

    let hand_made = fs::read_to_string(&path).expect("it was written").replace("\"in_flight_max\":1", "\"in_flight_max\":3");
    fs::write(&path, hand_made).expect("it can be written");
    fleet.baton(&["restart", "--plan", text(&path)]).expect_code(2).says(&["is no plan: the bounds are not those of its hosts"]);
    fs::write(&path, "{}").expect("it can be written");
    fleet.baton(&["restart", "--plan", text(&path)]).expect_code(2).says(&["is no plan: missing field `format`"]);
}

#[test]
fn canaries_go_before_the_zones_and_one_zone_before_the_other() {
    let fleet = fleet(&["b", "a", "b", "a"]);
    let limits = ["--canary", "1", "--by-zone", "--soak", "300ms", "--max-in-flight", "2"];
    let plan = fleet.baton(&[&["plan", SERVICE][..], &limits].concat()).expect_code(0);
    plan.says(&["Wave", "1 of 3: the canary web-1, then a soak of 300 ms"]);
    plan.says(&["Wave", "2 of 3: zone b, 1 host, then a soak of 600 ms"]);
    plan.says(&["Wave", "3 of 3: zone a, 2 hosts, then a soak of 300 ms"]);
    plan.says(&["Estimate", "at most "]);
    let run = fleet.baton(&[&["restart", SERVICE, "--output", "json"][..], &limits].concat()).expect_code(0);
    let order = begun(&run);
    assert_eq!(order[..2], ["web-1", "web-3"], "{run}");
    assert!(order[2..] == ["web-2", "web-4"] || order[2..] == ["web-4", "web-2"], "{run}");
    let many = fleet.baton(&["restart", SERVICE, "--canary", "5"]).expect_code(2);
    many.says(&["error: 5 canaries are wanted, and 4 would be restarted in all; nothing was touched"]);
}

/// Puts a certificate that ends soon in the place of the one that `name` has, as a renewal does.
fn renew_for(fleet: &Fleet, role: &str, name: &str, valid_for: &str) {
    let directory = fleet.directory().join(name).join("short");
    fs::create_dir_all(&directory).expect("a directory in the sandbox can be made");
    for file in ["fleet-ca.crt", "fleet-ca.key"] {
        fs::copy(fleet.pki.directory().join(file), directory.join(file)).expect("a file in the sandbox can be copied");
    }
    let _issued = fleet.baton(&["pki", "issue", role, name, "--dir", text(&directory), "--valid-for", valid_for]).expect_code(0);
    for path in [fleet.pki.key(name), fleet.pki.certificate(name)] {
        let issued = directory.join(path.file_name().expect("it is a file"));
        let draft = path.with_extension("draft");
        fs::copy(issued, &draft).and_then(|_| fs::rename(&draft, &path)).expect("a file in the sandbox can be replaced");
    }
}

#[test]
fn certificates_that_end_soon_are_warned_of_before_anybody_is_left_in_the_dark() {
    let fleet = fleet(&["a", "a"]);
    let quiet = fleet.baton(&["plan", SERVICE]).expect_code(0);
    assert!(!quiet.stdout.contains("Warning"), "{quiet}");
    renew_for(&fleet, "agent", "web-2", "3d");
    let warned = fleet.baton(&["plan", SERVICE]).expect_code(0);
    warned.says(&["Warning", "the certificate of web-2 ends on "]);
    warned.says(&["hint: `baton pki issue agent HOST` makes new ones"]);
    renew_for(&fleet, "operator", baton_tests::fleet::OPERATOR, "2d");
    let run = fleet.baton(&["restart", SERVICE, "--output", "json"]).expect_code(0);
    let plan = run.objects().into_iter().find(|object| object["event"] == "plan").expect("a plan");
    let words: Vec<_> = plan["warnings"].as_array().expect("a list").iter().map(|warning| warning["warning"].clone()).collect();
    assert_eq!(words, ["certificates_end", "own_certificate_ends"], "{run}");
}
