//! Everything that can be wrong between here and an agent has its own sentence.

use baton_proto::identity::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::execute::Dialler;
use crate::execute::agent::Agent;
use crate::execute::scripted::{Papers, Script, Scripted, healthy};
use crate::inventory::Fleet;

async fn scripted(papers: &Papers, name: &str, authority: &Papers) -> Scripted {
    let script = Script { status: healthy(), ..Script::default() };
    Scripted::start(papers.path(), name, &authority.authority(), script).await
}

/// What an operator is told who asks the one host of `fleet` how it stands.
async fn told(fleet: &Fleet) -> String {
    let dialler = Dialler::new(fleet).unwrap();
    let asked = async { Agent::dial(&dialler, &fleet.hosts()[0]).await?.standing("web").await };
    asked.await.map_or_else(|error| error.sentence(), |standing| format!("generation {}", standing.generation))
}

#[tokio::test]
async fn the_right_certificates_are_let_in() {
    let papers = Papers::new();
    let agent = scripted(&papers, "web-1", &papers).await;
    assert_eq!(told(&papers.fleet("ada", &[("web-1", &agent.address)])).await, "generation 3");
}

#[tokio::test]
async fn another_host_at_the_address_is_named() {
    let papers = Papers::new();
    let agent = scripted(&papers, "web-2", &papers).await;
    let address = &agent.address;
    let sentence = told(&papers.fleet("ada", &[("web-1", address)])).await;
    assert_eq!(sentence, format!("the host at {address} is web-2, not web-1"));
}

#[tokio::test]
async fn a_host_of_another_authority_is_not_trusted() {
    let (papers, others) = (Papers::new(), Papers::new());
    let agent = scripted(&others, "web-1", &papers).await;
    let sentence = told(&papers.fleet("ada", &[("web-1", &agent.address)])).await;
    assert!(sentence.ends_with("unknown issuer: it is not signed by this fleet's authority"), "{sentence}");
}

#[tokio::test]
async fn a_host_with_an_expired_certificate_is_not_trusted() {
    let papers = Papers::new();
    papers.issue(Role::Agent, "web-4", Papers::expired());
    let agent = scripted(&papers, "web-4", &papers).await;
    let sentence = told(&papers.fleet("ada", &[("web-4", &agent.address)])).await;
    assert!(sentence.ends_with("is not valid: certificate expired"), "{sentence}");
}

#[tokio::test]
async fn a_refused_certificate_is_told_as_such_every_time() {
    let (papers, others) = (Papers::new(), Papers::new());
    let agent = scripted(&papers, "web-1", &others).await;
    let fleet = papers.fleet("ada", &[("web-1", &agent.address)]);
    // The alert races with what we write; whoever wins, it is the alert that is told.
    for _ in 0..50 {
        let sentence = told(&fleet).await;
        assert!(sentence.contains("refused our certificate: "), "{sentence}");
    }
}

#[tokio::test]
async fn our_expired_certificate_is_told_as_such() {
    let papers = Papers::new();
    papers.issue(Role::Operator, "bob", Papers::expired());
    let agent = scripted(&papers, "web-1", &papers).await;
    let sentence = told(&papers.fleet("bob", &[("web-1", &agent.address)])).await;
    assert!(sentence.ends_with("refused our certificate: certificate expired"), "{sentence}");
}

#[tokio::test]
async fn an_agent_of_another_fleet_under_the_same_authority_is_a_stranger() {
    let papers = Papers::new();
    let agent = scripted(&papers, "web-1", &papers).await;
    let text = format!(
        "[fleet]\nname = \"test\"\ncertificate = \"ada.crt\"\nkey = \"ada.key\"\nauthority = \"fleet-ca.crt\"\n\
         [[host]]\nname = \"web-1\"\naddress = \"{}\"\n",
        agent.address
    );
    let sentence = told(&Fleet::read(&text, papers.path()).unwrap()).await;
    assert!(sentence.contains("is nobody of this fleet: the certificate spiffe://prod/agent/web-1"), "{sentence}");
}

#[tokio::test]
async fn nobody_at_the_address_is_told_with_the_address() {
    let papers = Papers::new();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let sentence = told(&papers.fleet("ada", &[("web-1", &free)])).await;
    assert!(sentence.starts_with(&format!("cannot connect to {free}: Connection refused")), "{sentence}");
}

/// A listener that says `words` to the first caller, and what the caller then tells.
async fn told_of_a_stranger(words: &'static [u8], stays: bool) -> String {
    let papers = Papers::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut caller, _) = listener.accept().await.unwrap();
        caller.write_all(words).await.unwrap();
        let mut bytes = [0; 4096];
        while stays && caller.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
    });
    told(&papers.fleet("ada", &[("web-1", &address)])).await
}

#[tokio::test]
async fn garbage_on_the_port_is_told_as_such() {
    let sentence = told_of_a_stranger(b"SSH-2.0-OpenSSH_9.6\r\n", true).await;
    assert!(sentence.contains("does not speak TLS: "), "{sentence}");
    let sentence = told_of_a_stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n", true).await;
    assert!(sentence.contains("does not speak TLS: "), "{sentence}");
}

#[tokio::test]
async fn a_door_that_closes_at_once_is_told_as_such() {
    let sentence = told_of_a_stranger(b"", false).await;
    let closed = sentence.ends_with("closed the connection before it had said who it is");
    assert!(closed || sentence.contains("was lost: "), "{sentence}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_port_is_given_up_after_five_seconds() {
    let sentence = told_of_a_stranger(b"", true).await;
    assert!(sentence.ends_with(": timed out after 5 s"), "{sentence}");
}
