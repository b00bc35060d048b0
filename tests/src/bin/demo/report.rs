//! What the demo says: the only file of it that prints.
//!
//! **Invariant:** a reader that went away ends nothing: everything is shown, or nobody looks.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, StderrLock, StdoutLock, Write as _};

use crate::story::Surprise;

/// A line of the story: a verb in the gutter, then what happened.
pub(crate) fn line(verb: &str, what: impl Display) {
    say(format_args!("{}   {what}", gutter(verb)));
}

/// The beginning of an act.
pub(crate) fn act(title: &str) {
    say(format_args!("\n{title}\n"));
}

/// A command that is run for the reader to see.
pub(crate) fn command(args: &[&str]) {
    say(format_args!("\n$ baton {}", args.join(" ")));
}

/// An empty line.
pub(crate) fn gap() {
    say("");
}

/// The last line, however it ended.
pub(crate) fn ended() {
    line("Ended", "everything that was started has ended, and every file is removed");
}

/// A line of the controller's progress, as it wrote it.
pub(crate) fn progress(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Something did not go as the story says.
pub(crate) fn surprised(surprise: &Surprise) {
    let _ = writeln!(io::stderr(), "\nerror: {surprise}");
}

/// While it lasts, only the thread that has it says anything; all others wait.
pub(crate) struct Silence {
    _out: StdoutLock<'static>,
    _err: StderrLock<'static>,
}

/// Silences all other threads.
pub(crate) fn silence_others() -> Silence {
    Silence { _out: io::stdout().lock(), _err: io::stderr().lock() }
}

fn say(what: impl Display) {
    let _ = writeln!(io::stdout(), "{what}");
}

/// A verb as `baton` shows its own: bold on a terminal.
fn gutter(verb: &str) -> String {
    let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !is_plain { format!("\u{1b}[1m{verb:>12}\u{1b}[0m") } else { format!("{verb:>12}") }
}
