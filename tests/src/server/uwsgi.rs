//! How uWSGI is started: a master with two workers and a small application in Python.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The descriptor on which `baton-agent hold` hands the lock down.
const LOCK_DESCRIPTOR: &str = "1025";

/// `uwsgi` in the foreground.
pub(super) fn command(listen: SocketAddr, directory: &Path) -> Command {
    let application = Path::new(env!("CARGO_MANIFEST_DIR")).join("uwsgi/application.py");
    let mut command = Command::new("uwsgi");
    command.args(["--plugins", "python3", "--master", "--processes", "2", "--need-app", "--die-on-term"]);
    command.arg("--http-socket").arg(listen.to_string()).arg("--pidfile").arg(directory.join("unicorn.pid"));
    // Its own chdir, and not ours alone: a symbolic link is followed anew at each reload.
    command.arg("--chdir").arg(directory).arg("--wsgi-file").arg(application);
    // Without this the exec of a reload closes the lock, where the soft limit of descriptors is above its number.
    command.args(["--safe-fd", LOCK_DESCRIPTOR]);
    command
}
