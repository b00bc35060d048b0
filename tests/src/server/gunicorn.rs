//! How Gunicorn is started: with the configuration of `deploy/`, and the small application in Python.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::deployed;

/// Its test of the configuration and of the application.
pub(super) fn check(listen: SocketAddr, directory: &Path) -> Command {
    let mut command = command(listen, directory);
    // The check loads the application before it looks at --pythonpath.
    command.arg("--check-config").env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("uwsgi"));
    command
}

/// `gunicorn` in the foreground, with two workers.
pub(super) fn command(listen: SocketAddr, directory: &Path) -> Command {
    let files = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("gunicorn");
    command.arg("-c").arg(files.join("gunicorn/gunicorn.conf.py")).arg("--pythonpath").arg(files.join("uwsgi"));
    command.arg("application:application").env("DEPLOYED", deployed::file("gunicorn.conf.py"));
    command.env("WEB_ROOT", directory).env("WEB_RUN", directory).env("WEB_WORKERS", "2").env("WEB_LISTEN", listen.to_string());
    // What the interpreter writes beside a source file is nobody's.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
