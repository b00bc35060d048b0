//! How the patient is started, and which of its faults a flawed release is.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Flaw;
use crate::binaries;
use crate::fault::Fault;

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_hours(24);

/// `patient` in the foreground.
pub(super) fn command(listen: SocketAddr, directory: &Path) -> Command {
    let mut command = Command::new(binaries::find("patient"));
    command.arg("--listen").arg(listen.to_string()).arg("--pidfile").arg(directory.join("unicorn.pid"));
    command.arg("--release").arg(directory.join("release")).arg("--faults").arg(directory.join("faults"));
    command
}

/// The same, speaking gRPC.
pub(super) fn grpc(listen: SocketAddr, directory: &Path) -> Command {
    let mut command = command(listen, directory);
    command.arg("--grpc");
    command
}

/// The same in a shell that holds the lock too, on a descriptor that its children inherit, and starts it again whenever it ends.
pub(super) fn wrapped(command: &Command, lock: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("exec 9>>\"$0\"; flock -s 9; while :; do \"$@\" || sleep 0.1; done").arg(lock);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

/// The fault that a flawed release is.
pub(super) fn fault(flaw: Flaw) -> Fault {
    match flaw {
        Flaw::RaisesAtBoot | Flaw::RefusedConfiguration => Fault::DieAtBoot,
        Flaw::HangsAtBoot => Fault::SlowBoot(FOR_EVER),
        Flaw::NeverReady => Fault::NeverReady,
        Flaw::DiesAfterBoot => Fault::DieAfter(Duration::from_secs(2)),
    }
}
