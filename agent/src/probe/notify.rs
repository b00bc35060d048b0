//! Ready when a living process of the new generation has sent `READY=1`.
//!
//! **Invariant:** however much is sent, little of it is read in any stretch of time, and little is kept.

use std::path::Path;
use std::time::Duration;

use baton_proto::custody::{Image, Process};
use tokio::time::sleep;

use super::Reply;
use super::attribution::{Party, Sides};
use crate::handover::Answer;
use crate::os::notices::Notices;
use crate::os::{clock, process};

/// How many messages are read before others get their turn.
const BURST_MAX: usize = 16;
/// For how long, after so many: whoever writes more waits, or loses what is written.
const BURST_PAUSE: Duration = Duration::from_millis(50);
/// How many senders are remembered.
const SENDERS_MAX: usize = 64;

/// Somebody has sent `READY=1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// Who.
    pub process: Process,
    /// When it was read, since boot.
    pub at: Duration,
    /// What it ran then, if that could be read.
    pub image: Option<Image>,
}

/// Who has sent `READY=1`, each once, or why nobody can.
#[derive(Debug, Clone, Default)]
pub struct Senders {
    trouble: Option<String>,
    notices: Vec<Notice>,
}

/// Binds the socket at `path` and listens for as long as `hear` takes what comes.
///
/// # Errors
/// When it cannot be bound.
pub fn listen<F>(path: &Path, hear: impl Fn(Notice) -> F + Send + Sync + 'static) -> std::io::Result<()>
where
    F: Future<Output = bool> + Send,
{
    let notices = Notices::bind(path)?;
    tokio::spawn(async move {
        // It fails only when the runtime ends.
        while notices.ready().await.is_ok() {
            if !read_all(&notices, &hear).await {
                return;
            }
        }
    });
    Ok(())
}

/// Reads all there is, with pauses; whether somebody still takes it.
async fn read_all<F: Future<Output = bool> + Send>(notices: &Notices, hear: &(impl Fn(Notice) -> F + Send + Sync)) -> bool {
    loop {
        for _ in 0..BURST_MAX {
            let Some((pid, text)) = notices.next() else { return true };
            let is_ready = text.lines().any(|line| line.trim_end() == "READY=1");
            // One that is gone already is not ready, whatever it has said.
            if is_ready
                && let Ok((process, _)) = process::find(pid)
                && !hear(Notice { process, at: clock::since_boot(), image: process::image(pid) }).await
            {
                return false;
            }
        }
        sleep(BURST_PAUSE).await;
    }
}

impl Senders {
    /// Nobody yet; and why nobody can, if so.
    pub fn unless(trouble: Option<String>) -> Self {
        Self { trouble, notices: Vec::new() }
    }

    /// Takes note of one; of the same process the last word counts.
    pub fn note(&mut self, notice: Notice) {
        self.notices.retain(|known| known.process != notice.process);
        if self.notices.len() >= SENDERS_MAX {
            // The one whose word is oldest: those of the new generation come last.
            self.notices.remove(0);
        }
        self.notices.push(notice);
    }

    /// Whether one of them is of the new generation and lives.
    pub(super) fn weigh(&self, sides: &Sides) -> Reply {
        if let Some(trouble) = &self.trouble {
            return Reply::elsewhere(trouble.clone());
        }
        let mut others = Vec::new();
        for notice in self.notices.iter().rev() {
            let pid = notice.process.pid;
            if !process::find(pid).is_ok_and(|(found, _)| found == notice.process) {
                others.push(format!("{pid}, which sent READY=1, is gone"));
                continue;
            }
            match sides.find(|other| other == pid) {
                Party::New(_) => return ready(pid),
                Party::Old(_) if is_of_a_master_anew(notice, sides) => return ready(pid),
                Party::Old(_) => others.push(format!("READY=1 from {pid} of the old generation")),
                Party::Stranger => others.push(format!("READY=1 from {pid}, which is not seen to be of the service")),
            }
        }
        Reply::elsewhere(others.into_iter().next().unwrap_or_else(|| "nobody has sent READY=1".to_owned()))
    }
}

fn ready(pid: u32) -> Reply {
    Reply { answer: Answer::Ready(format!("READY=1 from {pid}")), answered_by: Some(pid) }
}

/// Whether the one master has sent it since it was signalled, and, where it calls exec, from its new program.
fn is_of_a_master_anew(notice: &Notice, sides: &Sides) -> bool {
    let Sides::Workers { master, image, since, .. } = sides else { return false };
    let is_late = since.is_some_and(|since| notice.at > since);
    let is_other = image.is_none_or(|image| notice.image.is_some_and(|now| now != image));
    notice.process.pid == *master && is_late && is_other
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use baton_proto::custody::{Image, Process};

    use super::{Notice, SENDERS_MAX, Senders, Sides};
    use crate::handover::Answer;
    use crate::os::process;

    const NOBODY: u32 = u32::MAX;
    const BEFORE: Duration = Duration::from_secs(10);
    const AFTER: Duration = Duration::from_secs(20);

    fn us() -> Process {
        process::find(std::process::id()).expect("we live").0
    }

    fn image(first: u8) -> Image {
        Image { start_stack: 1, random: [first; 16] }
    }

    fn notice(process: Process, at: Duration, ran: u8) -> Notice {
        Notice { process, at, image: Some(image(ran)) }
    }

    #[track_caller]
    fn check(notices: &[Notice], sides: &Sides, expected: &str) {
        let mut senders = Senders::default();
        for notice in notices {
            senders.note(*notice);
        }
        let told = match senders.weigh(sides).answer {
            Answer::Ready(told) => format!("ready: {told}"),
            Answer::Failing(told) => format!("failing: {told}"),
            Answer::Elsewhere(told) | Answer::Stale(told) => told,
        };
        assert_eq!(told, expected.replace("US", &std::process::id().to_string()));
    }

    #[test]
    fn only_a_living_process_of_the_new_generation_counts() {
        let own = std::process::id();
        let (new, old) = (Sides::Masters { old: NOBODY, new: own }, Sides::Masters { old: own, new: NOBODY });
        let another = Process { start_ticks: us().start_ticks + 1, ..us() };
        check(&[], &new, "nobody has sent READY=1");
        check(&[notice(us(), AFTER, 1)], &new, "ready: READY=1 from US");
        check(&[notice(us(), AFTER, 1), notice(another, AFTER, 1)], &new, "ready: READY=1 from US");
        check(&[notice(another, AFTER, 1)], &new, "US, which sent READY=1, is gone");
        check(&[notice(us(), AFTER, 1)], &old, "READY=1 from US of the old generation");
        let stranger = Sides::Masters { old: NOBODY, new: NOBODY };
        check(&[notice(us(), AFTER, 1)], &stranger, "READY=1 from US, which is not seen to be of the service");
    }

    #[test]
    fn a_master_that_stays_counts_when_it_says_so_anew() {
        let own = std::process::id();
        let stays = |image| Sides::Workers { master: own, old: [own].into(), image, since: Some(Duration::from_secs(15)) };
        check(&[notice(us(), AFTER, 1)], &stays(None), "ready: READY=1 from US");
        check(&[notice(us(), BEFORE, 1)], &stays(None), "READY=1 from US of the old generation");
        check(&[notice(us(), AFTER, 2)], &stays(Some(image(1))), "ready: READY=1 from US");
        check(&[notice(us(), AFTER, 1)], &stays(Some(image(1))), "READY=1 from US of the old generation");
    }

    #[test]
    fn of_many_the_last_are_remembered() {
        let mut senders = Senders::default();
        for pid in 0..500 {
            senders.note(notice(Process { pid, start_ticks: 1 }, AFTER, 1));
        }
        senders.note(notice(us(), AFTER, 1));
        assert_eq!(senders.notices.len(), SENDERS_MAX);
        let new = Sides::Masters { old: NOBODY, new: std::process::id() };
        assert!(matches!(senders.weigh(&new).answer, Answer::Ready(_)));
        let deaf = Senders::unless(Some("it cannot be bound".to_owned()));
        assert!(matches!(deaf.weigh(&new).answer, Answer::Elsewhere(told) if told == "it cannot be bound"));
    }
}
