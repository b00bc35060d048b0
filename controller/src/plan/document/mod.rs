//! A plan as text and back, without a loss: for the file that is carried out later, and for the journal.
//!
//! The text is JSON with one host a line, so that an error's line names the host that it is about.
//!
//! **Invariant:** what is read is a plan that could have been made: its order, waves and bounds are those of its hosts and limits.
//! **Invariant:** no text that was read can steer a terminal.

mod raw;

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use raw::{RawBounds, RawChoices, RawCircumstances, RawPlan, RawPlanned, RawWave};

use super::Plan;

/// The format that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// Why a text is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON, or another one.
    #[error("{0}")]
    Malformed(String),
    /// It is of another format.
    #[error("it is of format {0}, and this baton reads format {FORMAT}")]
    Format(u32),
    /// Something in it cannot be.
    #[error("{place}: {what}")]
    Wrong {
        /// Where.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The course is not the one that its hosts and limits have.
    #[error("{0} are not those of its hosts and limits: it was changed by hand, or made by another version")]
    Course(&'static str),
}

/// Something in a document that cannot be.
fn wrong(place: &str, what: &dyn fmt::Display) -> DocumentError {
    DocumentError::Wrong { place: place.to_owned(), what: what.to_string() }
}

/// The same error, within a larger place.
fn within(outer: &str, error: DocumentError) -> DocumentError {
    match error {
        DocumentError::Wrong { place, what } => DocumentError::Wrong { place: format!("{outer}.{place}"), what },
        error @ (DocumentError::Malformed(_) | DocumentError::Format(_) | DocumentError::Course(_)) => error,
    }
}

impl Plan {
    /// The plan as text.
    #[must_use]
    pub fn to_document(&self) -> String {
        let mut text = format!("{{\"format\":{FORMAT}");
        let mut part = |name: &str, value: String| {
            write!(text, ",\n\"{name}\":{value}").expect("writing to a string cannot fail");
        };
        part("choices", line(&RawChoices::from(self.choices())));
        part("circumstances", line(&RawCircumstances::from(*self.circumstances())));
        part("bounds", line(&RawBounds::from(self.bounds())));
        part("waves", lines(self.waves().iter().map(RawWave::from)));
        part("hosts", lines(self.hosts().iter().map(RawPlanned::from)));
        text.push_str("}\n");
        text
    }

    /// Reads a plan that was written down.
    ///
    /// # Errors
    /// When it is no plan, with the place where it is not.
    pub fn from_document(text: &str) -> Result<Self, DocumentError> {
        let malformed = |error: serde_json::Error| DocumentError::Malformed(error.to_string());
        let raw::RawHead { format } = serde_json::from_str(text).map_err(malformed)?;
        if format != FORMAT {
            return Err(DocumentError::Format(format));
        }
        let RawPlan { format: _, choices, circumstances, bounds, waves, hosts } =
            serde_json::from_str(text).map_err(malformed)?;
        let choices = choices.read().map_err(|error| within("choices", error))?;
        let circumstances = circumstances.read().map_err(|error| within("circumstances", error))?;
        let mut planned = Vec::with_capacity(hosts.len());
        let mut names = BTreeSet::new();
        for (place, host) in hosts.into_iter().enumerate() {
            let host = host.read().map_err(|error| within(&format!("hosts[{place}]"), error))?;
            if !names.insert(host.host.clone()) {
                return Err(wrong(&format!("hosts[{place}].host"), &format_args!("the host {} is there twice", host.host)));
            }
            planned.push(host);
        }
        let plan = Self::over(choices, planned.clone(), circumstances);
        if plan.hosts != planned {
            return Err(DocumentError::Course("the places of the hosts"));
        }
        if plan.waves().iter().map(RawWave::from).ne(waves) {
            return Err(DocumentError::Course("the waves"));
        }
        if RawBounds::from(plan.bounds()) != bounds {
            return Err(DocumentError::Course("the bounds"));
        }
        Ok(plan)
    }
}

fn line(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names are texts, and nothing here fails to be written")
}

fn lines<T: serde::Serialize>(values: impl Iterator<Item = T>) -> String {
    let lines: Vec<String> = values.map(|value| line(&value)).collect();
    format!("[\n{}\n]", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::plan::samples::builder;
    use crate::plan::{Clock, Plan};

    fn document() -> String {
        let plan =
            builder("++x").zones("a b -").leave_out().canaries(1).soak(30).by_zone().certificate_ends(1, Duration::from_secs(9));
        plan.clock(2, Clock::Ahead(Duration::from_millis(1_500))).plan().to_document()
    }

    #[test]
    fn a_document_is_made_to_be_read() {
        insta::assert_snapshot!(document(), @r#"
{"format":1,
"choices":{"service":"web","releases":"current","max_in_flight":"1","max_failures":"0","max_failures_per_zone":null,"min_available":"0","min_available_per_zone":"0","canaries":1,"soak":"30s","by_zone":true,"stop_after":null,"host_deadline":null,"deadline":null,"leave_out_broken":true},
"circumstances":{"now":"1795498860s","own_certificate_ends":null,"usual":null},
"bounds":{"in_flight_max":1,"failures_max":0,"available_min":0,"zones":{"a":{"failures_max":0,"available_min":0},"b":{"failures_max":0,"available_min":0}},"stop_after":null,"host_deadline":"600s","deadline":null},
"waves":[
{"kind":"canaries","begin":0,"end":1,"then":{"soak":"30s"}},
{"kind":{"zone":"b"},"begin":1,"end":2,"then":{"soak":"30s"}},
{"kind":{"zone":null},"begin":2,"end":3,"then":"go_on"}
],
"hosts":[
{"host":"web-1","address":"web-1.internal:7646","zone":"a","release":null,"certificate_ends":"9s","clock":null,"fate":{"restart":{"service":"web","dialect":"unicorn","custody":"held","trouble":"","generation":3,"release":"","master":{"pid":100,"start_ticks":5000},"epoch":2,"held_for_ns":3700000000000,"step":null,"fence":7,"handover_within_ns":213000000000,"holders":3,"findings":[],"lingering":[],"boot":"boot-1","incarnation":"run-1"}}},
{"host":"web-2","address":"web-2.internal:7646","zone":"b","release":null,"certificate_ends":null,"clock":{"ahead":"1.500000000s"},"fate":{"restart":{"service":"web","dialect":"unicorn","custody":"held","trouble":"","generation":3,"release":"","master":{"pid":100,"start_ticks":5000},"epoch":2,"held_for_ns":3700000000000,"step":null,"fence":7,"handover_within_ns":213000000000,"holders":3,"findings":[],"lingering":[],"boot":"boot-1","incarnation":"run-1"}}},
{"host":"web-3","address":"web-3.internal:7646","zone":null,"release":null,"certificate_ends":null,"clock":null,"fate":{"leave_out":{"cause":"connection refused","hint":null,"is_claimed":false}}}
]}
"#);
        assert!(Plan::from_document(&document()).is_ok());
    }

    /// What is told of the document with one thing in it changed.
    #[track_caller]
    fn check(from: &str, to: &str, expected: &str) {
        let document = document();
        assert!(document.contains(from), "{from}");
        let told = Plan::from_document(&document.replacen(from, to, 1)).map_err(|error| error.to_string());
        assert_eq!(told.map_or_else(|error| error, |_| String::new()), expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        check("\"format\":1", "\"format\":2", "it is of format 2, and this baton reads format 1");
        check(
            "\"web-2\"",
            "\"web 2\"",
            "hosts[1].host: \"web 2\" is not a host name: 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit",
        );
        check("\"web-2\"", "\"web-1\"", "hosts[1].host: the host web-1 is there twice");
        check(
            "\"address\":\"web-2.internal:7646\"",
            "\"address\":\"a\\u001b[2J\"",
            "hosts[1].address: it has characters that text has not",
        );
        check("\"soak\":\"30s\"", "\"soak\":\"30\"", "choices.soak: \"30\" is no time");
        check("\"soak\":\"30s\"", "\"soak\":\"18446744073709551615s\"", "choices.soak: \"18446744073709551615s\" is no time");
        check("\"max_in_flight\":\"1\"", "\"max_in_flight\":\"1000%\"", "choices.max_in_flight: 1000% is more than all");
        check(
            "\"custody\":\"held\"",
            "\"custody\":\"hold\"",
            "unknown variant `hold`, expected one of `held`, `orphaned`, `free` at line 11 column 182",
        );
        let known = "`service`, `releases`, `max_in_flight`, `max_failures`, `max_failures_per_zone`, `min_available`, \
            `min_available_per_zone`, `canaries`, `soak`, `by_zone`, `stop_after`, `host_deadline`, `deadline`, `leave_out_broken`";
        let unknown = format!("unknown field `by_zoen`, expected one of {known} at line 2 column 200");
        check("\"by_zone\":true", "\"by_zoen\":true", &unknown);
    }

    #[test]
    fn a_course_that_was_changed_by_hand_is_not_taken() {
        let by_hand =
            |what| format!("{what} are not those of its hosts and limits: it was changed by hand, or made by another version");
        check("\"in_flight_max\":1", "\"in_flight_max\":3", &by_hand("the bounds"));
        check("\"then\":{\"soak\":\"30s\"}", "\"then\":\"go_on\"", &by_hand("the waves"));
        check("\"canaries\":1", "\"canaries\":2", &by_hand("the waves"));
    }
}
