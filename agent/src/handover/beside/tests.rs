use std::time::Duration;

use baton_proto::custody::{Basis, Doubt, Kept, Process, Role, Seq, Succession, Verdict};
use proptest::prelude::*;

use super::{Action, Answer, Around, Beside, Ending, Event, Found, Intent, Timing, Whom};
use crate::config::Then;
use crate::dialect::Signal;
use crate::handover::Errand;

const OLD: Process = Process { pid: 100, start_ticks: 1 };
const NEW: Process = Process { pid: 200, start_ticks: 2 };

fn timing() -> Timing {
    Timing {
        ready_within: Duration::from_mins(1),
        settle: Duration::ZERO,
        drain_within: Duration::from_mins(2),
        drain_then: Then::Wait,
    }
}

fn handover() -> Beside {
    handover_then(Then::Wait)
}

fn handover_then(drain_then: Then) -> Beside {
    Beside::new(Timing { drain_then, ..timing() }, Signal::Usr2, Signal::Quit, Around::default(), OLD)
}

fn kept() -> Verdict {
    Verdict::Kept(Kept { basis: Basis::Marked, by: Succession::Beside { old: OLD, new: NEW, overlap: Duration::ZERO } })
}

fn ready() -> Event {
    Event::Probed(Answer::Ready("200 from 201".into()))
}

/// An event without its occasion, by a letter: tests read as stories.
fn event(letter: char) -> Event {
    match letter {
        'o' => Event::Looked(Role::OldMaster, Found::Holding),
        'O' => Event::Looked(Role::OldMaster, Found::Otherwise("it does not hold".into())),
        'g' => Event::Looked(Role::OldMaster, Found::Gone("it is gone".into())),
        'n' => Event::Looked(Role::NewMaster, Found::Holding),
        'N' => Event::Looked(Role::NewMaster, Found::Gone("it is gone".into())),
        'p' => Event::Persisted(Ok(())),
        'P' => Event::Persisted(Err("the disk is full".into())),
        's' => Event::Signalled(Ok(())),
        'S' => Event::Signalled(Err("no such process".into())),
        'a' => Event::Appeared(NEW),
        'r' => ready(),
        'f' => Event::Probed(Answer::Failing("503 from 201".into())),
        'e' => Event::Probed(Answer::Elsewhere("200 from the old 101".into())),
        'k' => Event::Weighed(kept()),
        'u' => Event::Weighed(Verdict::Unproven(Doubt::NoOverlap)),
        'd' => Event::Weighed(Verdict::Dropped { at: Seq(7) }),
        'x' => Event::Exited(Role::OldMaster),
        'y' => Event::Exited(Role::NewMaster),
        'X' => Event::Emptied(Role::OldMaster),
        'Y' => Event::Emptied(Role::NewMaster),
        'b' => Event::Restored,
        'z' => Event::Probed(Answer::Stale("201 runs release v1".into())),
        'c' => Event::Ran(Errand::Check, Ok("it is sound".into())),
        'C' => Event::Ran(Errand::Check, Err("it is not".into())),
        'm' => Event::Promoted,
        't' => Event::Expired,
        other => panic!("{other} is no event"),
    }
}

/// What a list of actions does, without the talk.
fn deeds(actions: &[Action]) -> String {
    let deed = |action: &Action| match action {
        Action::Look(Role::OldMaster) => "look-old".to_owned(),
        Action::Look(_) => "look-new".to_owned(),
        Action::Confirm => "confirm".to_owned(),
        Action::Persist(Intent::Prepare) => "write-prepare".to_owned(),
        Action::Persist(Intent::Signal) => "write-signal".to_owned(),
        Action::Persist(Intent::Retire) => "write-retire".to_owned(),
        Action::Signal(role, whom, signal) => {
            let role = if *role == Role::OldMaster { "old" } else { "new" };
            let whom = if *whom == Whom::All { "-all" } else { "" };
            format!("{signal}-{role}{whom}")
        }
        Action::Probe(_) => "probe".to_owned(),
        Action::Weigh => "weigh".to_owned(),
        Action::Switch(_) => "switch".to_owned(),
        Action::SwitchBack => "switch-back".to_owned(),
        Action::Run(_) | Action::RunAfter(_) => "run".to_owned(),
        Action::Verify => "verify".to_owned(),
        Action::List => "list".to_owned(),
        Action::Promotion => "promotion".to_owned(),
        Action::Deadline(_) | Action::Tell(..) => String::new(),
        Action::Finish(Ending { outcome, failed_step, .. }) => {
            format!("{outcome:?}{}", failed_step.map(|step| format!("@{step}")).unwrap_or_default())
        }
    };
    let words: Vec<String> = actions.iter().map(deed).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Plays the letters to a new handover; what it did, all in one line.
fn play(letters: &str) -> String {
    let mut handover = handover();
    let mut words = vec![deeds(&handover.begin())];
    for (second, letter) in letters.chars().enumerate() {
        let now = Duration::from_secs(second as u64);
        words.push(deeds(&handover.handle(now, event(letter))));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

const TO_READY: &str = "look-old write-signal SIGUSR2-old probe";
const TO_WEIGH: &str = "look-old write-signal SIGUSR2-old probe look-new look-old look-new weigh";

#[test]
fn a_handover_goes_its_way() {
    assert_eq!(play("opsarnonkpnsxXn"), format!("{TO_WEIGH} write-retire look-new SIGQUIT-old look-new HandedOver"));
}

#[test]
fn nothing_is_signalled_unless_the_old_master_holds_and_the_intent_is_written() {
    assert_eq!(play("Oo"), "look-old confirm RolledBack@open");
    assert_eq!(play("oPo"), "look-old write-signal confirm RolledBack@signal");
}

#[test]
fn a_new_generation_is_not_driven_out_once_the_old_one_is_gone() {
    let stopped = "look-old write-signal SIGUSR2-old probe look-old SIGQUIT-new";
    assert_eq!(play("opsatoxt"), format!("{stopped} Broken@ready"));
    assert_eq!(play("opsatott"), format!("{stopped} SIGTERM-new-all SIGKILL-new-all"));
}

#[test]
fn what_fails_before_the_point_of_no_return_is_undone() {
    let cases = [
        // The disk hangs.
        ("oto", "look-old write-signal confirm RolledBack@signal".to_owned()),
        ("opsarnonktosYbo", format!("{TO_WEIGH} write-retire look-old SIGQUIT-new confirm RolledBack@retire")),
        // The signal could not be sent.
        ("opSbo", "look-old write-signal SIGUSR2-old confirm RolledBack@signal".to_owned()),
        // The new master died while it booted, before anybody saw it.
        ("opsbo", "look-old write-signal SIGUSR2-old confirm RolledBack@appear".to_owned()),
        // None appeared.
        ("opstto", "look-old write-signal SIGUSR2-old confirm RolledBack@appear".to_owned()),
        // One appeared too late.
        ("opstaosYbo", "look-old write-signal SIGUSR2-old look-old SIGQUIT-new confirm RolledBack@appear".to_owned()),
        // It died before it was ready; the rest of its generation leaves by itself.
        ("opsaeyobYo", format!("{TO_READY} probe look-old confirm RolledBack@ready")),
        // It was never ready.
        ("opsaftosyYbo", format!("{TO_READY} probe look-old SIGQUIT-new confirm RolledBack@ready")),
        // It does not go when asked, nor when told.
        ("opsatotsstyYbo", format!("{TO_READY} look-old SIGQUIT-new SIGTERM-new-all SIGKILL-new-all confirm RolledBack@ready")),
        // The overlap was not witnessed.
        ("opsarnonuosYbo", format!("{TO_WEIGH} look-old SIGQUIT-new confirm RolledBack@overlap")),
        ("opsarnondosYbo", format!("{TO_WEIGH} look-old SIGQUIT-new confirm RolledBack@overlap")),
        // The new master died between the overlap and the end of the old one.
        ("opsarnonkyoYpbo", format!("{TO_WEIGH} write-retire look-old confirm RolledBack@overlap")),
        // It is found dead at the last look.
        ("opsarnonkpNobo", format!("{TO_WEIGH} write-retire look-new look-old SIGQUIT-new")),
        // The second intent could not be written.
        ("opsarnonkPosYbo", format!("{TO_WEIGH} write-retire look-old SIGQUIT-new confirm RolledBack@retire")),
    ];
    for (letters, expected) in cases {
        assert_eq!(play(letters), expected, "{letters}");
    }
}

#[test]
fn a_new_master_that_may_still_come_is_waited_for_as_long_as_it_may_take() {
    // It did not appear in time, and the old one has not taken its pid file back: after 10 s, and again after a minute.
    let mut handover = handover();
    handover.begin();
    let mut at = |seconds, letter| deeds(&handover.handle(Duration::from_secs(seconds), event(letter)));
    for letter in "ops".chars() {
        at(0, letter);
    }
    assert_eq!((at(60, 't'), at(70, 't')), (String::new(), "confirm".to_owned()));
    assert_eq!((at(70, 'O'), at(120, 't')), (String::new(), "confirm".to_owned()));
    assert_eq!(at(120, 'O'), "Broken@appear");
    assert_eq!(play("opsttOaosYbo"), "look-old write-signal SIGUSR2-old confirm look-old SIGQUIT-new confirm RolledBack@appear");
}

/// The same in which the new master's pid file has a name of its own while the old one lives.
fn play_late(letters: &str) -> String {
    let mut handover = handover().promoted_late();
    let mut words = vec![deeds(&handover.begin())];
    for (second, letter) in letters.chars().enumerate() {
        words.push(deeds(&handover.handle(Duration::from_secs(second as u64), event(letter))));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

#[test]
fn a_new_master_that_renames_its_pid_file_is_waited_for_before_the_close() {
    let to_drained = format!("{TO_WEIGH} write-retire look-new SIGQUIT-old promotion");
    assert_eq!(play_late("opsarnonkpnsxXmn"), format!("{to_drained} look-new HandedOver"));
    // It was promoted before anybody waited for it: the look at the pid file tells.
    assert_eq!(play_late("opsarnonkpnsxmX"), to_drained);
    // It does not come to it, or is dead before: it is looked at all the same.
    assert_eq!(play_late("opsarnonkpnsxXtn"), format!("{to_drained} look-new HandedOver"));
    assert_eq!(play_late("opsarnonkpnsxXyN"), format!("{to_drained} look-new Broken@close"));
    // The old master lives on after the deadline: nobody will be promoted yet.
    assert_eq!(play_late("opsarnonkpnstn"), format!("{TO_WEIGH} write-retire look-new SIGQUIT-old look-new HandedOver"));
    // Nothing else knows of it.
    assert_eq!(play("opsarnonkpnsxXmn"), format!("{TO_WEIGH} write-retire look-new SIGQUIT-old look-new HandedOver"));
    assert_eq!(play_late("mopmsamyobYo"), "look-old write-signal SIGUSR2-old probe look-old confirm RolledBack@ready");
}

#[test]
fn a_new_generation_that_outlives_sigkill_is_told() {
    assert_eq!(play("opsatotstst"), format!("{TO_READY} look-old SIGQUIT-new SIGTERM-new-all SIGKILL-new-all Broken@ready"));
}

#[test]
fn an_undone_handover_whose_old_master_does_not_hold_is_broken() {
    assert_eq!(play("opsbO"), "look-old write-signal SIGUSR2-old confirm Broken@appear");
}

#[test]
fn an_old_master_that_leaves_by_itself_is_not_mourned_but_told() {
    // Between the signal and the new one: the new one is followed, and the judge will say what it proves.
    assert_eq!(play("opsxarn"), format!("{TO_READY} look-new HandedOver"));
    assert_eq!(play("opsaxrn"), format!("{TO_READY} look-new HandedOver"));
    assert_eq!(play("opsarxnonun"), format!("{TO_WEIGH} look-new HandedOver"));
    // It may be gone by the time that a late decision is due.
    assert_eq!(play("opstXat"), "look-old write-signal SIGUSR2-old look-old Broken@appear");
    // Its death may be seen by a look before it is told.
    assert_eq!(play("opsarngnun"), format!("{TO_WEIGH} look-new HandedOver"));
    assert_eq!(play("opsarnonugn"), format!("{TO_WEIGH} look-old look-new HandedOver"));
    // It may live for a moment longer than its lock.
    assert_eq!(play("opsarnonuOxn"), format!("{TO_WEIGH} look-old look-new HandedOver"));
    // Or live on without it: then the new one, which is ready, is left alone too.
    assert_eq!(play("opsarnonuOt"), format!("{TO_WEIGH} look-old Broken@overlap"));
    assert_eq!(play("opsatOtsYbo"), format!("{TO_READY} look-old SIGQUIT-new confirm RolledBack@ready"));
    // There is nothing to return to: the new one is left alone, whatever its state.
    assert_eq!(play("opsatg"), format!("{TO_READY} look-old Broken@ready"));
    assert_eq!(play("opsaxt"), format!("{TO_READY} Broken@ready"));
    assert_eq!(play("opsxt"), "look-old write-signal SIGUSR2-old Broken@appear");
    assert_eq!(play("ox"), "look-old write-signal Broken@signal");
}

#[test]
fn a_new_master_that_dies_after_the_old_one_was_told_to_leave_is_the_end() {
    assert_eq!(play("opsarnonkpnsyxXN"), format!("{TO_WEIGH} write-retire look-new SIGQUIT-old look-new Broken@close"));
}

#[test]
fn a_drain_that_takes_too_long_is_not_waited_for() {
    assert_eq!(play("opsarnonkpnstn"), format!("{TO_WEIGH} write-retire look-new SIGQUIT-old look-new HandedOver"));
}

#[test]
fn an_old_generation_whose_time_is_over_is_hurried_only_as_it_is_configured() {
    let hurried = |drain_then, letters: &str| {
        let mut handover = handover_then(drain_then);
        handover.begin();
        for letter in "opsarnonkpn".chars() {
            handover.handle(Duration::ZERO, event(letter));
        }
        let mut words: Vec<String> =
            letters.chars().map(|letter| deeds(&handover.handle(Duration::ZERO, event(letter)))).collect();
        words.retain(|word| !word.is_empty());
        words.join(" ")
    };
    assert_eq!(hurried(Then::Wait, "stn"), "look-new HandedOver");
    assert_eq!(hurried(Then::Term, "stsXn"), "SIGTERM-old-all look-new HandedOver");
    assert_eq!(hurried(Then::Term, "ststn"), "SIGTERM-old-all look-new HandedOver");
    assert_eq!(hurried(Then::Kill, "stsXn"), "SIGTERM-old-all look-new HandedOver");
    assert_eq!(hurried(Then::Kill, "ststsXn"), "SIGTERM-old-all SIGKILL-old-all look-new HandedOver");
    // Not even that helps: in the sleep of a disk that hangs nobody is killed.
    assert_eq!(hurried(Then::Kill, "ststst"), "SIGTERM-old-all SIGKILL-old-all look-new");
    // Whoever leaves in time is not hurried.
    assert_eq!(hurried(Then::Kill, "sXn"), "look-new HandedOver");
}

#[test]
fn what_fails_after_the_old_generation_was_told_to_leave_says_that_there_is_no_way_back() {
    let cause = |letters: &str| {
        let mut handover = handover();
        handover.begin();
        let mut cause = String::new();
        for (second, letter) in letters.chars().enumerate() {
            for action in handover.handle(Duration::from_secs(second as u64), event(letter)) {
                if let Action::Finish(ending) = action {
                    cause = ending.cause;
                }
            }
        }
        cause
    };
    assert_eq!(
        cause("opsarnonkpnsyxXN"),
        "it is gone; there is no way back: the old master 100 was told to leave by SIGQUIT 4 s before, and its generation is gone"
    );
    assert_eq!(
        cause("opsarnonkpnstN"),
        "it is gone; there is no way back: the old master 100 was told to leave by SIGQUIT 2 s before, and what is left of its \
         generation is not in charge"
    );
    assert_eq!(
        cause("opsxarN"),
        "it is gone; there is no way back: the old master 100 had left by itself, and what is left of its generation is not in charge"
    );
}

#[test]
fn ready_must_hold_for_the_settle_time() {
    let settle = Duration::from_secs(3);
    let mut handover = Beside::new(Timing { settle, ..timing() }, Signal::Usr2, Signal::Quit, Around::default(), OLD);
    handover.begin();
    for letter in "opsa".chars() {
        handover.handle(Duration::ZERO, event(letter));
    }
    let mut at = |seconds, letter| deeds(&handover.handle(Duration::from_secs(seconds), event(letter)));
    assert_eq!(at(1, 'r'), "probe look-new");
    assert_eq!(at(3, 'r'), "probe");
    // A wrong answer starts it anew; one of the old generation does not.
    assert_eq!(at(3, 'f'), "probe");
    assert_eq!(at(4, 'r'), "probe look-new");
    assert_eq!(at(5, 'e'), "probe");
    assert_eq!(at(6, 'r'), "probe");
    assert_eq!(at(7, 'r'), "look-new look-old look-new weigh");
}

#[test]
fn a_new_master_that_dies_while_it_settles_is_told_from_one_that_never_was_ready() {
    let settle = Duration::from_secs(3);
    let mut handover = Beside::new(Timing { settle, ..timing() }, Signal::Usr2, Signal::Quit, Around::default(), OLD);
    handover.begin();
    for letter in "opsar".chars() {
        handover.handle(Duration::ZERO, event(letter));
    }
    let actions = handover.handle(Duration::from_secs(2), event('y'));
    let told = actions.iter().find_map(|action| if let Action::Tell(_, text) = action { Some(text.as_str()) } else { None });
    assert_eq!(
        told,
        Some("ready failed: the new master 200 exited 2.0s after it was ready; its reason is in the server's own log")
    );
}

#[test]
fn a_resumed_handover_never_signals_twice() {
    let resume = |intent, old_lives, new, letters: &str| {
        let mut handover = handover();
        let mut words = vec![deeds(&handover.resume(Duration::ZERO, intent, old_lives, new))];
        words.extend(letters.chars().map(|letter| deeds(&handover.handle(Duration::ZERO, event(letter)))));
        words.retain(|word| !word.is_empty());
        words.join(" ")
    };
    // Witnessed and ready: the old one is retired.
    assert_eq!(resume(Intent::Retire, true, Some(NEW), "nsXn"), "look-new SIGQUIT-old look-new HandedOver");
    // Not witnessed: the new one is stopped, now or when it appears.
    assert_eq!(resume(Intent::Signal, true, Some(NEW), "osYbo"), "look-old SIGQUIT-new confirm RolledBack@ready");
    assert_eq!(resume(Intent::Signal, true, None, "aosYbo"), "look-old SIGQUIT-new confirm RolledBack@ready");
    assert_eq!(resume(Intent::Signal, true, None, "to"), "confirm RolledBack@ready");
    // The old one left meanwhile.
    assert_eq!(resume(Intent::Signal, false, Some(NEW), "Xrn"), "probe look-new HandedOver");
    assert_eq!(resume(Intent::Retire, false, Some(NEW), "Xrn"), "probe look-new HandedOver");
    // Its workers did not yet: they are waited for.
    assert_eq!(resume(Intent::Retire, false, Some(NEW), "rXn"), "probe look-new HandedOver");
    assert_eq!(resume(Intent::Retire, false, Some(NEW), "rtn"), "probe look-new HandedOver");
    // The new one left meanwhile: the old one must not be told to follow it.
    assert_eq!(resume(Intent::Retire, true, None, "bo"), "confirm RolledBack@retire");
    assert_eq!(resume(Intent::Retire, false, None, ""), "Broken@signal");
}

/// The promises of a handover, written apart from it.
fn check_laws(letters: &[char]) -> Result<(), TestCaseError> {
    check_laws_of(handover_then(Then::Kill), letters)?;
    check_laws_of(handover_then(Then::Kill).promoted_late(), letters)
}

fn check_laws_of(mut handover: Beside, letters: &[char]) -> Result<(), TestCaseError> {
    let mut done: Vec<Action> = handover.begin();
    let mut old_lives = true;
    for letter in letters {
        let given = event(*letter);
        if let Event::Looked(Role::OldMaster, found) = &given {
            old_lives = !matches!(found, Found::Gone(_));
        } else if let Event::Exited(Role::OldMaster) | Event::Emptied(Role::OldMaster) = given {
            old_lives = false;
        }
        let actions = handover.handle(Duration::ZERO, given.clone());
        let over = done.iter().any(|action| matches!(action, Action::Finish(_)));
        prop_assert!(!over || actions.is_empty(), "it went on after its end: {actions:?}");
        for action in &actions {
            if let Action::Signal(Role::OldMaster, Whom::All, signal) = action {
                prop_assert_eq!(&given, &Event::Expired);
                let is_told = done.contains(&Action::Signal(Role::OldMaster, Whom::Master, Signal::Quit));
                prop_assert!(is_told, "{} before it was told to leave", signal);
            } else if let Action::Signal(Role::OldMaster, whom, signal) = action {
                let written = if *signal == Signal::Usr2 { Intent::Signal } else { Intent::Retire };
                prop_assert!(done.contains(&Action::Persist(written)), "signalled before it was written down");
                prop_assert_eq!(*whom, Whom::Master);
                let occasion = if *signal == Signal::Usr2 {
                    Event::Persisted(Ok(()))
                } else {
                    Event::Looked(Role::NewMaster, Found::Holding)
                };
                prop_assert_eq!(&given, &occasion);
            }
            if let Action::Signal(Role::NewMaster, _, Signal::Quit) = action {
                let was_seen = given == Event::Looked(Role::OldMaster, Found::Holding);
                prop_assert!(
                    was_seen || (given == Event::Expired && old_lives),
                    "stopped without a look at the old master: {given:?}"
                );
            }
            if *action == Action::Persist(Intent::Retire) {
                prop_assert_eq!(&given, &Event::Weighed(kept()));
            }
        }
        done.extend(actions);
    }
    for signal in [Signal::Usr2, Signal::Quit, Signal::Term, Signal::Kill] {
        let sent = done.iter().filter(|action| matches!(action, Action::Signal(Role::OldMaster, _, s) if *s == signal)).count();
        prop_assert!(sent <= 1, "{signal} was sent {sent} times");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn whatever_happens_the_promises_hold(letters in proptest::collection::vec(
        proptest::sample::select("oOgnNpPsSarfekudxyXYbmt".chars().collect::<Vec<_>>()), 0..40)) {
        check_laws(&letters)?;
    }

    #[test]
    fn the_promises_hold_around_the_happy_path(path in Just("opsarnonkpnsxXmn".chars().collect::<Vec<_>>()),
        noise in proptest::collection::vec((0..15usize, proptest::sample::select("oOgnNpPsSarfekudxyXYbmt".chars().collect::<Vec<_>>())), 0..4)) {
        let mut letters = path;
        for (at, letter) in noise { letters.insert(at.min(letters.len()), letter); }
        check_laws(&letters)?;
    }
}
