//! What was seen of a server, in the words of the README.

use std::fs;
use std::panic::resume_unwind;
use std::thread;

use baton_tests::deployed;

use super::{Case, broken, killed, midway, reloads};

/// Sees what befalls such a server, and fails unless the README says the same.
pub(super) fn is_in_the_readme(case: &Case) {
    let row = seen(case);
    assert!(rows_in_the_readme().contains(&row), "the README has no such row:\n{row}");
}

/// The servers in the table, in its order.
pub(super) fn names_in_the_readme() -> Vec<String> {
    let name = |row: String| row.split(" | ").next().and_then(|cell| cell.strip_prefix("| ")).map(ToOwned::to_owned);
    rows_in_the_readme().into_iter().filter_map(name).collect()
}

fn rows_in_the_readme() -> Vec<String> {
    let readme = fs::read_to_string(deployed::file("../README.md")).expect("it is there");
    let (_, section) = readme.split_once("\n### What Baton guarantees, per server\n").expect("the README has the table");
    let table = section.lines().skip_while(|line| !line.starts_with("| --- |")).skip(1);
    table.take_while(|line| line.starts_with("| ")).map(ToOwned::to_owned).collect()
}

/// All of it at the same time: most of it is waiting.
fn seen(case: &Case) -> String {
    let others: [fn(&Case) -> String; 4] = [broken::release, killed::outright, midway::killed, midway::signalled];
    let cells = thread::scope(|scope| {
        let others = others.map(|cell| scope.spawn(move || cell(case)));
        let [kept, lost] = reloads::under_load(case);
        let others = others.map(|cell| cell.join().unwrap_or_else(|panic| resume_unwind(panic)));
        [vec![case.name.to_owned(), kept, lost], others.to_vec()].concat()
    });
    format!("| {} |", cells.join(" | "))
}

/// Two things in one cell, told once where they are the same.
pub(super) fn either([first, second]: [(&str, String); 2]) -> String {
    if first.1 == second.1 {
        return format!("{} or {}: {}", first.0, second.0, first.1);
    }
    [first, second].map(|(what, word)| format!("{what}: {word}")).join("; ")
}

/// Tells what changes from run to run; `cargo test --test servers -- --nocapture` shows it.
#[expect(clippy::print_stdout, reason = "the test harness shows it when asked, or with a failed test")]
pub(super) fn tell(case: &Case, what: &str) {
    println!("{}: {what}", case.name);
}
