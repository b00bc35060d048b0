//! Each check bites: for every rule, a file that breaks it and one that does not.

use super::lexer::code_of;
use super::{LINES_MAX, Source, check_manifest, check_source};

const PURE_FILE: &str = "controller/src/plan.rs";

fn offences(path: &str, code: &str) -> Vec<String> {
    check_source(&Source::new(path, format!("//! For a test.\n{code}\n"))).iter().map(ToString::to_string).collect()
}

fn bites(path: &str, code: &str) {
    assert!(!offences(path, code).is_empty(), "{path} may not say {code:?}");
}

fn passes(path: &str, code: &str) {
    assert_eq!(offences(path, code), Vec::<String>::new());
}

#[test]
fn a_pure_file_knows_no_clock_no_files_and_no_runtime() {
    for code in [
        "use tokio::sync::mpsc;",
        "fn now() -> std::time::Instant { todo() }",
        "use std::fs;",
        "use std::{fs};\nfn read() { std::fs::read() }",
        "async fn plan() {}",
        "fn plan() { tracing::info!(\"planned\") }",
        "fn plan() { println!(\"planned\") }",
        "use nix::unistd;",
    ] {
        bites(PURE_FILE, code);
        bites("agent/src/handover/step.rs", code);
    }
    passes(PURE_FILE, "use std::time::Duration;");
    passes(PURE_FILE, "// async, tokio and std::fs are elsewhere.\nconst WORD: &str = \"async\";");
    passes(PURE_FILE, "fn fan_out_asynchronously() {}");
    passes(PURE_FILE, "#[cfg(test)]\nmod tests {\n    use std::fs;\n}");
}

#[test]
fn only_wire_knows_prost() {
    bites("proto/src/name.rs", "use prost::Message;");
    passes("proto/src/wire.rs", "use prost::Message;");
}

#[test]
fn only_one_folder_talks_to_the_kernel() {
    bites("agent/src/driver/mod.rs", "use rustix::process;");
    bites("controller/src/execute/mod.rs", "use nix::unistd;");
    passes("agent/src/os/lock.rs", "use rustix::process;");
}

#[test]
fn only_reports_print() {
    bites("agent/src/rpc.rs", "fn f() { eprintln!(\"hello\") }");
    passes("controller/src/report/human.rs", "fn f() { println!(\"hello\") }");
    passes("agent/src/report.rs", "fn f() { println!(\"hello\") }");
}

#[test]
fn nothing_is_left_for_later() {
    bites("agent/src/rpc.rs", "fn f() { todo!() }");
    bites("tests/tests/gaps.rs", "#[test]\n#[ignore]\nfn f() {}");
    bites("tests/tests/gaps.rs", "#[ignore = \"slow\"]");
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    bites("agent/src/rpc.rs", &"fn f() {}\n".repeat(LINES_MAX + 1));
    assert_eq!(check_source(&Source::new("agent/src/rpc.rs", "fn f() {}\n")).len(), 1);
}

#[test]
fn agent_and_controller_never_meet() {
    let check = |path: &str, line: &str| check_manifest(&Source::new(path, format!("[dependencies]\n{line}\n"))).len();
    assert_eq!(check("agent/Cargo.toml", "baton.workspace = true"), 1);
    assert_eq!(check("controller/Cargo.toml", "baton-agent = { path = \"../agent\" }"), 1);
    assert_eq!(check("proto/Cargo.toml", "baton.workspace = true"), 1);
    assert_eq!(check("agent/Cargo.toml", "baton-tests.workspace = true"), 1);
    assert_eq!(check("agent/Cargo.toml", "baton-proto.workspace = true"), 0);
    assert_eq!(check("tests/Cargo.toml", "baton.workspace = true"), 0);
    assert_eq!(check("shared/Cargo.toml", ""), 1);
}

#[test]
fn comments_and_literals_are_no_code() {
    for (text, code) in [
        ("a // b\nc", "a \nc"),
        ("a /* b\n * / */ c", "a  c"),
        ("f(\"b \\\" b\", c)", "f(, c)"),
        ("f(r#\"b \" b\"#, c)", "f(, c)"),
        ("f(r\"b\", 'b', '\\'', '\\u{62}', c)", "f(, , , , c)"),
        ("fn f<'a>(x: &'a str)", "fn f<a>(x: &a str)"),
        ("var\"b\"", "var"),
        ("r#type", "r#type"),
    ] {
        assert_eq!(code_of(text), code, "{text:?}");
    }
}
