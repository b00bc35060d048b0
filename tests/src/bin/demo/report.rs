//! What the demo says: the only file of it that prints.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what is shown to people")]

use std::fmt::Display;

use crate::story::Surprise;

/// A line of the story: a verb in the gutter, then what happened.
pub(crate) fn line(verb: &str, what: impl Display) {
    println!("{verb:>12} {what}");
}

/// The beginning of an act.
pub(crate) fn act(title: &str) {
    println!("\n{title}\n");
}

/// A command that is run for the reader to see.
pub(crate) fn command(args: &[&str]) {
    println!("\n$ baton {}", args.join(" "));
}

/// An empty line.
pub(crate) fn gap() {
    println!();
}

/// It was told to end.
pub(crate) fn interrupted() {
    eprintln!("\n{:>12} ending everything that was started", "Interrupted");
}

/// Something did not go as the story says.
pub(crate) fn surprised(surprise: &Surprise) {
    eprintln!("\nerror: {surprise}");
}
