//! The journal of rollouts for people.

use super::{Colour, Look, Text, because, count, line, sentence, verb};
use crate::journal::Entry;
use crate::outcome::Outcome;
use crate::report::columns::aligned;
use crate::report::{Condition, Journal};
use crate::rollout::{Note, Order, Past};
use crate::store::{Listed, RolloutRow, RunRow, Written};
use crate::text::{plain, second};

const HEAD: [&str; 8] = ["ID", "BEGAN (UTC)", "SERVICE", "RELEASE", "OPERATOR", "PROVEN", "ENDED", "REASON"];

/// Renders one thing.
pub(super) fn render(journal: &Journal<'_>, look: &Look) -> Text {
    match journal {
        Journal::Rollouts([]) => Text::progress("no rollout was begun here yet\n".into()),
        Journal::Rollouts(rows) => Text::result(table(rows)),
        Journal::Rollout { rollout, runs, plan: _, condition } => Text::result(headline(rollout, runs, *condition, look)),
        Journal::Entry(written) => Text::result(entry(written, look)),
        Journal::Hosts { rollout, past } => Text::result(hosts(rollout, past, look)),
        Journal::Taken { rollout, order, answer } => Text::result(taken(rollout, *order, answer, look)),
    }
}

fn table(rows: &[(Listed, Condition)]) -> String {
    let mut cells = vec![HEAD.map(str::to_owned)];
    cells.extend(rows.iter().map(|(listed, condition)| row(listed, *condition)));
    aligned(&cells).collect()
}

fn row(listed: &Listed, condition: Condition) -> [String; HEAD.len()] {
    let Listed { rollout, words, .. } = listed;
    let proven = words.get("proven").copied().unwrap_or_default();
    let called_off = if rollout.aborted { "aborted; " } else { "" };
    [
        rollout.id.clone(),
        second(rollout.began),
        plain(&rollout.service),
        rollout.release.as_deref().map_or_else(|| "-".to_owned(), plain),
        plain(&rollout.operator),
        format!("{proven}/{}", rollout.hosts),
        format!("{called_off}{condition}"),
        rollout.reason.as_deref().map(plain).unwrap_or_default(),
    ]
}

fn headline(rollout: &RolloutRow, runs: &[RunRow], condition: Condition, look: &Look) -> String {
    let RolloutRow { id, fleet, service, release, operator, reason, inventory, undo_of, hosts, began, aborted } = rollout;
    let release = release.as_ref().map(|release| format!(" to release {}", plain(release))).unwrap_or_default();
    let hosts = count(usize::try_from(*hosts).unwrap_or(usize::MAX), "host");
    let plainly = |verb: &str, text: &str| line(verb, Colour::Plain, look, text);
    let mut text = plainly("Rollout", &format!("{id}: {}{release} on {hosts} of {}", plain(service), plain(fleet)));
    if let Some(undone) = undo_of {
        text.push_str(&plainly("Undoes", undone));
    }
    let reason = reason.as_ref().map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
    text.push_str(&plainly("By", &format!("{}, {} UTC{reason}", plain(operator), second(*began))));
    text.push_str(&plainly("Inventory", &plain(&inventory.to_string_lossy())));
    for run in runs {
        text.push_str(&plainly("Run", &ran(run)));
    }
    let aborted = if *aborted { "aborted; " } else { "" };
    text.push_str(&plainly("Stands", &format!("{aborted}{condition}")));
    text
}

fn ran(run: &RunRow) -> String {
    let RunRow { number, operator, pid, began, ended, exit } = run;
    let ended = match (ended, exit) {
        (Some(ended), Some(exit)) => format!(" to {}, {}", second(*ended), Condition::Ended { exit: *exit }),
        (Some(_) | None, _) => "; no end is written down".to_owned(),
    };
    format!("{number} by {}, process {pid}, from {}{ended}", plain(operator), second(*began))
}

fn entry(written: &Written, look: &Look) -> String {
    let at = second(written.at);
    let told = |verb: &str, colour: Colour, text: &str| line(verb, colour, look, &format!("{at}   {text}"));
    let plainly = |verb: &str, text: &str| told(verb, Colour::Plain, text);
    match &written.entry {
        Entry::Begun { run, operator, retry_failed } => {
            let again = if *retry_failed { "; failed hosts are tried again" } else { "" };
            plainly("Begun", &format!("run {run} by {}{again}", plain(operator)))
        }
        Entry::Claimed(host) => plainly("Claimed", host.as_str()),
        Entry::Asked { host, attempt, before } => {
            plainly("Asked", &format!("{host}   attempt {attempt}, generation {}", before.named_generation()))
        }
        Entry::Settled { host, outcome, .. } | Entry::Outcome { host, outcome } => {
            let (verb, colour) = verb(outcome);
            told(verb, colour, &format!("{host}   {}", sentence::outcome(outcome)))
        }
        Entry::Stopping(stop) => told("Halting", Colour::Yellow, &format!("nothing new starts, {}", because(stop))),
        Entry::Noted(note) => plainly("Walk", &noted(*note)),
        Entry::Ordered(order) => plainly("Ordered", order_word(*order)),
        Entry::Finished { exit } => plainly("Finished", &Condition::Ended { exit: *exit }.to_string()),
    }
}

fn noted(note: Note) -> String {
    match note {
        Note::WaveBegins(wave) => format!("wave {} begins", wave + 1),
        Note::WaveEnds(wave) => format!("wave {} is done", wave + 1),
        Note::Soaking { wave, .. } => format!("wave {} soaks", wave + 1),
        Note::AwaitingPerson { wave } => format!("wave {} waits for a person", wave + 1),
        Note::Paused => "paused".to_owned(),
        Note::GoingOn => "going on".to_owned(),
    }
}

fn order_word(order: Order) -> &'static str {
    match order {
        Order::Pause => "pause",
        Order::Resume => "resume",
        Order::Abort => "abort",
    }
}

/// Each host's verdict, and how to see what it is made of.
fn hosts(rollout: &RolloutRow, past: &Past, look: &Look) -> String {
    let mut text = String::new();
    let width = past.hosts.keys().map(|host| host.as_str().len()).max().unwrap_or_default().min(40);
    for (host, known) in &past.hosts {
        let (verb, colour, what) = match &known.outcome {
            Some(outcome) => {
                let (verb, colour) = verb(outcome);
                (verb, colour, sentence::outcome(outcome))
            }
            None if known.attempt == 0 => ("Untouched", Colour::Plain, String::new()),
            None => ("In flight", Colour::Yellow, format!("asked as attempt {}, and no end is written down", known.attempt)),
        };
        let testimony = match &known.settled {
            Some(Outcome::Refused(_)) | None => String::new(),
            Some(_) => format!("; `baton show {} --host {host}`", rollout.id),
        };
        text.push_str(&line(verb, colour, look, format!("{host:<width$}   {what}{testimony}").trim_end()));
    }
    let silent = rollout.hosts.saturating_sub(u64::try_from(past.hosts.len()).unwrap_or(u64::MAX));
    if silent > 0 {
        let hosts = count(usize::try_from(silent).unwrap_or(usize::MAX), "more host");
        text.push_str(&line("Untouched", Colour::Plain, look, &hosts));
    }
    text
}

fn taken(rollout: &str, order: Order, answer: &str, look: &Look) -> String {
    line("Taken", Colour::Green, look, &format!("{} of {rollout}: {answer}", order_word(order)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::Look;
    use super::render;
    use crate::inventory::HostName;
    use crate::outcome::samples::proven;
    use crate::report::contacts::Contacts;
    use crate::report::course::Course;
    use crate::report::{Condition, Journal};
    use crate::rollout::{Past, PastHost};
    use crate::store::{Listed, RolloutRow, RunRow};

    fn rollout(id: &str) -> RolloutRow {
        RolloutRow {
            id: id.into(),
            fleet: "prod".into(),
            service: "web".into(),
            release: Some("v2".into()),
            operator: "ada".into(),
            reason: Some("the new\u{1b}[2J front page".into()),
            inventory: "/home/ada/fleet.toml".into(),
            undo_of: None,
            hosts: 3,
            began: Duration::from_mins(29_924_981),
            aborted: false,
        }
    }

    fn run(exit: Option<u8>) -> RunRow {
        let (began, ended) = (Duration::from_mins(29_924_981), exit.map(|_| Duration::from_secs(1_795_498_930)));
        RunRow { number: 1, operator: "ada".into(), pid: 4117, began, ended, exit }
    }

    fn told(journal: &Journal<'_>) -> Vec<String> {
        let (course, contacts) = (Course::default(), Contacts::default());
        let look = Look { at: Duration::ZERO, host_width: 5, painted: false, course: &course, contacts: &contacts };
        render(journal, &look).result.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_list_has_a_line_for_each_rollout() {
        let words = BTreeMap::from([("proven".to_owned(), 2), ("rolled back".to_owned(), 1)]);
        let listed = Listed { rollout: rollout("20261124-054100-3fa2"), run: Some(run(Some(3))), words };
        let aborted = RolloutRow { aborted: true, release: None, reason: None, ..rollout("20261124-054100-0001") };
        let crashed = Listed { rollout: aborted, run: Some(run(None)), words: BTreeMap::new() };
        let running = Listed { rollout: rollout("r-3"), ..crashed.clone() };
        let rows =
            [(listed, Condition::Ended { exit: 3 }), (crashed, Condition::Crashed), (running, Condition::Running { pid: 4117 })];
        let told = told(&Journal::Rollouts(&rows));
        assert_eq!(told.len(), 4);
        assert!(
            told[0].starts_with("ID                    BEGAN (UTC)          SERVICE  RELEASE  OPERATOR  PROVEN  ENDED"),
            "{told:?}"
        );
        assert!(
            told[1].starts_with("20261124-054100-3fa2  2026-11-24 05:41:00  web      v2       ada       2/3     3: some host")
        );
        assert!(told[1].ends_with("the new [2J front page"), "{told:?}");
        assert_eq!(told[2], "20261124-054100-0001  2026-11-24 05:41:00  web      -        ada       0/3     aborted; crashed");
        assert!(told[3].contains("running (4117)"), "{told:?}");
    }

    #[test]
    fn a_rollout_says_who_walked_it_and_how_it_stands() {
        let (rollout, runs) = (rollout("r-1"), [run(Some(0)), RunRow { number: 2, ..run(None) }]);
        let condition = Condition::Crashed;
        let told = told(&Journal::Rollout { rollout: &rollout, runs: &runs, plan: "{}", condition });
        assert_eq!(
            told,
            [
                "     Rollout   r-1: web to release v2 on 3 hosts of prod",
                "          By   ada, 2026-11-24 05:41:00 UTC: the new [2J front page",
                "   Inventory   /home/ada/fleet.toml",
                "         Run   1 by ada, process 4117, from 2026-11-24 05:41:00 to 2026-11-24 05:42:10, 0: every host proven",
                "         Run   2 by ada, process 4117, from 2026-11-24 05:41:00; no end is written down",
                "      Stands   crashed",
            ]
        );
    }

    #[test]
    fn each_host_has_its_verdict_and_where_its_testimony_is() {
        let host = |name| HostName::parse(name).unwrap();
        let proven = PastHost { attempt: 1, settled: Some(proven()), outcome: Some(proven()), ..PastHost::default() };
        let under_way = PastHost { attempt: 2, ..PastHost::default() };
        let hosts = BTreeMap::from([(host("web-1"), proven), (host("web-2"), under_way)]);
        let past = Past { hosts, ..Past::default() };
        let told = told(&Journal::Hosts { rollout: &rollout("r-1"), past: &past });
        assert_eq!(
            told,
            [
                "        Kept   web-1   100 -> 200   overlap 212 ms, marked; `baton show r-1 --host web-1`",
                "   In flight   web-2   asked as attempt 2, and no end is written down",
                "   Untouched   1 more host",
            ]
        );
    }
}
