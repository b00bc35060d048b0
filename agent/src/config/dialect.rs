//! Reads how a service is reloaded: `dialect`, `signal`, and the table `generic`.

use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;

use baton_proto::custody::Shape;
use baton_proto::document::{Notes, Table, Value};

use super::value::{one_of, required};
use super::{has, path};
use crate::dialect::{Custodian, Dialect, GENERIC, Order, PidFiles, Row, Signal, names};

/// Longer than any that is known.
const SUFFIX_BYTES_MAX: usize = 32;
const OLD_SUFFIX: &str = "old-pid-file-suffix";
const NEW_SUFFIX: &str = "new-pid-file-suffix";

/// Reads the keys of one service that say how it is reloaded.
pub(super) fn dialect(service: &mut Table<'_>, notes: &mut Notes) -> Option<Dialect> {
    let name = service.text(notes, "dialect");
    let name = service.require(notes, "dialect", name);
    let signal = service.text(notes, "signal");
    if name.as_ref().is_some_and(|name| name.value == GENERIC) {
        if let Some(signal) = signal {
            notes.wrong(&signal, "is `reload` in the table `generic` where the dialect is generic");
        }
        return generic(service, notes).map(|row| Dialect::Generic(Box::new(row)));
    }
    // Read all the same: its own mistakes are told, and it is a known key.
    if has(service, GENERIC) {
        let _not_wanted = service.table(notes, GENERIC);
        service.wrong(notes, "has a table `generic`, which only the dialect \"generic\" has");
    }
    let dialect = name?.try_map(notes, |text| {
        Dialect::from_str(&text)
            .map_err(|_| format!("{:?} is not a known dialect; known: {}, {GENERIC}", path::shown(&text), names().join(", ")))
    })?;
    match signal {
        None => Some(dialect),
        Some(signal) => signal.try_map(notes, |text| dialect.by(text.parse().map_err(told)?).map_err(told)),
    }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Reads the row of a server that is not in the table.
fn generic(service: &mut Table<'_>, notes: &mut Notes) -> Option<Row> {
    if !has(service, GENERIC) {
        service.wrong(
            notes,
            "the table `generic` is missing: such as { reload = \"HUP\", shape = \"in-place\", retire = \"TERM\", lock = \"inherited\" }",
        );
    }
    let mut table = service.table(notes, GENERIC)?;
    let reload = required(&mut table, notes, "reload", |text| text.parse::<Signal>().map_err(told));
    let shape = required(&mut table, notes, "shape", |text| shape(&text));
    let retire = required(&mut table, notes, "retire", |text| text.parse::<Signal>().map_err(told));
    let lock = required(&mut table, notes, "lock", |text| custodian(&text));
    let old = suffix(&mut table, notes, OLD_SUFFIX);
    let new = suffix(&mut table, notes, NEW_SUFFIX);
    let pid_files = shape.and_then(|shape| pid_files(&table, notes, shape, old, new));
    if reload.is_some() && reload == retire {
        table.wrong(notes, "has one signal for `reload` and `retire`: a server cannot tell what is meant");
    }
    table.finish(notes);
    Some(Row {
        name: GENERIC,
        reload: reload?,
        shape: shape?,
        retire: retire?,
        pid_files: pid_files?,
        lock: lock?,
        // Nothing is known of it, so that a worker that is gone may have been replaced.
        order: Order::OldFirst,
        check: None,
        needs: "",
        failure: "",
        meanwhile: "",
    })
}

fn shape(text: &str) -> Result<Shape, String> {
    one_of(text, &[("beside", Shape::Beside), ("in-place", Shape::InPlace), ("exec", Shape::Exec)])
}

fn custodian(text: &str) -> Result<Custodian, String> {
    one_of(text, &[("hook", Custodian::Hook), ("inherited", Custodian::Inherited)])
}

/// What comes after the pid file's name.
fn suffix(table: &mut Table<'_>, notes: &mut Notes, key: &str) -> Option<Value<String>> {
    let given = table.text(notes, key)?;
    let is_sound = !given.value.is_empty()
        && given.value.len() <= SUFFIX_BYTES_MAX
        && given.value.chars().all(|letter| letter.is_ascii_graphic() && letter != '/');
    if !is_sound {
        let shown = path::shown(&given.value);
        notes.wrong(
            &given,
            format!(
                "{shown:?} is not the end of a file's name: 1 to {SUFFIX_BYTES_MAX} plain visible characters without a slash"
            ),
        );
    }
    Some(given)
}

/// Two masters need two pid files, and one has one.
fn pid_files(
    table: &Table<'_>,
    notes: &mut Notes,
    shape: Shape,
    old: Option<Value<String>>,
    new: Option<Value<String>>,
) -> Option<PidFiles> {
    match (shape, old, new) {
        (Shape::Beside, Some(old), None) => Some(PidFiles::OldRenamed(Cow::Owned(old.value))),
        (Shape::Beside, None, Some(new)) => Some(PidFiles::NewBeside(Cow::Owned(new.value))),
        (Shape::Beside, None, None) => {
            table.wrong(
                notes,
                format!("two masters have two pid files: {OLD_SUFFIX} is missing, or {NEW_SUFFIX} where the new master's has another name"),
            );
            None
        }
        (Shape::Beside, Some(_), Some(new)) => {
            notes.wrong(&new, format!("contradicts {OLD_SUFFIX}: one of the two masters keeps the name"));
            None
        }
        (Shape::InPlace | Shape::Exec, None, None) => Some(PidFiles::Unchanged),
        (Shape::InPlace | Shape::Exec, old, new) => {
            for given in [old, new].iter().flatten() {
                notes.wrong(given, "is only for the shape \"beside\": a master that stays has one pid file");
            }
            None
        }
    }
}

/// No file of the service may be taken for another: a pid file that comes and goes is not the lock.
pub(super) fn keep_apart(service: &Table<'_>, notes: &mut Notes, dialect: &Dialect, pidfile: &Path, lock: &Path) {
    if dialect.pid_files(pidfile).iter().skip(1).any(|file| file == lock) {
        service.wrong(notes, format!("its lock {} is also the other master's pid file", lock.display()));
    }
}
