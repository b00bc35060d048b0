//! Whether a service that the agent starts is to run, and when it is started again: told what happened and what time it is, it answers
//! what to do.
//!
//! ```text
//!             asked to start                      ended                 time
//!   Stopped ──────────────────▶ Running ──────────────────▶ Waiting ──────────▶ Running
//!      ▲                        │     │                        │
//!      │ ended                  │     │ ended too often,       │ asked to stop, or to
//!      │        asked to stop   │     │ or for good            │ start: at once
//!   Stopping ◀──────────────────┘     └────────▶ GivenUp ──────┘
//! ```
//!
//! A service that ends is started again after 1 s; each further time half as long again, up to 30 s; and after 1 s once more when it was
//! held for a minute meanwhile. Twenty starts within ten minutes, by default, are enough: then it is given up, and that is said until
//! somebody asks for a start, which begins the counting anew. So a database that is away for five minutes ends nothing.
//!
//! **Invariant:** what somebody asked for is on disk before anything comes of it: a stop on purpose is none only for this run of the agent.
//! **Invariant:** only what was asked for stops a service: no error, no deadline and no end of the agent does.

mod end;

use std::time::Duration;

pub use end::End;

/// After how long a service is started again that was well.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a service is held that counts as well.
const WELL_AFTER: Duration = Duration::from_mins(1);

/// When a service is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// With how many starts.
    pub tries: u32,
    /// Within which time.
    pub window: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { tries: 20, window: Duration::from_mins(10) }
    }
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The agent began.
    Began {
        /// What somebody had asked for last, and what came of it.
        asked: Asked,
        /// Whether the service's `hold` lives.
        hold: bool,
    },
    /// Somebody asks for the service to run.
    Start,
    /// Somebody asks for it not to run.
    Stop {
        /// Whether somebody holds its lock.
        alive: bool,
    },
    /// What was asked for is on disk, or why it is not.
    Written(Result<(), String>),
    /// A `hold` runs.
    Launched,
    /// The service's master is seen holding the lock.
    Held,
    /// Its `hold` ended, or never began.
    Ended(End),
    /// Time has passed.
    Tick,
}

/// What somebody asked for, as it is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// That it runs. So it is, too, where nobody ever asked.
    Run,
    /// That it does not; its `hold` may know, or not yet.
    Stop,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write down what was asked for, and answer with [`Event::Written`].
    Write(Asked),
    /// What was to be written down was refused, and this stands as before: no later write may bring the other to the disk, where the
    /// next run of the agent would find and do it.
    TakeBack(Asked),
    /// Run a `hold`, and answer with [`Event::Launched`] or [`Event::Ended`].
    Launch,
    /// Tell the `hold` to stop the service; it minds the first time.
    Signal,
    /// Tell those who asked for a start how that went.
    AnswerStart(Result<(), String>),
    /// Tell those who asked for a stop how that went.
    AnswerStop(Result<String, String>),
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It runs, since then.
    Running(Duration),
    /// It is started again then.
    Waiting(Duration),
    /// It ended too often, or for good.
    GivenUp,
    /// It is being stopped on purpose.
    Stopping,
    /// It was stopped on purpose.
    Stopped,
}

/// One service that the agent starts.
#[derive(Debug)]
pub struct Supervision {
    policy: Policy,
    phase: Phase,
    /// When it was started within the window, since somebody last asked for that.
    recent: Vec<Duration>,
    starts: u32,
    wait: Duration,
    last_end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody's wish is under way.
    Steady(Steady),
    /// Somebody asked for a start, and the disk does not have it yet.
    Asked { from: Steady },
    /// Somebody asked for a stop, and the disk does not have it yet.
    Intending { from: Steady, then: Then },
    /// A `hold` was run for a server that had none, to be told.
    Adopting,
    /// The `hold` was told.
    Stopping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Steady {
    Running { since: Duration, held: Option<Duration> },
    Waiting { until: Duration },
    GivenUp,
    Stopped,
}

impl Steady {
    /// What somebody asked for to come here.
    fn asked(self) -> Asked {
        match self {
            Self::Running { .. } | Self::Waiting { .. } | Self::GivenUp => Asked::Run,
            Self::Stopped => Asked::Stop,
        }
    }
}

/// What comes of a stop once the disk has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The `hold` is told.
    Tell,
    /// There is a server and no `hold`: one is run.
    Adopt,
    /// There is nobody.
    Nothing,
}

impl Supervision {
    /// A service of which nothing is known yet.
    pub fn new(policy: Policy) -> Self {
        let phase = Phase::Steady(Steady::Stopped);
        Self { policy, phase, recent: Vec::new(), starts: 0, wait: WAIT_FIRST, last_end: None }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let steady = match self.phase {
            Phase::Steady(steady) | Phase::Asked { from: steady } => steady,
            Phase::Intending { .. } | Phase::Adopting | Phase::Stopping => return Standing::Stopping,
        };
        match steady {
            Steady::Running { since, .. } => Standing::Running(since),
            Steady::Waiting { until } => Standing::Waiting(until),
            Steady::GivenUp => Standing::GivenUp,
            Steady::Stopped => Standing::Stopped,
        }
    }

    /// Since when it is started, if nobody has been seen holding its lock since.
    pub fn boots_since(&self) -> Option<Duration> {
        match self.phase {
            Phase::Steady(Steady::Running { since, held: None }) => Some(since),
            Phase::Steady(_) | Phase::Asked { .. } | Phase::Intending { .. } | Phase::Adopting | Phase::Stopping => None,
        }
    }

    /// How often it was started since somebody last asked for that.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// How it last ended.
    pub fn last_end(&self) -> Option<&End> {
        self.last_end.as_ref()
    }

    /// What is wrong, as a sentence, where `service` is not held.
    pub fn trouble(&self, service: &str) -> Option<String> {
        let why = self.last_end.as_ref().map(End::to_string).unwrap_or_default();
        match self.standing() {
            Standing::Running(_) => None,
            Standing::Waiting(_) => Some(format!("it ended, and is started again soon: {why}")),
            Standing::GivenUp => Some(format!(
                "it was given up after {} starts and is not started again: {why}; when that is mended, `baton-agent start {service}`",
                self.starts
            )),
            Standing::Stopping => Some("it is being stopped on purpose".to_owned()),
            Standing::Stopped => Some(format!("it was stopped on purpose; `baton-agent start {service}` starts it")),
        }
    }

    /// When [`Event::Tick`] is wanted next, if ever.
    pub fn due(&self) -> Option<Duration> {
        match self.phase {
            Phase::Steady(Steady::Waiting { until }) => Some(until),
            Phase::Steady(_) | Phase::Asked { .. } | Phase::Intending { .. } | Phase::Adopting | Phase::Stopping => None,
        }
    }

    /// The only way it moves. Total: an event that does not matter in a state changes nothing.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        match event {
            Event::Began { asked, hold } => self.began(now, asked, hold),
            Event::Start => self.asked_to_start(now),
            Event::Stop { alive } => self.asked_to_stop(alive),
            Event::Written(written) => self.written(now, written),
            Event::Launched => self.launched(),
            Event::Held => self.held(now),
            Event::Ended(end) => self.ended(now, end),
            Event::Tick => self.tick(now),
        }
    }

    fn began(&mut self, now: Duration, asked: Asked, hold: bool) -> Vec<Action> {
        match (asked, hold) {
            (Asked::Run, true) => {
                self.phase = Phase::Steady(Steady::Running { since: now, held: None });
                Vec::new()
            }
            (Asked::Run, false) => self.launch(now),
            (Asked::Stop, true) => self.tell(),
            (Asked::Stop, false) => {
                self.phase = Phase::Steady(Steady::Stopped);
                Vec::new()
            }
        }
    }

    fn launch(&mut self, now: Duration) -> Vec<Action> {
        self.phase = Phase::Steady(Steady::Running { since: now, held: None });
        self.recent.retain(|start| now.saturating_sub(*start) < self.policy.window);
        self.recent.push(now);
        self.starts = self.starts.saturating_add(1);
        vec![Action::Launch]
    }

    fn tell(&mut self) -> Vec<Action> {
        self.phase = Phase::Stopping;
        vec![Action::Signal]
    }

    fn asked_to_start(&mut self, now: Duration) -> Vec<Action> {
        match self.phase {
            Phase::Steady(Steady::Running { held: Some(_), .. }) => vec![Action::AnswerStart(Ok(()))],
            // Answered when it is held, or has ended.
            Phase::Steady(Steady::Running { held: None, .. }) | Phase::Asked { .. } => Vec::new(),
            Phase::Steady(Steady::Waiting { .. }) => {
                self.forgive();
                self.launch(now)
            }
            Phase::Steady(from @ (Steady::GivenUp | Steady::Stopped)) => {
                self.phase = Phase::Asked { from };
                vec![Action::Write(Asked::Run)]
            }
            Phase::Intending { .. } | Phase::Adopting | Phase::Stopping => {
                vec![Action::AnswerStart(Err("it is being stopped; try again when it has stopped".to_owned()))]
            }
        }
    }

    /// A start on purpose begins anew.
    fn forgive(&mut self) {
        self.recent.clear();
        self.starts = 0;
        self.wait = WAIT_FIRST;
    }

    fn asked_to_stop(&mut self, alive: bool) -> Vec<Action> {
        match self.phase {
            Phase::Steady(Steady::Stopped) if !alive => vec![Action::AnswerStop(Ok("it was stopped already".to_owned()))],
            Phase::Steady(from) => {
                let then = match from {
                    Steady::Running { .. } => Then::Tell,
                    Steady::Waiting { .. } | Steady::GivenUp | Steady::Stopped if alive => Then::Adopt,
                    Steady::Waiting { .. } | Steady::GivenUp | Steady::Stopped => Then::Nothing,
                };
                self.phase = Phase::Intending { from, then };
                vec![Action::Write(Asked::Stop)]
            }
            Phase::Asked { .. } => vec![Action::AnswerStop(Err("it is being started; try again in a moment".to_owned()))],
            // Answered when it is over.
            Phase::Intending { .. } | Phase::Adopting | Phase::Stopping => Vec::new(),
        }
    }

    fn written(&mut self, now: Duration, written: Result<(), String>) -> Vec<Action> {
        match (self.phase, written) {
            (Phase::Asked { .. }, Ok(())) => {
                self.forgive();
                self.launch(now)
            }
            (Phase::Asked { from }, Err(why)) => {
                self.phase = Phase::Steady(from);
                vec![Action::TakeBack(from.asked()), Action::AnswerStart(Err(why))]
            }
            (Phase::Intending { then: Then::Tell, .. }, Ok(())) => self.tell(),
            (Phase::Intending { then: Then::Adopt, .. }, Ok(())) => {
                self.phase = Phase::Adopting;
                vec![Action::Launch]
            }
            (Phase::Intending { then: Then::Nothing, .. }, Ok(())) => {
                self.phase = Phase::Steady(Steady::Stopped);
                vec![Action::AnswerStop(Ok("nothing of it ran".to_owned()))]
            }
            (Phase::Intending { from, .. }, Err(why)) => {
                self.phase = Phase::Steady(from);
                vec![Action::TakeBack(from.asked()), Action::AnswerStop(Err(why))]
            }
            (Phase::Steady(_) | Phase::Adopting | Phase::Stopping, _) => Vec::new(),
        }
    }

    fn launched(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Adopting => self.tell(),
            Phase::Steady(_) | Phase::Asked { .. } | Phase::Intending { .. } | Phase::Stopping => Vec::new(),
        }
    }

    fn held(&mut self, now: Duration) -> Vec<Action> {
        match &mut self.phase {
            Phase::Steady(Steady::Running { held, .. }) => {
                held.get_or_insert(now);
                vec![Action::AnswerStart(Ok(()))]
            }
            Phase::Steady(_) | Phase::Asked { .. } | Phase::Intending { .. } | Phase::Adopting | Phase::Stopping => Vec::new(),
        }
    }

    fn ended(&mut self, now: Duration, end: End) -> Vec<Action> {
        let why = end.to_string();
        let is_final = end.is_final();
        let has_stopped = end.leaves_nobody();
        self.last_end = Some(end);
        match self.phase {
            Phase::Steady(Steady::Running { held, .. }) => {
                self.phase = Phase::Steady(self.after_an_end(now, held, is_final));
                vec![Action::AnswerStart(Err(why))]
            }
            // It ended by itself before it could be told.
            Phase::Intending { from: Steady::Running { held, .. }, .. } => {
                let from = self.after_an_end(now, held, is_final);
                let then = if has_stopped { Then::Nothing } else { Then::Adopt };
                self.phase = Phase::Intending { from, then };
                Vec::new()
            }
            Phase::Adopting | Phase::Stopping => {
                self.phase = Phase::Steady(Steady::Stopped);
                vec![Action::AnswerStop(if has_stopped { Ok(why) } else { Err(why) })]
            }
            Phase::Steady(_) | Phase::Asked { .. } | Phase::Intending { .. } => Vec::new(),
        }
    }

    /// What becomes of a service that ended by itself.
    fn after_an_end(&mut self, now: Duration, held: Option<Duration>, is_final: bool) -> Steady {
        self.recent.retain(|start| now.saturating_sub(*start) < self.policy.window);
        let tries = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        if is_final || tries >= self.policy.tries {
            return Steady::GivenUp;
        }
        if held.is_some_and(|held| now.saturating_sub(held) >= WELL_AFTER) {
            self.wait = WAIT_FIRST;
        }
        let until = now.saturating_add(self.wait);
        self.wait = (self.wait * 3 / 2).min(WAIT_MAX);
        Steady::Waiting { until }
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        match self.phase {
            Phase::Steady(Steady::Waiting { until }) if now >= until => self.launch(now),
            Phase::Steady(_) | Phase::Asked { .. } | Phase::Intending { .. } | Phase::Adopting | Phase::Stopping => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
