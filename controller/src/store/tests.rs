//! The journal on a real disk: what was kept is there, whoever else writes and whatever kills the writer.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{Directory, Keep as _, NewRollout, RunJournal, Store, StoreError, Written};
use crate::execute::evidence::samples as evidence;

use crate::journal::samples::{asked, begun, host};
use crate::journal::{Entry, fold};
use crate::outcome::samples::{handed_over, undone};
use crate::outcome::{DropSeen, Outcome, settle};
use crate::rollout::{Note, Order, Stop};
use crate::standing::samples::healthy;

/// Where a child finds the journal, and as whom it writes.
const STATE: &str = "BATON_TEST_STATE";
const AUTHOR: &str = "BATON_TEST_AUTHOR";

/// How many entries each of two writers writes.
const MANY: u32 = 1_000;

fn rollout(id: &str) -> NewRollout {
    NewRollout {
        id: id.into(),
        fleet: "prod".into(),
        service: "web".into(),
        release: Some("v2".into()),
        operator: "ada".into(),
        reason: Some("a new release".into()),
        inventory: PathBuf::from("/etc/baton/fleet.toml"),
        undo_of: None,
        hosts: 3,
        plan: "{}".into(),
    }
}

fn state() -> (TempDir, Directory) {
    let home = TempDir::new().unwrap();
    let directory = Directory::open(&home.path().join("state")).unwrap();
    (home, directory)
}

/// A handover that is proven, by what its agent told.
fn proven(name: &str, attempt: u32) -> Entry {
    judged(name, attempt, true)
}

fn judged(name: &str, attempt: u32, is_proven: bool) -> Entry {
    let account = if is_proven { handed_over() } else { undone() };
    let outcome = settle(&healthy(), account.clone());
    Entry::Settled { host: host(name), attempt, outcome, evidence: Some(evidence::of(account)) }
}

/// A walk that halts, with an entry of each kind.
fn walk() -> Vec<Entry> {
    vec![
        begun(1),
        Entry::Claimed(host("web-1")),
        Entry::Noted(Note::WaveBegins(0)),
        asked("web-1", 1),
        proven("web-1", 1),
        asked("web-2", 1),
        judged("web-2", 1, false),
        Entry::Outcome { host: host("web-1"), outcome: Outcome::Dropped(DropSeen::Guarded) },
        Entry::Stopping(Stop::Doubt(host("web-1"))),
        Entry::Ordered(Order::Pause),
        Entry::Finished { exit: 5 },
    ]
}

#[tokio::test]
async fn what_was_kept_is_there_when_the_journal_is_opened_again() {
    let (_home, directory) = state();
    let mut store = Store::open(&directory).await.unwrap();
    store.begin(&rollout("r-1")).await.unwrap();
    let mut journal = RunJournal::new(store, "r-1", 1);
    for entries in walk().chunks(3) {
        journal.keep(entries).await.unwrap();
    }
    journal.keep(&[]).await.unwrap();
    journal.into_store().close().await.unwrap();
    let mut store = Store::open(&directory).await.unwrap();
    let (written, past) = store.entries("r-1").await.unwrap();
    assert!(written.iter().map(|written| written.seq).eq(1..=11));
    assert!(written.iter().all(|written| written.run == 1 && !written.at.is_zero()));
    let entries: Vec<Entry> = written.into_iter().map(|written| written.entry).collect();
    assert_eq!(entries, walk());
    assert_eq!(past, fold(&walk()));
    assert_eq!(store.plan("r-1").await.unwrap(), "{}");
}

#[tokio::test]
async fn a_list_tells_of_each_rollout_where_it_stands() {
    let (_home, directory) = state();
    let mut store = Store::open(&directory).await.unwrap();
    for (id, entries) in
        [("r-1", walk()), ("r-22", vec![begun(1), asked("web-1", 1), proven("web-1", 1), begun(2)]), ("r-2", vec![])]
    {
        store.begin(&rollout(id)).await.unwrap();
        store.append(id, 1, &entries).await.unwrap();
    }
    store.append("r-2", 0, &[Entry::Ordered(Order::Abort)]).await.unwrap();
    let mut listed = store.rollouts(10).await.unwrap();
    assert_eq!(store.rollouts(2).await.unwrap().len(), 2);
    listed.sort_by(|one, other| one.rollout.id.cmp(&other.rollout.id));
    let told: Vec<String> = listed
        .iter()
        .map(|row| {
            let run = row.run.as_ref().map(|run| (run.number, run.exit, run.ended.is_some()));
            format!("{} {run:?} {:?} {}", row.rollout.id, row.words, row.rollout.aborted)
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"r-1 Some((1, Some(5), true)) {"dropped": 1, "rolled back": 1} false"#,
            "r-2 None {} true",
            r#"r-22 Some((2, None, false)) {"proven": 1} false"#,
        ]
    );
    assert_eq!(store.runs("r-22").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_rollout_is_found_by_as_much_of_its_id_as_only_it_has() {
    let (_home, directory) = state();
    let mut store = Store::open(&directory).await.unwrap();
    for id in ["20261124-1", "20261124-12", "20261125-1"] {
        store.begin(&rollout(id)).await.unwrap();
    }
    assert_eq!(store.rollout("20261125").await.unwrap().id, "20261125-1");
    assert_eq!(store.rollout("20261124-1").await.unwrap().id, "20261124-1", "named in full");
    assert!(matches!(store.rollout("20261124").await, Err(StoreError::Ambiguous { ids, .. }) if ids.len() == 2));
    for nobody in ["", "2027", "%", "1124"] {
        assert!(matches!(store.rollout(nobody).await, Err(StoreError::NoRollout(_))), "{nobody}");
    }
    assert!(store.begin(&rollout("20261125-1")).await.is_err(), "an id is used once");
    assert!(store.append("nobody", 1, &[begun(1)]).await.is_err(), "an entry belongs to a rollout");
}

#[tokio::test]
async fn the_usual_duration_is_made_of_what_was_asked_once_and_proven() {
    let (_home, directory) = state();
    let mut store = Store::open(&directory).await.unwrap();
    store.begin(&rollout("r-1")).await.unwrap();
    assert_eq!(store.usual_duration("web").await.unwrap(), None);
    let entries = [asked("web-1", 1), asked("web-1", 1), proven("web-1", 1), asked("web-2", 1), judged("web-2", 1, false)];
    store.append("r-1", 1, &entries).await.unwrap();
    assert_eq!(store.usual_duration("web").await.unwrap(), None, "one was asked twice, one rolled back");
    for (name, taken) in [("a", 10), ("b", 30), ("c", 20)] {
        store.append("r-1", 1, &[asked(name, 1), proven(name, 1)]).await.unwrap();
        let update = "UPDATE host SET settled = asked + ?1 WHERE name = ?2";
        sqlx::query(update).bind(taken).bind(name).execute(&mut store.connection).await.unwrap();
    }
    assert_eq!(store.usual_duration("web").await.unwrap().unwrap().as_millis(), 20);
    assert_eq!(store.usual_duration("db").await.unwrap(), None);
}

#[tokio::test]
async fn nobody_else_can_read_or_write_the_journal() {
    let (_home, directory) = state();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory.path()), 0o700);
    fs::write(directory.path().join("journal.db"), "").unwrap();
    let mut store = Store::open(&directory).await.unwrap();
    store.begin(&rollout("r-1")).await.unwrap();
    let files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(Directory::open(directory.path()), Err(StoreError::OpenToOthers { .. })));
}

#[tokio::test]
async fn a_journal_of_a_newer_program_is_left_alone() {
    let (_home, directory) = state();
    let mut store = Store::open(&directory).await.unwrap();
    let insert = "INSERT INTO _sqlx_migrations VALUES (99, 'later', CURRENT_TIMESTAMP, TRUE, x'00', 1)";
    sqlx::query(insert).execute(&mut store.connection).await.unwrap();
    store.close().await.unwrap();
    let error = Store::open(&directory).await.unwrap_err();
    let text = error.to_string().replace(&directory.path().display().to_string(), "STATE");
    assert_eq!(
        text,
        "the journal STATE/journal.db was written by a newer baton (its schema has version 99, this program knows 1)"
    );
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_damaged_journal_is_named_and_not_written_to() {
    let (_home, directory) = state();
    let path = directory.journal();
    for damage in [vec![b'x'; 8_192], b"SQLite format 3\0 and then nothing".to_vec()] {
        fs::write(&path, &damage).unwrap();
        let error = Store::open(&directory).await.unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { path: named, .. } if *named == path), "{error:?}");
        assert!(error.hint().unwrap().contains(".recover"));
        assert_eq!(fs::read(&path).unwrap(), damage, "nothing is lost");
    }
}

#[tokio::test]
async fn an_entry_that_is_none_is_named() {
    let (_home, directory) = state();
    let mut store = Store::open(&directory).await.unwrap();
    store.begin(&rollout("r-1")).await.unwrap();
    store.append("r-1", 1, &walk()).await.unwrap();
    sqlx::query("UPDATE entry SET body = '{}' WHERE seq = 4").execute(&mut store.connection).await.unwrap();
    let error = store.entries("r-1").await.unwrap_err();
    assert!(error.to_string().starts_with("entry 4 of rollout r-1 in "), "{error}");
}

#[tokio::test]
async fn a_word_that_its_testimony_does_not_bear_out_is_not_believed() {
    let (_home, directory) = state();
    let mut store = Store::open(&directory).await.unwrap();
    store.begin(&rollout("r-1")).await.unwrap();
    store.append("r-1", 1, &[asked("web-1", 1), judged("web-1", 1, false)]).await.unwrap();
    let forged = "UPDATE entry SET body = replace(body, 'rolled_back', 'proven')";
    sqlx::query(forged).execute(&mut store.connection).await.unwrap();
    let (_, past) = store.entries("r-1").await.unwrap();
    assert!(matches!(past.hosts[&host("web-1")].settled, Some(Outcome::Unproven(_))), "{past:?}");
}

#[tokio::test]
async fn many_may_open_a_new_journal_at_once() {
    let (_home, directory) = state();
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let directory = directory.clone();
            tokio::spawn(async move { Store::open(&directory).await.map(drop) })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
}

/// Another process that writes to the journal, as this author, until it is done or killed.
fn writer(directory: &Directory, author: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "store::tests::another_process_writes"])
        .env(STATE, directory.path())
        .env(AUTHOR, author)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Run by the tests below in a process of its own; alone it has nobody to write for.
#[tokio::test]
async fn another_process_writes() {
    let (Some(state), Some(author)) = (std::env::var_os(STATE), std::env::var_os(AUTHOR)) else { return };
    let author = author.into_string().unwrap();
    let mut store = Store::open(&Directory::open(Path::new(&state)).unwrap()).await.unwrap();
    for number in 1..=MANY {
        store.append("r-1", 1, &[asked(&author, number), proven(&author, number)]).await.unwrap();
        std::io::stdout().write_all(format!("kept {number}\n").as_bytes()).unwrap();
    }
}

async fn begin(directory: &Directory) {
    let mut store = Store::open(directory).await.unwrap();
    store.begin(&rollout("r-1")).await.unwrap();
}

/// The attempts that one author has settled, as they stand in the journal.
fn settled_by(name: &str, written: &[Written]) -> Vec<u32> {
    let of = |written: &Written| {
        let Entry::Settled { host, attempt, .. } = &written.entry else { return None };
        (host.as_str() == name).then_some(*attempt)
    };
    written.iter().filter_map(of).collect()
}

#[tokio::test]
async fn two_processes_write_to_one_journal_at_once() {
    let (_home, directory) = state();
    begin(&directory).await;
    let writers = ["web-1", "web-2"].map(|author| writer(&directory, author));
    for writer in writers {
        let ended = writer.wait_with_output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
    let (written, _) = Store::open(&directory).await.unwrap().entries("r-1").await.unwrap();
    assert!(written.iter().map(|written| written.seq).eq(1..=i64::from(MANY) * 4));
    for author in ["web-1", "web-2"] {
        assert!(settled_by(author, &written).into_iter().eq(1..=MANY), "{author}");
    }
}

#[tokio::test]
async fn a_writer_that_is_killed_leaves_every_entry_that_it_was_told_is_kept() {
    for kills_after in [1, 7, 40] {
        let (_home, directory) = state();
        begin(&directory).await;
        let mut child = writer(&directory, "web-1");
        let mut acknowledged = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let kept = |line: &str| line.rsplit_once("kept ").and_then(|(_, number)| number.parse().ok());
        while acknowledged < kills_after {
            let line = lines.next().expect("it writes until it is killed").unwrap();
            acknowledged = kept(&line).unwrap_or(acknowledged);
        }
        child.kill().unwrap();
        // What it had said before it died counts, too.
        acknowledged = lines.map_while(Result::ok).filter_map(|line| kept(&line)).max().unwrap_or(acknowledged);
        assert!(!child.wait().unwrap().success());
        let (written, past) = Store::open(&directory).await.unwrap().entries("r-1").await.unwrap();
        let found = settled_by("web-1", &written);
        assert!(found.len() >= usize::try_from(acknowledged).unwrap(), "{} of {acknowledged}", found.len());
        assert_eq!(written.len() % 2, 0, "a batch is kept whole or not at all");
        assert!(matches!(past.hosts[&host("web-1")].settled, Some(Outcome::Proven(_))));
    }
}
