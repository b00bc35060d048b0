//! How HAProxy is started: a master with one worker, which answers by itself.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The file with what it answers, read when the configuration is.
pub(super) const ANSWER: &str = "answer";

/// `haproxy -W` in the foreground.
pub(super) fn command(listen: SocketAddr, directory: &Path) -> Command {
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("haproxy/haproxy.cfg");
    let mut command = Command::new("sh");
    // A worker does not know its master. That is one process for ever, the one that this shell becomes.
    command.args(["-c", r#"WEB_MASTER=$$ exec haproxy "$@""#, "sh"]);
    command.arg("-W").arg("-f").arg(configuration).arg("-p").arg(directory.join("unicorn.pid"));
    command.env("WEB_ROOT", directory).env("WEB_LISTEN", listen.to_string());
    command
}

/// Its test of the configuration.
pub(super) fn check(listen: SocketAddr, directory: &Path) -> Command {
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("haproxy/haproxy.cfg");
    let mut command = Command::new("haproxy");
    command.arg("-c").arg("-f").arg(configuration);
    command.env("WEB_ROOT", directory).env("WEB_LISTEN", listen.to_string()).env("WEB_MASTER", "0");
    command
}

/// What it answers in a release: `%pid` is the worker. One that is not sound makes a configuration that is refused.
pub(super) fn answer(release: &str, is_sound: bool) -> String {
    let master = if is_sound { "%[env(WEB_MASTER)]" } else { "%[nonsense]" };
    format!("{release} %pid {master}\n")
}
