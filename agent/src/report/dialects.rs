//! The table of dialects: a few lines a row for a person, one object a line as JSON.

use baton_proto::custody::Shape;
use serde_json::{Value, json};

use crate::dialect::{Custodian, PidFiles, Row};

/// A row for a person.
pub(super) fn words(row: &Row) -> String {
    let told = row.told().into_iter().map(|(label, what)| format!("\n    {label:<12} {what}"));
    std::iter::once(format!("{} {}", row.name, row.reload)).chain(told).collect()
}

/// A row as JSON.
pub(super) fn object(row: &Row) -> Value {
    let shape = match row.shape {
        Shape::Beside => "beside",
        Shape::InPlace => "in_place",
        Shape::Exec => "exec",
    };
    let (old, new) = match &row.pid_files {
        PidFiles::Unchanged => (None, None),
        PidFiles::OldRenamed(suffix) => (Some(suffix), None),
        PidFiles::NewBeside(suffix) => (None, Some(suffix)),
    };
    let lock = match row.lock {
        Custodian::Hook => "hook",
        Custodian::Inherited => "inherited",
    };
    json!({
        "event": "dialect", "dialect": row.name, "signal": row.reload.name(), "shape": shape, "retire": row.retire.name(),
        "old_pid_file_suffix": old, "new_pid_file_suffix": new, "lock": lock, "check": row.check, "needs": row.needs,
        "failure": row.failure, "meanwhile": row.meanwhile,
    })
}

#[cfg(test)]
mod tests {
    use super::{object, words};
    use crate::dialect::{Signal, rows};

    #[test]
    fn a_row_is_told_to_people_and_to_programs() {
        let row = rows("gunicorn").find(|row| row.reload == Signal::Usr2).expect("it is in the table");
        let text = words(row);
        assert!(text.starts_with("gunicorn SIGUSR2\n    does         a new master comes beside the old one\n"), "{text}");
        assert!(text.contains("\n    pid file     the new master's ends in .2 while there are two\n"), "{text}");
        let told = object(row);
        assert_eq!((&told["shape"], &told["retire"]), (&"beside".into(), &"SIGTERM".into()));
        assert_eq!((&told["new_pid_file_suffix"], told["old_pid_file_suffix"].is_null()), (&".2".into(), true));
    }
}
