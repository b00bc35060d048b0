use baton_proto::custody::{FileIdentity, Lock, Process};

use super::{
    Facts, Holder, Kind, LockFile, Named, OldGeneration, PidFile, Place, Role, examine, network_file_system, roles, workers,
};

const FILE: FileIdentity = FileIdentity { device: 1, inode: 2, born: 3 };

/// A holder of the lock that `taker` took.
fn holder(pid: u32, parent: u32, command: &str, taker: u32, place: Place) -> Holder {
    let inode = command.bytes().map(u64::from).sum();
    let program = Some(FileIdentity { device: 1, inode, born: 0 });
    let lock = Lock { file: FILE, mark: u64::from(taker) * 1_000, taker };
    Holder { process: Process { pid, start_ticks: u64::from(pid) }, parent, command: command.to_owned(), program, lock, place }
}

fn living(pid: u32, command: &str) -> Named {
    let process = Process { pid, start_ticks: u64::from(pid) };
    Named::Living { process, command: command.to_owned(), younger: std::time::Duration::ZERO }
}

/// Master 10 with its workers 11 and 12, in the best of health.
fn healthy() -> Facts {
    let [master, one, two] = [(10, 1, Place::Master), (11, 10, Place::Below), (12, 10, Place::Below)]
        .map(|(pid, parent, place)| holder(pid, parent, "ruby", 10, place));
    Facts {
        path: "/run/web.lock".into(),
        lock_file: LockFile::Present(FILE),
        watched: Some(FILE),
        network: None,
        twin: None,
        pid_file: PidFile { path: "/run/web.pid".into(), named: living(10, "ruby") },
        pid_file_old: PidFile { path: "/run/web.pid.oldbin".into(), named: Named::Nobody },
        pid_file_new: PidFile::none(),
        master: Some(master.process),
        last: Some(master.clone()),
        holders: vec![master, one, two],
        unknown_takers: Vec::new(),
        allows_foreign: false,
        started_as: None,
        lingering: Vec::new(),
        lingering_allowed: 0,
    }
}

/// The same without its master.
fn bereaved() -> Facts {
    let Facts { mut holders, .. } = healthy();
    holders.remove(0);
    for holder in &mut holders {
        (holder.place, holder.parent) = (Place::Elsewhere, 1);
    }
    let pid_file = PidFile { path: "/run/web.pid".into(), named: Named::Gone(10) };
    Facts { master: None, holders, pid_file, ..healthy() }
}

fn with(facts: Facts, more: impl IntoIterator<Item = Holder>) -> Facts {
    let holders = facts.holders.into_iter().chain(more).collect();
    Facts { holders, ..facts }
}

/// What is found: the kinds, with their pids.
#[track_caller]
fn check(facts: &Facts, expected: &[(Kind, &[u32])]) {
    let found = examine(facts);
    let told: Vec<(Kind, &[u32])> = found.iter().map(|finding| (finding.kind, finding.pids.as_slice())).collect();
    assert_eq!(told, expected, "{found:#?}");
}

/// The one sentence.
#[track_caller]
fn sentence(facts: &Facts) -> String {
    match examine(facts).as_slice() {
        [finding] => finding.sentence.clone(),
        findings => panic!("{findings:#?}"),
    }
}

#[test]
fn a_master_with_its_workers_is_nothing_to_be_found() {
    check(&healthy(), &[]);
    assert_eq!(roles(&healthy()), [Role::Master, Role::Worker, Role::Worker]);
}

#[test]
fn a_cron_job_that_locks_the_file_is_a_foreign_holder_with_its_child() {
    let cron = [holder(50, 1, "flock", 50, Place::Elsewhere), holder(51, 50, "sleep", 50, Place::Elsewhere)];
    let facts = with(healthy(), cron);
    check(&facts, &[(Kind::ForeignHolder, &[50, 51])]);
    let told = sentence(&facts);
    assert!(told.contains("flock (50) and sleep (51) hold the lock"), "{told}");
    assert!(examine(&facts).iter().all(|finding| finding.refuses));
    let allowed = Facts { allows_foreign: true, ..facts };
    check(&allowed, &[(Kind::ForeignHolder, &[50, 51])]);
    assert!(examine(&allowed).iter().all(|finding| !finding.refuses), "it is told all the same");
}

#[test]
fn a_shell_that_had_flock_lock_its_descriptor_is_foreign_though_the_taker_is_gone() {
    check(&with(healthy(), [holder(50, 1, "sh", 49, Place::Elsewhere)]), &[(Kind::ForeignHolder, &[50])]);
}

#[test]
fn two_foreign_holders_with_locks_of_their_own_are_two_findings() {
    let facts = with(healthy(), [holder(50, 1, "flock", 50, Place::Elsewhere), holder(60, 1, "flock", 60, Place::Elsewhere)]);
    check(&facts, &[(Kind::ForeignHolder, &[50]), (Kind::ForeignHolder, &[60])]);
}

#[test]
fn a_process_below_the_master_that_locks_the_file_itself_is_foreign_too() {
    check(&with(healthy(), [holder(50, 11, "flock", 50, Place::Below)]), &[(Kind::ForeignHolder, &[50])]);
}

#[test]
fn a_helper_with_another_program_is_told_and_refuses_nothing() {
    let facts = with(healthy(), [holder(13, 10, "sleep", 10, Place::Below)]);
    check(&facts, &[(Kind::Helper, &[13])]);
    assert!(!examine(&facts)[0].refuses);
}

#[test]
fn a_helper_without_exec_is_a_worker_as_far_as_anybody_can_tell() {
    check(&with(healthy(), [holder(13, 11, "ruby", 10, Place::Below)]), &[]);
    let unreadable = Holder { program: None, ..holder(13, 11, "ruby", 10, Place::Below) };
    check(&with(healthy(), [unreadable]), &[]);
}

#[test]
fn a_shell_above_the_master_is_a_wrapper_whether_it_took_the_lock_or_not() {
    check(&with(healthy(), [holder(5, 1, "sh", 10, Place::Above)]), &[(Kind::Wrapper, &[5])]);
    let mut facts = with(healthy(), [holder(5, 1, "sh", 5, Place::Above)]);
    for holder in &mut facts.holders {
        holder.lock = Lock { file: FILE, mark: 7, taker: 5 };
    }
    check(&facts, &[(Kind::Wrapper, &[5])]);
    let told = sentence(&facts);
    assert!(told.contains("sh (5), above the master, holds the lock"), "{told}");
}

#[test]
fn the_masters_own_lock_far_from_the_master_is_a_leak() {
    let facts = with(healthy(), [holder(50, 1, "logger", 10, Place::Elsewhere)]);
    check(&facts, &[(Kind::LeakedDescriptor, &[50])]);
    assert!(sentence(&facts).contains("logger (50) holds the server's own lock and is not of the server"));
}

#[test]
fn workers_of_a_master_that_is_gone_are_orphans_also_where_all_share_one_lock() {
    let left = [8, 9].map(|pid| holder(pid, 1, "ruby", 10, Place::Elsewhere));
    let facts = with(healthy(), left.into_iter().chain([holder(50, 1, "logger", 10, Place::Elsewhere)]));
    check(&facts, &[(Kind::Orphans, &[8, 9]), (Kind::LeakedDescriptor, &[50])]);
    // One that was adopted by a wrapper that holds, too.
    let wrapped = with(healthy(), [holder(5, 1, "sh", 10, Place::Above), holder(8, 5, "ruby", 10, Place::Elsewhere)]);
    check(&wrapped, &[(Kind::Orphans, &[8]), (Kind::Wrapper, &[5])]);
    // Whoever has children is a master itself, and they have one.
    let another = with(healthy(), [holder(7, 1, "ruby", 10, Place::Elsewhere), holder(8, 7, "ruby", 10, Place::Elsewhere)]);
    check(&another, &[(Kind::LeakedDescriptor, &[7, 8])]);
}

#[test]
fn workers_without_a_master_are_orphans() {
    let facts = bereaved();
    check(&facts, &[(Kind::StalePidFile, &[10]), (Kind::Orphans, &[11, 12])]);
    // An agent that has just been started knows of no master.
    check(&Facts { last: None, ..facts }, &[(Kind::StalePidFile, &[10]), (Kind::Orphans, &[11, 12])]);
}

#[test]
fn one_orphan_is_told_of_as_one() {
    let Facts { mut holders, .. } = bereaved();
    holders.pop();
    let pid_file = PidFile { named: Named::Nobody, ..healthy().pid_file };
    let told = sentence(&Facts { pid_file, holders, ..bereaved() });
    assert!(
        told.contains("ruby (11) holds the lock and it has no master any more") && told.contains("end it when it can"),
        "{told}"
    );
}

#[test]
fn a_helper_that_outlived_its_master_is_a_leak() {
    let facts = Facts { holders: vec![holder(13, 1, "sleep", 10, Place::Elsewhere)], ..bereaved() };
    check(&facts, &[(Kind::StalePidFile, &[10]), (Kind::LeakedDescriptor, &[13])]);
}

#[test]
fn orphans_of_an_earlier_master_refuse_the_handover_of_the_present_one() {
    let facts = with(healthy(), [holder(8, 1, "ruby", 7, Place::Elsewhere)]);
    check(&facts, &[(Kind::Orphans, &[8])]);
    assert!(examine(&facts)[0].refuses);
    assert!(sentence(&facts).contains("ruby (8) holds the lock of a master that is gone"));
}

#[test]
fn two_masters_are_found_by_their_workers_or_by_the_old_pid_file() {
    let another = [holder(20, 1, "ruby", 20, Place::Elsewhere), holder(21, 20, "ruby", 20, Place::Elsewhere)];
    check(&with(healthy(), another), &[(Kind::TwoMasters, &[10, 20])]);
    let young = with(healthy(), [holder(20, 10, "ruby", 20, Place::Below), holder(21, 20, "ruby", 20, Place::Below)]);
    check(&young, &[(Kind::TwoMasters, &[10, 20])]);
    let named = Facts { pid_file_old: PidFile { named: living(20, "ruby"), ..healthy().pid_file_old }, ..healthy() };
    let named = with(named, [holder(20, 1, "ruby", 20, Place::Elsewhere)]);
    check(&named, &[(Kind::TwoMasters, &[10, 20]), (Kind::Predecessor, &[20])]);
}

#[test]
fn the_old_pid_file_may_name_the_living_the_unburied_or_nobody() {
    let old = |named| Facts { pid_file_old: PidFile { named, ..healthy().pid_file_old }, ..healthy() };
    check(&old(living(9, "ruby")), &[(Kind::Predecessor, &[9])]);
    check(&old(Named::Unburied(9)), &[(Kind::PredecessorUnburied, &[9])]);
    check(&old(Named::Gone(9)), &[]);
}

#[test]
fn an_old_master_that_keeps_the_pid_file_is_the_one_to_end() {
    let pid_file = PidFile { named: living(9, "ruby"), ..healthy().pid_file };
    let facts = Facts { pid_file_old: pid_file.clone(), pid_file, ..healthy() };
    let facts = with(facts, [holder(9, 1, "ruby", 9, Place::Elsewhere)]);
    check(&facts, &[(Kind::TwoMasters, &[10, 9]), (Kind::Predecessor, &[9])]);
    let told = &examine(&facts)[0].sentence;
    assert!(told.ends_with("end the one that the pid file /run/web.pid names: it is the old one"), "{told}");
}

#[test]
fn who_is_waited_for_is_below_the_master_and_runs_its_program() {
    let pids = |facts: &Facts| workers(&facts.holders).iter().map(|worker| worker.pid).collect::<Vec<_>>();
    assert_eq!(pids(&healthy()), [11, 12]);
    // A program that the server has started, with its lock or one of its own; a stranger; a worker that took its own.
    let more = [
        holder(13, 10, "sleep", 10, Place::Below),
        holder(14, 10, "flock", 14, Place::Below),
        holder(15, 1, "ruby", 15, Place::Elsewhere),
        holder(16, 10, "ruby", 16, Place::Below),
    ];
    assert_eq!(pids(&with(healthy(), more)), [11, 12, 16]);
    assert_eq!(pids(&bereaved()), [0_u32; 0]);
}

#[test]
fn a_new_master_that_is_not_in_charge_is_told_while_it_lives() {
    let new = |named| Facts { pid_file_new: PidFile { path: "/run/web.pid.2".into(), named }, ..healthy() };
    let young = new(living(20, "ruby"));
    check(&young, &[(Kind::Successor, &[20])]);
    assert!(sentence(&young).contains("/run/web.pid.2 names the living process 20") && examine(&young)[0].refuses);
    // It holds as soon as it serves.
    let serving = with(young, [holder(20, 10, "ruby", 20, Place::Below)]);
    check(&serving, &[(Kind::TwoMasters, &[10, 20]), (Kind::Successor, &[20])]);
    for named in [Named::Gone(20), Named::Unburied(20), Named::Nobody] {
        check(&new(named), &[]);
    }
}

#[test]
fn a_pid_file_that_names_no_holder_says_who_the_master_is() {
    let pid_file = PidFile { named: living(30, "nginx"), ..healthy().pid_file };
    let nobody = Facts { master: None, last: None, holders: Vec::new(), pid_file, ..healthy() };
    check(&nobody, &[(Kind::PidFileNamesNoHolder, &[30])]);
    assert!(sentence(&nobody).contains("has no lock hook"));
    let another = [holder(20, 1, "ruby", 20, Place::Elsewhere), holder(21, 20, "ruby", 20, Place::Elsewhere)];
    let facts = with(nobody, another);
    check(&facts, &[(Kind::PidFileNamesNoHolder, &[30])]);
    let told = sentence(&facts);
    assert!(told.contains("names process 30 (nginx), which does not hold the lock; the master that does is ruby (20)"), "{told}");
    assert_eq!(roles(&facts), [Role::OtherMaster, Role::OtherWorker]);
}

#[test]
fn a_pid_file_that_names_a_holder_for_whose_lock_nobody_can_wait_is_not_blamed() {
    let Facts { mut holders, .. } = healthy();
    for holder in &mut holders {
        holder.place = Place::Elsewhere;
    }
    check(&Facts { master: None, last: None, watched: None, holders, ..healthy() }, &[]);
}

#[test]
fn a_stale_pid_file_whose_pid_was_given_away_is_no_master() {
    let reused = Named::Living {
        process: Process { pid: 10, start_ticks: 99 },
        command: "cron".into(),
        younger: std::time::Duration::ZERO,
    };
    let facts = |named, last| Facts {
        master: None,
        last,
        holders: Vec::new(),
        pid_file: PidFile { named, ..healthy().pid_file },
        ..healthy()
    };
    let known = facts(reused, healthy().last);
    check(&known, &[(Kind::StalePidFile, &[10])]);
    assert!(sentence(&known).contains("its pid was given to another process (cron)"));
    let process = Process { pid: 10, start_ticks: 99 };
    let younger = Named::Living { process, command: "cron".into(), younger: std::time::Duration::from_mins(1) };
    let unknown = facts(younger, None);
    check(&unknown, &[(Kind::StalePidFile, &[10])]);
    assert!(sentence(&unknown).contains("started after the file was written"));
}

#[test]
fn a_lock_file_that_is_not_what_is_held_is_found() {
    let other = FileIdentity { inode: 9, ..FILE };
    let check = |lock_file, watched, kind: &[(Kind, &[u32])]| check(&Facts { lock_file, watched, ..healthy() }, kind);
    check(LockFile::Present(other), Some(FILE), &[(Kind::LockReplaced, &[])]);
    check(LockFile::Missing, Some(FILE), &[(Kind::LockUnlinked, &[])]);
    check(LockFile::Unknown("permission denied".into()), Some(FILE), &[(Kind::LockUnreadable, &[])]);
    check(LockFile::Present(FILE), None, &[(Kind::NoWaiter, &[])]);
    // Made anew under the number of the old one.
    check(LockFile::Present(FileIdentity { born: 4, ..FILE }), Some(FILE), &[(Kind::LockReplaced, &[])]);
}

#[test]
fn a_taker_whose_holder_cannot_be_found_is_told_of() {
    let facts = Facts { unknown_takers: vec![70, 71], ..healthy() };
    check(&facts, &[(Kind::UnseenHolder, &[70, 71])]);
    assert!(sentence(&facts).contains("process 70 and 71;"));
}

#[test]
fn network_file_systems_and_shared_lock_files_are_refused() {
    check(&Facts { network: Some("NFS"), ..healthy() }, &[(Kind::NetworkFileSystem, &[])]);
    check(&Facts { twin: Some("api".into()), ..healthy() }, &[(Kind::SharedLockFile, &[])]);
    let names = [0x6969, 0xff53_4d42, 0xffff_ffff_fe53_4d42, 0x0102_1997, 0xef53, 0x0102_1994, 0x794c_7630, 0x6573_5546];
    let known = names.map(network_file_system);
    assert_eq!(known, [Some("NFS"), Some("CIFS"), Some("SMB2"), Some("9P"), None, None, None, None]);
}

#[test]
fn all_that_is_amiss_is_told_the_gravest_first() {
    let facts = with(healthy(), [holder(50, 1, "flock", 50, Place::Elsewhere), holder(13, 10, "sleep", 10, Place::Below)]);
    let facts = Facts { twin: Some("api".into()), lock_file: LockFile::Missing, ..facts };
    let kinds = [Kind::SharedLockFile, Kind::LockUnlinked, Kind::ForeignHolder, Kind::Helper];
    assert_eq!(examine(&facts).iter().map(|finding| finding.kind).collect::<Vec<_>>(), kinds);
}

#[test]
fn a_sentence_does_not_name_a_hundred() {
    let crowd = (100..200).map(|pid| holder(pid, 1, "logger", 10, Place::Elsewhere));
    let facts = with(healthy(), crowd);
    assert_eq!(examine(&facts)[0].pids.len(), 100);
    assert!(sentence(&facts).contains("logger (107) and 92 more hold"), "{}", sentence(&facts));
    let facts = Facts { unknown_takers: (100..4_100).collect(), ..healthy() };
    assert!(sentence(&facts).contains("process 100, 101, 102, 103, 104, 105, 106, 107 and 3992 more;"), "{}", sentence(&facts));
}

#[test]
fn what_is_left_of_a_generation_is_told_as_that_and_refuses_when_it_is_one_too_many() {
    let old = OldGeneration {
        number: 3,
        overtime: std::time::Duration::from_mins(2),
        processes: vec![Process { pid: 20, start_ticks: 20 }, Process { pid: 21, start_ticks: 21 }],
    };
    // Its master is gone: without that knowledge these were orphans.
    let left = [20, 21].map(|pid| holder(pid, 1, "ruby", 9, Place::Elsewhere));
    let facts = with(Facts { lingering: vec![old], ..healthy() }, left);
    check(&facts, &[(Kind::Lingering, &[20, 21])]);
    assert_eq!(
        examine(&facts)[0].sentence,
        "generation 3 was told to leave and is there still, 2 min after its drain was over: 20 and 21; a reload would pile another on \
         it; wait until they are done, end them, or let more linger (drain.lingering, now 0)"
    );
    assert!(examine(&facts)[0].refuses);
    let allowed = Facts { lingering_allowed: 1, ..facts.clone() };
    let found = examine(&allowed);
    assert!(!found[0].refuses && found[0].sentence.ends_with("20 and 21; up to 1 may linger (drain.lingering)"), "{found:?}");
    // Whoever holds with them and is not of them is an orphan all the same.
    let more = with(facts, [holder(22, 1, "ruby", 9, Place::Elsewhere)]);
    check(&more, &[(Kind::Lingering, &[20, 21]), (Kind::Orphans, &[22])]);
}
