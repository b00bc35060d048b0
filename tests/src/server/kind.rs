//! The servers that the harness knows, and what is deployed to them.

use crate::binaries;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Unicorn with `preload_app true`: a release that cannot boot kills its master.
    Unicorn,
    /// Unicorn with `preload_app false`: a release that cannot boot kills its workers, again and again.
    UnicornLazy,
    /// `unicorn -D` with `preload_app true`.
    UnicornDaemon,
    /// Unicorn with `preload_app true`, started by `baton-agent hold`.
    UnicornHeld,
    /// Unicorn that runs in the directory of a link to one of its releases.
    UnicornReleased {
        /// Whether it runs in the directory that the link named when it was started, and so never leaves that release.
        stale: bool,
    },
    /// Gunicorn, by a new master beside the old one (USR2): configured as `deploy/gunicorn.conf.py`.
    Gunicorn,
    /// The same, in place (HUP).
    GunicornHup,
    /// Puma, whose lock is carried over the exec of a restart: configured as `deploy/puma.rb`.
    Puma,
    /// The same configuration without `preload_app!`, one worker after the other (USR1).
    PumaPhased,
    /// Puma with a hook that takes the lock anew after each exec.
    PumaPlain {
        /// Whether it marks the lock.
        marked: bool,
        /// Whether a program that its master starts holds a lock of its own on the file, for as long as the master lives.
        helped: bool,
    },
    /// As the plain one with such a program; and it notes its pid in the lock file, so that its lock has the same offset each time.
    PumaNoting,
    /// HAProxy with a master and a worker, started by `baton-agent hold`, which hands the lock down.
    Haproxy,
    /// uWSGI with a master and two workers, started by `baton-agent hold`, which hands the lock down.
    Uwsgi,
    /// The same, not told to leave the descriptor of the lock alone, and allowed more descriptors than its number.
    UwsgiUnsafe,
    /// nginx with a master and two workers, started by `baton-agent hold`, which hands the lock down.
    Nginx,
    /// The same as a daemon, by a new master beside the old one (USR2).
    NginxUpgrade,
    /// php-fpm with a master and two workers, started by `baton-agent hold`, which hands the lock down; an nginx before it.
    PhpFpm,
    /// The same as a daemon, which comes back under another pid.
    PhpFpmDaemon,
    /// Our own.
    Patient,
    /// Our own, by the dialect `generic`.
    PatientGeneric,
    /// Our own, which tells its health by gRPC and speaks no HTTP.
    PatientGrpc,
    /// Our own, in a shell that holds the lock too and starts it again whenever it ends.
    PatientWrapped,
}

impl Kind {
    /// How the agent calls it.
    pub fn dialect(self) -> &'static str {
        match self {
            Self::Unicorn
            | Self::UnicornLazy
            | Self::UnicornDaemon
            | Self::UnicornHeld
            | Self::UnicornReleased { .. }
            | Self::Patient
            | Self::PatientGrpc
            | Self::PatientWrapped => "unicorn",
            Self::PatientGeneric => "generic",
            Self::Gunicorn | Self::GunicornHup => "gunicorn",
            Self::Puma | Self::PumaPhased | Self::PumaPlain { .. } | Self::PumaNoting => "puma",
            Self::Haproxy => "haproxy",
            Self::Uwsgi | Self::UwsgiUnsafe => "uwsgi",
            Self::Nginx | Self::NginxUpgrade => "nginx",
            Self::PhpFpm | Self::PhpFpmDaemon => "php-fpm",
        }
    }

    /// What else the agent's configuration says of how it is reloaded.
    pub fn reload_keys(self) -> &'static str {
        match self {
            Self::GunicornHup => "signal  = \"HUP\"\n",
            Self::PumaPhased => "signal  = \"USR1\"\n",
            Self::NginxUpgrade => "signal  = \"USR2\"\n",
            Self::PatientGeneric => {
                "generic = { reload = \"USR2\", shape = \"beside\", retire = \"QUIT\", lock = \"hook\", old-pid-file-suffix = \".oldbin\" }\n"
            }
            Self::Unicorn
            | Self::UnicornLazy
            | Self::UnicornDaemon
            | Self::UnicornHeld
            | Self::UnicornReleased { .. }
            | Self::Gunicorn
            | Self::Puma
            | Self::PumaPlain { .. }
            | Self::PumaNoting
            | Self::Haproxy
            | Self::Uwsgi
            | Self::UwsgiUnsafe
            | Self::Nginx
            | Self::PhpFpm
            | Self::PhpFpmDaemon
            | Self::Patient
            | Self::PatientGrpc
            | Self::PatientWrapped => "",
        }
    }

    /// Whether each worker reads the release when it boots, and not its master.
    pub(super) fn loads_in_workers(self) -> bool {
        matches!(self, Self::UnicornLazy | Self::Gunicorn | Self::GunicornHup | Self::PumaPhased)
    }

    pub(super) fn is_patient(self) -> bool {
        matches!(self, Self::Patient | Self::PatientGeneric | Self::PatientGrpc | Self::PatientWrapped)
    }

    /// Unicorn where it is installed, otherwise the patient.
    pub fn best() -> Self {
        if binaries::has_unicorn() { Self::Unicorn } else { Self::Patient }
    }
}

/// What is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What it answers with.
    pub name: String,
    /// What is wrong with it.
    pub flaw: Option<Flaw>,
}

/// What is wrong with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It dies before it serves.
    RaisesAtBoot,
    /// It never comes to serve.
    HangsAtBoot,
    /// It serves, but says that it is not ready.
    NeverReady,
    /// It serves, and its master dies two seconds later.
    DiesAfterBoot,
    /// Its configuration is none: the server does not come to load it.
    RefusedConfiguration,
}

impl Release {
    /// A release that works.
    pub fn sound(name: &str) -> Self {
        Self { name: name.to_owned(), flaw: None }
    }

    /// A release that does not.
    pub fn flawed(name: &str, flaw: Flaw) -> Self {
        Self { name: name.to_owned(), flaw: Some(flaw) }
    }
}
