//! Ready when a program of the operator's ends with 0.
//!
//! Whom it has asked is not known, and that is said: it is told which master is the new one, and may find out itself.

use std::time::Duration;

use super::Reply;
use super::attribution::Sides;
use crate::handover::Answer;
use crate::os::program::{self, Manner};

/// How long it may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Runs the program.
pub(super) async fn run(words: &[String], manner: Option<&Manner>, service: &str, sides: &Sides) -> Reply {
    let name = words.first().map(String::as_str).unwrap_or_default();
    let (is_right, told) = match program::run(words, manner, variables(service, sides), WITHIN).await {
        Err(error) => (false, format!("{name} cannot be run: {error}")),
        Ok(ended) => {
            let (is_right, told) = ended.told(name, WITHIN);
            let last_line = ended.last_line();
            (is_right, if last_line.is_empty() { told } else { format!("{told}: {last_line}") })
        }
    };
    let answer = if is_right { Answer::Ready(format!("{told} (whom it asked is not known)")) } else { Answer::Failing(told) };
    Reply { answer, answered_by: None }
}

/// What it is told.
fn variables(service: &str, sides: &Sides) -> Vec<(&'static str, String)> {
    let masters = match sides {
        Sides::Masters { old, new } => vec![("BATON_OLD_MASTER", old.to_string()), ("BATON_NEW_MASTER", new.to_string())],
        Sides::Workers { master, .. } => vec![("BATON_MASTER", master.to_string())],
    };
    [vec![("BATON_SERVICE", service.to_owned())], masters].concat()
}
