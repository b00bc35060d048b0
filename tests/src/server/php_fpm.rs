//! How php-fpm is started: with two workers, and before it an nginx that speaks HTTP.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The file that names the release, read when the configuration is.
pub(super) const RELEASE: &str = "release.conf";

/// `php-fpm` on its own address, in the foreground or as a daemon.
pub(super) fn command(backend: SocketAddr, directory: &Path, daemon: bool) -> Command {
    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("php-fpm/php-fpm.conf");
    let mut command = Command::new("php-fpm8.2");
    command.arg(if daemon { "--daemonize" } else { "--nodaemonize" }).arg("-y").arg(configuration);
    if rustix::process::geteuid().is_root() {
        command.arg("-R");
    }
    command.env("WEB_ROOT", directory).env("WEB_BACKEND", backend.to_string());
    command
}

/// Its test of the configuration.
pub(super) fn check(backend: SocketAddr, directory: &Path) -> Command {
    let mut command = command(backend, directory, false);
    command.arg("-t");
    command
}

/// The same, behind an nginx that knows nothing of the lock: it is there before whatever `server` is.
pub(super) fn behind_a_front(server: &Command, listen: SocketAddr, backend: SocketAddr, directory: &Path) -> Command {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("php-fpm");
    let configuration = directory.join("front.conf");
    fs::copy(files.join("front.conf"), &configuration).expect("a file can be copied into the sandbox");
    let answer = files.join("answer.php");
    let places = format!("listen {listen};\nset $backend {backend};\nset $answer {};\n", answer.display());
    fs::write(directory.join("front-places.conf"), places).expect("a file in the sandbox can be written");
    let mut command = Command::new("sh");
    command.args(["-c", r#"nginx -p "$0/" -e stderr -c "$0/front.conf" ${FRONT_USER:+-g "$FRONT_USER"} && exec "$@""#]);
    command.arg(directory).arg(server.get_program()).args(server.get_args());
    command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if rustix::process::geteuid().is_root() {
        command.env("FRONT_USER", "user root;");
    }
    command
}

/// What names a release; one that is not sound makes a configuration that is refused.
pub(super) fn release(name: &str, is_sound: bool) -> String {
    let nonsense = if is_sound { "" } else { "nonsense = yes\n" };
    format!("{nonsense}env[WEB_RELEASE] = {name}\n")
}
