//! Errors as text.
//!
//! **Invariant:** no error prints its own source; whoever shows one to a person does it here, once.

use std::error::Error;

/// An error and what caused it, on one line, for a log.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    text
}

/// What caused an error, from the nearest cause to the furthest.
pub fn causes(error: &dyn Error) -> impl Iterator<Item = &dyn Error> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}
