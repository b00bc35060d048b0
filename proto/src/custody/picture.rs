//! The time line of a window: who was seen holding, from when to when, in the order of the numbers.
//!
//! ```text
//!             #12     #13     #16     #18     #20     #21     #22     #24
//! old master  S=======================S.......................+
//! new master                  S===============S=======================S
//! agent               USR2                            QUIT
//! ```
//!
//! Columns are the numbers' order and not a measure of time: what matters may take a millisecond in a window of a minute.
//!
//! **Invariant:** a bar is drawn only between two sightings that the judge would join; no line is longer than [`COLUMNS_MAX`].

use super::{Fact, Observation, Role, Seq, Sighting, Testimony};

/// The longest line.
pub const COLUMNS_MAX: usize = 80;
/// What stands before the bars.
const LABEL: usize = 12;
/// The last column of a bar: there is room for a number after it.
const LAST: usize = 60;
/// The largest step from one sign to the next.
const STEP_MAX: usize = 8;

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// The processes of one role.
    Role(Role),
    /// What the agent did.
    Agent,
    /// The lock itself.
    Lock,
}

const ROWS: [Row; 6] = [
    Row::Role(Role::OldMaster),
    Row::Role(Role::NewMaster),
    Row::Role(Role::Master),
    Row::Role(Role::Worker),
    Row::Agent,
    Row::Lock,
];

impl Row {
    fn label(self) -> String {
        match self {
            Self::Role(role) => role.to_string(),
            Self::Agent => "agent".to_owned(),
            Self::Lock => "lock".to_owned(),
        }
    }
}

/// One sign in the picture.
#[derive(Debug, Clone, Copy)]
struct Sign<'a> {
    column: usize,
    seq: Seq,
    row: Row,
    fact: &'a Fact,
}

/// The signs, and what they mean.
const LEGEND: [(char, &str); 7] = [
    ('S', "seen holding"),
    ('=', "held all the while"),
    ('.', "not known"),
    ('o', "looked at, not seen holding"),
    ('L', "workers listed"),
    ('+', "exited"),
    ('X', "free"),
];

/// Draws the window of a testimony; nothing if there is less than two signs to draw.
#[must_use]
pub fn draw(testimony: &Testimony) -> String {
    let shown: Vec<(&Observation, Row)> =
        testimony.observations.iter().filter_map(|line| Some((line, row(&line.fact)?))).collect();
    let Some(steps) = shown.len().checked_sub(1).filter(|steps| *steps > 0) else { return String::new() };
    let width = LAST.min(STEP_MAX * steps);
    let placed = shown.into_iter().enumerate();
    let signs: Vec<Sign<'_>> =
        placed.map(|(place, (line, row))| Sign { column: place * width / steps, seq: line.seq, row, fact: &line.fact }).collect();
    let mut lines = vec![format!("{:LABEL$}{}", "", labels(signs.iter().map(|sign| (sign.column, format!("#{}", sign.seq.0)))))];
    let mut used = String::new();
    for row in ROWS {
        let own: Vec<Sign<'_>> = signs.iter().copied().filter(|sign| sign.row == row).collect();
        if own.is_empty() {
            continue;
        }
        let bar = match row {
            Row::Agent => labels(own.iter().map(|sign| (sign.column, done(sign.fact)))),
            Row::Role(_) | Row::Lock => bar(&own, &signs),
        };
        if row != Row::Agent {
            used.push_str(&bar);
        }
        lines.push(format!("{:LABEL$}{bar}", row.label()));
    }
    let legend: Vec<String> =
        LEGEND.iter().filter(|(sign, _)| used.contains(*sign)).map(|(sign, meaning)| format!("{sign} {meaning}")).collect();
    lines.push(format!("{:LABEL$}{}", "", legend.join("  ")));
    lines.join("\n")
}

/// Where a fact is drawn. Answers of probes are not: they prove nothing about the lock.
fn row(fact: &Fact) -> Option<Row> {
    match fact {
        Fact::Sighting(Sighting { role, .. }) | Fact::Absence { role, .. } | Fact::Exit { role, .. } => Some(Row::Role(*role)),
        Fact::Workers { .. } => Some(Row::Role(Role::Worker)),
        Fact::Signal { .. } => Some(Row::Agent),
        Fact::Grant { .. } => Some(Row::Lock),
        Fact::Readiness { .. } => None,
    }
}

/// What the agent did, briefly.
fn done(fact: &Fact) -> String {
    match fact {
        Fact::Signal { signal, .. } => signal.trim_start_matches("SIG").chars().filter(|c| !c.is_control()).take(8).collect(),
        Fact::Sighting(_)
        | Fact::Absence { .. }
        | Fact::Grant { .. }
        | Fact::Readiness { .. }
        | Fact::Exit { .. }
        | Fact::Workers { .. } => String::new(),
    }
}

/// Words at columns; one for which there is no room is left out, for it stands in the lines above.
fn labels(words: impl Iterator<Item = (usize, String)>) -> String {
    let mut text = String::new();
    for (column, word) in words {
        let end = text.chars().count();
        let has_room = (end == 0 || end < column) && LABEL + column + word.chars().count() <= COLUMNS_MAX;
        if has_room {
            text = format!("{text:column$}{word}");
        }
    }
    text
}

/// The signs of one row, and what is known between them.
fn bar(own: &[Sign<'_>], all: &[Sign<'_>]) -> String {
    let mut cells = vec![' '; own.last().map_or(0, |last| last.column + 1)];
    for pair in own.windows(2) {
        let fill = between(&pair[0], &pair[1], all);
        cells[pair[0].column..pair[1].column].fill(fill);
    }
    for sign in own {
        // A moment in which nobody held the lock is never covered by another sign.
        if cells[sign.column] != 'X' {
            cells[sign.column] = mark(sign.fact);
        }
    }
    cells.into_iter().collect()
}

fn mark(fact: &Fact) -> char {
    match fact {
        Fact::Sighting(_) => 'S',
        Fact::Absence { .. } => 'o',
        Fact::Exit { .. } => '+',
        Fact::Grant { .. } => 'X',
        Fact::Workers { .. } => 'L',
        Fact::Signal { .. } | Fact::Readiness { .. } => ' ',
    }
}

/// What is known between two signs of one row.
fn between(one: &Sign<'_>, other: &Sign<'_>, all: &[Sign<'_>]) -> char {
    let was_free = all.iter().any(|sign| sign.row == Row::Lock && sign.seq > one.seq && sign.seq < other.seq);
    match (one.fact, other.fact) {
        (Fact::Sighting(one), Fact::Sighting(other)) if one.process == other.process => {
            let is_bound = one.image == other.image || other.lock.is_marked();
            if one.lock == other.lock && is_bound && !was_free { '=' } else { '.' }
        }
        // Who was seen and then not any more has let go in between.
        (Fact::Sighting(_), Fact::Absence { .. } | Fact::Exit { .. }) => '.',
        // Of two processes, or of what is no look at a holder, nothing is known in between.
        (
            Fact::Sighting(_),
            Fact::Sighting(_) | Fact::Grant { .. } | Fact::Workers { .. } | Fact::Signal { .. } | Fact::Readiness { .. },
        )
        | (
            Fact::Absence { .. }
            | Fact::Exit { .. }
            | Fact::Grant { .. }
            | Fact::Workers { .. }
            | Fact::Signal { .. }
            | Fact::Readiness { .. },
            _,
        ) => ' ',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{FILE, clean, stationary};
    use super::super::{Fact, Observation, Seq, Shape, Testimony};
    use super::{COLUMNS_MAX, draw};

    /// A testimony with one more line after the one numbered so.
    fn with(mut testimony: Testimony, after: u64, fact: Fact) -> Testimony {
        let place = testimony.observations.iter().position(|line| line.seq.0 == after).expect("there is such a line");
        let line = Observation { fact, seq: Seq(after + 1), ..testimony.observations[place].clone() };
        testimony.observations.insert(place + 1, line);
        testimony
    }

    #[track_caller]
    fn check(testimony: &Testimony, expected: &str) {
        assert_eq!(format!("\n{}", draw(testimony)), expected);
    }

    #[test]
    fn a_handover_beside_has_two_bars_that_overlap() {
        check(
            &clean(),
            "
            #12     #13     #16     #18     #20     #21     #22     #24
old master  S=======================S.......................+
new master                  S===============S=======================S
agent               USR2                            QUIT
            S seen holding  = held all the while  . not known  + exited",
        );
    }

    #[test]
    fn a_handover_in_place_has_one_bar_and_its_workers() {
        check(
            &stationary(Shape::InPlace),
            "
            #12     #14     #15     #18     #20
master      S===============================S
worker              L               S
agent                       HUP
            S seen holding  = held all the while  L workers listed",
        );
    }

    #[test]
    fn a_drop_breaks_the_bars() {
        let dropped = with(clean(), 20, Fact::Grant { file: FILE });
        let picture = draw(&dropped);
        let lines: Vec<&str> = picture.lines().collect();
        assert_eq!(lines[2], "new master                 S==============S.............................S", "{picture}");
        assert_eq!(lines[4], "lock                                             X", "{picture}");
        assert!(lines[5].ends_with("X free"), "{picture}");
    }

    #[test]
    fn an_exec_with_a_lock_that_bears_no_mark_breaks_the_bar() {
        let mut testimony = stationary(Shape::Exec);
        assert!(draw(&testimony).contains("S====="));
        for line in &mut testimony.observations {
            if let Fact::Sighting(sighting) = &mut line.fact {
                sighting.lock.mark = 0;
            }
        }
        assert!(draw(&testimony).contains("S....."), "{}", draw(&testimony));
    }

    #[test]
    fn there_is_nothing_to_draw_of_less_than_two_signs() {
        let mut testimony = clean();
        testimony.observations.truncate(1);
        assert_eq!(draw(&testimony), "");
        testimony.observations.clear();
        assert_eq!(draw(&testimony), "");
    }

    proptest! {
        #[test]
        fn no_line_is_too_long(times in 1_usize..90, number in 0_u64..u64::MAX / 2) {
            let mut testimony = clean();
            let lines: Vec<Observation> = testimony.observations.iter().cycle().take(times).cloned().collect();
            testimony.observations = lines;
            for (place, line) in testimony.observations.iter_mut().enumerate() {
                line.seq = Seq(number + place as u64);
            }
            let picture = draw(&testimony);
            prop_assert!(picture.lines().all(|line| line.chars().count() <= COLUMNS_MAX), "{}", picture);
        }
    }
}
