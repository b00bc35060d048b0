//! How Unicorn is started, with the lock hook under test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::Flaw;

/// `unicorn` in the foreground or as a daemon.
pub(super) fn command(listen: SocketAddr, preload: bool, daemon: bool) -> Command {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("unicorn");
    let mut command = Command::new("unicorn");
    command.arg("-c").arg(files.join("unicorn.conf.rb")).args(["-E", "none"]);
    if daemon {
        command.arg("-D");
    }
    command.arg(files.join("config.ru"));
    command.env("LISTEN", listen.to_string()).env("PRELOAD", preload.to_string()).env("LOCK_HOOK", files.join("lock_hook.rb"));
    command
}

/// What the application reads from its file `flaw`.
pub(super) fn word(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::RaisesAtBoot => "raises-at-boot",
        Flaw::HangsAtBoot => "hangs-at-boot",
        Flaw::NeverReady => "never-ready",
        Flaw::DiesAfterBoot => "dies-after-boot",
    }
}
