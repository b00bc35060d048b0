//! How HAProxy is started: a master with one worker, which answers by itself.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The file with what it answers, read when the configuration is.
pub(super) const ANSWER: &str = "answer";

/// A worker does not know its master. That is one process for ever, the one that this shell becomes.
const START: &str = r#"
mode=-W
if [ -f "$WEB_ROOT/notifies" ]; then
    mode=-Ws
    export NOTIFY_SOCKET="$(cat "$WEB_ROOT/notifies")"
fi
WEB_MASTER=$$ exec haproxy "$mode" "$@"
"#;

/// `haproxy -W` in the foreground; `-Ws` where a file `notifies` says to which socket it is to tell how it is.
pub(super) fn command(listen: SocketAddr, directory: &Path) -> Command {
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("haproxy/haproxy.cfg");
    let mut command = Command::new("sh");
    command.args(["-c", START, "sh"]);
    command.arg("-f").arg(configuration).arg("-p").arg(directory.join("unicorn.pid"));
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
