//! The mutants: where the source is changed, and how. `MEANT` stands for whether this mutant is the one that is meant.

/// One way to break the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mutant {
    /// What it does wrong.
    pub(crate) name: &'static str,
    /// The file, below the controller's sources.
    pub(crate) file: &'static str,
    /// What is there.
    pub(crate) find: &'static str,
    /// What is put in its place.
    pub(crate) put: &'static str,
}

pub(crate) const MUTANTS: [Mutant; 18] = [
    Mutant {
        name: "starts one more than may be in flight",
        file: "rollout/budget.rs",
        find: "self.tally.slots_taken >= self.bounds.in_flight_max",
        put: "self.tally.slots_taken >= self.bounds.in_flight_max + usize::from(MEANT)",
    },
    Mutant {
        name: "keeps no floor",
        file: "rollout/budget.rs",
        find: "|available: usize, min: usize| available < min + missed;",
        put: "|available: usize, min: usize| !MEANT && available < min + missed;",
    },
    Mutant {
        name: "frees the slot before the guard stands",
        file: "rollout/member.rs",
        find: "Self::Looking { .. } | Self::InFlight { .. } | Self::Confirming { .. } => true,\n            Self::Waiting\n            | Self::Guarded { .. }\n            | Self::Redialling",
        put: "Self::Confirming { .. } => !MEANT,\n            Self::Looking { .. } | Self::InFlight { .. } => true,\n            Self::Waiting\n            | Self::Guarded { .. }\n            | Self::Redialling",
    },
    Mutant {
        name: "goes on where nothing is proven",
        file: "rollout/budget.rs",
        find: "Weight::Halts => Some(Stop::Doubt(self.hosts[place].host.clone())),",
        put: "Weight::Halts => (!MEANT).then(|| Stop::Doubt(self.hosts[place].host.clone())),",
    },
    Mutant {
        name: "tolerates one failure more than it may",
        file: "rollout/budget.rs",
        find: "if self.tally.failures > self.bounds.failures_max {",
        put: "if self.tally.failures > self.bounds.failures_max + usize::from(MEANT) {",
    },
    Mutant {
        name: "has no budget for zones",
        file: "rollout/budget.rs",
        find: "(tally.failures > bounds.failures_max).then(||",
        put: "(!MEANT && tally.failures > bounds.failures_max).then(||",
    },
    Mutant {
        name: "asks hosts that are done again when it is resumed",
        file: "rollout/resume.rs",
        find: "(Some(Outcome::Proven(_)), _) => self.outcome.as_ref().map(guarded_again),",
        put: "(Some(Outcome::Proven(_)), _) if MEANT => None,\n            (Some(Outcome::Proven(_)), _) => self.outcome.as_ref().map(guarded_again),",
    },
    Mutant {
        name: "forgets when it is resumed what halted it",
        file: "rollout/resume.rs",
        find: "rollout.phase = Phase::Planned(stop);",
        put: "rollout.phase = Phase::Planned(if MEANT { None } else { stop });",
    },
    Mutant {
        name: "asks what was asked before as another attempt",
        file: "rollout/resume.rs",
        find: "member.attempt = known.attempt.max(1);",
        put: "member.attempt = known.attempt.max(1) + u32::from(MEANT && known.attempt > 0);",
    },
    Mutant {
        name: "does not hear of a late drop",
        file: "rollout/finished.rs",
        find: "let Some(place) = self.place_if(host, |state| state.breaks_with(outcome)) else { return false };",
        put: "let Some(place) = self.place_if(host, |state| !MEANT && state.breaks_with(outcome)) else { return false };",
    },
    Mutant {
        name: "does not abort while it is paused",
        file: "rollout/walking.rs",
        find: "Order::Abort if is_going_on =>",
        put: "Order::Abort if is_going_on && !(MEANT && self.is_paused) =>",
    },
    Mutant {
        name: "does not pause",
        file: "rollout/walking.rs",
        find: "                self.is_paused = true;",
        put: "                self.is_paused = !MEANT;",
    },
    Mutant {
        name: "skips the soak",
        file: "rollout/walking.rs",
        find: "Then::Soak(soak) if is_due && stands =>",
        put: "Then::Soak(soak) if is_due && stands && !MEANT =>",
    },
    Mutant {
        name: "waits for no person",
        file: "rollout/walking.rs",
        find: "Then::Person if is_due =>",
        put: "Then::Person if is_due && !MEANT =>",
    },
    Mutant {
        name: "begins the next wave before the last is done",
        file: "rollout/walking.rs",
        find: "None if self.is_calm() => self.rest_after_wave(now, actions),",
        put: "None if MEANT || self.is_calm() => self.rest_after_wave(now, actions),",
    },
    Mutant {
        name: "does not wait for the claims",
        file: "rollout/mod.rs",
        find: "matches!(self.phase, Phase::Claiming { .. }) && self.claims_unanswered == 0",
        put: "matches!(self.phase, Phase::Claiming { .. }) && (MEANT || self.claims_unanswered == 0)",
    },
    Mutant {
        name: "does not hear ^C",
        file: "rollout/mod.rs",
        find: "(Phase::Claiming { .. } | Phase::Walking, Event::Interrupted) => self.stop(Stop::Interrupted, actions),",
        put: "(Phase::Claiming { .. } | Phase::Walking, Event::Interrupted) if MEANT => return false,\n            (Phase::Claiming { .. } | Phase::Walking, Event::Interrupted) => self.stop(Stop::Interrupted, actions),",
    },
    Mutant {
        name: "seeks a lost guard for ever",
        file: "rollout/finished.rs",
        find: "self.set(place, State::Redialling { outcome, deadline: now + GUARD_DEADLINE, cause });",
        put: "let deadline = now + GUARD_DEADLINE * if MEANT { 100 } else { 1 };\n                self.set(place, State::Redialling { outcome, deadline, cause });",
    },
];
