//! The servers, and the little that must be known of each to drive it.

use baton_tests::server::Kind;
use nix::sys::signal::Signal;

/// One server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// How the README calls it.
    pub(super) name: &'static str,
    /// How the harness starts it.
    pub(super) kind: Kind,
    /// Its own procedure.
    pub(super) by_hand: ByHand,
    /// Clients that send one request after the other on one connection.
    pub(super) kept_connections: usize,
    /// Whether it may close such a connection at the moment at which the next request is sent.
    pub(super) may_cut: bool,
    /// How the README calls the server's own test of its configuration, if it has one.
    pub(super) check: Option<&'static str>,
}

/// How an operator reloads it without Baton, as its manual says.
#[derive(Debug, Clone, Copy)]
pub(super) enum ByHand {
    /// One signal to the master, which stays.
    InPlace(Signal),
    /// One signal to the master, and another to it once its successor serves.
    Beside(Signal, Signal),
}

impl ByHand {
    /// The signal that begins it.
    pub(super) fn reload(self) -> Signal {
        match self {
            Self::InPlace(reload) | Self::Beside(reload, _) => reload,
        }
    }
}

/// All of them, in the order of the README.
pub(super) const ALL: [Case; 12] =
    [UNICORN, UNICORN_LAZY, GUNICORN, GUNICORN_HUP, PUMA, PUMA_PHASED, NGINX, NGINX_UPGRADE, HAPROXY, PHP_FPM, UWSGI, GENERIC];

pub(super) const UNICORN: Case = Case {
    name: "Unicorn, `USR2`",
    kind: Kind::Unicorn,
    by_hand: ByHand::Beside(Signal::SIGUSR2, Signal::SIGQUIT),
    kept_connections: 2,
    may_cut: false,
    check: None,
};

pub(super) const UNICORN_LAZY: Case = Case { name: "Unicorn without preload, `USR2`", kind: Kind::UnicornLazy, ..UNICORN };

/// As it is configured in `deploy/` it keeps no connection open.
pub(super) const GUNICORN: Case = Case {
    name: "Gunicorn, `USR2`",
    kind: Kind::Gunicorn,
    by_hand: ByHand::Beside(Signal::SIGUSR2, Signal::SIGTERM),
    kept_connections: 0,
    may_cut: false,
    check: Some("gunicorn --check-config"),
};

pub(super) const GUNICORN_HUP: Case =
    Case { name: "Gunicorn, `HUP`", kind: Kind::GunicornHup, by_hand: ByHand::InPlace(Signal::SIGHUP), ..GUNICORN };

/// Puma waits for a kept connection that is busy, for as long as it is.
pub(super) const PUMA: Case = Case {
    name: "Puma, `USR2`",
    kind: Kind::Puma,
    by_hand: ByHand::InPlace(Signal::SIGUSR2),
    kept_connections: 0,
    may_cut: false,
    check: None,
};

pub(super) const PUMA_PHASED: Case =
    Case { name: "Puma, `USR1`", kind: Kind::PumaPhased, by_hand: ByHand::InPlace(Signal::SIGUSR1), ..PUMA };

pub(super) const NGINX: Case = Case {
    name: "nginx, `HUP`",
    kind: Kind::Nginx,
    by_hand: ByHand::InPlace(Signal::SIGHUP),
    kept_connections: 2,
    may_cut: true,
    check: Some("nginx -t"),
};

pub(super) const NGINX_UPGRADE: Case =
    Case { name: "nginx, `USR2`", kind: Kind::NginxUpgrade, by_hand: ByHand::Beside(Signal::SIGUSR2, Signal::SIGQUIT), ..NGINX };

pub(super) const HAPROXY: Case = Case {
    name: "HAProxy, `USR2`",
    kind: Kind::Haproxy,
    by_hand: ByHand::InPlace(Signal::SIGUSR2),
    kept_connections: 2,
    may_cut: false,
    check: Some("haproxy -c"),
};

/// What it is seen through is an nginx that stays.
pub(super) const PHP_FPM: Case = Case {
    name: "php-fpm, `USR2`",
    kind: Kind::PhpFpm,
    by_hand: ByHand::InPlace(Signal::SIGUSR2),
    kept_connections: 2,
    may_cut: false,
    check: Some("php-fpm -t"),
};

/// By `--http-socket` it keeps no connection open.
pub(super) const UWSGI: Case = Case {
    name: "uWSGI, `HUP`",
    kind: Kind::Uwsgi,
    by_hand: ByHand::InPlace(Signal::SIGHUP),
    kept_connections: 0,
    may_cut: false,
    check: None,
};

/// Our own, as one of which nothing is known.
pub(super) const GENERIC: Case = Case { name: "another, `generic`", kind: Kind::PatientGeneric, kept_connections: 0, ..UNICORN };
