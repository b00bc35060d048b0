//! The document's own words: what stands in it, as it stands there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DocumentError, wrong};
use crate::inventory::{HostName, Share, in_flight};
use crate::journal::RawStanding;
use crate::outcome::Refusal;
use crate::plan::{Bounds, Choices, Circumstances, Clock, Fate, Limits, Planned, Releases, Then, Wave, WaveKind};
use crate::standing::Standing;
use crate::text::plain;

/// What every format begins with.
#[derive(Deserialize)]
pub(super) struct RawHead {
    pub(super) format: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlan {
    #[expect(dead_code, reason = "it is read with the head")]
    pub(super) format: u32,
    pub(super) choices: RawChoices,
    pub(super) circumstances: RawCircumstances,
    pub(super) bounds: RawBounds,
    pub(super) waves: Vec<RawWave>,
    pub(super) hosts: Vec<RawPlanned>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChoices {
    service: String,
    releases: RawReleases,
    max_in_flight: String,
    max_failures: String,
    max_failures_per_zone: Option<String>,
    min_available: String,
    min_available_per_zone: String,
    canaries: usize,
    soak: Option<String>,
    by_zone: bool,
    stop_after: Option<usize>,
    host_deadline: Option<String>,
    deadline: Option<String>,
    leave_out_broken: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawReleases {
    Current,
    One(String),
    Each(BTreeMap<String, String>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCircumstances {
    now: String,
    own_certificate_ends: Option<String>,
    usual: Option<String>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBounds {
    in_flight_max: usize,
    failures_max: usize,
    available_min: usize,
    zones: BTreeMap<String, RawZoneBounds>,
    stop_after: Option<usize>,
    host_deadline: String,
    deadline: Option<String>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct RawZoneBounds {
    failures_max: usize,
    available_min: usize,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWave {
    kind: RawKind,
    begin: usize,
    end: usize,
    then: RawThen,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    Canaries,
    Zone(Option<String>),
    Rest,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum RawThen {
    GoOn,
    Soak(String),
    Person,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlanned {
    host: String,
    address: String,
    zone: Option<String>,
    release: Option<String>,
    certificate_ends: Option<String>,
    clock: Option<RawClock>,
    fate: RawFate,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawClock {
    Ahead(String),
    Behind(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawFate {
    Restart(Box<RawStanding>),
    LeaveOut(RawRefusal),
    Refuse(RawRefusal),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRefusal {
    cause: String,
    hint: Option<String>,
    is_claimed: bool,
}

/// A time without a loss, such as `30s` or `0.000000001s`.
fn time(duration: Duration) -> String {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    if nanoseconds == 0 { format!("{seconds}s") } else { format!("{seconds}.{nanoseconds:09}s") }
}

/// The longest time that can be asked for, which is far from the longest that can be told: such times can be added up.
const TIME_MAX: Duration = Duration::from_millis(u64::MAX);

fn read_time(place: &str, text: &str) -> Result<Duration, DocumentError> {
    let parse = || {
        let number = text.strip_suffix('s')?;
        let (seconds, nanoseconds) = number.split_once('.').unwrap_or((number, "000000000"));
        let are_digits = [seconds, nanoseconds].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let is_whole = are_digits && nanoseconds.len() == 9;
        is_whole.then(|| Some(Duration::new(seconds.parse().ok()?, nanoseconds.parse().ok()?))).flatten()
    };
    parse()
        .filter(|time| *time <= TIME_MAX)
        .ok_or_else(|| wrong(place, &format_args!("{:?} is no time", text.chars().take(40).collect::<String>())))
}

fn read_time_if(place: &str, text: Option<&String>) -> Result<Option<Duration>, DocumentError> {
    text.map(|text| read_time(place, text)).transpose()
}

/// A text that cannot steer a terminal.
fn read_text(place: &str, text: String) -> Result<String, DocumentError> {
    check_text(place, &text).map(|()| text)
}

fn check_text(place: &str, text: &str) -> Result<(), DocumentError> {
    if plain(text) == text { Ok(()) } else { Err(wrong(place, &"it has characters that text has not")) }
}

fn read_name(place: &str, what: &'static str, text: String) -> Result<String, DocumentError> {
    baton_proto::name::check(what, &text).map_err(|error| wrong(place, &error))?;
    Ok(text)
}

fn read_share(place: &str, text: &str) -> Result<Share, DocumentError> {
    text.parse().map_err(|error: crate::inventory::NotAShare| wrong(place, &error))
}

fn read_host(place: &str, text: &str) -> Result<HostName, DocumentError> {
    HostName::parse(text).map_err(|error| wrong(place, &error))
}

impl From<&Choices> for RawChoices {
    fn from(choices: &Choices) -> Self {
        let Choices { service, releases, limits } = choices;
        Self {
            service: service.clone(),
            releases: match releases {
                Releases::Current => RawReleases::Current,
                Releases::One(release) => RawReleases::One(release.clone()),
                Releases::Each(each) => {
                    RawReleases::Each(each.iter().map(|(host, release)| (host.to_string(), release.clone())).collect())
                }
            },
            max_in_flight: limits.max_in_flight.to_string(),
            max_failures: limits.max_failures.to_string(),
            max_failures_per_zone: limits.max_failures_per_zone.map(|share| share.to_string()),
            min_available: limits.min_available.to_string(),
            min_available_per_zone: limits.min_available_per_zone.to_string(),
            canaries: limits.canaries,
            soak: limits.soak.map(time),
            by_zone: limits.by_zone,
            stop_after: limits.stop_after,
            host_deadline: limits.host_deadline.map(time),
            deadline: limits.deadline.map(time),
            leave_out_broken: limits.leave_out_broken,
        }
    }
}

impl RawChoices {
    pub(super) fn read(self) -> Result<Choices, DocumentError> {
        let limits = Limits {
            max_in_flight: in_flight(&self.max_in_flight).map_err(|error| wrong("max_in_flight", &error))?,
            max_failures: read_share("max_failures", &self.max_failures)?,
            max_failures_per_zone: self
                .max_failures_per_zone
                .map(|share| read_share("max_failures_per_zone", &share))
                .transpose()?,
            min_available: read_share("min_available", &self.min_available)?,
            min_available_per_zone: read_share("min_available_per_zone", &self.min_available_per_zone)?,
            canaries: self.canaries,
            soak: read_time_if("soak", self.soak.as_ref())?,
            by_zone: self.by_zone,
            stop_after: self.stop_after,
            host_deadline: read_time_if("host_deadline", self.host_deadline.as_ref())?,
            deadline: read_time_if("deadline", self.deadline.as_ref())?,
            leave_out_broken: self.leave_out_broken,
        };
        Ok(Choices { service: read_name("service", "service", self.service)?, releases: self.releases.read()?, limits })
    }
}

impl RawReleases {
    fn read(self) -> Result<Releases, DocumentError> {
        let release = |text| read_name("releases", "release", text);
        Ok(match self {
            Self::Current => Releases::Current,
            Self::One(text) => Releases::One(release(text)?),
            Self::Each(each) => {
                let each = each.into_iter().map(|(host, text)| Ok((read_host("releases", &host)?, release(text)?)));
                Releases::Each(each.collect::<Result<_, DocumentError>>()?)
            }
        })
    }
}

impl From<Circumstances> for RawCircumstances {
    fn from(circumstances: Circumstances) -> Self {
        let Circumstances { now, own_certificate_ends, usual } = circumstances;
        Self { now: time(now), own_certificate_ends: own_certificate_ends.map(time), usual: usual.map(time) }
    }
}

impl RawCircumstances {
    pub(super) fn read(&self) -> Result<Circumstances, DocumentError> {
        Ok(Circumstances {
            now: read_time("now", &self.now)?,
            own_certificate_ends: read_time_if("own_certificate_ends", self.own_certificate_ends.as_ref())?,
            usual: read_time_if("usual", self.usual.as_ref())?,
        })
    }
}

impl From<&Bounds> for RawBounds {
    fn from(bounds: &Bounds) -> Self {
        let zone = |(zone, bounds): (&String, &crate::plan::ZoneBounds)| {
            let raw = RawZoneBounds { failures_max: bounds.failures_max, available_min: bounds.available_min };
            (zone.clone(), raw)
        };
        Self {
            in_flight_max: bounds.in_flight_max,
            failures_max: bounds.failures_max,
            available_min: bounds.available_min,
            zones: bounds.zones.iter().map(zone).collect(),
            stop_after: bounds.stop_after,
            host_deadline: time(bounds.host_deadline),
            deadline: bounds.deadline.map(time),
        }
    }
}

impl From<&Wave> for RawWave {
    fn from(wave: &Wave) -> Self {
        let kind = match &wave.kind {
            WaveKind::Canaries => RawKind::Canaries,
            WaveKind::Zone(zone) => RawKind::Zone(zone.clone()),
            WaveKind::Rest => RawKind::Rest,
        };
        let then = match wave.then {
            Then::GoOn => RawThen::GoOn,
            Then::Soak(soak) => RawThen::Soak(time(soak)),
            Then::Person => RawThen::Person,
        };
        Self { kind, begin: wave.hosts.start, end: wave.hosts.end, then }
    }
}

impl From<&Planned> for RawPlanned {
    fn from(planned: &Planned) -> Self {
        let refusal = |refusal: &Refusal| RawRefusal {
            cause: refusal.cause.clone(),
            hint: refusal.hint.clone(),
            is_claimed: refusal.is_claimed,
        };
        Self {
            host: planned.host.to_string(),
            address: planned.address.clone(),
            zone: planned.zone.clone(),
            release: planned.release.clone(),
            certificate_ends: planned.certificate_ends.map(time),
            clock: planned.clock.map(|clock| match clock {
                Clock::Ahead(off) => RawClock::Ahead(time(off)),
                Clock::Behind(off) => RawClock::Behind(time(off)),
            }),
            fate: match &planned.fate {
                Fate::Restart(standing) => RawFate::Restart(Box::new(RawStanding::from(&**standing))),
                Fate::LeaveOut(cause) => RawFate::LeaveOut(refusal(cause)),
                Fate::Refuse(cause) => RawFate::Refuse(refusal(cause)),
            },
        }
    }
}

impl RawPlanned {
    pub(super) fn read(self) -> Result<Planned, DocumentError> {
        let clock = |clock| match clock {
            RawClock::Ahead(off) => read_time("clock", &off).map(Clock::Ahead),
            RawClock::Behind(off) => read_time("clock", &off).map(Clock::Behind),
        };
        Ok(Planned {
            host: read_host("host", &self.host)?,
            address: read_text("address", self.address)?,
            zone: self.zone.map(|zone| read_name("zone", "zone", zone)).transpose()?,
            release: self.release.map(|release| read_name("release", "release", release)).transpose()?,
            certificate_ends: read_time_if("certificate_ends", self.certificate_ends.as_ref())?,
            clock: self.clock.map(clock).transpose()?,
            fate: match self.fate {
                RawFate::Restart(standing) => Fate::Restart(Box::new(read_standing(*standing)?)),
                RawFate::LeaveOut(refusal) => Fate::LeaveOut(refusal.read()?),
                RawFate::Refuse(refusal) => Fate::Refuse(refusal.read()?),
            },
        })
    }
}

/// A standing whose texts cannot steer a terminal.
fn read_standing(raw: RawStanding) -> Result<Standing, DocumentError> {
    let standing = Standing::try_from(raw).map_err(|damage| wrong("fate.restart", &damage))?;
    let Standing { service, dialect, trouble, release, boot, incarnation, findings, .. } = &standing;
    let found = findings.iter().flat_map(|finding| [&finding.kind, &finding.sentence]);
    for text in [service, dialect, trouble, release, boot, incarnation].into_iter().chain(found) {
        check_text("fate.restart", text)?;
    }
    Ok(standing)
}

impl RawRefusal {
    fn read(self) -> Result<Refusal, DocumentError> {
        let hint = self.hint.map(|hint| read_text("fate.hint", hint)).transpose()?;
        Ok(Refusal { cause: read_text("fate.cause", self.cause)?, hint, is_claimed: self.is_claimed })
    }
}
