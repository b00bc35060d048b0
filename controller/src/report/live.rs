//! On a terminal: one moving line for each host in flight, below what has been told.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Told;
use crate::inventory::HostName;

/// How often the moving lines move.
pub(super) const FRAME: Duration = Duration::from_millis(100);

/// How many hosts have a line of their own; more would not fit on a screen.
const LINES_MAX: usize = 16;

/// The moving lines.
pub(super) struct Live {
    screen: MultiProgress,
    lines: BTreeMap<HostName, ProgressBar>,
}

impl Live {
    pub(super) fn new() -> Self {
        // Drawn when the loop says so, at most ten times a second.
        Self { screen: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)), lines: BTreeMap::new() }
    }

    /// Whether anything moves.
    pub(super) fn is_moving(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Shows what needs no line of text; whether that was all.
    pub(super) fn show(&mut self, told: &Told<'_>) -> bool {
        match told {
            Told::Started { host } => {
                self.start(host);
                true
            }
            Told::Step { host, step, detail } => self.message(host, format!("{step}  {detail}")),
            Told::Waiting { .. } if self.is_moving() => {
                self.lines.values().for_each(ProgressBar::tick);
                true
            }
            Told::Outcome { host, .. } => {
                if let Some(line) = self.lines.remove(*host) {
                    line.finish_and_clear();
                }
                false
            }
            Told::Finished { .. } => {
                for line in std::mem::take(&mut self.lines).into_values() {
                    line.finish_and_clear();
                }
                false
            }
            Told::Asking { .. }
            | Told::Planned { .. }
            | Told::PlanWritten { .. }
            | Told::MayNotRestart { .. }
            | Told::Retrying { .. }
            | Told::Regained { .. }
            | Told::Stopping { .. }
            | Told::Note { .. }
            | Told::Waiting { .. }
            | Told::Fleet { .. }
            | Told::Claims { .. }
            | Told::Testimony { .. }
            | Told::History(_)
            | Told::Certified { .. } => false,
        }
    }

    /// Writes above the moving lines.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        self.screen.suspend(write);
    }

    fn start(&mut self, host: &HostName) {
        if self.lines.len() >= LINES_MAX {
            return;
        }
        let style = ProgressStyle::with_template("{spinner:>12} [{elapsed:>5}]   {prefix}   {wide_msg}");
        let line = ProgressBar::new_spinner().with_prefix(host.to_string());
        let line = self.screen.add(line);
        if let Ok(style) = style {
            line.set_style(style);
        }
        line.tick();
        self.lines.insert(host.clone(), line);
    }

    fn message(&mut self, host: &HostName, message: String) -> bool {
        match self.lines.get(host) {
            Some(line) => {
                line.set_message(message);
                true
            }
            // Beyond the lines that fit nothing is shown; below that it is a stray, and told.
            None => self.lines.len() >= LINES_MAX,
        }
    }
}
