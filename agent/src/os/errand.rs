//! A command of this host, run to its end or to its deadline.
//!
//! **Invariant:** it is the leader of a process group of its own, and at the deadline all of the group is killed.
//! **Invariant:** however much it says, it is never blocked by us, and only the end of it is kept.

use std::collections::VecDeque;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use baton_proto::span::Span;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};

use crate::config;

/// How much is kept of what it says last.
const OUTPUT_BYTES_MAX: usize = 4 << 10;
/// How much of that goes into a sentence: the last lines, which have the reason in most tools.
const TOLD_CHARS_MAX: usize = 240;
/// How long what it said last may take to arrive, once it has ended: whoever it started may have its output still.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(100);

/// Runs it. What it said last, in one line; or why it failed, with that.
///
/// # Errors
/// When it cannot be started, ends with another exit code than 0, or not in time.
pub async fn run(errand: &config::Errand, environment: &[(&str, String)]) -> Result<String, String> {
    let config::Errand { command, within } = errand;
    let mut prepared = Command::new(&command.program);
    prepared.args(&command.arguments).envs(environment.iter().map(|(name, value)| (*name, value)));
    prepared.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    prepared.process_group(0).kill_on_drop(true);
    let mut child = prepared.spawn().map_err(|error| format!("{} cannot be started: {error}", command.program))?;
    let group = Group(child.id());
    let deadline = Instant::now() + *within;
    let (mut said, mut complained) = (Tail::default(), Tail::default());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = {
        let mut listen = pin!(async { tokio::join!(said.hear(stdout), complained.hear(stderr)) });
        let mut wait = pin!(timeout_at(deadline, child.wait()));
        let mut is_silent = false;
        loop {
            tokio::select! {
                _ = &mut listen, if !is_silent => is_silent = true,
                ended = &mut wait => {
                    if !is_silent {
                        let _ = timeout_at(Instant::now() + LAST_WORDS_WITHIN, listen).await;
                    }
                    break ended;
                }
            }
        }
    };
    // Whoever it left behind is its own affair; at the deadline it is ours.
    let told = if complained.is_empty() { said.line() } else { complained.line() };
    match ended {
        Ok(Ok(status)) => {
            group.leave();
            if status.success() { Ok(or(said.line(), "done")) } else { Err(with(&how(status), &told)) }
        }
        Ok(Err(error)) => Err(format!("{} cannot be waited for: {error}", command.program)),
        Err(_) => Err(with(&format!("{} did not end within {}", command.program, Span(*within)), &told)),
    }
}

/// A process group that is killed when this is dropped.
struct Group(Option<u32>);

impl Group {
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its leader is not yet waited for, or was a moment ago: the number is its own.
        if let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    }
}

fn with(what: &str, told: &str) -> String {
    if told.is_empty() { what.to_owned() } else { format!("{what}: {told}") }
}

fn or(told: String, default: &str) -> String {
    if told.is_empty() { default.to_owned() } else { told }
}

/// The end of what is said.
#[derive(Debug, Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    async fn hear(&mut self, source: Option<impl AsyncRead + Unpin>) {
        let Some(mut source) = source else { return };
        let mut buffer = [0_u8; 1 << 10];
        while let Ok(length @ 1..) = source.read(&mut buffer).await {
            self.0.extend(&buffer[..length]);
            let surplus = self.0.len().saturating_sub(OUTPUT_BYTES_MAX);
            self.0.drain(..surplus);
        }
    }

    /// In one line, fit for a terminal.
    fn line(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let plain = |line: &str| line.trim().chars().filter(|c| !c.is_control()).collect::<String>();
        let mut left = TOLD_CHARS_MAX;
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines().rev().map(plain).filter(|line| !line.is_empty()) {
            let length = line.chars().count();
            if length > left && !lines.is_empty() {
                break;
            }
            lines.insert(0, line.chars().skip(length.saturating_sub(left)).collect());
            left = left.saturating_sub(length);
        }
        lines.join(" / ")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::run;
    use crate::config::{Command, Errand};

    fn shell(script: &str, within: Duration) -> Errand {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        Errand { command: Command { program: "/bin/sh".into(), arguments }, within }
    }

    async fn ran(script: &str) -> Result<String, String> {
        run(&shell(script, Duration::from_mins(1)), &[("BATON_SERVICE", "web".into())]).await
    }

    #[tokio::test]
    async fn what_it_says_is_told_in_one_line_and_so_is_how_it_failed() {
        assert_eq!(ran("true").await, Ok("done".into()));
        assert_eq!(ran("echo one; echo; echo for $BATON_SERVICE").await, Ok("one / for web".into()));
        assert_eq!(
            ran("echo so; echo 'line 3: no such thing' >&2; exit 3").await,
            Err("it ended with exit code 3: line 3: no such thing".into())
        );
        assert_eq!(ran("kill -9 $$").await, Err("it was ended by signal 9".into()));
        let nobody = Errand {
            command: Command { program: "/no/such/program".into(), arguments: Vec::new() },
            within: Duration::from_secs(1),
        };
        let told = run(&nobody, &[]).await.expect_err("it is not there");
        assert!(told.starts_with("/no/such/program cannot be started: "), "{told}");
    }

    #[tokio::test]
    async fn of_a_flood_only_the_end_is_kept_and_no_control_character() {
        let told = ran("head -c 1000000 /dev/zero | tr '\\0' x; printf 'the \\033[31mend'").await.expect("it ends well");
        assert!(told.len() <= 240 && told.ends_with("the [31mend"), "{told}");
    }

    #[tokio::test]
    async fn at_the_deadline_all_of_its_group_is_killed() {
        let directory = tempfile::tempdir().expect("a directory");
        let fifo = directory.path().join("alive");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
        // Whoever reads the fifo sees its end when the last of the group is gone.
        let script = format!("exec 3>{}; sleep 1000 & echo waiting; wait", fifo.display());
        let reader = tokio::task::spawn_blocking(move || std::fs::read(fifo));
        let told = run(&shell(&script, Duration::from_millis(300)), &[]).await;
        assert_eq!(told, Err("/bin/sh did not end within 300 ms: waiting".into()));
        assert_eq!(reader.await.expect("it reads").expect("a fifo"), Vec::<u8>::new());
    }

    #[tokio::test]
    async fn what_it_leaves_behind_keeps_nobody_waiting() {
        let told = tokio::time::timeout(Duration::from_secs(10), ran("sleep 20 & echo $!")).await.expect("it ends at once");
        let pid: i32 = told.expect("it ends well").parse().expect("a pid");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("it is left alone");
    }
}
