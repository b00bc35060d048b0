//! `memory`: what must be free on the host before a second generation is started beside the first.

use baton_proto::document::{Notes, Table};

use super::path;
use super::value::{one_of, text_or};

/// What must be free, and what is done where it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// How many bytes must be left when the new generation is as large as the old one.
    pub reserve: u64,
    /// Whether a handover may begin all the same.
    pub allows_shortage: bool,
}

/// Reads the table of a service.
pub(super) fn memory(service: &mut Table<'_>, notes: &mut Notes) -> Memory {
    let Some(mut table) = service.table(notes, "memory") else { return Memory::default() };
    let reserve = text_or(&mut table, notes, "reserve", 0, size);
    let allows_shortage =
        text_or(&mut table, notes, "shortage", false, |text| one_of(text, &[("refuse", false), ("allow", true)]));
    table.finish(notes);
    Memory { reserve, allows_shortage }
}

/// A whole number of KiB, MiB, GiB or TiB, as systemd's `MemoryMax=` has them.
fn size(text: &str) -> Result<u64, String> {
    let units = [("K", 10), ("M", 20), ("G", 30), ("T", 40)];
    let read = |(unit, shift): (&str, u32)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(1 << shift)
    };
    let found = if text == "0" { Some(0) } else { units.into_iter().find_map(read) };
    found.ok_or_else(|| format!("{:?} is not a size such as \"256M\", \"2G\" or \"0\"", path::shown(text)))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_has_a_unit() {
        for (text, bytes) in [("0", 0), ("0M", 0), ("4K", 4_096), ("256M", 256 << 20), ("2G", 2 << 30), ("1T", 1 << 40)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "256", "M", "-1M", "1.5G", "256 M", "256MB", "18446744073709551615T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
