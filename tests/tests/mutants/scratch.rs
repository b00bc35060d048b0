//! A package below the target directory that is the pure engine, patched, with the simulation as its test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::list::Mutant;

/// The modules of the controller that are copied: all that is pure.
const MODULES: [&str; 9] = ["inventory", "journal", "outcome", "plan", "rollout", "standing", "step", "text", "unknown"];

/// Asks which mutant is meant.
const SWITCH: &str = r#"
/// Whether this mutant is meant.
pub fn is(number: u32) -> bool {
    static MEANT: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *MEANT.get_or_init(|| std::env::var("BATON_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0)) == number
}
"#;

/// The engine with all its mutants in it, built.
#[derive(Debug)]
pub(crate) struct Scratch {
    simulation: PathBuf,
}

impl Scratch {
    /// Copies, patches and builds.
    pub(crate) fn build(mutants: &[Mutant]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        copy_engine(root, &scratch);
        for (mutant, number) in mutants.iter().zip(1..) {
            patch(&scratch.join("src"), mutant, number);
        }
        write_manifests(root, &scratch);
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--offline", "--no-run", "--message-format=json", "--test", "simulation"]);
        cargo.arg("--target-dir").arg(scratch.join("target")).current_dir(&scratch);
        let output = cargo.env_remove("RUSTFLAGS").output().expect("cargo runs");
        assert!(output.status.success(), "the mutants do not build:\n{}", text(&output));
        Self { simulation: executable(&output) }
    }

    /// Runs the simulation of a mutant; the law that refuses it and the seed, or nothing where none does.
    pub(crate) fn run(&self, number: u32, seeds: &str) -> Option<String> {
        let mut run = Command::new(&self.simulation);
        run.arg("every_promise_is_kept").env("BATON_MUTANT", number.to_string()).env("BATON_SEEDS", seeds);
        let output = run.output().expect("the simulation runs");
        if output.status.success() {
            return None;
        }
        let told = text(&output);
        let refusal = told.lines().find(|line| line.starts_with("seed ") && line.contains("is broken"));
        Some(refusal.unwrap_or_else(|| panic!("mutant {number} fails, and no law says so:\n{told}")).to_owned())
    }
}

fn copy_engine(root: &Path, scratch: &Path) {
    let source = scratch.join("src");
    if source.exists() {
        fs::remove_dir_all(&source).expect("an old copy can be removed");
    }
    fs::create_dir_all(&source).expect("a directory can be made");
    let mut map = String::from(SWITCH);
    for module in MODULES {
        let from = root.join("controller/src").join(module);
        let file = from.with_extension("rs");
        if file.exists() {
            fs::copy(&file, source.join(module).with_extension("rs")).expect("a file can be copied");
        }
        if from.exists() {
            copy(&from, &source.join(module));
        }
        for part in ["pub mod ", module, ";\n"] {
            map.push_str(part);
        }
    }
    fs::write(source.join("lib.rs"), map).expect("a file can be written");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("a directory can be read") {
        let entry = entry.expect("an entry can be read").path();
        let name = entry.file_name().expect("an entry has a name");
        if entry.is_dir() {
            copy(&entry, &to.join(name));
        } else {
            fs::copy(&entry, to.join(name)).expect("a file can be copied");
        }
    }
}

fn patch(source: &Path, mutant: &Mutant, number: u32) {
    let path = source.join(mutant.file);
    let before = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {}: {error}", mutant.name, mutant.file));
    let fits = before.matches(mutant.find).count();
    assert_eq!(
        fits, 1,
        "the mutant \"{}\" fits {} {fits} times: adapt it to the source\n{}",
        mutant.name, mutant.file, mutant.find
    );
    let put = mutant.put.replace("MEANT", &format!("crate::is({number})"));
    fs::write(&path, before.replace(mutant.find, &put)).expect("a file can be written");
}

fn write_manifests(root: &Path, scratch: &Path) {
    let root = root.display();
    let manifest = format!(
        r#"[workspace]
members = ["dice"]
resolver = "3"

[package]
name = "baton"
version = "0.0.0"
edition = "2024"

[dependencies]
baton-proto = {{ path = "{root}/proto" }}
jiff = {{ version = "0.2", default-features = false, features = ["std", "tz-system"] }}
serde = {{ version = "1", features = ["derive"] }}
serde_json = {{ version = "1", features = ["preserve_order"] }}
thiserror = "2"

[dev-dependencies]
baton-tests = {{ path = "dice" }}

[[test]]
name = "simulation"
path = "{root}/tests/tests/simulation/main.rs"

[profile.dev]
debug = false
opt-level = 1
"#
    );
    let dice =
        String::from("[package]\nname = \"baton-tests\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n");
    let map = format!("#[path = \"{root}/tests/src/dice.rs\"]\npub mod dice;\n");
    fs::create_dir_all(scratch.join("dice")).expect("a directory can be made");
    for (name, content) in [("Cargo.toml", manifest), ("dice/Cargo.toml", dice), ("dice/lib.rs", map)] {
        fs::write(scratch.join(name), content).expect("a file can be written");
    }
    // The versions of the workspace: nothing else is there to be had without a network.
    fs::copy(Path::new(&root.to_string()).join("Cargo.lock"), scratch.join("Cargo.lock")).expect("a file can be copied");
}

fn executable(output: &Output) -> PathBuf {
    let told = String::from_utf8_lossy(&output.stdout);
    let artifacts = told.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut found = artifacts.filter(|artifact| artifact["target"]["name"] == "simulation").filter_map(|artifact| {
        let path = artifact["executable"].as_str()?;
        Some(PathBuf::from(path))
    });
    found.next().expect("cargo tells where the simulation is")
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
