//! What speaks against a plan, and does not forbid it.

use std::fmt;
use std::time::Duration;

use baton_proto::span::Span;

use super::{Clock, Plan};
use crate::inventory::HostName;
use crate::text::{day, listed};

/// A certificate that ends sooner than this is renewed today rather than tomorrow.
pub const CERTIFICATE_LEFT_MIN: Duration = Duration::from_hours(7 * 24);

/// A clock may be so far off.
pub const CLOCK_OFF_MAX: Duration = Duration::from_secs(5);

/// One thing that speaks against a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A handover may take longer than a host may.
    CutShort {
        /// Where.
        hosts: Vec<HostName>,
        /// How long one may take.
        longest: Duration,
        /// How long a host may.
        deadline: Duration,
    },
    /// The certificates of agents end soon.
    CertificatesEnd {
        /// Whose.
        hosts: Vec<HostName>,
        /// When the first does, since 1970.
        first: Duration,
    },
    /// The operator's own certificate ends soon.
    OwnCertificateEnds {
        /// When, since 1970.
        at: Duration,
    },
    /// The clocks of hosts are off.
    ClocksOff {
        /// Whose.
        hosts: Vec<HostName>,
        /// The one that is off the farthest.
        farthest: Clock,
    },
    /// The rollout's own deadline comes before its estimated end.
    Deadline {
        /// How long it takes, as is estimated.
        usual: Duration,
        /// How long it may.
        deadline: Duration,
    },
}

impl Warning {
    /// Which kind it is, in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::CutShort { .. } => "cut_short",
            Self::CertificatesEnd { .. } => "certificates_end",
            Self::OwnCertificateEnds { .. } => "own_certificate_ends",
            Self::ClocksOff { .. } => "clocks_off",
            Self::Deadline { .. } => "deadline",
        }
    }

    /// The hosts that it is about.
    #[must_use]
    pub fn hosts(&self) -> &[HostName] {
        match self {
            Self::CutShort { hosts, .. } | Self::CertificatesEnd { hosts, .. } | Self::ClocksOff { hosts, .. } => hosts,
            Self::OwnCertificateEnds { .. } | Self::Deadline { .. } => &[],
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::CutShort { .. } => "a longer `--host-deadline` gives them the time".to_owned(),
            Self::CertificatesEnd { .. } => "`baton pki issue agent HOST` makes new ones".to_owned(),
            Self::OwnCertificateEnds { .. } => "`baton pki issue operator NAME` makes a new one".to_owned(),
            Self::ClocksOff { .. } => "certificates are judged by the clock: look at the time service there, and here".to_owned(),
            Self::Deadline { .. } => "a longer `--deadline` lets it end; `baton resume ID` goes on afterwards".to_owned(),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |hosts: &[HostName]| listed(hosts.iter().map(HostName::as_str));
        match self {
            Self::CutShort { hosts, longest, deadline } => write!(
                f,
                "by its configuration a handover may take {} ({}); a host is given up as unknown after {}",
                Span(*longest),
                names(hosts),
                Span(*deadline)
            ),
            Self::CertificatesEnd { hosts, first } if hosts.len() == 1 => {
                write!(f, "the certificate of {} ends on {}", names(hosts), day(*first))
            }
            Self::CertificatesEnd { hosts, first } => {
                write!(f, "the certificates of {} end soon, the first on {}", names(hosts), day(*first))
            }
            Self::OwnCertificateEnds { at } => write!(f, "your own certificate ends on {}", day(*at)),
            Self::ClocksOff { hosts, farthest } => {
                let side = match farthest {
                    Clock::Ahead(_) => "ahead of",
                    Clock::Behind(_) => "behind",
                };
                let (verb, farthest) = (if hosts.len() == 1 { "is" } else { "are up to" }, Span(farthest.off()));
                write!(f, "the clock of {} {verb} {farthest} {side} ours", names(hosts))
            }
            Self::Deadline { usual, deadline } => {
                write!(f, "it usually takes {}, and nothing new starts after {}", Span(*usual), Span(*deadline))
            }
        }
    }
}

/// All that there is to warn of.
pub(super) fn all(plan: &Plan) -> Vec<Warning> {
    let usual = plan.estimate().usual;
    let now = plan.circumstances().now;
    let soon = now.saturating_add(CERTIFICATE_LEFT_MIN.max(usual.unwrap_or_default()));
    let own = plan.circumstances().own_certificate_ends.filter(|at| *at < soon);
    let late = plan.bounds().deadline.zip(usual).filter(|(deadline, usual)| usual > deadline);
    let warnings = [
        cut_short(plan),
        certificates(plan, soon),
        own.map(|at| Warning::OwnCertificateEnds { at }),
        clocks(plan),
        late.map(|(deadline, usual)| Warning::Deadline { usual, deadline }),
    ];
    warnings.into_iter().flatten().collect()
}

fn cut_short(plan: &Plan) -> Option<Warning> {
    let longest = plan.cut_short().map(|(_, within)| within).max()?;
    let hosts = plan.cut_short().map(|(host, _)| host.clone()).collect();
    Some(Warning::CutShort { hosts, longest, deadline: plan.host_deadline() })
}

fn certificates(plan: &Plan, soon: Duration) -> Option<Warning> {
    let ends = plan.hosts().iter().filter_map(|planned| Some((&planned.host, planned.certificate_ends?)));
    let ending: Vec<(&HostName, Duration)> = ends.filter(|(_, ends)| *ends < soon).collect();
    let first = ending.iter().map(|(_, ends)| *ends).min()?;
    Some(Warning::CertificatesEnd { hosts: ending.into_iter().map(|(host, _)| host.clone()).collect(), first })
}

fn clocks(plan: &Plan) -> Option<Warning> {
    let clocks = plan.hosts().iter().filter_map(|planned| Some((&planned.host, planned.clock?)));
    let off: Vec<(&HostName, Clock)> = clocks.filter(|(_, clock)| clock.off() > CLOCK_OFF_MAX).collect();
    let farthest = off.iter().map(|(_, clock)| *clock).max_by_key(|clock| clock.off())?;
    Some(Warning::ClocksOff { hosts: off.into_iter().map(|(host, _)| host.clone()).collect(), farthest })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::plan::samples::{Builder, NOW, builder};
    use crate::plan::{Circumstances, Clock};

    const DAY: Duration = Duration::from_hours(24);

    #[track_caller]
    fn check(plan: Builder, expected: &[&str]) {
        let told: Vec<String> = plan.plan().warnings().iter().map(ToString::to_string).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_sound_plan_has_none() {
        check(builder("+++"), &[]);
        check(builder("+").certificate_ends(1, NOW + 7 * DAY).clock(1, Clock::Behind(Duration::from_secs(5))), &[]);
    }

    #[test]
    fn a_certificate_that_ends_within_a_week_or_before_the_end_is_warned_of() {
        let one = builder("++").certificate_ends(2, NOW + 6 * DAY);
        check(one.clone(), &["the certificate of web-2 ends on 2026-11-30"]);
        let two = one.certificate_ends(1, NOW + 2 * DAY);
        check(two, &["the certificates of web-1 and web-2 end soon, the first on 2026-11-26"]);
        let long = builder("++").certificate_ends(1, NOW + 9 * DAY).limits(|limits| limits.soak = Some(10 * DAY));
        check(long.clone(), &[]);
        check(long.usual(Duration::from_secs(10)), &["the certificate of web-1 ends on 2026-12-03"]);
    }

    #[test]
    fn so_is_the_operators_own() {
        let own = |left: Duration| {
            builder("+").circumstances(Circumstances { now: NOW, own_certificate_ends: Some(NOW + left), usual: None })
        };
        check(own(6 * DAY), &["your own certificate ends on 2026-11-30"]);
        check(own(7 * DAY), &[]);
    }

    #[test]
    fn clocks_that_are_off_are_warned_of() {
        let one = builder("++").clock(1, Clock::Ahead(Duration::from_secs(6)));
        check(one.clone(), &["the clock of web-1 is 6 s ahead of ours"]);
        check(one.clock(2, Clock::Behind(Duration::from_hours(1))), &["the clock of web-1 and web-2 are up to 1 h behind ours"]);
    }

    #[test]
    fn deadlines_that_are_too_short_are_warned_of() {
        let host = builder("++").limits(|limits| limits.host_deadline = Some(Duration::from_mins(1)));
        let sentence = "by its configuration a handover may take 3 min 33 s (web-1 and web-2); \
            a host is given up as unknown after 1 min";
        check(host, &[sentence]);
        let all = builder("++").usual(Duration::from_secs(40)).limits(|limits| limits.deadline = Some(Duration::from_mins(1)));
        check(all, &["it usually takes 1 min 20 s, and nothing new starts after 1 min"]);
    }
}
