//! Time since boot, and what tells boots and runs apart.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_BOOTTIME`: goes on through suspend, never steps back (`clock_gettime(2)`).
pub fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Since 1970, by the wall clock, which may be set: for people only.
pub fn since_1970() -> Duration {
    let now = clock_gettime(ClockId::Realtime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// The kernel's name for this boot.
///
/// # Errors
/// When /proc is not mounted, or hides it (`ProcSubset=pid` does).
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// A name that no other run of an agent has.
///
/// # Errors
/// When the kernel has no randomness to give.
pub fn incarnation() -> io::Result<String> {
    random_hex::<8>()
}

/// `N` random bytes in hexadecimal.
///
/// # Errors
/// When the kernel has no randomness to give.
pub fn random_hex<const N: usize>() -> io::Result<String> {
    let mut bytes = [0_u8; N];
    getrandom(&mut bytes[..], GetRandomFlags::empty())?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
