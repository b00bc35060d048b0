//! Reading a TOML file so that all its mistakes are told at once, each with its line and key.
//!
//! A [`Table`] is read key by key; what was not asked for is unknown, and a mistake. Both sides read their files this way.
//!
//! **Invariant:** a reader that returned no mistake has seen every key in the file.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line it is on, from 1.
    pub line: usize,
    /// The key it is about, such as `service.web.ready.http`; empty for a file that is no TOML.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// All that is wrong in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// Reads `text` as TOML with `read`, which takes the keys that it knows out of the root table.
///
/// # Errors
/// All mistakes: those of the syntax, those that `read` noted, and every key that it did not take.
pub fn read<T>(text: &str, read: impl FnOnce(&mut Table<'_>, &mut Notes) -> Option<T>) -> Result<T, Mistakes> {
    let mut notes = Notes { line_starts: line_starts(text), mistakes: Vec::new() };
    let parsed = match DeTable::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            notes.at(error.span().unwrap_or_default(), "", error.message());
            return Err(Mistakes(notes.mistakes));
        }
    };
    let mut root = Table::new(String::new(), parsed.span(), parsed.into_inner());
    let value = read(&mut root, &mut notes);
    root.finish(&mut notes);
    match value {
        Some(value) if notes.mistakes.is_empty() => Ok(value),
        Some(_) | None => {
            notes.mistakes.sort_by(|a, b| (a.line, &a.key).cmp(&(b.line, &b.key)));
            Err(Mistakes(notes.mistakes))
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// Where mistakes are noted while a file is read.
#[derive(Debug)]
pub struct Notes {
    line_starts: Vec<usize>,
    mistakes: Vec<Mistake>,
}

impl Notes {
    fn at(&mut self, span: Range<usize>, key: &str, what: impl Into<String>) {
        let line = self.line_starts.partition_point(|start| *start <= span.start);
        self.mistakes.push(Mistake { line, key: key.to_owned(), what: what.into() });
    }

    /// Notes a mistake about a value that was read.
    pub fn wrong<T>(&mut self, value: &Value<T>, what: impl Into<String>) {
        self.at(value.span.clone(), &value.key, what);
    }
}

/// A value, with where it stands.
#[derive(Debug, Clone)]
pub struct Value<T> {
    /// The value.
    pub value: T,
    key: String,
    span: Range<usize>,
}

impl<T> Value<T> {
    /// Turns the value into another, noting why it cannot be.
    pub fn try_map<U, E: fmt::Display>(self, notes: &mut Notes, parse: impl FnOnce(T) -> Result<U, E>) -> Option<U> {
        let Self { value, key, span } = self;
        match parse(value) {
            Ok(value) => Some(value),
            Err(error) => {
                notes.at(span, &key, error.to_string());
                None
            }
        }
    }
}

/// A table of the file, read key by key.
#[derive(Debug)]
pub struct Table<'a> {
    key: String,
    span: Range<usize>,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'a>>)>,
}

impl<'a> Table<'a> {
    fn new(key: String, span: Range<usize>, table: DeTable<'a>) -> Self {
        let entries = table.into_iter().map(|(name, value)| (name.get_ref().to_string(), (name.span(), value))).collect();
        Self { key, span, entries }
    }

    /// The table's full key, such as `service.web`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    fn path(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) }
    }

    /// Notes a mistake about the table as a whole.
    pub fn wrong(&self, notes: &mut Notes, what: impl Into<String>) {
        notes.at(self.span.clone(), &self.key, what);
    }

    /// The names in this table, in their order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    fn take<T>(
        &mut self,
        notes: &mut Notes,
        name: &str,
        wanted: &str,
        read: impl FnOnce(DeValue<'a>) -> Option<T>,
    ) -> Option<Value<T>> {
        let key = self.path(name);
        let (_, spanned) = self.entries.remove(name)?;
        let span = spanned.span();
        let value = spanned.into_inner();
        let found = value.type_str();
        let read = read(value);
        if read.is_none() {
            notes.at(span.clone(), &key, format!("is {found}, wanted {wanted}"));
        }
        read.map(|value| Value { value, key, span })
    }

    /// A text, if the key is there.
    pub fn text(&mut self, notes: &mut Notes, name: &str) -> Option<Value<String>> {
        self.take(notes, name, "a string", |value| if let DeValue::String(text) = value { Some(text.into_owned()) } else { None })
    }

    /// Whether the key is there and is a text, where it may be something else.
    #[must_use]
    pub fn is_text(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|(_, value)| value.get_ref().as_str().is_some())
    }

    /// A yes or no, if the key is there.
    pub fn flag(&mut self, notes: &mut Notes, name: &str) -> Option<Value<bool>> {
        self.take(notes, name, "true or false", |value| value.as_bool())
    }

    /// A text or a whole number, as text, if the key is there.
    pub fn scalar(&mut self, notes: &mut Notes, name: &str) -> Option<Value<String>> {
        self.take(notes, name, "a whole number or a string", |value| scalar(&value))
    }

    /// A text, or a yes or no as text, if the key is there.
    pub fn scalar_or_flag(&mut self, notes: &mut Notes, name: &str) -> Option<Value<String>> {
        self.take(notes, name, "true, false or a string", |value| {
            value.as_bool().map(|flag| flag.to_string()).or_else(|| value.as_str().map(str::to_owned))
        })
    }

    /// The words of a command: the texts and whole numbers of an array, as texts, if the key is there.
    pub fn words(&mut self, notes: &mut Notes, name: &str) -> Option<Value<Vec<String>>> {
        self.take(notes, name, "an array of strings and whole numbers", |value| {
            value.as_array()?.iter().map(|element| scalar(element.get_ref())).collect()
        })
    }

    /// The texts and whole numbers of an array, as texts, or one of them alone, if the key is there.
    pub fn list(&mut self, notes: &mut Notes, name: &str) -> Option<Value<Vec<String>>> {
        self.take(notes, name, "a string, or an array of strings and whole numbers", |value| match value.as_array() {
            Some(array) => array.iter().map(|element| scalar(element.get_ref())).collect(),
            None => Some(vec![scalar(&value)?]),
        })
    }

    /// A duration such as `"1m 30s"`, if the key is there.
    pub fn duration(&mut self, notes: &mut Notes, name: &str) -> Option<Value<Duration>> {
        let Value { value, key, span } = self.text(notes, name)?;
        match duration(&value) {
            Ok(value) => Some(Value { value, key, span }),
            Err(error) => {
                notes.at(span, &key, error.to_string());
                None
            }
        }
    }

    /// A table within this one, if the key is there. It must be given to [`Table::finish`] when it is read.
    pub fn table(&mut self, notes: &mut Notes, name: &str) -> Option<Table<'a>> {
        let Value { value, key, span } =
            self.take(notes, name, "a table", |value| if let DeValue::Table(table) = value { Some(table) } else { None })?;
        Some(Table::new(key, span, value))
    }

    /// The tables of an array such as `[[host]]`; none if the key is not there.
    pub fn tables(&mut self, notes: &mut Notes, name: &str) -> Vec<Table<'a>> {
        let array = self
            .take(notes, name, "an array of tables", |value| if let DeValue::Array(array) = value { Some(array) } else { None });
        let Some(Value { value, key, .. }) = array else { return Vec::new() };
        let mut tables = Vec::new();
        for (index, element) in value.into_iter().enumerate() {
            let span = element.span();
            let key = format!("{key}[{index}]");
            let value = element.into_inner();
            let found = value.type_str();
            if let DeValue::Table(table) = value {
                tables.push(Table::new(key, span, table));
            } else {
                notes.at(span, &key, format!("is {found}, wanted a table"));
            }
        }
        tables
    }

    /// Like `found`, but its absence is a mistake: `table.require(notes, "pidfile", found)`.
    pub fn require<T>(&self, notes: &mut Notes, name: &str, found: Option<Value<T>>) -> Option<Value<T>> {
        let key = self.path(name);
        // A value of the wrong type was noted where it was read.
        if found.is_none() && !notes.mistakes.iter().any(|mistake| mistake.key == key) {
            notes.at(self.span.clone(), &key, "is missing");
        }
        found
    }

    /// Takes a key that is known but not supported, with the sentence that says so.
    pub fn unsupported(&mut self, notes: &mut Notes, name: &str, what: &str) {
        let key = self.path(name);
        if let Some((span, _)) = self.entries.remove(name) {
            notes.at(span, &key, what);
        }
    }

    /// Notes every key that was not taken.
    pub fn finish(self, notes: &mut Notes) {
        for (name, (span, _)) in &self.entries {
            notes.at(span.clone(), &self.path(name), "is not a known key here");
        }
    }
}

/// A text or a whole number, as text.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    if let DeValue::Integer(integer) = value {
        return i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|number| number.to_string());
    }
    value.as_str().map(str::to_owned)
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration such as \"90s\", \"1m 30s\", \"500ms\" or \"0s\"")]
pub struct NotADuration(String);

/// Reads a duration: numbers with the units `ms`, `s`, `m`, `h` or `d`, from the largest to the smallest.
///
/// # Errors
/// When a number or a unit is missing, or it does not fit.
pub fn duration(text: &str) -> Result<Duration, NotADuration> {
    let wrong = || NotADuration(text.chars().take(40).collect());
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let milliseconds = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = rest[letters..].trim_start();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Mistakes, duration, read};

    #[test]
    fn durations_are_read() {
        for (text, milliseconds) in [("0s", 0), ("500ms", 500), ("1m 30s", 90_000), ("1m30s", 90_000), ("2h", 7_200_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "5 years", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    fn mistakes(text: &str) -> String {
        let result: Result<(), Mistakes> = read(text, |root, notes| {
            let mut a = root.table(notes, "a")?;
            let found = a.text(notes, "name");
            a.require(notes, "name", found);
            a.duration(notes, "within");
            a.finish(notes);
            Some(())
        });
        result.map_or_else(|mistakes| mistakes.to_string(), |()| String::new())
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_line_and_key() {
        assert_eq!(mistakes("[a]\nname = \"x\"\n"), "");
        assert_eq!(
            mistakes("b = 1\n[a]\nwithin = \"soon\"\nnmae = \"x\"\n"),
            "line 1: b: is not a known key here\n\
             line 2: a.name: is missing\n\
             line 3: a.within: \"soon\" is not a duration such as \"90s\", \"1m 30s\", \"500ms\" or \"0s\"\n\
             line 4: a.nmae: is not a known key here"
        );
        assert_eq!(mistakes("[a]\nname = 5\n"), "line 2: a.name: is integer, wanted a string");
    }
}
