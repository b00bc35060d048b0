//! The tables: the only file of the benches that prints.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what is shown to people")]

use crate::process::Machine;

/// The width of the first column, which says what was measured.
const WHAT: usize = 58;
/// The width of the others.
const FIGURE: usize = 11;

/// On what machine it is, and how busy that is.
pub(crate) fn machine(machine: &Machine) {
    let Machine { cores, load, kernel } = machine;
    println!("{cores} cores, Linux {kernel}, load {load} at the start; figures are of the release profile");
}

/// The title of a bench, and what else is to be known of it.
pub(crate) fn title(title: &str, notes: &[String]) {
    println!("\n{title}");
    for note in notes {
        println!("  {note}");
    }
    println!();
}

/// The heads of the columns.
pub(crate) fn head(what: &str, columns: &[&str]) {
    row(what, &columns.iter().map(ToString::to_string).collect::<Vec<_>>());
}

/// One thing that was measured.
pub(crate) fn row(what: &str, figures: &[String]) {
    let figures: Vec<String> = figures.iter().map(|figure| format!("{figure:>FIGURE$}")).collect();
    println!("  {what:<WHAT$}{}", figures.concat());
}

/// A sentence below a table.
pub(crate) fn note(text: &str) {
    println!("  {text}");
}

/// An empty line between two tables.
pub(crate) fn gap() {
    println!();
}

/// There is no such bench.
pub(crate) fn unknown(name: &str, known: &[&str]) {
    eprintln!("error: there is no bench {name:?}, only {}", known.join(", "));
}
