//! How Puma is started: with the configuration of `deploy/`, or with the hook that comes to mind.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::deployed;

/// Puma as `deploy/puma.rb` configures it.
pub(super) fn deployed(listen: SocketAddr, directory: &Path) -> Command {
    let mut command = command(listen, directory, "puma.rb");
    command.env("DEPLOYED", deployed::file("puma.rb"));
    command
}

/// The same, with an application that each worker loads.
pub(super) fn phased(listen: SocketAddr, directory: &Path) -> Command {
    let mut command = command(listen, directory, "phased.rb");
    command.env("DEPLOYED", deployed::file("puma.rb"));
    command
}

/// Puma that takes its lock anew after each exec.
pub(super) fn plain(listen: SocketAddr, directory: &Path, marked: bool, helped: bool) -> Command {
    let mut command = command(listen, directory, "plain.rb");
    command.env("MARKED", marked.to_string()).env("HELPED", helped.to_string());
    command
}

/// The same, that notes its pid in the lock file each time, beside a program with a lock of its own.
pub(super) fn noting(listen: SocketAddr, directory: &Path) -> Command {
    let mut command = plain(listen, directory, false, true);
    command.env("NOTED", "true");
    command
}

/// `puma` in the foreground, with two workers.
fn command(listen: SocketAddr, directory: &Path, configuration: &str) -> Command {
    let mut command = Command::new("puma");
    // The path is absolute: after a restart a relative one is looked for elsewhere.
    command.arg("-C").arg(file("puma").join(configuration)).args(["-e", "none"]);
    command.env("WEB_ROOT", directory).env("WEB_RUN", directory).env("WEB_WORKERS", "2").env("WEB_LISTEN", listen.to_string());
    command.env("WEB_RACKUP", file("unicorn/config.ru"));
    command
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
