//! Whether there is memory for a second generation beside the first: figures in, a reason against it out.
//!
//! A generation uses what its processes have in proportion: a page that a master shares with its workers counts once. Where there is room
//! for more than it can use that is not summed up, which takes the kernel milliseconds for each gigabyte. What a
//! control group may take more of is what its limit leaves, and what of its own files and tables the kernel would drop first.
//!
//! **Invariant:** every reader is total: a text that it does not understand is `None`, never a guess and never a panic.

use std::fmt;

/// What is there, and what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// How many bytes are available, and where: on the host, and in each control group of the server that has a limit.
    pub rooms: Vec<Room>,
    /// How many bytes the generation in charge uses.
    pub used: u64,
    /// How many processes it has.
    pub processes: usize,
}

/// How many bytes are available in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The path of the control group; none for the host.
    pub group: Option<String>,
    /// How many.
    pub available: u64,
}

/// Why no second generation is started, if none should be: there must be room for one like the first, and the reserve must be left.
pub fn shortage(figures: &Figures, reserve: u64) -> Option<String> {
    let wanted = figures.used.saturating_add(reserve);
    let least = figures.rooms.iter().min_by_key(|room| room.available).filter(|room| room.available < wanted)?;
    let place = least.group.as_ref().map_or_else(|| "on the host".to_owned(), |path| format!("in its control group {path}"));
    let used = match figures.processes {
        0 => String::new(),
        1 => format!("{} that the one process of the old generation uses", Size(figures.used)),
        processes => format!("{} that the {processes} processes of the old generation use", Size(figures.used)),
    };
    let kept = if reserve == 0 { String::new() } else { format!("{} that must be left (memory.reserve)", Size(reserve)) };
    let wanted: Vec<String> = [used, kept].into_iter().filter(|text| !text.is_empty()).collect();
    Some(format!(
        "there is too little memory for a handover: {} are available {place}, and wanted are {}; free some, or let it begin all the \
         same (memory.shortage)",
        Size(least.available),
        wanted.join(" and ")
    ))
}

/// Bytes in the largest unit of which there is one: "512 MiB", "1.5 GiB".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, unit)) = units.into_iter().find(|(shift, _)| self.0 >> shift > 0) else {
            return write!(f, "{} bytes", self.0);
        };
        let (whole, tenths) = (self.0 >> shift, ((self.0 % (1 << shift)) >> (shift - 10)) * 10 / 1024);
        if tenths == 0 || whole >= 100 { write!(f, "{whole} {unit}") } else { write!(f, "{whole}.{tenths} {unit}") }
    }
}

/// `MemAvailable` of `/proc/meminfo`, in bytes (`proc_meminfo(5)`).
pub fn available(meminfo: &str) -> Option<u64> {
    kibibytes(meminfo, "MemAvailable:")
}

/// `Pss` of `/proc/PID/smaps_rollup`, in bytes: what a process has, shared pages in proportion.
pub fn proportional(rollup: &str) -> Option<u64> {
    kibibytes(rollup, "Pss:")
}

/// `RssAnon` and `RssShmem` of `/proc/PID/status`, in bytes: an upper bound for what files do not hold, where the rollup may not be read.
pub fn resident(status: &str) -> Option<u64> {
    kibibytes(status, "RssAnon:")?.checked_add(kibibytes(status, "RssShmem:")?)
}

/// `VmRSS` of `/proc/PID/status`, in bytes: at least what a process has, for what it shares counts whole. It is read in microseconds.
pub fn most(status: &str) -> Option<u64> {
    kibibytes(status, "VmRSS:")
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What a control group may take more of, by its files `memory.max`, `memory.current` and `memory.stat`; none where it has no limit.
pub fn group(max: &str, current: &str, stat: &str) -> Option<u64> {
    let (max, current): (u64, u64) = (max.trim().parse().ok()?, current.trim().parse().ok()?);
    let counted = |name| {
        let value = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    let droppable = counted("inactive_file").saturating_add(counted("slab_reclaimable"));
    Some(max.saturating_sub(current.saturating_sub(droppable)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Figures, Room, Size, available, group, most, proportional, resident, shortage};

    const MIB: u64 = 1 << 20;

    fn check(rooms: &[(Option<&str>, u64)], used: u64, reserve: u64) -> Option<String> {
        let room =
            |(group, mebibytes): &(Option<&str>, u64)| Room { group: group.map(str::to_owned), available: mebibytes * MIB };
        shortage(&Figures { rooms: rooms.iter().map(room).collect(), used: used * MIB, processes: 3 }, reserve * MIB)
    }

    #[test]
    fn a_generation_must_fit_and_the_reserve_must_be_left() {
        let host = |available| [(None, available)];
        assert_eq!(check(&host(300), 300, 0), None);
        assert_eq!(check(&host(300), 200, 100), None);
        assert_eq!(
            check(&host(299), 300, 0).as_deref(),
            Some(
                "there is too little memory for a handover: 299 MiB are available on the host, and wanted are 300 MiB that the 3 \
                 processes of the old generation use; free some, or let it begin all the same (memory.shortage)"
            )
        );
        let told = check(&[(None, 9_000), (Some("/web"), 250)], 200, 100).expect("too little");
        assert!(told.contains("250 MiB are available in its control group /web"), "{told}");
        assert!(told.contains("generation use and 100 MiB that must be left (memory.reserve);"), "{told}");
        // Nothing is known of what there is.
        assert_eq!(check(&[], 200, 100), None);
    }

    #[test]
    fn texts_are_read() {
        assert_eq!(available("MemTotal:  9 kB\nMemAvailable:    23142 kB\n"), Some(23_142 * 1024));
        assert_eq!(proportional("00400000-7ff rw-p [rollup]\nRss: 900 kB\nPss:   400 kB\nPss_Anon: 3 kB\n"), Some(400 * 1024));
        assert_eq!(resident("Name:\ta\nRssAnon:\t  10 kB\nRssFile:\t 90 kB\nRssShmem:\t 2 kB\n"), Some(12 * 1024));
        assert_eq!(most("VmHWM:\t 20 kB\nVmRSS:\t   15 kB\n"), Some(15 * 1024));
        for text in ["", "MemAvailable: many kB", "MemAvailable: 5", "MemAvailable: 18446744073709551615 kB"] {
            assert_eq!(available(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_a_group_could_drop_is_not_taken() {
        let stat = "anon 50\nfile 45\ninactive_file 40\nslab_reclaimable 5\ninactive_file_x 1000\n";
        assert_eq!(group("100\n", "95\n", stat), Some(50));
        assert_eq!(group("100\n", "95\n", ""), Some(5));
        assert_eq!(group("90\n", "95\n", ""), Some(0));
        assert_eq!(group("max\n", "95\n", stat), None);
    }

    #[test]
    fn sizes_are_told_in_plain_units() {
        let half = MIB / 2;
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (MIB + half, "1.5 MiB"),
            (412 * MIB + half, "412 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in "\\PC{0,200}", other in "[0-9a-z_ \n]{0,200}", bytes: u64) {
            let _ = (available(&text), proportional(&other), resident(&text), most(&text), group(&other, &text, &other));
            let _ = Size(bytes).to_string();
        }
    }
}
