//! Which hosts are meant: `web-1,web-2`, `web-*`, `zone=a`, `!web-3`, and any of these with commas between.
//!
//! A host is chosen when a name or glob matches it (if any is given) and every label does, and no exclusion.
//!
//! **Invariant:** a term that matches no host of the fleet is a mistake, never silently nothing: it is a mistyped name.

use super::Host;

/// A parsed selector; the default one means every host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    names: Vec<Term>,
    labels: Vec<Term>,
    exclusions: Vec<Term>,
}

/// One part of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// A name, or a pattern in which `*` stands for any characters.
    Name(String),
    /// A label that must have this value.
    Label { key: String, value: String },
}

/// Why a selector chooses nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It has nothing in it, as from a variable of a script that is not set.
    #[error("the selector is empty")]
    Empty,
    /// Two commas in a row, or one at an end.
    #[error("the selector {0:?} has an empty part")]
    EmptyTerm(String),
    /// A part has characters that no host name or label has.
    #[error("{0:?} is no host name, pattern such as \"web-*\" or label such as \"zone=a\"")]
    Malformed(String),
    /// A part matches no host at all.
    #[error("{0:?} matches no host of the fleet")]
    MatchesNothing(String),
    /// Every part matches something, but all together nothing.
    #[error("no host of the fleet matches all of {0:?}")]
    NothingLeft(String),
}

impl Selector {
    /// Reads a selector. An empty one is a mistake: [`Selector::default`] is the one that means every host.
    ///
    /// # Errors
    /// When it or a part of it is empty, or a part is of no known form.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut selector = Self::default();
        if text.trim().is_empty() {
            return Err(SelectorError::Empty);
        }
        for part in text.split(',').map(str::trim) {
            let (excluded, body) = part.strip_prefix('!').map_or((false, part), |body| (true, body));
            if body.is_empty() {
                return Err(SelectorError::EmptyTerm(text.to_owned()));
            }
            let term = Term::parse(body).ok_or_else(|| SelectorError::Malformed(part.to_owned()))?;
            match (&term, excluded) {
                (_, true) => selector.exclusions.push(term),
                (Term::Name(_), false) => selector.names.push(term),
                (Term::Label { .. }, false) => selector.labels.push(term),
            }
        }
        Ok(selector)
    }

    /// The chosen hosts, in the order of the inventory.
    ///
    /// # Errors
    /// When a part matches no host, or all parts together match none.
    pub fn choose<'a>(&self, hosts: &'a [Host]) -> Result<Vec<&'a Host>, SelectorError> {
        let terms =
            self.names.iter().chain(&self.labels).map(|term| (term, "")).chain(self.exclusions.iter().map(|term| (term, "!")));
        for (term, sign) in terms {
            if !hosts.iter().any(|host| term.matches(host)) {
                return Err(SelectorError::MatchesNothing(format!("{sign}{}", term.text())));
            }
        }
        let chosen: Vec<&Host> = hosts.iter().filter(|host| self.chooses(host)).collect();
        if chosen.is_empty() { Err(SelectorError::NothingLeft(self.text())) } else { Ok(chosen) }
    }

    fn chooses(&self, host: &Host) -> bool {
        let named = self.names.is_empty() || self.names.iter().any(|term| term.matches(host));
        let labelled = self.labels.iter().all(|term| term.matches(host));
        let excluded = self.exclusions.iter().any(|term| term.matches(host));
        named && labelled && !excluded
    }

    fn text(&self) -> String {
        let wanted = self.names.iter().chain(&self.labels).map(Term::text);
        let unwanted = self.exclusions.iter().map(|term| format!("!{}", term.text()));
        wanted.chain(unwanted).collect::<Vec<_>>().join(",")
    }
}

impl Term {
    fn parse(text: &str) -> Option<Self> {
        let plain =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if let Some((key, value)) = text.split_once('=') {
            return (plain(key) && plain(value)).then(|| Self::Label { key: key.to_owned(), value: value.to_owned() });
        }
        plain(&text.replace('*', "x")).then(|| Self::Name(text.to_owned()))
    }

    fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Name(pattern) => glob(pattern, host.name.as_str()),
            Self::Label { key, value } => host.labels.get(key) == Some(value),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Name(pattern) => pattern.clone(),
            Self::Label { key, value } => format!("{key}={value}"),
        }
    }
}

/// Whether `text` matches `pattern`, in which each `*` stands for any characters or none.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{Selector, SelectorError, glob};
    use crate::inventory::samples::host;

    fn check(selector: &str, expected: Result<&[&str], SelectorError>) {
        let hosts = [host("web-1", "a"), host("web-2", "a"), host("web-3", "b"), host("db-1", "b")];
        let chosen = Selector::parse(selector).and_then(|selector| {
            Ok(selector.choose(&hosts)?.iter().map(|host| host.name.as_str().to_owned()).collect::<Vec<_>>())
        });
        assert_eq!(chosen, expected.map(|names| names.iter().map(ToString::to_string).collect()), "{selector}");
    }

    #[test]
    fn names_and_globs_add_up_labels_and_exclusions_take_away() {
        check("web-3,web-1", Ok(&["web-1", "web-3"]));
        check("web-*", Ok(&["web-1", "web-2", "web-3"]));
        check("*-1", Ok(&["web-1", "db-1"]));
        check("zone=b", Ok(&["web-3", "db-1"]));
        check("web-*,zone=b", Ok(&["web-3"]));
        check("web-*,!web-2", Ok(&["web-1", "web-3"]));
        check("!web-2", Ok(&["web-1", "web-3", "db-1"]));
        check("!zone=a", Ok(&["web-3", "db-1"]));
        check("web-1, web-2", Ok(&["web-1", "web-2"]));
    }

    #[test]
    fn what_matches_nothing_is_named() {
        let nothing = |term: &str| Err(SelectorError::MatchesNothing(term.into()));
        check("web-9", nothing("web-9"));
        check("web-1,web-9", nothing("web-9"));
        check("cache-*", nothing("cache-*"));
        check("zone=c", nothing("zone=c"));
        check("!web-9", nothing("!web-9"));
        check("web-*,!web-*", Err(SelectorError::NothingLeft("web-*,!web-*".into())));
        check("db-1,zone=a", Err(SelectorError::NothingLeft("db-1,zone=a".into())));
    }

    #[test]
    fn every_host_is_meant_by_no_selector_and_never_by_an_empty_one() {
        let hosts = [host("web-1", "a"), host("db-1", "b")];
        assert_eq!(Selector::default().choose(&hosts).map(|chosen| chosen.len()), Ok(2));
        for empty in ["", "  "] {
            check(empty, Err(SelectorError::Empty));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        check("web-1,,web-2", Err(SelectorError::EmptyTerm("web-1,,web-2".into())));
        check("!", Err(SelectorError::EmptyTerm("!".into())));
        check("web 1", Err(SelectorError::Malformed("web 1".into())));
        check("zone=", Err(SelectorError::Malformed("zone=".into())));
        check("a=b=c", Err(SelectorError::Malformed("a=b=c".into())));
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("*", "web-1", true),
            ("web-1", "web-1", true),
            ("web-1", "web-11", false),
            ("w*b*1", "web-1", true),
            ("a*a", "a", false),
            ("*b*b", "b", false),
            ("web-*-db", "web-db", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
