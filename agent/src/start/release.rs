//! Whether a kernel is new enough.
//!
//! **Invariant:** a release that cannot be read is taken for a new one: what is missing shows when it is used.

/// The oldest release with all that is needed.
pub(super) const WANTED: &str = "Linux 5.3";

/// Whether a kernel that calls itself `release` is new enough.
pub(super) fn is_supported(release: &str) -> bool {
    let mut numbers = release.trim().split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= (5, 3),
        (Some(_) | None, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::is_supported;

    #[test]
    fn kernels_from_5_3_on_will_do() {
        for release in ["5.3.0", "5.10.0-28-amd64\n", "6.18.5", "10.0-rc1", "unknown", ""] {
            assert!(is_supported(release), "{release}");
        }
        for release in ["5.2.21", "4.19.0-26-amd64", "3.10.0-1160.el7.x86_64"] {
            assert!(!is_supported(release), "{release}");
        }
    }
}
