//! Ready when so many processes of the new generation hold the lock, and the same ones go on doing so.
//!
//! A server whose workers crash and are forked again has as many as ever, and never the same. The master does not count: it takes the
//! lock before it has loaded the application. Nor does a helper that it has started: it runs another program.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use baton_proto::custody::{FileIdentity, Process};

use super::Reply;
use super::attribution::Sides;
use crate::handover::Answer;
use crate::os::process;

/// More workers than these are not named.
const NAMED_MAX: usize = 4;

/// The workers that were counted last: those that are to stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crew(BTreeSet<Process>);

/// Counts the workers of the new generation that hold the lock.
pub(super) fn count(wanted: NonZeroUsize, sides: &Sides, file: FileIdentity, crew: &mut Crew) -> Reply {
    let program = process::program(sides.master());
    let mut workers = sides.workers();
    workers.retain(|worker| {
        let runs_the_same = program.is_none() || process::program(worker.pid) == program;
        runs_the_same && process::holder(worker.pid, file).is_ok_and(|(found, _)| found == *worker)
    });
    let answer = crew.count(wanted.get(), workers.into_iter().collect());
    let answered_by = if let Answer::Ready(_) = answer { crew.0.first().map(|worker| worker.pid) } else { None };
    Reply { answer, answered_by }
}

impl Crew {
    /// Takes in who holds now.
    fn count(&mut self, wanted: usize, holding: BTreeSet<Process>) -> Answer {
        let gone: Vec<String> = self.0.difference(&holding).map(|worker| worker.pid.to_string()).collect();
        let stayed: BTreeSet<Process> = self.0.intersection(&holding).copied().collect();
        let number = holding.len();
        let has_begun = !self.0.is_empty();
        if number < wanted {
            self.0.clear();
            let told = format!("{number} of {wanted} hold the lock");
            return Answer::Failing(if has_begun { format!("{told}: {}", left(&gone)) } else { told });
        }
        if has_begun && stayed.len() < wanted {
            let come: Vec<String> = holding.difference(&self.0).map(|worker| worker.pid.to_string()).collect();
            self.0 = holding;
            return Answer::Failing(format!("{}, and {} came instead: the settle time begins anew", left(&gone), named(&come)));
        }
        self.0 = if has_begun { stayed } else { holding };
        Answer::Ready(format!("{number} workers hold the lock"))
    }
}

fn left(gone: &[String]) -> String {
    format!("{} left", named(gone))
}

fn named(pids: &[String]) -> String {
    let more = pids.len().saturating_sub(NAMED_MAX);
    let named = pids[..pids.len() - more].join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use baton_proto::custody::Process;

    use super::Crew;
    use crate::handover::Answer;

    fn holding(pids: &[u32]) -> BTreeSet<Process> {
        pids.iter().map(|pid| Process { pid: *pid, start_ticks: 1 }).collect()
    }

    /// What is said of these counts, one after the other, where two are wanted.
    #[track_caller]
    fn check(counts: &[&[u32]], expected: &[Result<&str, &str>]) {
        let mut crew = Crew::default();
        let told: Vec<Answer> = counts.iter().map(|pids| crew.count(2, holding(pids))).collect();
        let expected: Vec<Answer> = expected
            .iter()
            .map(|told| match told {
                Ok(told) => Answer::Ready((*told).to_owned()),
                Err(told) => Answer::Failing((*told).to_owned()),
            })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn enough_that_stay_are_ready() {
        check(
            &[&[], &[1], &[1, 2], &[1, 2]],
            &[
                Err("0 of 2 hold the lock"),
                Err("1 of 2 hold the lock"),
                Ok("2 workers hold the lock"),
                Ok("2 workers hold the lock"),
            ],
        );
    }

    #[test]
    fn one_that_is_replaced_is_named_and_the_count_begins_anew() {
        check(
            &[&[1, 2], &[1, 3], &[1, 3]],
            &[
                Ok("2 workers hold the lock"),
                Err("2 left, and 3 came instead: the settle time begins anew"),
                Ok("2 workers hold the lock"),
            ],
        );
        check(
            &[&[1, 2], &[2], &[2, 3]],
            &[Ok("2 workers hold the lock"), Err("1 of 2 hold the lock: 1 left"), Ok("2 workers hold the lock")],
        );
    }

    #[test]
    fn of_more_than_enough_some_may_leave_and_come() {
        check(
            &[&[1, 2, 3], &[2, 3], &[2, 3, 4], &[3, 4]],
            &[
                Ok("3 workers hold the lock"),
                Ok("2 workers hold the lock"),
                Ok("3 workers hold the lock"),
                Err("2 left, and 4 came instead: the settle time begins anew"),
            ],
        );
    }

    #[test]
    fn a_loop_of_crashes_is_never_ready_twice() {
        let mut crew = Crew::default();
        let answers: Vec<bool> = (1..20_u32)
            .map(|round| matches!(crew.count(4, holding(&[round, round + 1, round + 2, round + 3])), Answer::Ready(_)))
            .collect();
        assert!(answers.windows(2).all(|pair| pair != [true, true]), "{answers:?}");
    }

    #[test]
    fn a_pid_that_another_process_got_is_another_worker() {
        let mut crew = Crew::default();
        let later: BTreeSet<Process> = [1, 2].map(|pid| Process { pid, start_ticks: 2 }).into_iter().collect();
        assert!(matches!(crew.count(2, holding(&[1, 2])), Answer::Ready(_)));
        assert!(matches!(crew.count(2, later), Answer::Failing(_)));
    }
}
