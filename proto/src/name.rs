//! Names that travel: hosts, services, fleets and rollouts.
//!
//! **Invariant:** a name that passed here is safe as a file name and as a part of a URI.

/// The longest name, as long as a DNS label.
pub const LENGTH_MAX: usize = 63;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what} name: 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit")]
pub struct NotAName {
    what: &'static str,
    text: String,
}

/// Checks that `text` may name a `what` (a host, a service, a fleet, a rollout).
///
/// # Errors
/// When it is empty, longer than [`LENGTH_MAX`], or has a character that is not plain.
pub fn check(what: &'static str, text: &str) -> Result<(), NotAName> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins_well && text.len() <= LENGTH_MAX && text.chars().all(plain) {
        return Ok(());
    }
    Err(NotAName { what, text: text.chars().take(80).collect() })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn plain_names_pass() {
        for name in ["web-1", "a", "0", "db.example.com", "r_2026"] {
            assert!(check("host", name).is_ok(), "{name}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for name in ["", ".", "..", "-a", "a/b", "a b", "é", "a\n", &"x".repeat(64)] {
            assert!(check("host", name).is_err(), "{name:?}");
        }
    }
}
