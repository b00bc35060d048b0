//! A `hold` in a session of its own, as another user and with another environment: nothing of it depends on the agent any more.
//!
//! Between fork and exec the child leaves behind what is the agent's and no server's: its session, its signals, its shield against the
//! out-of-memory killer, its many descriptors, its user.
//!
//! **Invariant:** a user's groups are looked up before the fork: to read `/etc/group` between fork and exec is not safe.
//! **Invariant:** a child whose user, limits or directories are not what was asked for does not run.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{AccessFlags, Gid, Group, Uid, User, access, geteuid, getgrouplist, setgid, setgroups, setsid, setuid};
use rustix::fs::{CWD, Mode as FileMode, OFlags, ResolveFlags, openat2};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::child;
use crate::config::start::{Bound, Limit};

/// Our own program, even where its file has been replaced since.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Where programs are sought if the configuration does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The usual soft limit of descriptors, which the agent has raised for itself (`systemd.exec(5)`, `LimitNOFILE=`).
const DESCRIPTORS_SOFT: u64 = 1_024;
/// Where a process says how much the out-of-memory killer spares it (`proc_pid_oom_score_adj(5)`).
const SPARED: &CStr = c"/proc/self/oom_score_adj";

/// Why no child could be started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The configured user or group is not there.
    #[error("there is no {what} {name:?} on this host")]
    Nobody {
        /// A user, or a group.
        what: &'static str,
        /// Its name or number.
        name: String,
    },
    /// The users of this host cannot be looked up.
    #[error("the {what} {name:?} cannot be looked up")]
    Lookup {
        /// A user, or a group.
        what: &'static str,
        /// Its name or number.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Only root can become somebody else.
    #[error("the agent runs as uid {own} and cannot start it as {user}: that takes an agent of root")]
    NotRoot {
        /// The agent's user.
        own: u32,
        /// The configured one.
        user: String,
    },
    /// What the server says cannot be kept.
    #[error("its output {} cannot be opened", .path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory in which the server makes files.
    #[error("{user} may not write in {}, or it is not there: the pid file and the lock are made there", listed(.directories))]
    ReadOnly {
        /// The server's user.
        user: String,
        /// The directories that the files are in.
        directories: Vec<PathBuf>,
    },
    /// A configured limit is above that of the agent, and the agent may not raise it.
    #[error("the limits of the configuration cannot be had: those of the agent are lower, and it may not raise them")]
    Limits,
    /// The child could not be had.
    #[error("no process can be had for it")]
    Spawn(#[source] io::Error),
}

fn listed(directories: &[PathBuf]) -> String {
    let names: Vec<String> = directories.iter().map(|path| path.display().to_string()).collect();
    names.join(" or ")
}

impl NotStarted {
    /// Whether only a change of the configuration or of the host's users helps.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Nobody { .. } | Self::NotRoot { .. } | Self::Limits => true,
            Self::Lookup { .. } | Self::Output { .. } | Self::ReadOnly { .. } | Self::Spawn(_) => false,
        }
    }
}

/// As whom a child runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    uid: Uid,
    gid: Gid,
    /// All its groups; absent where they stay the agent's own.
    groups: Option<Vec<Gid>>,
    name: String,
    home: PathBuf,
}

impl Identity {
    /// Looks up a user and a group, by name or number; the agent's own where none is given.
    ///
    /// # Errors
    /// When they are not there, or only root could become them.
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Self, NotStarted> {
        let own = geteuid();
        let found = match user {
            Some(name) => find_user(name)?,
            None => by_number("user", own.as_raw(), User::from_uid(own))?,
        };
        let gid = match group {
            Some(name) => find_group(name)?,
            None => found.gid,
        };
        let is_changed = user.is_some() || group.is_some();
        let is_own = found.uid == own && gid == nix::unistd::getegid();
        if is_changed && !is_own && !own.is_root() {
            let user = group.map_or_else(|| found.name.clone(), |group| format!("{}:{group}", found.name));
            return Err(NotStarted::NotRoot { own: own.as_raw(), user });
        }
        let groups = (is_changed && own.is_root()).then(|| groups(&found.name, gid)).transpose()?;
        Ok(Self { uid: found.uid, gid, groups, name: found.name, home: found.dir })
    }

    /// Has a command run as this user, with nothing of our environment.
    #[expect(unsafe_code, reason = "only between fork and exec can a child become somebody else")]
    pub fn assume(&self, command: &mut Command) {
        command.env_clear().envs(self.environment());
        let Self { uid, gid, groups, .. } = self.clone();
        let become_it = move || -> io::Result<()> {
            if let Some(groups) = &groups {
                setgroups(groups)?;
                setgid(gid)?;
                setuid(uid)?;
            }
            Ok(())
        };
        // SAFETY: as in `start`.
        unsafe { command.pre_exec(become_it) };
    }

    /// The variables that tell a program who it is, and where programs are.
    fn environment(&self) -> [(OsString, OsString); 4] {
        let pair = |name: &str, value: &OsStr| (OsString::from(name), value.to_owned());
        [
            pair("PATH", PATH.as_ref()),
            pair("HOME", self.home.as_os_str()),
            pair("USER", self.name.as_ref()),
            pair("LOGNAME", self.name.as_ref()),
        ]
    }
}

fn find_user(name: &str) -> Result<User, NotStarted> {
    let found = match name.parse() {
        Ok(number) => return by_number("user", number, User::from_uid(Uid::from_raw(number))),
        Err(_) => User::from_name(name),
    };
    looked_up("user", name, found)
}

fn find_group(name: &str) -> Result<Gid, NotStarted> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    looked_up("group", name, Group::from_name(name)).map(|group| group.gid)
}

fn by_number(what: &'static str, number: u32, found: Result<Option<User>, Errno>) -> Result<User, NotStarted> {
    looked_up(what, &number.to_string(), found)
}

fn looked_up<T>(what: &'static str, name: &str, found: Result<Option<T>, Errno>) -> Result<T, NotStarted> {
    let name = name.to_owned();
    match found {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(NotStarted::Nobody { what, name }),
        Err(error) => Err(NotStarted::Lookup { what, name, source: error.into() }),
    }
}

fn groups(user: &str, gid: Gid) -> Result<Vec<Gid>, NotStarted> {
    let failed = |source| NotStarted::Lookup { what: "groups of the user", name: user.to_owned(), source };
    let name = CString::new(user).map_err(|error| failed(error.into()))?;
    getgrouplist(&name, gid).map_err(|error| failed(error.into()))
}

/// What a child is given.
#[derive(Debug)]
pub struct Session<'a> {
    /// What our own program is told to do.
    pub arguments: Vec<OsString>,
    /// As whom.
    pub identity: &'a Identity,
    /// The variables that are its own.
    pub environment: Vec<(String, String)>,
    /// Its limits, where they are not ours.
    pub limits: Vec<(Limit, Bound)>,
    /// The mode that its new files do not get.
    pub umask: u32,
    /// Where what it says is appended; with ours where it is left out.
    pub output: Option<&'a Path>,
    /// The directories that it must be able to write in.
    pub writable: Vec<PathBuf>,
}

/// Starts our own program in a session of its own. Signals that would end it wait until it is ready for them.
///
/// # Errors
/// When it cannot be started as it is meant.
#[expect(unsafe_code, reason = "only between fork and exec can a child become somebody else")]
pub fn start(session: &Session<'_>) -> Result<Child, NotStarted> {
    let mut command = Command::new(OWN_PROGRAM);
    command.arg0("baton-agent").args(&session.arguments).stdin(Stdio::null());
    command.env_clear().envs(session.identity.environment()).envs(session.environment.iter().map(|(name, value)| (name, value)));
    if let Some(path) = session.output {
        let opened = output(path).and_then(|file| Ok((file.try_clone()?, file)));
        let (out, errors) = opened.map_err(|source| NotStarted::Output { path: path.to_owned(), source })?;
        command.stdout(out).stderr(errors);
    }
    let limits: Vec<(Resource, Rlimit)> = limits(&session.limits);
    // Neither has a zero byte in it: they came out of a configuration.
    let writable: Vec<CString> =
        session.writable.iter().filter_map(|path| CString::new(path.as_os_str().as_bytes()).ok()).collect();
    let mask = Mode::from_bits_truncate(session.umask);
    let Identity { uid, gid, groups, .. } = session.identity.clone();
    let is_spared = fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|score| score.starts_with('-'));
    let prepare = move || -> io::Result<()> {
        setsid()?;
        child::listen_to_all()?;
        // Until it reads them by itself they would end it.
        let held_back: SigSet = [Signal::SIGPWR, Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT].into_iter().collect();
        held_back.thread_block()?;
        umask(mask);
        if is_spared {
            // What is not had is no reason not to serve.
            let _ = spare_no_more();
        }
        for (resource, limit) in &limits {
            // A number that no child of ours says otherwise.
            setrlimit(*resource, *limit).map_err(|_| Errno::EDOM)?;
        }
        if let Some(groups) = &groups {
            setgroups(groups)?;
            setgid(gid)?;
            setuid(uid)?;
        }
        for directory in &writable {
            access(directory.as_c_str(), AccessFlags::W_OK | AccessFlags::X_OK).map_err(|_| Errno::EROFS)?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only calls are made that enter the kernel and allocate nothing (signal-safety(7)): all that they are
    // given was made before. `setgroups`, `setgid` and `setuid` tell other threads of the process, and the child has none.
    unsafe { command.pre_exec(prepare) };
    command.spawn().map_err(|source| match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EDOM) => NotStarted::Limits,
        Some(Errno::EROFS) => {
            let mut directories = session.writable.clone();
            directories.dedup();
            NotStarted::ReadOnly { user: format!("the user {}", session.identity.name), directories }
        }
        Some(_) | None => NotStarted::Spawn(source),
    })
}

/// Appends to a file, which is made if it is not there. We may be root, and it may lie where the service's user writes: no link on the way
/// to it is followed (`openat2(2)`, Linux 5.6), and a fifo hangs nobody.
fn output(path: &Path) -> io::Result<File> {
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mode = FileMode::from_raw_mode(0o640);
    match openat2(CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS) {
        Err(rustix::io::Errno::NOSYS) => Ok(rustix::fs::open(path, flags, mode)?.into()),
        Err(rustix::io::Errno::LOOP) => {
            Err(io::Error::other("there is a symbolic link on the way to it: write the path without"))
        }
        opened => Ok(opened?.into()),
    }
}

/// The limits as the kernel wants them. That of descriptors is the usual one if it is not given.
fn limits(given: &[(Limit, Bound)]) -> Vec<(Resource, Rlimit)> {
    let mut limits: Vec<(Resource, Rlimit)> = given.iter().map(|(limit, bound)| (resource(*limit), limited(*bound))).collect();
    if !given.iter().any(|(limit, _)| *limit == Limit::Files) {
        let own = getrlimit(Resource::Nofile);
        let soft = own.maximum.map_or(DESCRIPTORS_SOFT, |maximum| maximum.min(DESCRIPTORS_SOFT));
        limits.push((Resource::Nofile, Rlimit { current: Some(soft), ..own }));
    }
    limits
}

fn limited(bound: Bound) -> Rlimit {
    let number = match bound {
        Bound::At(number) => Some(number),
        Bound::Unlimited => None,
    };
    Rlimit { current: number, maximum: number }
}

fn resource(limit: Limit) -> Resource {
    match limit {
        Limit::AddressSpace => Resource::As,
        Limit::Core => Resource::Core,
        Limit::Cpu => Resource::Cpu,
        Limit::Data => Resource::Data,
        Limit::FileSize => Resource::Fsize,
        Limit::LockedMemory => Resource::Memlock,
        Limit::Files => Resource::Nofile,
        Limit::Processes => Resource::Nproc,
        Limit::Stack => Resource::Stack,
    }
}

/// The witness is to outlive what it watches, not the other way round.
fn spare_no_more() -> Result<(), rustix::io::Errno> {
    let file = rustix::fs::open(SPARED, OFlags::WRONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    rustix::io::write(&file, b"0").map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::output;

    #[test]
    fn what_a_server_says_is_appended_and_never_through_a_link() {
        let root = tempfile::tempdir().expect("a directory");
        // The place for such directories may itself be reached by a link.
        let place = fs::canonicalize(root.path()).expect("it is there");
        let (real, link) = (place.join("real"), place.join("link"));
        fs::create_dir(&real).and_then(|()| symlink(&real, &link)).expect("a directory and a link");
        for line in ["one\n", "two\n"] {
            output(&real.join("web.log")).expect("it is made").write_all(line.as_bytes()).expect("written");
        }
        assert_eq!(fs::read_to_string(real.join("web.log")).expect("it is there"), "one\ntwo\n");
        symlink(real.join("web.log"), real.join("other.log")).expect("a link");
        for path in [link.join("web.log"), real.join("other.log")] {
            let refused = output(&path).expect_err("it goes through a link");
            assert_eq!(refused.to_string(), "there is a symbolic link on the way to it: write the path without");
        }
    }
}
