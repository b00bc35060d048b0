//! Probes of a server in this process, which plays the master of one generation.

use std::path::Path;

use baton_proto::custody::FileIdentity;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};

use super::{Crew, Eagerness, Probe, Senders, Sides};
use crate::config::{Condition, Place, Wanted};
use crate::handover::Answer;

const NOBODY: u32 = u32::MAX;
const OK: &str = "HTTP/1.1 200 OK\r\n\r\nwelcome";

async fn probed(condition: Condition, sides: Sides) -> Answer {
    let probe = Probe {
        manner: None,
        service: "web".into(),
        conditions: vec![condition],
        sides,
        file: FileIdentity { device: 0, inode: 0, born: 0 },
        eagerness: Eagerness::Eager,
        crew: Crew::default(),
        senders: Senders::default(),
    };
    probe.run().await.answer
}

fn http(place: Place, wanted: Wanted) -> Condition {
    Condition::Http { place, host: "localhost".into(), path: "/up".into(), wanted }
}

fn is_new() -> Sides {
    Sides::Masters { old: NOBODY, new: std::process::id() }
}

async fn serve_one(mut connection: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if connection.read_buf(&mut request).await.expect("read") == 0 {
            return;
        }
    }
    connection.write_all(answer.as_bytes()).await.expect("write");
    connection.shutdown().await.expect("shutdown");
}

/// What is found of a server over TCP that answers this.
async fn over_tcp(condition: impl FnOnce(Place) -> Condition, sides: Sides, answer: &'static str) -> Answer {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let place = Place::Tcp(listener.local_addr().expect("address"));
    let serve = async {
        loop {
            serve_one(listener.accept().await.expect("accept").0, answer).await;
        }
    };
    tokio::select! {
        answer = probed(condition(place), sides) => answer,
        () = serve => unreachable!("it serves for ever"),
    }
}

/// The same over a unix socket.
async fn over_a_socket(path: &Path, condition: Condition, sides: Sides, answer: &'static str) -> Answer {
    let listener = UnixListener::bind(path).expect("bind");
    let serve = async {
        loop {
            serve_one(listener.accept().await.expect("accept").0, answer).await;
        }
    };
    tokio::select! {
        answer = probed(condition, sides) => answer,
        () = serve => unreachable!("it serves for ever"),
    }
}

#[tokio::test]
async fn who_answered_decides_what_it_means() {
    let us = std::process::id();
    let old = Sides::Masters { old: us, new: NOBODY };
    let stranger = Sides::Masters { old: NOBODY, new: NOBODY };
    let plain = |place| http(place, Wanted::default());
    assert_eq!(over_tcp(plain, is_new(), OK).await, Answer::Ready(format!("200 from {us}")));
    assert_eq!(over_tcp(plain, is_new(), "HTTP/1.1 503 No\r\n\r\n").await, Answer::Failing(format!("503 from {us}")));
    assert_eq!(over_tcp(plain, old.clone(), OK).await, Answer::Elsewhere(format!("200 from {us} of the old generation")));
    let told = over_tcp(plain, stranger, OK).await;
    assert!(matches!(&told, Answer::Elsewhere(told) if told.contains("not seen to be of the service")), "{told:?}");
    let Answer::Elsewhere(told) = over_tcp(Condition::Tcp, old, OK).await else { panic!("it was the old one") };
    assert!(told.ends_with(&format!("was accepted from {us} of the old generation")), "{told}");
    let Answer::Ready(told) = over_tcp(Condition::Tcp, is_new(), OK).await else { panic!("it was the new one") };
    assert!(told.ends_with(&format!("was accepted from {us}")), "{told}");
}

#[tokio::test]
async fn over_a_unix_socket_it_is_known_too_who_answered() {
    let us = std::process::id();
    let folder = tempfile::tempdir().expect("a directory");
    let place = |name: &str| (folder.path().join(name), Place::Unix(folder.path().join(name)));
    let (path, one) = place("one");
    let wanted = Wanted { body: Some("welcome".into()), ..Wanted::default() };
    let answer = over_a_socket(&path, http(one, wanted), is_new(), OK).await;
    assert_eq!(answer, Answer::Ready(format!("200 from {us}")));
    let (path, two) = place("two");
    let old = Sides::Masters { old: us, new: NOBODY };
    let answer = over_a_socket(&path, http(two, Wanted::default()), old, OK).await;
    assert_eq!(answer, Answer::Elsewhere(format!("200 from {us} of the old generation")));
}

#[tokio::test]
async fn a_place_where_nobody_listens_says_nothing_of_the_new_generation() {
    let address = TcpListener::bind("127.0.0.1:0").await.expect("bind").local_addr().expect("address");
    let nowhere = Place::Unix("/nonexistent/socket".into());
    for (condition, cause) in [
        (http(Place::Tcp(address), Wanted::default()), "refused"),
        (Condition::Tcp(Place::Tcp(address)), "tcp: 127.0.0.1"),
        (Condition::Grpc { place: nowhere.clone(), service: String::new() }, "grpc: unix:/nonexistent/socket: No such file"),
        (http(nowhere, Wanted::default()), "unix:/nonexistent/socket: No such file"),
        (Condition::Notify(None), "notify: nobody has sent READY=1"),
    ] {
        let answer = probed(condition, Sides::Masters { old: 1, new: 2 }).await;
        assert!(matches!(&answer, Answer::Elsewhere(told) if told.contains(cause)), "{answer:?}: {cause}");
    }
}

#[tokio::test]
async fn who_does_not_speak_as_asked_fails() {
    let us = std::process::id();
    let grpc = |place| Condition::Grpc { place, service: String::new() };
    let answer = over_tcp(grpc, is_new(), "HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(
        matches!(&answer, Answer::Failing(told) if told.starts_with("grpc: ") && told.ends_with(&format!("from {us}"))),
        "{answer:?}"
    );
    let plain = |place| http(place, Wanted::default());
    let answer = over_tcp(plain, is_new(), "SSH-2.0-OpenSSH\r\n").await;
    assert_eq!(answer, Answer::Failing(format!("something that is not HTTP from {us}")));
}

#[tokio::test]
async fn a_program_says_by_its_exit_code() {
    let shell = |script: &str| Condition::Exec(["/bin/sh", "-c", script].map(str::to_owned).to_vec());
    let told = "/bin/sh ended with 0: web 7 8 (whom it asked is not known)";
    let masters = Sides::Masters { old: 7, new: 8 };
    let script = "echo $BATON_SERVICE $BATON_OLD_MASTER $BATON_NEW_MASTER $BATON_MASTER";
    assert_eq!(probed(shell(script), masters.clone()).await, Answer::Ready(told.to_owned()));
    let workers = Sides::Workers { master: 9, old: [9].into(), image: None, since: None };
    let told = "/bin/sh ended with 0: web 9 (whom it asked is not known)";
    assert_eq!(probed(shell(script), workers).await, Answer::Ready(told.to_owned()));
    let told = "exec: /bin/sh ended with 3: it is cold";
    assert_eq!(probed(shell("echo it is cold; exit 3"), masters.clone()).await, Answer::Failing(told.to_owned()));
    let nothing = Condition::Exec(vec!["/nonexistent/check".to_owned()]);
    let answer = probed(nothing, masters).await;
    assert!(matches!(&answer, Answer::Failing(told) if told.contains("/nonexistent/check cannot be run")), "{answer:?}");
}
