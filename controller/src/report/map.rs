//! Many hosts at a glance: a sign for each, or for several where there are too many.
//!
//! **Invariant:** a sign that stands for several hosts shows the one that deserves most attention; it never hides a drop.

use crate::rollout::Whereabouts;

/// How many lines a map takes at most.
const ROWS_MAX: usize = 8;

/// What one sign says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    LeftOut,
    Kept,
    Waiting,
    InFlight,
    Redialling,
    Failed,
    Doubted,
    Dropped,
}

impl Sign {
    /// Every one of them, as they are explained.
    const ALL: [Self; 8] =
        [Self::Kept, Self::InFlight, Self::Waiting, Self::Redialling, Self::Failed, Self::Doubted, Self::Dropped, Self::LeftOut];

    pub(super) fn of(whereabouts: Whereabouts) -> Self {
        match whereabouts {
            Whereabouts::LeftOut => Self::LeftOut,
            Whereabouts::Guarded => Self::Kept,
            Whereabouts::Waiting => Self::Waiting,
            Whereabouts::Looking | Whereabouts::InFlight | Whereabouts::Confirming => Self::InFlight,
            Whereabouts::Redialling => Self::Redialling,
            Whereabouts::RolledBack | Whereabouts::Refused => Self::Failed,
            Whereabouts::Unknown | Whereabouts::Unproven => Self::Doubted,
            Whereabouts::Dropped => Self::Dropped,
        }
    }

    pub(super) fn letter(self) -> char {
        match self {
            Self::LeftOut => '-',
            Self::Kept => '=',
            Self::Waiting => '.',
            Self::InFlight => '>',
            Self::Redialling => '~',
            Self::Failed => '!',
            Self::Doubted => '?',
            Self::Dropped => 'X',
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::LeftOut => "left out",
            Self::Kept => "kept",
            Self::Waiting => "waiting",
            Self::InFlight => "in flight",
            Self::Redialling => "without a guard",
            Self::Failed => "failed",
            Self::Doubted => "in doubt",
            Self::Dropped => "dropped",
        }
    }
}

/// A map, and for how many hosts a sign stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) rows: Vec<Vec<Sign>>,
    pub(super) hosts_a_sign: usize,
}

/// Draws these hosts, with so many signs in a row.
pub(super) fn map(hosts: &[Whereabouts], width: usize) -> Map {
    let width = width.max(1);
    let hosts_a_sign = hosts.len().div_ceil(width * ROWS_MAX).max(1);
    let gravest = |hosts: &[Whereabouts]| hosts.iter().copied().max().map(Sign::of);
    let signs: Vec<Sign> = hosts.chunks(hosts_a_sign).filter_map(gravest).collect();
    Map { rows: signs.chunks(width).map(<[Sign]>::to_vec).collect(), hosts_a_sign }
}

/// What the signs mean that are on the map, and how many hosts each is true of.
pub(super) fn legend(hosts: &[Whereabouts], hosts_a_sign: usize) -> String {
    let count = |sign: Sign| hosts.iter().filter(|host| Sign::of(**host) == sign).count();
    let counted = Sign::ALL.map(|sign| (sign, count(sign))).into_iter().filter(|(_, count)| *count > 0);
    let mut parts: Vec<String> = counted.map(|(sign, count)| format!("{} {count} {}", sign.letter(), sign.meaning())).collect();
    if hosts_a_sign > 1 {
        parts.push(format!("({hosts_a_sign} hosts a sign)"));
    }
    parts.join("   ")
}

#[cfg(test)]
mod tests {
    use super::{legend, map};
    use crate::rollout::Whereabouts;

    /// One letter a host, as on the map; `l` is looked at, `c` confirming, `u` unknown, `r` refused.
    fn hosts(letters: &str) -> Vec<Whereabouts> {
        let host = |letter| match letter {
            '=' => Whereabouts::Guarded,
            '.' => Whereabouts::Waiting,
            'l' => Whereabouts::Looking,
            '>' => Whereabouts::InFlight,
            'c' => Whereabouts::Confirming,
            '~' => Whereabouts::Redialling,
            '!' => Whereabouts::RolledBack,
            'r' => Whereabouts::Refused,
            '?' => Whereabouts::Unproven,
            'u' => Whereabouts::Unknown,
            'X' => Whereabouts::Dropped,
            _ => Whereabouts::LeftOut,
        };
        letters.chars().map(host).collect()
    }

    fn check(letters: &str, width: usize, expected: &[&str]) {
        let rows = map(&hosts(letters), width).rows;
        let rows: Vec<String> = rows.iter().map(|row| row.iter().map(|sign| sign.letter()).collect()).collect();
        assert_eq!(rows, expected, "{letters}");
    }

    #[test]
    fn each_host_has_a_sign_and_they_are_wrapped() {
        check("=-.l>c~!r?uX", 20, &["=-.>>>~!!??X"]);
        check("==>...", 4, &["==>.", ".."]);
        check("", 4, &[]);
    }

    #[test]
    fn where_there_are_too_many_a_sign_shows_the_gravest_of_its_hosts() {
        check("===.>.!>X!", 1, &["=", ".", ">", "!", "X"]);
        check("==========", 0, &["="; 5]);
        assert_eq!(map(&vec![Whereabouts::Waiting; 10_000], 100).rows.len(), 8);
        assert_eq!(map(&vec![Whereabouts::Waiting; 10_000], 100).hosts_a_sign, 13);
    }

    #[test]
    fn only_what_is_on_the_map_is_explained() {
        assert_eq!(legend(&hosts("===>."), 1), "= 3 kept   > 1 in flight   . 1 waiting");
        assert_eq!(legend(&hosts("X?!"), 13), "! 1 failed   ? 1 in doubt   X 1 dropped   (13 hosts a sign)");
    }
}
