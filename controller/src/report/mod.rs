//! What people and programs see: one list of things to tell, two renderings of it. Nobody else prints.
//!
//! Human text has its results on stdout and its progress on stderr; JSON has one object a line on stdout.
//!
//! **Invariant:** a reader that has gone away (a closed pipe) ends the telling, never the rollout.

mod claims;
mod columns;
mod contacts;
mod course;
mod eta;
mod human;
mod journal;
mod json;
mod live;
mod map;
mod planned;
mod screen;

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::time::Duration;

use baton_proto::custody::Chronicle;
use baton_proto::identity::Identity;
use tokio::time::Instant;

use crate::inventory::{Host, HostName};
use crate::journal::undo::Why;
use crate::outcome::{Exit, Outcome};
use crate::pki::Files;
use crate::plan::Plan;
use crate::record::Record;
use crate::rollout::{Awaited, Note, Picture, Stop, Summary};
use crate::standing::Standing;
use crate::step::Step;
use contacts::Contacts;
use course::Course;
use human::Look;
pub use human::ordered;
pub use journal::{Condition, Journal};
use live::Live;
use screen::{Flight, Scene};

/// Where the operator is, wherever the output goes.
const TERMINAL: &str = "/dev/tty";

/// The longest that a run is silent at first.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// After so long without news it is silent for longer: whoever reads the log later has read enough.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest that a run is silent then.
const LATER_SILENCE_MAX: Duration = Duration::from_secs(10);

/// The rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Something to tell.
#[derive(Debug)]
pub enum Told<'a> {
    /// Hosts are being asked, and some have not answered yet.
    Asking {
        /// How many have answered.
        answered: usize,
        /// Of how many.
        total: usize,
    },
    /// The plan.
    Planned {
        /// The plan.
        plan: &'a Plan,
        /// The rollout that it is for; none when it is only to be looked at.
        rollout: Option<&'a str>,
    },
    /// The plan was written down.
    PlanWritten {
        /// Where.
        path: &'a Path,
    },
    /// Whoever looks at the plan may not carry it out.
    MayNotRestart {
        /// Who.
        identity: &'a Identity,
    },
    /// A host of a rollout that is undone is left as it is.
    NotUndone {
        /// The host.
        host: &'a HostName,
        /// Why.
        why: &'a Why,
    },
    /// A handover begins.
    Started {
        /// The host.
        host: &'a HostName,
    },
    /// A handover made a step.
    Step {
        /// The host.
        host: &'a HostName,
        /// The step.
        step: Step,
        /// What was seen.
        detail: &'a str,
    },
    /// Contact with a host was lost and is sought again.
    Retrying {
        /// The host.
        host: &'a HostName,
        /// Why it was lost.
        cause: &'a str,
    },
    /// A finished host whose guard was lost is guarded again, and stands as it did.
    Regained {
        /// The host.
        host: &'a HostName,
    },
    /// A host has ended, or ended otherwise than was told before.
    Outcome {
        /// The host.
        host: &'a HostName,
        /// How.
        outcome: &'a Outcome,
    },
    /// Nothing new is started.
    Stopping {
        /// Why.
        stop: &'a Stop,
        /// What is waited for.
        awaited: &'a Awaited,
    },
    /// The walk got somewhere.
    Note {
        /// Where.
        note: Note,
    },
    /// Nothing has happened for a while.
    Waiting {
        /// What is waited for.
        awaited: &'a Awaited,
        /// How far it is.
        picture: &'a Picture,
    },
    /// A rollout is over.
    Finished {
        /// The service.
        service: &'a str,
        /// The rollout.
        rollout: &'a str,
        /// Where things stand.
        summary: &'a Summary,
    },
    /// The fleet as it is.
    Fleet {
        /// Each host with its services, or why it gives no answer.
        rows: &'a [(Host, Result<Vec<Standing>, String>)],
    },
    /// The claims in the fleet.
    Claims {
        /// Each host with its services, or why it gives no answer.
        rows: &'a [(Host, Result<Vec<Standing>, String>)],
    },
    /// What an agent saw of a handover.
    Testimony {
        /// The host.
        host: &'a HostName,
        /// The service.
        service: &'a str,
        /// The record.
        record: &'a Record,
    },
    /// What befell a service.
    History(Chronicle<'a>),
    /// What the journal of rollouts says.
    Journal(Journal<'a>),
    /// A certificate was made.
    Certified {
        /// Who it is; none for an authority.
        identity: Option<&'a Identity>,
        /// The fleet.
        fleet: &'a str,
        /// The certificate's file and its key's.
        files: &'a Files,
        /// Until when it is valid, since 1970.
        until: Duration,
        /// Whether that is sooner than was asked for, because its authority is valid no longer.
        cut_short: bool,
    },
}

/// Where things are told.
pub struct Report {
    format: Format,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    painted: bool,
    live: Option<Live>,
    begun: Instant,
    last_told: Instant,
    last_news: Instant,
    contacts: Contacts,
    course: Course,
    host_width: usize,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Report {
    /// A report in this format. `plain` asks for text without colours.
    pub fn new(format: Format, plain: bool) -> Self {
        let human = format == Format::Human;
        Self {
            painted: human && !plain && io::stdout().is_terminal(),
            live: (human && io::stderr().is_terminal()).then(|| Live::new(!plain)),
            ..Self::to(format, Box::new(io::stdout()), Box::new(io::stderr()))
        }
    }

    /// A report that writes its results and its progress there, as to files.
    pub fn to(format: Format, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        let now = Instant::now();
        let (contacts, course) = (Contacts::default(), Course::default());
        Self {
            format,
            out,
            err,
            painted: false,
            live: None,
            begun: now,
            last_told: now,
            last_news: now,
            contacts,
            course,
            host_width: 0,
        }
    }

    /// Times are told since now; on a terminal the lines begin to move.
    pub fn begin(&mut self) {
        self.begun = Instant::now();
        if let Some(live) = &mut self.live {
            live.begin();
        }
    }

    /// Tells something.
    pub fn tell(&mut self, told: &Told<'_>) {
        let now = Instant::now();
        self.last_told = now;
        if !matches!(told, Told::Asking { .. } | Told::Waiting { .. } | Told::Retrying { .. }) {
            self.last_news = now;
        }
        let at = self.begun.elapsed();
        self.contacts.learn(told, at);
        self.course.learn(told);
        if let Told::Planned { plan, .. } = told {
            self.host_width = plan.hosts().iter().map(|planned| planned.host.as_str().len()).max().unwrap_or_default().min(40);
        }
        if self.moves(told, at) {
            return;
        }
        let look = self.look(at);
        match self.format {
            Format::Json => {
                let line = json::render(told, &look);
                self.out(&line);
            }
            Format::Human => {
                let text = human::render(told, &look);
                self.out(&text.result);
                self.err(&text.progress);
            }
        }
    }

    fn look(&self, at: Duration) -> Look<'_> {
        Look { at, host_width: self.host_width, painted: self.painted, course: &self.course, contacts: &self.contacts }
    }

    /// Shows in the moving lines what needs no line of text; whether that was all.
    fn moves(&mut self, told: &Told<'_>, at: Duration) -> bool {
        let Some(mut live) = self.live.take_if(|live| live.is_moving()) else { return false };
        let is_all = match told {
            Told::Waiting { awaited, picture } => {
                self.draw(&mut live, awaited, picture, at);
                true
            }
            Told::Started { .. } | Told::Step { .. } => true,
            Told::Finished { .. } => {
                live.end();
                false
            }
            Told::Asking { .. }
            | Told::Planned { .. }
            | Told::PlanWritten { .. }
            | Told::NotUndone { .. }
            | Told::MayNotRestart { .. }
            | Told::Retrying { .. }
            | Told::Regained { .. }
            | Told::Outcome { .. }
            | Told::Stopping { .. }
            | Told::Note { .. }
            | Told::Fleet { .. }
            | Told::Claims { .. }
            | Told::Testimony { .. }
            | Told::History(_)
            | Told::Journal(_)
            | Told::Certified { .. } => false,
        };
        self.live = Some(live);
        is_all
    }

    fn draw<'a>(&'a self, live: &mut Live, awaited: &Awaited, picture: &'a Picture, at: Duration) {
        let look = self.look(at);
        let flight = |(place, host): &'a (usize, HostName)| Flight {
            host: host.as_str(),
            whereabouts: picture.hosts[*place],
            contact: self.contacts.of(host, at),
        };
        let flights: Vec<Flight<'_>> = picture.open.iter().map(flight).collect();
        let wave = self.course.wave_name(picture.wave);
        let scene = Scene {
            picture,
            flights: &flights,
            waits: &human::at_a_glance(awaited, picture, &look),
            wave: wave.as_deref(),
            eta: look.eta(picture),
            host_width: self.host_width,
            frame: live.frame(),
        };
        let canvas = live.canvas();
        live.draw(&screen::lines(&scene, canvas), canvas.size);
    }

    /// How long the loop may sleep before something must be shown.
    pub fn silence_left(&self) -> Duration {
        match &self.live {
            Some(live) if live.is_moving() => live.frame_left(),
            Some(_) | None if self.last_news.elapsed() < PATIENCE => SILENCE_MAX.saturating_sub(self.last_told.elapsed()),
            Some(_) | None => LATER_SILENCE_MAX.saturating_sub(self.last_told.elapsed()),
        }
    }

    /// Tells why a run came to nothing, and what to do about it.
    pub fn fail(&mut self, sentence: &str, hint: Option<&str>) {
        let mut text = format!("error: {sentence}\n");
        if let Some(hint) = hint {
            text.push_str("hint: ");
            text.push_str(hint);
            text.push('\n');
        }
        self.err(&text);
    }

    /// Asks a yes-or-no question of whoever types; anything but yes is no. Where nobody types, nobody is asked.
    pub fn confirm(&mut self, question: &str) -> bool {
        if !io::stdin().is_terminal() {
            return true;
        }
        self.ask(&format!("{question} [y/N] "));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }

    /// Puts a question where whoever types sees it, also when progress goes to a file.
    fn ask(&mut self, question: &str) {
        let terminal = if io::stderr().is_terminal() { None } else { File::options().write(true).open(TERMINAL).ok() };
        match terminal {
            // Who cannot be asked answers nothing, and that is no.
            Some(mut terminal) => drop(terminal.write_all(question.as_bytes())),
            None => self.err(question),
        }
    }

    fn out(&mut self, text: &str) {
        write(self.live.as_ref(), &mut self.out, text);
    }

    fn err(&mut self, text: &str) {
        write(self.live.as_ref(), &mut self.err, text);
    }
}

/// Writes above the moving lines. A reader that has gone is not told anything more.
fn write(live: Option<&Live>, to: &mut Box<dyn Write + Send>, text: &str) {
    if text.is_empty() {
        return;
    }
    let mut write = || {
        let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    };
    match live {
        Some(live) => live.suspend(write),
        None => write(),
    }
}

/// The exit code of `status`: whether every host answered and every lock is held.
#[must_use]
pub fn status_exit(rows: &[(Host, Result<Vec<Standing>, String>)]) -> Exit {
    let well =
        |answer: &Result<Vec<Standing>, String>| answer.as_ref().is_ok_and(|standings| standings.iter().all(Standing::is_held));
    if rows.iter().all(|(_, answer)| well(answer)) { Exit::Proven } else { Exit::Failed }
}

#[cfg(test)]
mod tests;
