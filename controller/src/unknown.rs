//! A service that nobody knows: a mistyped name, most likely.

use std::collections::BTreeSet;
use std::fmt;

use crate::inventory::HostName;
use crate::standing::Standing;

/// How many names of services are spelt out.
const NAMES_MAX: usize = 10;

/// Who does not know it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// None of the chosen hosts.
    Nobody,
    /// None of those that answered.
    NobodyWhoAnswered,
    /// This one host.
    One(HostName),
}

/// A host, or all that were asked, have no such service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct UnknownService {
    service: String,
    known: BTreeSet<String>,
    who: Who,
}

impl UnknownService {
    /// Looks for `service` in what the hosts answered, with nothing from those that did not.
    ///
    /// # Errors
    /// When hosts answered, and none of them knows it.
    pub fn check<'a>(service: &str, answers: impl Iterator<Item = Option<&'a [Standing]>>) -> Result<(), Self> {
        let mut unknown = Self { service: service.to_owned(), known: BTreeSet::new(), who: Who::Nobody };
        let mut answered = 0;
        for answer in answers {
            let Some(standings) = answer else {
                unknown.who = Who::NobodyWhoAnswered;
                continue;
            };
            answered += 1;
            if standings.iter().any(|standing| standing.service == service) {
                return Ok(());
            }
            unknown.known.extend(names(standings));
        }
        if answered == 0 { Ok(()) } else { Err(unknown) }
    }

    /// The service that is not among those that `host` has.
    #[must_use]
    pub fn on(host: &HostName, service: &str, standings: &[Standing]) -> Self {
        Self { service: service.to_owned(), known: names(standings).collect(), who: Who::One(host.clone()) }
    }
}

fn names(standings: &[Standing]) -> impl Iterator<Item = String> {
    standings.iter().map(|standing| standing.service.clone())
}

impl fmt::Display for UnknownService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = &self.service;
        match &self.who {
            Who::Nobody => write!(f, "no host has a service {service:?}; known: ")?,
            Who::NobodyWhoAnswered => write!(f, "no host that answered has a service {service:?}; known: ")?,
            Who::One(host) => write!(f, "{host} has no service {service:?}; known: ")?,
        }
        let names: Vec<&str> = self.known.iter().take(NAMES_MAX).map(String::as_str).collect();
        match self.known.len().saturating_sub(NAMES_MAX) {
            0 if names.is_empty() => f.write_str("none"),
            0 => f.write_str(&names.join(", ")),
            more => write!(f, "{} and {more} more", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UnknownService;
    use crate::inventory::HostName;
    use crate::standing::Standing;
    use crate::standing::samples::healthy;

    /// Each host with its services, one letter a service; `?` is a host that gave no answer.
    fn check(hosts: &[&str], expected: Result<(), &str>) {
        let standings = |host: &&str| -> Option<Vec<Standing>> {
            let standing = |name: char| Standing { service: name.into(), ..healthy() };
            (*host != "?").then(|| host.chars().map(standing).collect())
        };
        let answers: Vec<_> = hosts.iter().map(standings).collect();
        let checked = UnknownService::check("w", answers.iter().map(Option::as_deref));
        assert_eq!(checked.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{hosts:?}");
    }

    #[test]
    fn a_service_is_unknown_when_those_that_answer_have_others_only() {
        check(&["a", "w"], Ok(()));
        check(&["?", "aw"], Ok(()));
        check(&["?", "?"], Ok(()));
        check(&[], Ok(()));
        check(&["b", "ab"], Err("no host has a service \"w\"; known: a, b"));
        check(&["", ""], Err("no host has a service \"w\"; known: none"));
        check(&["?", "a"], Err("no host that answered has a service \"w\"; known: a"));
        let one = UnknownService::on(&HostName::parse("web-1").unwrap(), "w", &[healthy()]);
        assert_eq!(one.to_string(), "web-1 has no service \"w\"; known: web");
        check(&["abcdefghijkl"], Err("no host has a service \"w\"; known: a, b, c, d, e, f, g, h, i, j and 2 more"));
    }
}
