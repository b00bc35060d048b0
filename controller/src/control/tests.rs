//! Orders over a real socket.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{Answer, ControlError, Controls, order};
use crate::rollout::Order;
use crate::store::{Directory, RunLock};

fn state() -> (TempDir, Directory) {
    let home = TempDir::new().unwrap();
    let directory = Directory::open(&home.path().join("state")).unwrap();
    (home, directory)
}

/// What is answered to these bytes, while nobody takes requests.
async fn answered(directory: &Directory, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(directory.socket("r-1")).await.unwrap();
    let mut text = String::new();
    // It may have hung up on what is too long.
    let _ = stream.write_all(bytes).await;
    let _ = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test]
async fn an_order_is_taken_and_answered() {
    let (_home, directory) = state();
    let lock = RunLock::take(&directory, "r-1").unwrap();
    let mut controls = Controls::listen(&directory, "r-1", &lock).unwrap();
    for wanted in [Order::Pause, Order::Resume, Order::Abort] {
        let (answer, ()) = tokio::join!(order(&directory, "r-1", wanted), async {
            let request = controls.next().await;
            assert_eq!(request.order, wanted);
            request.answer("paused; 2 hosts in flight are waited for");
        });
        assert_eq!(answer.unwrap(), Answer("paused; 2 hosts in flight are waited for".into()));
    }
}

#[tokio::test]
async fn the_socket_is_its_owners_and_goes_with_the_run() {
    let (_home, directory) = state();
    let lock = RunLock::take(&directory, "r-1").unwrap();
    let path = directory.socket("r-1");
    fs::write(&path, "what a killed process left").unwrap();
    let controls = Controls::listen(&directory, "r-1", &lock).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(controls);
    assert!(!path.exists());
    assert!(matches!(order(&directory, "r-1", Order::Pause).await, Err(ControlError::Nobody { .. })));
}

#[tokio::test]
async fn a_rollout_that_does_not_answer_is_said_to_be_busy_and_one_that_ended_to_be_over() {
    let (_home, directory) = state();
    let lock = RunLock::take(&directory, "r-1").unwrap();
    let mut controls = Controls::listen(&directory, "r-1", &lock).unwrap();
    let told = |answer: Result<Answer, ControlError>| answer.unwrap_err().to_string();
    let busy = order(&directory, "r-1", Order::Pause).await;
    assert_eq!(told(busy), "the rollout did not take the order: the rollout is busy; it may take the order later");
    drop(controls.next().await);
    let (over, ()) = tokio::join!(order(&directory, "r-1", Order::Pause), async { drop(controls.next().await) });
    assert_eq!(told(over), "the rollout did not take the order: the rollout is over");
}

#[tokio::test]
async fn whoever_says_nothing_or_too_much_is_turned_away_and_holds_up_nobody() {
    let (_home, directory) = state();
    let lock = RunLock::take(&directory, "r-1").unwrap();
    let mut controls = Controls::listen(&directory, "r-1", &lock).unwrap();
    let silent = UnixStream::connect(directory.socket("r-1")).await.unwrap();
    let (answer, ()) = tokio::join!(order(&directory, "r-1", Order::Pause), async { controls.next().await.answer("paused") });
    assert_eq!(answer.unwrap(), Answer("paused".into()));
    assert!(answered(&directory, b"{\"order\":\"reboot\"}\n").await.contains("there is no order"));
    assert!(answered(&directory, b"\xff\xfe\n").await.contains("refused"));
    assert!(!answered(&directory, &vec![b'x'; 1 << 20]).await.contains("answer"));
    drop(silent);
}

#[tokio::test]
async fn more_callers_than_seats_are_all_served() {
    let (_home, directory) = state();
    let lock = RunLock::take(&directory, "r-1").unwrap();
    let mut controls = Controls::listen(&directory, "r-1", &lock).unwrap();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let directory = directory.clone();
            tokio::spawn(async move { order(&directory, "r-1", Order::Resume).await })
        })
        .collect();
    for _ in 0..20 {
        controls.next().await.answer("going on");
    }
    for caller in callers {
        assert!(caller.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_path_that_no_socket_can_have_is_named() {
    let home = TempDir::new().unwrap();
    let directory = Directory::open(&home.path().join("d".repeat(120))).unwrap();
    let lock = RunLock::take(&directory, "r-1").unwrap();
    let error = Controls::listen(&directory, "r-1", &lock).unwrap_err();
    assert!(error.to_string().contains("the path of a socket may have 107"), "{error}");
    assert!(error.hint().unwrap().contains("--state"));
}
