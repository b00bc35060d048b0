//! A program that is run to its end: with a deadline, and with the end of what it said.
//!
//! **Invariant:** nothing of it outlives the answer by design: it is started in a process group of its own, which is killed when it has
//! ended, when its time is over, and when nobody waits for the answer any more. When the agent is killed, it is, too.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use baton_proto::span::Span;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, set_parent_process_death_signal};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::readable::Readable;
use super::session::Identity;
use crate::failure::chain;

/// How much later than told in time it may be told that it was late.
const BEGINNING_GRACE: Duration = Duration::from_secs(1);
/// What is kept of what it says: the end.
const KEPT_BYTES_MAX: usize = 4 << 10;
/// What is read at once.
const READ_BYTES: usize = 4 << 10;
/// How much of what is still in the pipe when it has ended is read.
const REST_READS_MAX: usize = 16;
/// How much of its last lines is told: the last line often sums up what those before it say.
const LINES_CHARS_MAX: usize = 600;
/// How much of its last line alone is told.
const LINE_CHARS_MAX: usize = 200;

/// What is meant for this process, and would be taken for its child's.
const OURS: [&str; 5] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS"];

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It did not end in time and was killed.
    Late,
    /// It has ended, and somebody else in this process was told how.
    Unknown,
}

/// What came of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub how: How,
    /// The last lines that it said, each fit for a terminal.
    lines: Vec<String>,
}

impl Ended {
    /// Whether it ended with 0, and what is to be told of how it ended; `name` is what it is called.
    pub fn told(&self, name: &str, within: Duration) -> (bool, String) {
        let told = match self.how {
            How::Code(code) => format!("{name} ended with {code}"),
            How::Signal(number) => format!("{name} was ended by signal {number}"),
            How::Late => format!("{name} did not end within {} and was killed", Span(within)),
            How::Unknown => format!("{name} has ended, and how is not known"),
        };
        (self.how == How::Code(0), told)
    }

    /// The last line, the beginning of it; empty when it said nothing.
    pub fn last_line(&self) -> String {
        self.lines.last().map(|line| line.chars().take(LINE_CHARS_MAX).collect()).unwrap_or_default()
    }

    /// As many of the last lines as fit into a sentence.
    pub fn last_lines(&self) -> String {
        let mut left = LINES_CHARS_MAX;
        let fits = |line: &&String| {
            let length = line.chars().count();
            let fits = length <= left;
            left = left.saturating_sub(length);
            fits
        };
        let mut lines: Vec<&str> = self.lines.iter().rev().take_while(fits).map(String::as_str).collect();
        lines.reverse();
        if lines.is_empty() { self.last_line() } else { lines.join(" / ") }
    }
}

/// As whom a program is run, and where.
#[derive(Debug, Clone)]
pub struct Manner {
    /// The user, by name or number; our own where none is given.
    pub user: Option<String>,
    /// The group, likewise.
    pub group: Option<String>,
    /// The variables that are its own.
    pub environment: BTreeMap<String, String>,
    /// Its directory, as it is written.
    pub directory: PathBuf,
}

/// Runs a program with its arguments, and these variables beside our own; in another manner, if one is given. It is begun on a thread of its
/// own: to look up a user, to enter a directory and to read a program may take a server's time, and hang.
///
/// # Errors
/// When it cannot be started, or is not even begun in time.
pub async fn run(
    words: &[String],
    manner: Option<&Manner>,
    variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    within: Duration,
) -> io::Result<Ended> {
    let deadline = Instant::now() + within;
    let (reader, writer) = io::pipe()?;
    let output = Receiver::from_file(File::from(OwnedFd::from(reader)))?;
    let (words, manner) = (words.to_vec(), manner.cloned());
    let variables: Vec<(OsString, OsString)> =
        variables.into_iter().map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_owned())).collect();
    let ((tell, told), (begun, child)) = (oneshot::channel(), oneshot::channel());
    let (over, ended) = sync_channel::<()>(1);
    let stay = move || {
        // It is awaited until the runtime ends, and then nobody has to be told.
        let _nobody_waits = begun.send(begin(&words, manner.as_ref(), variables, writer));
        // The kernel kills the program when this thread ends.
        let _over = ended.recv();
    };
    thread::Builder::new().name("program".to_owned()).spawn(stay)?;
    tokio::spawn(async move {
        match child.await.map_err(io::Error::other).flatten() {
            Ok(child) => attend(child, output, deadline, tell).await,
            Err(error) => drop(tell.send(Err(error))),
        }
        drop(over);
    });
    // One that hangs before its beginning is attended, and ended, as soon as it has begun.
    match timeout_at(deadline + BEGINNING_GRACE, told).await {
        Ok(told) => told.map_err(io::Error::other)?,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("it was not even begun within {}", Span(within)))),
    }
}

/// Begins to run it; what it says goes into the pipe.
fn begin(
    words: &[String],
    manner: Option<&Manner>,
    variables: Vec<(OsString, OsString)>,
    writer: io::PipeWriter,
) -> io::Result<Child> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    if let Some(Manner { user, group, environment, directory }) = manner {
        let identity = Identity::find(user.as_deref(), group.as_deref());
        identity.map_err(|error| io::Error::other(chain(&error)))?.assume(&mut command);
        command.envs(environment).current_dir(directory).env("PWD", directory);
    } else {
        for variable in OURS {
            command.env_remove(variable);
        }
        command.current_dir("/");
    }
    command.envs(variables);
    die_with_us(&mut command);
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    // The other end of the pipe, which the command has, too, goes with it.
    command.spawn()
}

/// Has the kernel kill it when this thread ends (`prctl(2)`), which stays for as long as it runs. Whoever changes the user takes that back,
/// so it is the last thing before the exec.
#[expect(unsafe_code, reason = "only a process itself can ask for this")]
fn die_with_us(command: &mut Command) {
    // SAFETY: between fork and exec it makes one call that enters the kernel and allocates nothing.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
}

/// Stays with it to its end, whether anybody waits for that or not.
async fn attend(mut child: Child, output: Receiver, deadline: Instant, mut tell: oneshot::Sender<io::Result<Ended>>) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // Also when the runtime ends before it does.
    let mut running = Group(group);
    // Nobody has waited for it yet: its pid is its own.
    let opened = group.ok_or(io::ErrorKind::InvalidInput.into()).and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
    let exit = opened.and_then(|pidfd: OwnedFd| Readable::of(pidfd.as_fd()));
    let mut said = Said { output, kept: Vec::new(), has_ended: false };
    let has_exited = loop {
        tokio::select! {
            biased;
            () = exited(exit.as_ref()) => break true,
            () = tell.closed() => break false,
            () = sleep_until(deadline) => break false,
            () = said.read() => {}
        }
    };
    running.kill();
    said.read_the_rest();
    let lines = said.lines();
    if !has_exited {
        let _nobody_waits = tell.send(Ok(Ended { how: How::Late, lines }));
        exited(exit.as_ref()).await;
        let _buried = child.wait();
        return;
    }
    let how = match child.wait() {
        Ok(status) => status.code().map(How::Code).or(status.signal().map(How::Signal)).unwrap_or(How::Unknown),
        Err(_) => How::Unknown,
    };
    let _nobody_waits = tell.send(Ok(Ended { how, lines }));
}

/// The group of a program that nobody has waited for yet: so long its number is no other's.
struct Group(Option<Pid>);

impl Group {
    /// Kills all of it, once.
    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            let _all_gone = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns when the process has exited; at once where that cannot be waited for.
async fn exited(exit: Result<&Readable, &io::Error>) {
    if let Ok(exit) = exit {
        // It fails only when the runtime ends.
        let _ = exit.ready().await;
    }
}

/// What a program says.
struct Said {
    output: Receiver,
    kept: Vec<u8>,
    has_ended: bool,
}

impl Said {
    /// Reads a piece when there is one; never returns when nothing will come any more.
    async fn read(&mut self) {
        if self.has_ended {
            std::future::pending::<()>().await;
        }
        if self.output.readable().await.is_err() {
            self.has_ended = true;
        } else {
            self.take();
        }
        // One that never stops talking is not all that there is to do.
        tokio::task::yield_now().await;
    }

    fn read_the_rest(&mut self) {
        for _ in 0..REST_READS_MAX {
            if self.has_ended || !self.take() {
                return;
            }
        }
    }

    /// Takes a piece; whether there was one.
    fn take(&mut self) -> bool {
        let mut piece = [0; READ_BYTES];
        match self.output.try_read(&mut piece) {
            Ok(0) => self.has_ended = true,
            Ok(length) => {
                self.kept.extend(&piece[..length]);
                let surplus = self.kept.len().saturating_sub(KEPT_BYTES_MAX);
                self.kept.drain(..surplus);
                return true;
            }
            Err(error) => self.has_ended = error.kind() != io::ErrorKind::WouldBlock,
        }
        false
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.kept);
        let plain = |line: &str| line.trim().chars().filter(|letter| !letter.is_control()).collect::<String>();
        text.lines().map(plain).filter(|line| !line.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{Ended, How, KEPT_BYTES_MAX, run};
    use crate::os::clock;

    const LONG: Duration = Duration::from_secs(20);

    async fn shell(script: &str, within: Duration) -> Ended {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&words, None, [("BATON_TEST", "a value")], within).await.expect("a shell is there")
    }

    /// How it ended, and its last line.
    fn told(ended: &Ended) -> (How, String) {
        (ended.how, ended.last_line())
    }

    fn ended(how: How, last_line: &str) -> (How, String) {
        (how, last_line.to_owned())
    }

    #[tokio::test]
    async fn of_its_last_lines_as_many_are_told_as_fit_into_a_sentence() {
        let ended = shell("for n in $(seq 100); do echo $n: unknown entry; done; exit 78", LONG).await;
        assert_eq!(ended.told("php-fpm", LONG), (false, "php-fpm ended with 78".to_owned()));
        let lines = ended.last_lines();
        assert!(lines.ends_with("99: unknown entry / 100: unknown entry"), "{lines}");
        assert!((500..800).contains(&lines.len()), "{lines}");
        assert_eq!(shell("true", LONG).await.last_lines(), "");
    }

    #[tokio::test]
    async fn how_it_ended_and_its_last_line_are_told() {
        assert_eq!(told(&shell("echo first; echo $BATON_TEST; echo; exit 3", LONG).await), ended(How::Code(3), "a value"));
        assert_eq!(told(&shell("echo wrong >&2", LONG).await), ended(How::Code(0), "wrong"));
        assert_eq!(told(&shell("kill -9 $$", LONG).await), ended(How::Signal(9), ""));
        assert_eq!(told(&shell("printf 'a\\033[31mb'", LONG).await), ended(How::Code(0), "a[31mb"));
    }

    #[tokio::test]
    async fn one_that_says_much_is_read_and_its_end_is_kept() {
        let script = format!("head -c {} /dev/zero | tr '\\0' x; echo; echo last", KEPT_BYTES_MAX * 50);
        assert_eq!(told(&shell(&script, LONG).await), ended(How::Code(0), "last"));
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed_with_all_that_it_has_started() {
        let folder = tempfile::tempdir().expect("a directory");
        let fifo = folder.path().join("fifo");
        // The child of the shell has the fifo open for writing, and so keeps whoever reads it from its end.
        let script = format!("mkfifo {fifo}; sleep 1000 > {fifo} & echo begun; wait", fifo = fifo.display());
        let reading = tokio::task::spawn_blocking(move || read_to_the_end(&fifo));
        assert_eq!(told(&shell(&script, Duration::from_millis(500)).await), ended(How::Late, "begun"));
        reading.await.expect("the fifo ends with its last writer");
    }

    /// Returns when every writer is gone.
    fn read_to_the_end(fifo: &Path) {
        while std::fs::read(fifo).is_err() {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn one_whose_answer_nobody_waits_for_is_killed() {
        let folder = tempfile::tempdir().expect("a directory");
        let fifo = folder.path().join("fifo");
        let script = format!("mkfifo {fifo}; exec sleep 1000 > {fifo}", fifo = fifo.display());
        let waiting = tokio::spawn(async move { shell(&script, LONG * 10).await });
        let path = fifo.clone();
        let begun = tokio::task::spawn_blocking(move || {
            while !path.exists() {
                std::thread::yield_now();
            }
            std::fs::File::open(path).expect("it has begun to write")
        });
        let mut reader = begun.await.expect("it has begun");
        waiting.abort();
        let read = tokio::task::spawn_blocking(move || std::io::Read::read(&mut reader, &mut [0]));
        assert_eq!(read.await.expect("a thread").expect("read"), 0, "its end");
    }

    /// The kernel ends it with the thread that has begun it.
    #[test]
    fn one_that_takes_long_outlives_every_idle_thread() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().thread_keep_alive(Duration::from_millis(1)).build().expect("a runtime");
        let took_long = runtime.block_on(shell("sleep 1; echo done", LONG));
        assert_eq!(told(&took_long), ended(How::Code(0), "done"));
    }

    #[test]
    fn one_that_runs_when_the_agent_stops_is_killed() {
        let folder = tempfile::tempdir().expect("a directory");
        let fifo = folder.path().join("fifo");
        let script = format!("mkfifo {fifo}; exec sleep 1000 > {fifo}", fifo = fifo.display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut reader = runtime.block_on(async {
            tokio::spawn(async move { shell(&script, LONG * 10).await });
            let path = fifo.clone();
            let begun = tokio::task::spawn_blocking(move || {
                while !path.exists() {
                    std::thread::yield_now();
                }
                std::fs::File::open(path).expect("it has begun to write")
            });
            begun.await.expect("it has begun")
        });
        runtime.shutdown_timeout(LONG);
        let read = std::thread::spawn(move || std::io::Read::read(&mut reader, &mut [0]));
        assert_eq!(read.join().expect("a thread").expect("read"), 0, "its end");
    }

    /// Opening a file that somebody else has leased waits for that one (`fcntl(2)`, F_SETLEASE), like a file server that does not answer.
    #[tokio::test]
    async fn one_that_hangs_before_it_begins_keeps_nobody() {
        let folder = tempfile::tempdir().expect("a directory");
        let program = folder.path().join("check");
        std::fs::copy("/bin/true", &program).expect("a program");
        let lease = "import fcntl, signal, sys, time\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\n\
                     file = open(sys.argv[1], 'r+b')\nfcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
                     print('leased', flush=True)\ntime.sleep(1000)";
        let mut lessee = std::process::Command::new("python3");
        let mut lessee = lessee.args(["-c", lease]).arg(&program).stdout(std::process::Stdio::piped()).spawn().expect("python3");
        let mut said = [0; 6];
        std::io::Read::read_exact(lessee.stdout.as_mut().expect("it is piped"), &mut said).expect("a lease");
        let within = Duration::from_millis(200);
        let began = clock::since_boot();
        let words = [program.display().to_string()];
        let (ran, others) = tokio::join!(run(&words, None, [("A", "b")], within), async {
            tokio::time::sleep(within).await;
            clock::since_boot().saturating_sub(began)
        });
        let took = clock::since_boot().saturating_sub(began);
        lessee.kill().and_then(|()| lessee.wait()).expect("it is ended");
        assert_eq!(ran.expect_err("it was not begun").to_string(), "it was not even begun within 200 ms");
        assert!(others < Duration::from_secs(5) && took < Duration::from_secs(10), "{others:?}, {took:?}");
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_an_error() {
        assert!(run(&["/nonexistent/check".to_owned()], None, [("A", "b")], LONG).await.is_err());
    }
}
