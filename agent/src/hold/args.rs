//! The command line of `baton-agent hold`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use baton_proto::document;

use super::exit;
use crate::dialect::{Custodian, Dialect, Signal};

/// Runs a server in the foreground of an init system and exits when every process that holds its lock is gone: not when
/// the command ends, not when one generation of the server hands over to the next.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(after_help = exit::table())]
pub struct Args {
    /// The lock that the server holds: by a hook in its configuration, or by --carry.
    #[arg(long, value_name = "FILE")]
    pub lock: PathBuf,
    /// Where the server's master writes its pid. Without it, masters are known as the topmost holders.
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<PathBuf>,
    /// What kind of server it is; says how it is stopped. `baton-agent dialects` lists them; one that is not there is stopped by
    /// --stop-signal.
    #[arg(long, value_name = "NAME", default_value = "unicorn", conflicts_with = "stop_signal")]
    pub dialect: Dialect,
    /// What makes a master finish its requests and leave, where there is no dialect for it: QUIT, TERM, INT, USR1 or WINCH.
    #[arg(long, value_name = "SIGNAL", value_parser = stop_signal)]
    pub stop_signal: Option<Signal>,
    /// How long that may take, before SIGTERM (5 s) and SIGKILL.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = document::duration)]
    pub stop_within: Duration,
    /// How long the first holder may take to appear, before the command is stopped.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = document::duration)]
    pub first_holder_within: Duration,
    /// Take the lock here and let the server inherit it on descriptor 1025, instead of by a hook in its configuration. The dialects
    /// haproxy, uwsgi, nginx and php-fpm imply it.
    #[arg(long)]
    pub carry: bool,
    /// Where the command runs: an absolute path, which it finds in PWD as it is written here. Where it is a symbolic link, servers that go
    /// by PWD when they start themselves anew come to the release that the link names by then.
    #[arg(long, value_name = "DIRECTORY", value_parser = absolute)]
    pub directory: Option<PathBuf>,
    /// The command that starts the server, in the foreground or as a daemon. Not run when the server is there already.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl Args {
    /// What makes a master finish its requests and leave.
    pub(super) fn graceful(&self) -> Signal {
        self.stop_signal.unwrap_or(self.dialect.row().retire)
    }

    /// Whether the server inherits the lock from here.
    pub(super) fn carries(&self) -> bool {
        self.carry || self.stop_signal.is_none() && self.dialect.row().lock == Custodian::Inherited
    }

    /// The files that name masters: the one in charge, and the other one while a handover is under way.
    pub(super) fn pid_files(&self) -> Vec<PathBuf> {
        self.pidfile.as_ref().map(|present| self.dialect.pid_files(present)).unwrap_or_default()
    }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("not absolute: it must begin with a slash".to_owned()) }
}

fn stop_signal(text: &str) -> Result<Signal, String> {
    let known = [Signal::Quit, Signal::Term, Signal::Int, Signal::Usr1, Signal::Winch];
    let wanted = text.strip_prefix("SIG").unwrap_or(text);
    known.into_iter().find(|signal| &signal.name()[3..] == wanted).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|signal| &signal.name()[3..]).collect();
        format!("not one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use clap::Parser as _;

    use super::Args;
    use crate::dialect::Signal;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, String> {
        let words = std::iter::once("hold").chain(line.split_whitespace());
        Command::try_parse_from(words).map(|command| command.args).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let args = parse("--lock /run/l -- unicorn -D").expect("valid");
        assert_eq!((args.graceful(), args.stop_within), (Signal::Quit, Duration::from_mins(1)));
        assert_eq!((args.pid_files(), args.command.len()), (Vec::new(), 2));
    }

    #[test]
    fn the_lock_is_carried_where_the_dialect_has_no_hook_or_on_request() {
        for (line, carries) in [
            ("--lock l -- x", false),
            ("--lock l --dialect puma -- x", false),
            ("--lock l --dialect haproxy -- x", true),
            ("--lock l --dialect php-fpm -- x", true),
            ("--lock l --dialect gunicorn -- x", false),
            ("--lock l --carry -- x", true),
            ("--lock l --carry --stop-signal TERM -- x", true),
            ("--lock l --stop-signal TERM -- x", false),
        ] {
            assert_eq!(parse(line).expect("valid").carries(), carries, "{line}");
        }
    }

    #[test]
    fn the_other_master_is_sought_beside_the_pid_file() {
        for (line, other) in [
            ("--lock /run/l --pidfile /run/u.pid -- unicorn", "/run/u.pid.oldbin"),
            ("--lock /run/l --pidfile /run/u.pid --dialect gunicorn -- gunicorn", "/run/u.pid.2"),
            ("--lock /run/l --pidfile /run/u.pid --dialect nginx -- nginx", "/run/u.pid.oldbin"),
        ] {
            let args = parse(line).expect("valid");
            assert_eq!(args.pid_files(), [PathBuf::from("/run/u.pid"), PathBuf::from(other)], "{line}");
        }
    }

    #[test]
    fn a_stop_signal_is_one_that_stops() {
        for (text, signal) in [("TERM", Signal::Term), ("SIGINT", Signal::Int), ("WINCH", Signal::Winch)] {
            let args = parse(&format!("--lock l --stop-signal {text} -- x")).expect("valid");
            assert_eq!(args.graceful(), signal);
        }
        for text in ["KILL", "term", "USR2", "", "15"] {
            assert!(parse(&format!("--lock l --stop-signal={text} -- x")).is_err(), "{text}");
        }
    }

    #[test]
    fn mistakes_are_refused() {
        for line in [
            "-- x",
            "--lock l",
            "--lock l x",
            "--lock l --dialect apache -- x",
            "--lock l --stop-within 5 -- x",
            "--lock l --dialect unicorn --stop-signal TERM -- x",
            "--lock l --directory srv/web -- x",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
