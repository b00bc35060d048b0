//! How uWSGI is started: a master with two workers and a small application in Python.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The descriptor on which `baton-agent hold` hands the lock down.
const LOCK_DESCRIPTOR: &str = "1025";

/// `uwsgi` in the foreground; safe where it is told to leave the lock's descriptor alone.
///
/// At the exec of a reload it closes every descriptor below the soft limit but the safe ones. With the usual limit of 1024 that spares
/// the lock; so it is raised here, as a busy server's is.
pub(super) fn command(listen: SocketAddr, directory: &Path, is_safe: bool) -> Command {
    let application = Path::new(env!("CARGO_MANIFEST_DIR")).join("uwsgi/application.py");
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -Sn 2048 && exec uwsgi "$@""#, "sh"]);
    command.args(["--plugins", "python3", "--master", "--processes", "2", "--need-app", "--die-on-term"]);
    command.arg("--http-socket").arg(listen.to_string()).arg("--pidfile").arg(directory.join("unicorn.pid"));
    // Its own chdir, and not ours alone: a symbolic link is followed anew at each reload.
    command.arg("--chdir").arg(directory).arg("--wsgi-file").arg(application);
    if is_safe {
        command.args(["--safe-fd", LOCK_DESCRIPTOR]);
    }
    command
}
