//! The architecture of this workspace, held to its own rules.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use baton_tests::tidy::{Offence, Source, check_manifest, check_source, pure_modules};

const CRATES: [&str; 4] = ["proto", "agent", "controller", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> Source {
    Source::new(path.strip_prefix(root()).unwrap(), fs::read_to_string(path).unwrap())
}

/// The files below `folder` that end in `.extension`.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

fn fails_on(offences: &[Offence]) {
    let lines: Vec<String> = offences.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn every_source_file_keeps_the_rules() {
    let sources: Vec<PathBuf> = CRATES.iter().flat_map(|name| files(&root().join(name), "rs")).collect();
    assert!(sources.len() > 20, "the workspace was not found: {sources:?}");
    fails_on(&sources.iter().flat_map(|path| check_source(&read(path))).collect::<Vec<_>>());
}

#[test]
fn crates_import_only_whom_they_may_know() {
    let manifests = CRATES.iter().map(|name| root().join(name).join("Cargo.toml"));
    fails_on(&manifests.flat_map(|path| check_manifest(&read(&path))).collect::<Vec<_>>());
}

#[test]
fn every_pure_module_is_where_the_map_says() {
    let is_there = |module: &&str| root().join(module).is_dir() || root().join(module).with_extension("rs").is_file();
    let missing: Vec<_> = pure_modules().filter(|module| !is_there(module)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_map_in_the_readme_names_every_folder() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, map) = readme.split_once("## The map").unwrap();
    let (map, _) = map.split_once("\n## ").unwrap();
    let folders = fs::read_dir(root()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().into_string().unwrap());
    let ours = names.filter(|name| !name.starts_with('.') && name != "target");
    let missing: Vec<String> = ours.filter(|name| !map.contains(&format!("    {name}/"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `file::name`, below `tests/tests`.
fn has_test(told: &str) -> bool {
    let Some((file, name)) = told.split_once("::") else { return false };
    let text = fs::read_to_string(root().join("tests/tests").join(file));
    text.is_ok_and(|text| text.contains(&format!("#[test]\nfn {name}() {{")))
}

#[test]
fn every_thread_of_users_is_answered_by_a_test_that_exists() {
    let text = fs::read_to_string(root().join("tests/USERS.md")).unwrap();
    let entries = text.split("\n- ").skip(1).filter_map(|entry| entry.split("\n\n").next()?.split_once(": "));
    let mut answered = 0;
    for (threads, answer) in entries {
        for thread in quoted(threads) {
            let (repository, number) = thread.split_once('#').unwrap_or_default();
            assert!(repository.contains('/') && number.parse::<u32>().is_ok(), "{thread:?} is no `repository#number`");
            answered += 1;
        }
        let tests: Vec<&str> = quoted(answer).filter(|word| word.contains("::")).collect();
        assert!(!tests.is_empty(), "no test answers {threads}");
        let missing: Vec<&&str> = tests.iter().filter(|told| !has_test(told)).collect();
        assert!(missing.is_empty(), "{threads} name {missing:?}, which no file below tests/tests has");
    }
    assert!(answered > 30, "{answered} threads");
}
