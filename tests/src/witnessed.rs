//! One host beside the kernel's own ledger of its lock, which is kept from before the lock is first held.

use std::fs::{self, File};

use crate::controller::Run;
use crate::fleet::{Builder, Fleet, Host, SERVICE};
use crate::ledger::Ledger;
use crate::sandbox::Sandbox;
use crate::server::Release;
use crate::testified::{Testified, local};

/// Starts such a fleet of one host. The ledger is to be dropped before it, with whose sandbox the lock goes.
///
/// # Panics
/// When it does not start, or there is no ledger.
pub fn start(fleet: Builder) -> (Ledger, Fleet) {
    let sandbox = Sandbox::new();
    let directory = sandbox.path().join("web-1/server");
    fs::create_dir_all(&directory).expect("a directory in the sandbox can be made");
    let lock = directory.join("unicorn.pid.lock");
    File::create(&lock).expect("a file in the sandbox can be made");
    let ledger = Ledger::open([&*lock]).expect("a ledger");
    (ledger, fleet.start_in(sandbox))
}

/// One handover to another release, asked for on the host: what is on record of it, and what was printed.
///
/// # Panics
/// When nothing is on record.
#[track_caller]
pub fn reload(fleet: &Fleet, release: &Release) -> (Testified, Run) {
    let host = &fleet.hosts[0];
    host.server.deploy(release);
    let run = local(fleet, host, &["reload", SERVICE]);
    (Testified::last(fleet, host).unwrap_or_else(|| panic!("{run}")), run)
}

/// Whether the lock was free for a moment of a window, by the ledger.
///
/// # Panics
/// When the ledger has lost something.
pub fn was_free(ledger: &mut Ledger, host: &Host, window: &Testified) -> bool {
    ledger.take_down().expect("a ledger without a loss");
    let account = ledger.account(&host.server.lock()).expect("an account");
    !account.free_within(window.from, window.to).is_empty()
}
