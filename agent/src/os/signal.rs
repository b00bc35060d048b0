//! Signals: which ones this process takes, and their numbers.

use nix::sys::signal::SigSet;
use rustix::process::Signal as Number;

use crate::dialect::Signal;

/// Blocks every signal in the calling thread, for as long as it lives.
pub fn block_all_in_this_thread() {
    // Fails only for a bad `how`, which nix does not let us say.
    let _ = SigSet::all().thread_block();
}

/// The kernel's number of a dialect's signal.
pub fn number(signal: Signal) -> Number {
    match signal {
        Signal::Usr2 => Number::USR2,
        Signal::Quit => Number::QUIT,
        Signal::Term => Number::TERM,
        Signal::Kill => Number::KILL,
    }
}
