//! A prefork server on one address: real Unicorn, Gunicorn, Puma, HAProxy, nginx, uWSGI or php-fpm, or the patient.
//!
//! All serve the release that a file in their directory names, and fail as another file there says, as far as they can.

mod gunicorn;
mod haproxy;
mod kind;
mod nginx;
mod patient;
mod php_fpm;
mod puma;
mod unicorn;
mod uwsgi;

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub use kind::{Flaw, Kind, Release};

use crate::fault::Fault;
use crate::http::{self, Answer, Broken, Reply};
use crate::{address, binaries, sandbox, wait};

/// What the patient writes into its log at each USR2, whatever comes of it.
pub const HANDOVER_ASKED: &str = "USR2: asked to hand over";

const BOOT_WITHIN: Duration = Duration::from_secs(30);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Signals a process of a server.
///
/// # Panics
/// When it is gone.
pub fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).expect("a pid fits")), signal).expect("it lives");
}

/// The parent of a process that lives.
fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// A running server. It ends with the sandbox that its directory is in.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    directory: PathBuf,
    address: SocketAddr,
    /// Where the server itself listens, if something stands before it.
    backend: Option<SocketAddr>,
    launcher: Mutex<Option<Launcher>>,
}

/// The process that a server was started by: its first master, or what stands before it.
#[derive(Debug)]
struct Launcher {
    pid: u32,
    ended: mpsc::Receiver<io::Result<ExitStatus>>,
}

impl Server {
    /// Starts a server in `directory`, and waits until it serves `release`.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(kind: Kind, directory: &Path, address: Ipv4Addr, release: &Release) -> Self {
        Self::start_with(kind, directory, address, release, &[])
    }

    /// As [`Self::start`]; a patient does this wrong from its birth.
    ///
    /// # Panics
    /// When it does not come to serve.
    pub fn start_with(kind: Kind, directory: &Path, address: Ipv4Addr, release: &Release, faults: &[Fault]) -> Self {
        fs::create_dir_all(directory).expect("a directory in the sandbox can be made");
        let place = || address::with_free_port(address).expect("an address of our own has free ports");
        let (address, backend) = (place(), (kind.dialect() == "php-fpm").then(place));
        let server = Self { kind, directory: directory.to_owned(), address, backend, launcher: Mutex::new(None) };
        server.deploy(release);
        if !faults.is_empty() {
            server.set_faults(faults);
        }
        server.boot();
        server
    }

    /// Starts it again after [`Self::kill`].
    ///
    /// # Panics
    /// When it does not come to serve.
    pub fn boot(&self) {
        let mut command = self.command();
        self.prepare(&mut command).expect("the server's log can be opened");
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                panic!("{} is not installed; type `make setup`", command.get_program().display())
            }
            Err(error) => panic!("the server does not start: {error}"),
        };
        let (sender, ended) = mpsc::channel();
        *self.lock_launcher() = Some(Launcher { pid: child.id(), ended });
        // The first master must not stay a zombie when it hands over. Few care how it ended.
        thread::spawn(move || drop(sender.send(child.wait())));
        wait::until("the server to serve", BOOT_WITHIN, || self.is_serving());
        if self.kind.loads_in_workers() {
            wait::until("both workers to serve", BOOT_WITHIN, || self.is_served_by_two());
        }
    }

    /// While one worker is busy another one answers: none reads a release any more that is deployed later.
    fn is_served_by_two(&self) -> Result<(), String> {
        let (busy, other) = thread::scope(|scope| {
            let busy = scope.spawn(|| self.ask("/slow?ms=100"));
            let other = self.ask("/slow?ms=100");
            (busy.join().expect("it does not panic"), other)
        });
        match (busy, other) {
            (Ok(busy), Ok(other)) if busy.pid != other.pid => Ok(()),
            answers => Err(format!("{answers:?}")),
        }
    }

    fn lock_launcher(&self) -> MutexGuard<'_, Option<Launcher>> {
        self.launcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process that it was started by: its first master, or `hold`.
    ///
    /// # Panics
    /// When it was never started.
    pub fn launcher(&self) -> u32 {
        self.lock_launcher().as_ref().expect("it was started").pid
    }

    /// Waits until that process ends.
    ///
    /// # Panics
    /// When it does not end within the deadline.
    #[track_caller]
    pub fn launcher_ended(&self, within: Duration) -> ExitStatus {
        let ended = self.lock_launcher().as_ref().expect("it was started").ended.recv_timeout(within);
        ended.expect("what started the server ends").expect("it was not waited for before")
    }

    /// The server's own test of its configuration, and what it is run with.
    ///
    /// # Panics
    /// When it has none.
    pub fn check(&self) -> Vec<String> {
        let command = match self.kind {
            Kind::Haproxy => haproxy::check(self.address, &self.directory),
            Kind::Nginx | Kind::NginxUpgrade => nginx::check(&self.directory),
            Kind::Gunicorn | Kind::GunicornHup => gunicorn::check(self.address, &self.directory),
            Kind::PhpFpm | Kind::PhpFpmDaemon => php_fpm::check(self.backend.expect("it has a front"), &self.directory),
            other @ (Kind::Unicorn
            | Kind::UnicornLazy
            | Kind::UnicornDaemon
            | Kind::UnicornHeld
            | Kind::UnicornReleased { .. }
            | Kind::Puma
            | Kind::PumaPhased
            | Kind::PumaPlain { .. }
            | Kind::PumaNoting
            | Kind::Uwsgi
            | Kind::UwsgiUnsafe
            | Kind::Patient
            | Kind::PatientGeneric
            | Kind::PatientGrpc
            | Kind::PatientWrapped) => panic!("{other:?} has no test of its configuration"),
        };
        let set = command.get_envs().filter_map(|(name, value)| Some(format!("{}={}", name.display(), value?.display())));
        let words = [command.get_program()].into_iter().chain(command.get_args()).map(|word| word.display().to_string());
        let directory = self.directory.display().to_string();
        ["env".to_owned(), "-C".to_owned(), directory].into_iter().chain(set).chain(words).collect()
    }

    fn command(&self) -> Command {
        match self.kind {
            Kind::Unicorn => unicorn::command(self.address, &self.directory, true, false),
            Kind::UnicornLazy => unicorn::command(self.address, &self.directory, false, false),
            Kind::UnicornDaemon => unicorn::command(self.address, &self.directory, true, true),
            Kind::UnicornReleased { stale } => unicorn::released(self.address, &self.directory, &self.root(stale)),
            Kind::UnicornHeld => self.held(&unicorn::command(self.address, &self.directory, true, false)),
            Kind::Gunicorn | Kind::GunicornHup => gunicorn::command(self.address, &self.directory),
            Kind::PumaPhased => puma::phased(self.address, &self.directory),
            Kind::Puma => puma::deployed(self.address, &self.directory),
            Kind::PumaPlain { marked, helped } => puma::plain(self.address, &self.directory, marked, helped),
            Kind::PumaNoting => puma::noting(self.address, &self.directory),
            Kind::Haproxy => self.held(&haproxy::command(self.address, &self.directory)),
            Kind::Uwsgi => self.held(&uwsgi::command(self.address, &self.directory, true)),
            Kind::UwsgiUnsafe => self.held(&uwsgi::command(self.address, &self.directory, false)),
            Kind::Nginx => self.held(&nginx::command(self.address, &self.directory, false)),
            Kind::NginxUpgrade => self.held(&nginx::command(self.address, &self.directory, true)),
            Kind::PhpFpm | Kind::PhpFpmDaemon => {
                let backend = self.backend.expect("it has a front");
                let held = self.held(&php_fpm::command(backend, &self.directory, self.kind == Kind::PhpFpmDaemon));
                php_fpm::behind_a_front(&held, self.address, backend, &self.directory)
            }
            Kind::Patient | Kind::PatientGeneric => patient::command(self.address, &self.directory),
            Kind::PatientGrpc => patient::grpc(self.address, &self.directory),
            Kind::PatientWrapped => patient::wrapped(&patient::command(self.address, &self.directory), &self.lock()),
        }
    }

    /// The same by `hold`.
    fn held(&self, command: &Command) -> Command {
        let mut hold = Command::new(binaries::find("baton-agent"));
        hold.args(["hold", "--dialect", self.kind.dialect(), "--lock"]).arg(self.lock()).arg("--pidfile").arg(self.pidfile());
        hold.arg("--").arg(command.get_program()).args(command.get_args());
        hold.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        hold
    }

    fn prepare(&self, command: &mut Command) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path())?;
        command.current_dir(&self.directory).env("PWD", &self.directory).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(())
    }

    fn is_serving(&self) -> Result<(), String> {
        let master = self.master()?;
        if self.kind == Kind::PatientGrpc {
            return TcpStream::connect(self.address).map(drop).map_err(|error| error.to_string());
        }
        let answer = self.ask("/").map_err(|error| error.to_string())?;
        if answer.master == master { Ok(()) } else { Err(format!("the pid file names {master}, but {answer:?} answered")) }
    }

    /// Which server it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it serves HTTP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the agent's configuration says of when it is ready.
    pub fn ready(&self) -> String {
        match self.backend {
            Some(backend) => format!("tcp = \"{backend}\""),
            None => format!("http = \"http://{}/up\"", self.address),
        }
    }

    /// Its pid file, named alike for all kinds.
    pub fn pidfile(&self) -> PathBuf {
        self.directory.join("unicorn.pid")
    }

    /// Its lock file.
    pub fn lock(&self) -> PathBuf {
        self.directory.join("unicorn.pid.lock")
    }

    /// Where Unicorn listens, too, if there is a file `listens-on-socket` beside it when it starts.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("web.sock")
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file that its log is in.
    pub fn log_path(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// Its log so far.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).expect("a server that was started has a log")
    }

    /// How often a patient was signalled to hand over.
    ///
    /// # Panics
    /// When the server is not the patient, or its log cannot be read.
    pub fn handovers_asked(&self) -> usize {
        assert!(self.kind.is_patient(), "only the patient tells of each signal");
        self.log().matches(HANDOVER_ASKED).count()
    }

    /// The master that its pid file names.
    ///
    /// # Errors
    /// When it names none.
    pub fn master(&self) -> Result<u32, String> {
        let text = fs::read_to_string(self.pidfile()).map_err(|error| format!("no pid file: {error}"))?;
        text.trim().parse().map_err(|_| format!("the pid file says {text:?}"))
    }

    /// Puts a release in place; the next generation serves it.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn deploy(&self, release: &Release) {
        if let Kind::UnicornReleased { .. } = self.kind {
            return self.lay_down(release);
        }
        self.put("release", &release.name);
        match self.kind {
            Kind::Unicorn
            | Kind::UnicornLazy
            | Kind::UnicornDaemon
            | Kind::UnicornHeld
            | Kind::UnicornReleased { .. }
            | Kind::Gunicorn
            | Kind::GunicornHup
            | Kind::Puma
            | Kind::PumaPhased
            | Kind::PumaPlain { .. }
            | Kind::PumaNoting
            | Kind::Uwsgi
            | Kind::UwsgiUnsafe => {
                let is_of_puma = self.kind.dialect() == "puma";
                assert!(!is_of_puma || release.flaw != Some(Flaw::DiesAfterBoot), "{:?} is not known here", release.flaw);
                self.put("flaw", release.flaw.map_or("", unicorn::word));
            }
            // What boots is their configuration.
            Kind::Haproxy | Kind::Nginx | Kind::NginxUpgrade | Kind::PhpFpm | Kind::PhpFpmDaemon => {
                let known = [None, Some(Flaw::RaisesAtBoot), Some(Flaw::RefusedConfiguration)];
                assert!(known.contains(&release.flaw), "{:?} is not known here", release.flaw);
                let is_sound = release.flaw.is_none();
                self.put(haproxy::ANSWER, &haproxy::answer(&release.name, is_sound));
                self.put(nginx::ANSWER, &nginx::answer(&release.name, is_sound));
                self.put(php_fpm::RELEASE, &php_fpm::release(&release.name, is_sound));
            }
            Kind::Patient | Kind::PatientGeneric | Kind::PatientGrpc | Kind::PatientWrapped => {
                self.set_faults(&release.flaw.map(patient::fault).into_iter().collect::<Vec<_>>());
            }
        }
    }

    /// Puts a release beside the others; the first is the one in use.
    fn lay_down(&self, release: &Release) {
        let place = self.directory.join("releases").join(&release.name);
        fs::create_dir_all(&place).expect("a directory in the sandbox can be made");
        fs::write(place.join("release"), &release.name).expect("a file in the sandbox can be written");
        let flaw = release.flaw.map_or("", unicorn::word);
        fs::write(place.join("flaw"), flaw).expect("a file in the sandbox can be written");
        if fs::symlink_metadata(self.link()).is_err() {
            symlink(Path::new("releases").join(&release.name), self.link()).expect("a link in the sandbox can be made");
        }
    }

    /// The link to the release in use, where there are releases.
    pub fn link(&self) -> PathBuf {
        self.directory.join("current")
    }

    /// Where a server with releases is told to run.
    fn root(&self, stale: bool) -> PathBuf {
        if stale { fs::canonicalize(self.link()).expect("the link names a release") } else { self.link() }
    }

    /// Tells the patient what to do wrong from the next USR2 on.
    ///
    /// # Panics
    /// When the server is not the patient.
    pub fn set_faults(&self, faults: &[Fault]) {
        assert!(self.kind.is_patient(), "only the patient has faults");
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        self.put("faults", &lines.join("\n"));
    }

    /// Readers see the old text or the new one.
    fn put(&self, name: &str, text: &str) {
        let draft = self.directory.join(format!("{name}.draft"));
        let put = fs::write(&draft, text).and_then(|()| fs::rename(&draft, self.directory.join(name)));
        put.expect("a file in the sandbox can be written");
    }

    /// One request on a connection of its own.
    ///
    /// # Errors
    /// When no whole answer came.
    pub fn get(&self, path: &str) -> Result<Reply, Broken> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        http::exchange(&stream, path, false)
    }

    /// Who answers `path`.
    ///
    /// # Errors
    /// When nobody does, or not as our applications do.
    pub fn ask(&self, path: &str) -> Result<Answer, Broken> {
        let reply = self.get(path)?;
        let answer = Answer::read(&reply.body).ok_or(Broken::Malformed(reply.body))?;
        // A worker of a daemon that cannot say who its master is: that is its parent.
        let master = if answer.master == 0 { parent(answer.pid).unwrap_or_default() } else { answer.master };
        Ok(Answer { master, ..answer })
    }

    /// Signals the master that its pid file names.
    ///
    /// # Panics
    /// When there is none.
    pub fn signal(&self, signal: Signal) {
        self::signal(self.master().expect("there is a master"), signal);
    }

    /// Kills every process of it, `kill -9`.
    ///
    /// # Panics
    /// When something survives.
    pub fn kill(&self) {
        sandbox::sweep(&self.directory).expect("nothing survives SIGKILL");
    }
}
