//! How nginx is started: a master with two workers, which answer by themselves.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The file with what it answers, read when the configuration is.
pub(super) const ANSWER: &str = "answer.conf";

/// `nginx` in the foreground, or as a daemon, with its own directory as prefix.
pub(super) fn command(listen: SocketAddr, directory: &Path, daemon: bool) -> Command {
    // What it includes is sought beside its configuration.
    let configuration = directory.join("nginx.conf");
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx/nginx.conf");
    let text = fs::read_to_string(original).expect("a file of the tests can be read");
    let text = if daemon { text.replace("daemon off;", "daemon on;") } else { text };
    fs::write(&configuration, text).expect("a file in the sandbox can be written");
    let mut command = Command::new("sh");
    // nginx has no variable for its master's pid. In the foreground that is the pid of this shell; as a daemon it changes, and nobody
    // can say it. A new binary is executed by the name of the old one, which is not sought in a path.
    let master = if daemon { "0" } else { "$$" };
    let script = format!(r#"echo "listen $0; set \$master {master};" > listen.conf; exec "$(command -v nginx)" "$@""#);
    command.args(["-c", &script, &listen.to_string()]);
    // A prefix ends in a slash. What goes wrong before the configuration is read is told on standard error.
    command.arg("-p").arg(format!("{}/", directory.display())).arg("-e").arg("stderr").arg("-c").arg(configuration);
    // By default its workers become another user, who would not find the way here.
    if rustix::process::geteuid().is_root() {
        command.args(["-g", "user root;"]);
    }
    command
}

/// Its test of the configuration that `command` has written.
pub(super) fn check(directory: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-t").arg("-p").arg(format!("{}/", directory.display())).args(["-e", "stderr", "-c"]);
    command.arg(directory.join("nginx.conf"));
    command
}

/// What it answers in a release; in one that is not sound the configuration is refused.
pub(super) fn answer(release: &str, is_sound: bool) -> String {
    let nonsense = if is_sound { "" } else { "nonsense;\n" };
    format!("{nonsense}location / {{ return 200 \"{release} $pid $master\\n\"; }}\n")
}
