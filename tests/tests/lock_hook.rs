//! The lock hook against Ruby's garbage collector: the well-known snippet loses its lock while it serves, ours keeps it.

use std::process::{Child, Command};
use std::time::Duration;

use baton_proto::custody::MARK_MIN;
use baton_tests::deployed::{self, Site};
use baton_tests::sandbox::Sandbox;
use baton_tests::wait;

const SOON: Duration = Duration::from_secs(20);

/// What can be found in many places: the file is named by a local variable alone.
const WELL_KNOWN: &str = r##"
before_fork do |server, worker|
  lock = File.open("#{server.config[:pid]}.lock", File::RDWR | File::CREAT, 0o640)
  lock.flock(File::LOCK_SH)
end
"##;

/// Collects garbage in the master, which an idle master does not do by itself. The workers do at `/gc`.
const COLLECTOR: &str = r"
Thread.new { loop { GC.start; sleep 0.02 } }
";

/// Our configuration, with something after it.
fn site(sandbox: &Sandbox, more: &str) -> Site {
    let mut site = Site::new(sandbox);
    let ours = deployed::file("unicorn.conf.rb").display().to_string();
    site.configure(&format!("path = {ours:?}\ninstance_eval(File.read(path), path)\n{more}{COLLECTOR}"));
    site
}

fn start(site: &Site) -> u32 {
    let unicorn = site.unicorn();
    let mut child = site.run(Command::new(&unicorn[0]).args(&unicorn[1..]), "unicorn.log");
    let master = child.id();
    // Buried when it ends, so that it is seen to be gone.
    std::thread::spawn(move || child.wait());
    wait::until("Unicorn to serve", SOON, || site.ask("/"));
    master
}

/// A process blocked in an exclusive flock: it ends when nobody holds the lock.
fn waiter(site: &Site) -> Child {
    let mut flock = Command::new("flock");
    flock.arg("-x").arg(site.lock()).arg("true");
    site.run(&mut flock, "waiter.log")
}

fn is_granted(waiter: &mut Child) -> bool {
    waiter.try_wait().expect("our own child").is_some()
}

/// Has garbage collected in every worker, several times.
fn collect(site: &Site) {
    let mut seen = std::collections::BTreeMap::<u32, u32>::new();
    wait::until("all workers to collect", SOON, || {
        let answer = site.ask("/gc")?;
        *seen.entry(answer.pid).or_default() += 1;
        if seen.len() >= 2 && seen.values().all(|times| *times >= 3) { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

#[test]
fn the_well_known_snippet_loses_its_lock_while_it_serves() {
    let sandbox = Sandbox::new();
    let site = site(&sandbox, WELL_KNOWN);
    start(&site);
    collect(&site);
    let mut waiter = waiter(&site);
    wait::until("the lock to be lost", SOON, || {
        if is_granted(&mut waiter) { Ok(()) } else { site.ask("/gc").and(Err("held".to_owned())) }
    });
    assert_eq!(site.holders(), [0_u32; 0]);
    assert!(site.ask("/").is_ok(), "it serves all the same");
}

#[test]
fn our_hook_keeps_its_lock_over_collections_and_handovers() {
    let sandbox = Sandbox::new();
    let site = site(&sandbox, "");
    let first = start(&site);
    let mut waiter = waiter(&site);
    let mut masters = vec![first];
    for _ in 0..3 {
        collect(&site);
        assert!(site.holders().contains(masters.last().expect("there is a first")), "the master holds");
        masters.push(site.hand_over());
    }
    collect(&site);
    let holders = site.holders();
    let answer = site.ask("/").expect("it serves");
    assert!(holders.contains(&answer.pid) && holders.contains(&answer.master), "{holders:?}");
    assert!(!is_granted(&mut waiter), "the lock was never free");
    masters.sort_unstable();
    masters.dedup();
    assert_eq!(masters.len(), 4);
    site.kill_server();
    wait::until("the waiter to wake", SOON, || if is_granted(&mut waiter) { Ok(()) } else { Err("asleep".to_owned()) });
}

#[test]
fn each_master_marks_its_lock() {
    let sandbox = Sandbox::new();
    let site = site(&sandbox, "");
    let first = start(&site);
    let second = site.hand_over();
    assert!(first != second);
    let mark = site.mark(second).expect("it holds");
    assert!((MARK_MIN..1 << 43).contains(&mark), "{mark}");
    let third = site.hand_over();
    assert_ne!(site.mark(third), Some(mark));
}
