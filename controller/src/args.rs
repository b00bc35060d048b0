//! The arguments of `baton`.

use std::path::PathBuf;
use std::time::Duration;

use baton_proto::document;
use baton_proto::identity::Role;
use clap::{Args, Parser, Subcommand};

use crate::inventory::{NotAShare, Policy, Share, count, in_flight, stop_after};
use crate::outcome::help;
use crate::report::Format;
use crate::text::plain;

/// Restarts a fleet of servers without the service lapsing, and proves it, host by host.
#[derive(Debug, Parser)]
#[command(name = "baton", version, after_help = help(), arg_required_else_help = true)]
pub struct Arguments {
    /// What is wanted, and how it is shown.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Arguments of every verb.
#[derive(Debug, Args)]
pub struct Global {
    /// The inventory; else ./fleet.toml, else ~/.config/baton/fleet.toml
    #[arg(long, global = true, env = "BATON_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Text for people, or one JSON object a line
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub output: Format,
    /// Log more to stderr: -v what happens, -vv every event and action
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What is wanted.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the fleet as it is: lock, generation, master, epoch, since when
    #[command(after_help = help())]
    Status {
        /// Host names, globs and label=value, with commas between; a leading ! excludes
        #[arg(value_name = "SELECTOR")]
        selector: Option<String>,
    },
    /// Show what a restart would do; touches nothing
    #[command(after_help = help())]
    Plan {
        /// What, where and within which limits
        #[command(flatten)]
        walk: Walk,
        /// Write the plan to this file, for `baton restart --plan`
        #[arg(long, value_name = "FILE", conflicts_with = "plan")]
        out: Option<PathBuf>,
    },
    /// Hand a service over to a new generation, host by host, with proof
    #[command(after_help = help())]
    Restart {
        /// What, where and within which limits
        #[command(flatten)]
        walk: Walk,
        /// What for: shown to whoever finds a service claimed, and kept in the journal
        #[arg(long, value_name = "TEXT", value_parser = reason, default_value = "", hide_default_value = true)]
        reason: String,
        /// Do not ask for confirmation. Without a terminal nobody is asked anyway
        #[arg(long, short)]
        yes: bool,
    },
    /// Show what an agent saw of a handover and what that proves, and the drops that it saw at any time
    ///
    /// Ends with 0 whatever is shown, and with 3 if no handover is on record and nothing befell the service.
    #[command(after_help = help())]
    Testimony {
        /// The host
        host: String,
        /// The service
        service: String,
        /// That rollout's handover, instead of the last one
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        rollout: String,
    },
    /// Show who has claimed what, since when and why
    ///
    /// Ends with 0 when every host has answered, claimed or not, and with 3 otherwise.
    #[command(after_help = help())]
    Claims {
        /// Host names, globs and label=value, with commas between; a leading ! excludes
        #[arg(value_name = "SELECTOR")]
        selector: Option<String>,
    },
    /// Make the fleet's certificates
    #[command(subcommand)]
    Pki(Pki),
}

/// What is to be restarted, and within which limits: as is said here, or as a plan that was written down says.
#[derive(Debug, Args)]
pub struct Walk {
    /// The service, as the agents call it
    #[arg(required_unless_present = "plan")]
    pub service: Option<String>,
    /// Host names, globs and label=value, with commas between; a leading ! excludes
    #[arg(value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Exactly what this file says, which `baton plan --out` wrote; refused if the fleet has changed since
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service", "selector", "release", "leave_out_broken", "Flags"])]
    pub plan: Option<PathBuf>,
    /// The release to switch to, the name of a directory that lies on the hosts already [default: the one that is there]
    #[arg(long, value_name = "NAME")]
    pub release: Option<String>,
    /// Leave out the hosts that are broken already; otherwise one of them and nothing is restarted
    #[arg(long)]
    pub leave_out_broken: bool,
    /// The limits.
    #[command(flatten)]
    pub flags: Flags,
}

/// The limits of a restart. Each is a key of `[service.NAME]` in the inventory, too, and the flag goes before it.
#[derive(Debug, Args)]
pub struct Flags {
    /// How many hosts may be in flight at once; a percentage is rounded down, to 1 at least [default: the inventory's, else 1]
    #[arg(long, value_name = "N|P%", value_parser = parse_in_flight)]
    pub max_in_flight: Option<Share>,
    /// How many hosts may be refused or rolled back before the rollout halts; rounded down [default: the inventory's, else 0]
    #[arg(long, value_name = "N|P%")]
    pub max_failures: Option<Share>,
    /// The same within each zone [default: the inventory's, else as many as of all hosts]
    #[arg(long, value_name = "N|P%")]
    pub max_failures_per_zone: Option<Share>,
    /// How many hosts must be available at any time; rounded up [default: the inventory's, else 0]
    #[arg(long, value_name = "N|P%")]
    pub min_available: Option<Share>,
    /// The same within each zone [default: the inventory's, else 0]
    #[arg(long, value_name = "N|P%")]
    pub min_available_per_zone: Option<Share>,
    /// How many hosts go first; after them comes a soak, or a person who says when to go on [default: the inventory's, else 0]
    #[arg(long, value_name = "N", value_parser = count)]
    pub canary: Option<usize>,
    /// How long hosts that are done must stand before the next wave begins and before it ends [default: the inventory's, else 0s]
    #[arg(long, value_name = "DURATION", value_parser = document::duration)]
    pub soak: Option<Duration>,
    /// One zone after the other, by the label `zone`; after the first it soaks twice as long [default: the inventory's, else false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub by_zone: Option<bool>,
    /// Stop when so many hosts were restarted [default: the inventory's, else all]
    #[arg(long, value_name = "N", value_parser = stop_after)]
    pub stop_after: Option<usize>,
    /// How long one host may take [default: the inventory's, else 10m, or what a handover may take by the agents' configuration
    /// where that is longer]
    #[arg(long, value_name = "DURATION", value_parser = document::duration)]
    pub host_deadline: Option<Duration>,
    /// How long all of it may take: nothing new starts after that [default: the inventory's, else no limit]
    #[arg(long, value_name = "DURATION", value_parser = document::duration)]
    pub deadline: Option<Duration>,
}

impl From<&Flags> for Policy {
    fn from(flags: &Flags) -> Self {
        Self {
            max_in_flight: flags.max_in_flight,
            max_failures: flags.max_failures,
            max_failures_per_zone: flags.max_failures_per_zone,
            min_available: flags.min_available,
            min_available_per_zone: flags.min_available_per_zone,
            canary: flags.canary,
            soak: flags.soak,
            by_zone: flags.by_zone,
            stop_after: flags.stop_after,
            host_deadline: flags.host_deadline,
            deadline: flags.deadline,
        }
    }
}

fn parse_in_flight(text: &str) -> Result<Share, NotAShare> {
    in_flight(text)
}

/// The longest reason, in characters.
const REASON_MAX: usize = 200;

fn reason(text: &str) -> Result<String, String> {
    if text.chars().count() > REASON_MAX {
        return Err(format!("a reason has at most {REASON_MAX} characters"));
    }
    if plain(text) == text { Ok(text.to_owned()) } else { Err("a reason is one line of plain text".to_owned()) }
}

/// A duration that is not zero.
fn some_time(text: &str) -> Result<Duration, String> {
    let duration = document::duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("a certificate has to be valid for some time".into()) } else { Ok(duration) }
}

/// The certificates.
#[derive(Debug, Subcommand)]
pub enum Pki {
    /// Make the certificate authority of a new fleet: fleet-ca.crt and fleet-ca.key
    Init {
        /// The fleet's name
        fleet: String,
        /// Where the files go
        #[arg(long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
        /// For how long the authority is valid
        #[arg(long, value_name = "DURATION", value_parser = some_time, default_value = "3650d")]
        valid_for: Duration,
    },
    /// Issue a certificate: NAME.crt and NAME.key
    Issue {
        /// What it may do
        #[arg(value_enum)]
        role: RoleArgument,
        /// Whose it is: for an agent, the host's name in the inventory
        name: String,
        /// Where the authority lies, and where the files go
        #[arg(long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
        /// For how long the certificate is valid; never for longer than its authority
        #[arg(long, value_name = "DURATION", value_parser = some_time, default_value = "90d")]
        valid_for: Duration,
    },
}

/// A role, as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RoleArgument {
    /// Is a host
    Agent,
    /// Reloads services and looks at them
    Operator,
    /// Looks at services
    Observer,
}

impl From<RoleArgument> for Role {
    fn from(role: RoleArgument) -> Self {
        match role {
            RoleArgument::Agent => Self::Agent,
            RoleArgument::Operator => Self::Operator,
            RoleArgument::Observer => Self::Observer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory as _, Parser as _};

    use super::{Arguments, Verb};
    use crate::outcome::TABLE;

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_shows_the_table_of_exit_codes() {
        let mut command = Arguments::command();
        let restart = command.find_subcommand_mut("restart").unwrap().render_help().to_string();
        let whole = command.render_help().to_string();
        for (_, code, meaning) in TABLE {
            for text in [&whole, &restart] {
                assert!(text.lines().any(|line| line.trim_start() == format!("{code}  {meaning}")), "{code}\n{text}");
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            &["restart"][..],
            &["restart", "web", "--max-in-flight", "0"],
            &["restart", "web", "--max-failures", "101%"],
            &["restart", "web", "--host-deadline", "soon"],
            &["restart", "web", "--stop-after", "0"],
            &["restart", "web", "--canary", "10%"],
            &["restart", "web", "--by-zone=maybe"],
            &["restart", "web", "--reason", "two\nlines"],
            &["restart", "web", "--plan", "plan.json"],
            &["restart", "--plan", "plan.json", "--soak", "30s"],
            &["restart", "--plan", "plan.json", "--leave-out-broken"],
            &["plan", "--plan", "plan.json", "--out", "other.json"],
            &["plan"],
            &["pki", "issue", "root", "ada"],
            &["pki", "issue", "operator", "ada", "--valid-for", "0s"],
            &["pki", "init", "prod", "--valid-for", "0d"],
        ] {
            let all = std::iter::once("baton").chain(arguments.iter().copied());
            assert!(Arguments::try_parse_from(all).is_err(), "{arguments:?}");
        }
    }

    fn walk(arguments: &[&str]) -> super::Walk {
        let all = ["baton", "plan"].iter().chain(arguments);
        let verb = Arguments::try_parse_from(all).unwrap().verb;
        let Verb::Plan { walk, .. } = verb else { panic!("{verb:?}") };
        walk
    }

    #[test]
    fn a_plan_that_was_written_down_needs_no_service() {
        let walk = walk(&["--plan", "plan.json"]);
        assert_eq!((walk.service, walk.plan.as_deref()), (None, Some(Path::new("plan.json"))));
    }

    #[test]
    fn the_zones_are_a_switch_that_can_be_turned_off() {
        let by_zone = |flags: &[&str]| walk(&[&["web"], flags].concat()).flags.by_zone;
        assert_eq!((by_zone(&[]), by_zone(&["--by-zone"]), by_zone(&["--by-zone=false"])), (None, Some(true), Some(false)));
        assert_eq!(walk(&["web", "--by-zone", "zone=a"]).selector.as_deref(), Some("zone=a"));
    }

    #[test]
    fn every_key_of_a_policy_is_a_flag() {
        let help = Arguments::command().find_subcommand_mut("restart").unwrap().render_long_help().to_string();
        for key in [
            "max-in-flight",
            "max-failures",
            "max-failures-per-zone",
            "min-available",
            "min-available-per-zone",
            "canary",
            "soak",
            "by-zone",
            "stop-after",
            "host-deadline",
            "deadline",
        ] {
            assert!(help.contains(&format!("--{key}")), "{key}: {help}");
        }
    }
}
