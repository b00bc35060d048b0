//! The architecture, as checks: what may import what, what is pure, who prints.
//!
//! Each check takes the text of one file and yields what is wrong with it. `tests/tests/tidy.rs` runs them over the workspace.
//!
//! **Invariant:** a check reads code only: words in comments and literals never offend.

mod lexer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use lexer::{code_of, without_tests};

/// A source file with more lines of code than this, tests and comments not counted, holds more than one idea.
pub const LINES_MAX: usize = 500;

/// What values in, values out means: no file here knows more than `std`'s values and its fellows.
const PURE: [&str; 37] = [
    "proto/src/claim",
    "proto/src/custody",
    "proto/src/document",
    "proto/src/finding",
    "proto/src/identity",
    "proto/src/name",
    "proto/src/span",
    "proto/src/step",
    "proto/src/wire",
    "agent/src/census",
    "agent/src/claim",
    "agent/src/config",
    "agent/src/dialect",
    "agent/src/handover",
    "agent/src/history",
    "agent/src/hold/burials",
    "agent/src/hold/exit",
    "agent/src/hold/job",
    "agent/src/hold/looks",
    "agent/src/journal",
    "agent/src/memory",
    "agent/src/probe/answer",
    "agent/src/procfs",
    "agent/src/release/truth",
    "agent/src/supervision",
    "controller/src/inventory",
    "controller/src/journal",
    "controller/src/outcome",
    "controller/src/plan",
    "controller/src/report/contacts",
    "controller/src/report/eta",
    "controller/src/report/map",
    "controller/src/report/screen",
    "controller/src/rollout",
    "controller/src/standing",
    "controller/src/step",
    "controller/src/text",
];

/// What no pure file may mention.
const IMPURE: [&str; 17] = [
    "tokio",
    "tonic",
    "prost",
    "nix",
    "rustix",
    "tracing",
    "std::fs",
    "std::env",
    "std::net::TcpStream",
    "Instant",
    "SystemTime",
    "async",
    "await",
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
];

/// What each crate may depend on within the workspace.
const NEIGHBOURS: [(&str, &[&str]); 4] = [
    ("proto", &[]),
    ("agent", &["baton-proto"]),
    ("controller", &["baton-proto"]),
    ("tests", &["baton", "baton-agent", "baton-proto"]),
];

const OURS: [&str; 4] = ["baton", "baton-agent", "baton-proto", "baton-tests"];
const PRINTS: [&str; 4] = ["print!", "println!", "eprint!", "eprintln!"];
const UNFINISHED: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// A file of the workspace, with its path from the root.
#[derive(Debug, Clone)]
pub struct Source {
    /// Such as `agent/src/main.rs`.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// One thing wrong in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offence {
    path: PathBuf,
    what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl Source {
    /// A file at `path` that says `text`.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    fn offence(&self, what: impl Into<String>) -> Offence {
        Offence { path: self.path.clone(), what: what.into() }
    }

    /// Whether this file is the module `module`, or lies within it.
    fn is_in(&self, module: &str) -> bool {
        self.path.with_extension("").starts_with(module)
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests") || self.path.file_stem().is_some_and(|stem| stem == "tests" || stem == "samples")
    }

    /// The code that is shipped: no comments, no literals, no tests.
    fn shipped(&self) -> String {
        if self.is_test() { String::new() } else { code_of(without_tests(&self.text)) }
    }

    fn mentions(&self, words: &[&str], code: &str, because: &str) -> Vec<Offence> {
        let found = words.iter().filter(|word| has_word(code, word));
        found.map(|word| self.offence(format!("mentions `{word}`: {because}"))).collect()
    }
}

/// The modules that are pure.
pub fn pure_modules() -> impl Iterator<Item = &'static str> {
    PURE.into_iter()
}

/// Everything that is wrong with one Rust file.
pub fn check_source(source: &Source) -> Vec<Offence> {
    let checks = [purity, system_calls, printing, unfinished, size, header];
    checks.iter().flat_map(|check| check(source)).collect()
}

/// Everything that is wrong with the dependencies of one crate.
pub fn check_manifest(source: &Source) -> Vec<Offence> {
    let folder = source.path.parent().unwrap_or(Path::new(""));
    let Some((_, allowed)) = NEIGHBOURS.iter().find(|(name, _)| folder == Path::new(name)) else {
        return vec![source.offence("is a crate that the map does not know")];
    };
    let names = source.text.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    let strangers = names.filter(|name| OURS.contains(name) && !allowed.contains(name));
    strangers.map(|name| source.offence(format!("depends on {name}, which it must not know"))).collect()
}

fn purity(source: &Source) -> Vec<Offence> {
    if !PURE.iter().any(|module| source.is_in(module)) {
        return Vec::new();
    }
    let allowed = |word: &&&str| !(source.is_in("proto/src/wire") && **word == "prost");
    let words: Vec<&str> = IMPURE.iter().filter(allowed).copied().collect();
    source.mentions(&words, &source.shipped(), "this module is pure")
}

fn system_calls(source: &Source) -> Vec<Offence> {
    if source.is_in("agent/src/os") {
        return Vec::new();
    }
    source.mentions(&["nix", "rustix"], &source.shipped(), "only agent/src/os talks to the kernel")
}

fn printing(source: &Source) -> Vec<Offence> {
    let may_print = source
        .path
        .components()
        .any(|part| ["report", "report.rs", "main.rs", "build.rs"].map(AsRef::as_ref).contains(&part.as_os_str()));
    if may_print { Vec::new() } else { source.mentions(&PRINTS, &source.shipped(), "only `report` and `main` print") }
}

fn unfinished(source: &Source) -> Vec<Offence> {
    source.mentions(&UNFINISHED, &code_of(&source.text), "this is unfinished")
}

fn size(source: &Source) -> Vec<Offence> {
    let lines = code_of(without_tests(&source.text)).lines().filter(|line| !line.trim().is_empty()).count();
    if lines > LINES_MAX { vec![source.offence(format!("has {lines} lines of code, more than {LINES_MAX}"))] } else { Vec::new() }
}

fn header(source: &Source) -> Vec<Offence> {
    let said = source.text.lines().any(|line| line.starts_with("//!"));
    if said || source.is_test() { Vec::new() } else { vec![source.offence("does not begin with `//!`: what is it for?")] }
}

/// Whether `code` has `word` as a word of its own.
fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let ends = !word.ends_with(is_part) || !after.is_some_and(is_part);
        ends && !before.is_some_and(is_part)
    })
}
