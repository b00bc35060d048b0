//! One living process, read under one freshly opened directory of /proc.
//!
//! Where the leader thread has exited and others go on, the process lives, holds its files and its memory, and shows neither
//! under its own name (`proc(5)`): it is then read through one of its living threads.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use baton_proto::custody::{FileIdentity, Image, Lock, Process};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags, open, openat, statx};
use rustix::io::{Errno, pread, read};

use super::Unseen;
use crate::os::lock;
use crate::procfs;

/// More than any file of /proc that we read; a longer one is refused.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// More than most files of /proc have.
const FIRST_READ_BYTES: usize = 1_024;
/// The kernel breaks what it says between records, such as the pids of children, and never for want of less than this.
const LINE_BYTES: usize = 256;
/// Threads of a process whose leader is gone that are looked at for one that lives.
const THREADS_MAX: usize = 256;

/// A process that lives, or did when it was opened. Its directory names it and no later process with the same pid.
pub(in crate::os) struct Living {
    pid: u32,
    directory: OwnedFd,
    /// What leads from the directory to the files of the thread that is read: nothing where the leader lives.
    way: String,
    /// What the leader's stat said: its start is that of the process.
    leader: procfs::Stat,
    /// What the stat of the thread that is read said.
    stat: procfs::Stat,
    command: String,
}

impl Living {
    /// Opens the process with this pid.
    pub(in crate::os) fn open(pid: u32) -> Result<Self, Unseen> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            open(format!("/proc/{pid}"), flags, Mode::empty()).map_err(|error| unseen(pid, "the directory", error))?;
        let text = text(pid, &directory, "stat", "stat")?;
        let leader = procfs::stat(&text).ok_or_else(|| malformed(pid, "stat"))?;
        let command = procfs::command(&text).unwrap_or_default().to_owned();
        let (way, stat) =
            if leader.is_corpse() { thread(pid, &directory).ok_or(Unseen::Corpse(pid))? } else { (String::new(), leader) };
        Ok(Self { pid, directory, way, leader, stat, command })
    }

    /// Which process it is.
    pub(in crate::os) fn process(&self) -> Process {
        Process { pid: self.pid, start_ticks: self.leader.start_ticks }
    }

    /// What the leader's stat said when the process was opened.
    pub(in crate::os) fn leader(&self) -> procfs::Stat {
        self.leader
    }

    /// What the stat of the thread that is read said when the process was opened.
    pub(in crate::os) fn opened(&self) -> procfs::Stat {
        self.stat
    }

    /// The name of the command that it runs.
    pub(in crate::os) fn command(&self) -> &str {
        &self.command
    }

    /// The stat of the thread that is read, as it is now.
    pub(in crate::os) fn stat(&self) -> Result<procfs::Stat, Unseen> {
        procfs::stat(&self.text("stat", "stat")?).ok_or_else(|| malformed(self.pid, "stat"))
    }

    /// Whether it is dumping core: a corpse, then, that looks alive.
    pub(in crate::os) fn is_dumping_core(&self) -> Result<bool, Unseen> {
        Ok(procfs::is_dumping_core(&self.status()?))
    }

    /// Its status, as text.
    pub(in crate::os) fn status(&self) -> Result<String, Unseen> {
        self.text("status", "status")
    }

    /// The fingerprint of the image that runs now. In the middle of exec and of exit there is none: the memory that was there a
    /// moment ago is not.
    pub(in crate::os) fn image(&self, stat: procfs::Stat) -> Result<Image, Unseen> {
        let address = procfs::random_address(&self.bytes("auxv", "auxv")?).ok_or(Unseen::Changed(self.pid))?;
        let memory = self.open_file("mem", "mem")?;
        let mut random = [0_u8; 16];
        match pread(&memory, &mut random[..], address) {
            Ok(read) if read == random.len() => Ok(Image { start_stack: stat.start_stack, random }),
            Ok(_) | Err(Errno::IO) => Err(Unseen::Changed(self.pid)),
            Err(error) => Err(self.unseen("mem", error)),
        }
    }

    /// The file that it executes; none where that may not be known.
    pub(in crate::os) fn program(&self) -> Option<FileIdentity> {
        let found = statx(&self.directory, format!("{}exe", self.way), AtFlags::STATX_DONT_SYNC, lock::IDENTIFYING);
        found.ok().map(|found| lock::identified(&found))
    }

    /// The children of all its threads.
    pub(in crate::os) fn children(&self) -> Vec<u32> {
        // Most processes have one thread, which need not be searched for.
        let threads = if self.leader.threads == 1 { vec![self.pid] } else { threads(&self.directory) };
        let texts = threads
            .into_iter()
            .filter_map(|thread| text(self.pid, &self.directory, &format!("task/{thread}/children"), "children").ok());
        texts.flat_map(|text| procfs::children(&text)).collect()
    }

    /// The shared lock that it has on one of these files, and the descriptor by which: of several on one file a marked one,
    /// else that of the lowest descriptor.
    pub(in crate::os) fn locks(&self, files: &[FileIdentity]) -> Result<Vec<(u32, Lock)>, Unseen> {
        let descriptors = self.descriptors()?;
        let mut found: Vec<(u32, Lock)> = Vec::new();
        for number in numbers(&descriptors).map_err(|error| self.unseen("fd", error))? {
            // A descriptor may be closed between the listing and the look.
            let Some(file) = identity(&descriptors, number).filter(|file| files.contains(file)) else { continue };
            let Some(lock) = self.descriptor(number).and_then(|seen| seen.lock(file)) else { continue };
            match found.iter_mut().find(|(_, other)| other.file == file) {
                Some(known) if !known.1.is_marked() && lock.is_marked() => *known = (number, lock),
                Some(_) => {}
                None => found.push((number, lock)),
            }
        }
        Ok(found)
    }

    /// The shared lock that it has on this file.
    pub(in crate::os) fn lock(&self, file: FileIdentity) -> Result<Option<Lock>, Unseen> {
        Ok(self.locks(&[file])?.pop().map(|(_, lock)| lock))
    }

    /// The shared lock that it has on this file by this descriptor.
    pub(in crate::os) fn lock_at(&self, descriptor: u32, file: FileIdentity) -> Option<Lock> {
        let seen = self.descriptor(descriptor)?;
        // It was looked at before: that the number of the inode is still the same says enough.
        let is_same = seen.inode.map_or_else(|| self.is_of(descriptor, file), |inode| inode == file.inode);
        seen.lock(file).filter(|_| is_same)
    }

    fn is_of(&self, descriptor: u32, file: FileIdentity) -> bool {
        let name = format!("{}fd/{descriptor}", self.way);
        let found = statx(&self.directory, name, AtFlags::STATX_DONT_SYNC, lock::IDENTIFYING);
        found.is_ok_and(|found| lock::identified(&found) == file)
    }

    fn descriptor(&self, descriptor: u32) -> Option<procfs::Descriptor> {
        procfs::descriptor(&self.text(&format!("fdinfo/{descriptor}"), "fdinfo").ok()?)
    }

    /// Whether it has the socket with this inode open.
    pub(in crate::os) fn has_socket(&self, inode: u64) -> bool {
        let Ok(descriptors) = self.descriptors() else { return false };
        numbers(&descriptors).unwrap_or_default().iter().any(|number| {
            statx(&descriptors, number.to_string(), AtFlags::STATX_DONT_SYNC, StatxFlags::INO | StatxFlags::TYPE)
                .is_ok_and(|found| found.stx_ino == inode && FileType::from_raw_mode(found.stx_mode.into()) == FileType::Socket)
        })
    }

    fn descriptors(&self) -> Result<OwnedFd, Unseen> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.directory, format!("{}fd", self.way), flags, Mode::empty()).map_err(|error| self.unseen("fd", error))
    }

    fn open_file(&self, name: &str, what: &'static str) -> Result<OwnedFd, Unseen> {
        let path = format!("{}{name}", self.way);
        openat(&self.directory, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|error| self.unseen(what, error))
    }

    fn bytes(&self, name: &str, what: &'static str) -> Result<Vec<u8>, Unseen> {
        contents(self.open_file(name, what)?).map_err(|error| self.unseen(what, error))
    }

    fn text(&self, name: &str, what: &'static str) -> Result<String, Unseen> {
        Ok(String::from_utf8_lossy(&self.bytes(name, what)?).into_owned())
    }

    /// Why a file could not be read. A thread that is gone is not the process: another look finds another thread, or none.
    fn unseen(&self, what: &'static str, error: Errno) -> Unseen {
        let is_gone = matches!(error, Errno::NOENT | Errno::SRCH);
        if is_gone && !self.way.is_empty() { Unseen::Changed(self.pid) } else { unseen(self.pid, what, error) }
    }
}

/// A living thread of a process whose leader is gone: the way to it, and its stat.
fn thread(pid: u32, directory: &OwnedFd) -> Option<(String, procfs::Stat)> {
    threads(directory).into_iter().filter(|thread| *thread != pid).take(THREADS_MAX).find_map(|thread| {
        let way = format!("task/{thread}/");
        let stat = procfs::stat(&text(pid, directory, &format!("{way}stat"), "stat").ok()?)?;
        (!stat.is_corpse()).then_some((way, stat))
    })
}

fn threads(directory: &OwnedFd) -> Vec<u32> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(tasks) = openat(directory, "task", flags, Mode::empty()) else { return Vec::new() };
    numbers(&tasks).unwrap_or_default()
}

fn text(pid: u32, directory: &OwnedFd, name: &str, what: &'static str) -> Result<String, Unseen> {
    let failed = |error| unseen(pid, what, error);
    let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    // A command's name may be any bytes; the fields that we read are plain.
    Ok(String::from_utf8_lossy(&contents(file).map_err(failed)?).into_owned())
}

/// All that a file of /proc says. What leaves room for another line was all of it: most files cost one read.
fn contents(file: OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut first = [0; FIRST_READ_BYTES];
    let length = read(&file, &mut first)?;
    let mut bytes = first.get(..length).unwrap_or_default().to_vec();
    if length + LINE_BYTES <= FIRST_READ_BYTES {
        return Ok(bytes);
    }
    match File::from(file).take(TEXT_BYTES_MAX).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}

/// The numeric names in a directory of /proc, in their order.
fn numbers(directory: &OwnedFd) -> Result<Vec<u32>, Errno> {
    let mut numbers = Vec::new();
    for entry in Dir::read_from(directory)? {
        numbers.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Which file a descriptor is of. A file on a server that hangs must not hang us: what the kernel knows will do.
fn identity(descriptors: &OwnedFd, number: u32) -> Option<FileIdentity> {
    let found = statx(descriptors, number.to_string(), AtFlags::STATX_DONT_SYNC, lock::IDENTIFYING).ok()?;
    Some(lock::identified(&found))
}

pub(super) fn unseen(pid: u32, what: &'static str, error: Errno) -> Unseen {
    match error {
        Errno::NOENT | Errno::SRCH => Unseen::Gone(pid),
        error => Unseen::Unreadable { pid, what, source: error.into() },
    }
}

fn malformed(pid: u32, what: &'static str) -> Unseen {
    Unseen::Unreadable { pid, what, source: io::Error::from(io::ErrorKind::InvalidData) }
}
