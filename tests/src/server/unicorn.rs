//! How Unicorn is started: with the configuration of `deploy/`, and what the tests need on top.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::Flaw;
use crate::deployed;

/// `unicorn` in the foreground or as a daemon.
pub(super) fn command(listen: SocketAddr, directory: &Path, preload: bool, daemon: bool) -> Command {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("unicorn");
    let mut command = Command::new("unicorn");
    command.arg("-c").arg(files.join("unicorn.conf.rb")).args(["-E", "none"]);
    if daemon {
        command.arg("-D");
    }
    command.arg(files.join("config.ru")).env("DEPLOYED", deployed::file("unicorn.conf.rb")).env("PRELOAD", preload.to_string());
    command.env("WEB_ROOT", directory).env("WEB_RUN", directory).env("WEB_WORKERS", "2").env("WEB_LISTEN", listen.to_string());
    command
}

/// The same in the directory `root`.
pub(super) fn released(listen: SocketAddr, directory: &Path, root: &Path) -> Command {
    let mut command = command(listen, directory, true, false);
    command.env("WEB_ROOT", root);
    command
}

/// What the application reads from its file `flaw`.
pub(super) fn word(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::RaisesAtBoot => "raises-at-boot",
        Flaw::HangsAtBoot => "hangs-at-boot",
        Flaw::NeverReady => "never-ready",
        Flaw::DiesAfterBoot => "dies-after-boot",
        Flaw::RefusedConfiguration => "refused",
    }
}
