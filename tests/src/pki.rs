//! A throw-away authority, made with `baton pki`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries;

/// The certificates of one fleet.
#[derive(Debug)]
pub struct Pki {
    fleet: String,
    directory: PathBuf,
}

impl Pki {
    /// Makes an authority in `directory`, which must exist.
    ///
    /// # Panics
    /// When `baton pki` fails.
    pub fn init(fleet: &str, directory: &Path) -> Self {
        let pki = Self { fleet: fleet.to_owned(), directory: directory.to_owned() };
        pki.run(["init", fleet]);
        pki
    }

    /// Issues a certificate to an `agent`, an `operator` or an `observer`.
    ///
    /// # Panics
    /// When `baton pki` fails.
    pub fn issue(&self, role: &str, name: &str) {
        self.run(["issue", role, name]);
    }

    fn run<const N: usize>(&self, args: [&str; N]) {
        let mut command = Command::new(binaries::find("baton"));
        command.arg("pki").args(args).args([OsStr::new("--dir"), self.directory.as_os_str()]);
        let output = command.output().expect("baton starts");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The fleet's name.
    pub fn fleet(&self) -> &str {
        &self.fleet
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The certificate that was issued to `name`.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.crt"))
    }

    /// Its key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.key"))
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.directory.join("fleet-ca.crt")
    }
}
