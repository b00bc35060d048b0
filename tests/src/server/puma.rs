//! How Puma is started: with the configuration of `deploy/`, or with the hook that comes to mind.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::deployed;

/// How the lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    /// As `deploy/puma.rb` does it.
    Deployed,
    /// By each program image anew, and marked or not.
    Plain {
        /// Whether it is marked.
        marked: bool,
    },
}

/// `puma` in the foreground, with two workers.
pub(super) fn command(listen: SocketAddr, directory: &Path, hook: Hook) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (configuration, is_marked) = match hook {
        Hook::Deployed => ("puma.rb", true),
        Hook::Plain { marked } => ("plain.rb", marked),
    };
    let mut command = Command::new("puma");
    // The path is absolute: after a restart a relative one is looked for elsewhere.
    command.arg("-C").arg(folder.join("puma").join(configuration)).args(["-e", "none"]);
    command.env("DEPLOYED", deployed::file("puma.rb")).env("MARKED", is_marked.to_string());
    command.env("WEB_ROOT", directory).env("WEB_RUN", directory).env("WEB_WORKERS", "2").env("WEB_LISTEN", listen.to_string());
    command.env("WEB_RACKUP", folder.join("unicorn/config.ru"));
    command
}
