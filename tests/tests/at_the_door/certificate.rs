//! Certificates that are not as they should be.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_tests::fleet::Fleet;
use baton_tests::pki::Pki;
use baton_tests::{clock, wait};

/// A certificate is dated in whole seconds: one that is valid for a second has expired after two.
const EXPIRED_AFTER: Duration = Duration::from_millis(2_100);
const EXPIRED_WITHIN: Duration = Duration::from_secs(10);

/// The two files of a certificate.
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    /// The files that were issued to `name`.
    pub(crate) fn of(pki: &Pki, name: &str) -> Self {
        Self { certificate: pki.certificate(name), key: pki.key(name) }
    }

    /// Copies them into a new directory.
    pub(crate) fn copy_to(&self, directory: &Path) -> Self {
        fs::create_dir(directory).expect("a directory in the sandbox can be made");
        let copy = Self { certificate: directory.join("copy.crt"), key: directory.join("copy.key") };
        self.replace(&copy);
        copy
    }

    /// Puts them in the place of others, as a renewal does.
    pub(crate) fn replace(&self, others: &Self) {
        for (from, to) in [(&self.key, &others.key), (&self.certificate, &others.certificate)] {
            let draft = to.with_extension("draft");
            fs::copy(from, &draft).and_then(|_| fs::rename(&draft, to)).expect("a file in the sandbox can be copied");
        }
    }
}

/// A certificate of the fleet that has expired.
#[track_caller]
pub(crate) fn expired(fleet: &Fleet, role: &str, name: &str) -> Pair {
    let directory = fleet.directory().join("expired");
    fs::create_dir(&directory).expect("a directory in the sandbox can be made");
    for file in ["fleet-ca.crt", "fleet-ca.key"] {
        fs::copy(fleet.pki.directory().join(file), directory.join(file)).expect("a file in the sandbox can be copied");
    }
    let text = directory.to_str().expect("the sandbox has a name that is text");
    let _issued = fleet.baton(&["pki", "issue", role, name, "--dir", text, "--valid-for", "1s"]).expect_code(0);
    let issued = clock::now();
    wait::until("the certificate to expire", EXPIRED_WITHIN, || {
        if issued.elapsed() > EXPIRED_AFTER { Ok(()) } else { Err("it is valid".to_owned()) }
    });
    Pair { certificate: directory.join(format!("{name}.crt")), key: directory.join(format!("{name}.key")) }
}
