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
    /// What a reload does to connections that are kept open.
    pub(super) kept: Kept,
}

/// What a reload does to connections that are kept open between two requests, by the server's own doing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    /// Each of so many ends in good order, or goes on.
    Whole(usize),
    /// Some of so many are cut when their next request is sent.
    #[expect(dead_code, reason = "of the servers here none does")]
    Cut(usize),
    /// There are none.
    None,
}

impl Kept {
    /// How many there are.
    pub(super) fn connections(self) -> usize {
        match self {
            Self::Whole(connections) | Self::Cut(connections) => connections,
            Self::None => 0,
        }
    }
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

/// All of them.
pub(super) const ALL: [Case; 6] = [UNICORN, UNICORN_LAZY, PUMA, NGINX, HAPROXY, UWSGI];

pub(super) const UNICORN: Case = Case {
    name: "Unicorn, `USR2`",
    kind: Kind::Unicorn,
    by_hand: ByHand::Beside(Signal::SIGUSR2, Signal::SIGQUIT),
    kept: Kept::Whole(2),
};

pub(super) const UNICORN_LAZY: Case = Case { name: "Unicorn without preload, `USR2`", kind: Kind::UnicornLazy, ..UNICORN };

/// Puma waits for a kept connection that is busy, for as long as it is.
pub(super) const PUMA: Case =
    Case { name: "Puma, `USR2`", kind: Kind::Puma, by_hand: ByHand::InPlace(Signal::SIGUSR2), kept: Kept::None };

pub(super) const NGINX: Case =
    Case { name: "nginx, `HUP`", kind: Kind::Nginx, by_hand: ByHand::InPlace(Signal::SIGHUP), kept: Kept::Whole(2) };

pub(super) const HAPROXY: Case =
    Case { name: "HAProxy, `USR2`", kind: Kind::Haproxy, by_hand: ByHand::InPlace(Signal::SIGUSR2), kept: Kept::Whole(2) };

/// By `--http-socket` it keeps none.
pub(super) const UWSGI: Case =
    Case { name: "uWSGI, `HUP`", kind: Kind::Uwsgi, by_hand: ByHand::InPlace(Signal::SIGHUP), kept: Kept::None };
