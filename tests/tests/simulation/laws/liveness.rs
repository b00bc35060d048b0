//! Every rollout ends; one that nothing disturbs ends with every host proven.

use super::books::{Books, Place};
use super::{Judged, Law, demand};
use crate::scenario::{Kind, Scenario};
use crate::trace::{Did, Line, Seen, Word};

#[derive(Debug)]
pub(super) struct Liveness {
    is_undisturbed: bool,
    exit: Option<u8>,
}

impl Liveness {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { is_undisturbed: scenario.kind == Kind::Undisturbed, exit: None }
    }
}

impl Law for Liveness {
    fn see(&mut self, books: &Books, line: &Line) -> Judged {
        if let Seen::Did { rollout, did: Did::Finish { exit, .. } } = &line.seen
            && *rollout == books.rollout
        {
            self.exit = Some(*exit);
        }
        Ok(())
    }

    fn end(&mut self, books: &Books) -> Judged {
        demand(books.is_finished, || format!("it does not end: run {}, {:?}", books.run, books.places))?;
        if !self.is_undisturbed {
            return Ok(());
        }
        demand(self.exit == Some(0), || format!("nothing disturbs it, and it ends with {:?}", self.exit))?;
        let unproven = books.places.iter().find(|(_, place)| **place != Place::Standing(Word::Proven));
        demand(unproven.is_none(), || format!("nothing disturbs it, and in the end {unproven:?}"))
    }
}
