//! Errors as text.
//!
//! **Invariant:** no error prints its own source; whoever shows one to a person does it here, once.

use std::error::Error;

/// An error and what caused it, on one line, for a log.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        text.push_str(": ");
        text.push_str(&cause);
    }
    text
}

/// What caused an error, in words, from the nearest cause to the furthest. A cause that says the same as the one before is
/// left out: libraries wrap errors so.
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes: Vec<String> =
        std::iter::successors(error.source(), |cause| (*cause).source()).map(ToString::to_string).collect();
    causes.dedup();
    causes
}
