//! Whether there is memory for a handover: asked before it is accepted, off the driver's task.
//!
//! Where the generations stand beside each other there must be room for a second one, and for the reserve. Where the master stays,
//! requests wait or workers are replaced by and by: there only the reserve must be free.

use baton_proto::custody::Shape;
use baton_proto::v1::reload_event::Event as Told;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{Driver, Inbox, Input};
use crate::memory::{Figures, shortage};
use crate::os::room;
use crate::service::{Attempt, Refusal, Reply};

/// Reloads that wait until the memory was measured.
const WAITING_MAX: usize = 64;

/// A reload that waits for the figures.
type Waiting = (Attempt, Reply<mpsc::Receiver<Told>>);

/// The reloads that wait; while there are some, a thread reads.
#[derive(Debug, Default)]
pub(super) struct Measuring(Vec<Waiting>);

impl Driver {
    /// Lets a reload begin once there is known to be memory for it.
    pub(super) async fn reload_with_room(&mut self, attempt: Attempt, reply: Reply<mpsc::Receiver<Told>>, inbox: &mut Inbox) {
        // One that is on record, or under way, begins nothing, and neither does one without a claim.
        let is_new = self.run.is_none() && self.recorded(&attempt).is_none() && self.is_claimed_for(&attempt).is_ok();
        if is_new && self.held.is_none() {
            self.look_for_holder();
        }
        let master = self.held.as_ref().map(super::Held::master).filter(|_| is_new && !self.config.memory.allows_shortage);
        let doubles = self.config.dialect.row().shape == Shape::Beside;
        let Some(master) = master.filter(|_| doubles || self.config.memory.reserve > 0) else {
            self.reload_or_postpone(attempt, reply);
            return self.begin(inbox).await;
        };
        if self.measuring.0.len() >= WAITING_MAX {
            let text = format!("busy: {WAITING_MAX} others wait already until the memory was measured; try again in a moment");
            // Whoever asked and is gone meanwhile needs no answer.
            return drop(reply.send(Err(Refusal::Precondition(text))));
        }
        self.measuring.0.push((attempt, reply));
        if self.measuring.0.len() == 1 {
            let own = self.own.clone();
            let reserve = self.config.memory.reserve;
            tokio::spawn(async move {
                let measure = move || if doubles { room::measure(master, reserve) } else { room::measure_rooms(master) };
                // It fails only when it panics, which would be a bug, or when the agent stops.
                let figures = spawn_blocking(measure).await.ok();
                // The driver is gone only when the agent stops.
                let _ = own.send(Input::Measured(figures)).await;
            });
        }
    }

    /// The figures are there: all who wait begin, or are refused.
    pub(super) async fn measured(&mut self, figures: Option<Figures>, inbox: &mut Inbox) {
        tracing::debug!(?figures, "the memory was measured");
        let shortage = figures.and_then(|figures| shortage(&figures, self.config.memory.reserve));
        for (attempt, reply) in std::mem::take(&mut self.measuring.0) {
            match &shortage {
                // Whoever is gone meanwhile was told that there was no answer: nothing may begin behind his back.
                _ if reply.is_closed() => {}
                Some(shortage) => drop(reply.send(Err(Refusal::Precondition(shortage.clone())))),
                None => {
                    self.reload_or_postpone(attempt, reply);
                    self.begin(inbox).await;
                }
            }
        }
    }
}
