//! Whoever knocks at the agent's doors is let in or told why not, and the agent lives on.

use std::time::Duration;

use baton_agent::config::Config;
use baton_agent::doors::Doors;
use baton_agent::failure::chain;
use baton_proto::v1::agent_client::AgentClient;
use baton_proto::v1::{self, watch_event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::authority::{Authority, Leaf};
use crate::support::client::{Client, alert, channel, local, remote, shown, tls};
use crate::support::{Running, configuration, soon};

fn reload_request(rollout: &str) -> v1::ReloadRequest {
    v1::ReloadRequest { service: "web".into(), rollout: rollout.into(), attempt: 1, fence: 1, release: String::new() }
}

async fn reload_refused(client: &mut Client, request: v1::ReloadRequest) -> tonic::Status {
    soon("an answer", client.reload(request)).await.expect_err("it is refused")
}

#[tokio::test]
async fn an_operator_may_look_and_reload() {
    let agent = Running::start().await;
    let mut client = remote(&agent, &Leaf::operator("ada")).await.unwrap();

    let reply = client.status(v1::StatusRequest { service: "web".into(), census: false }).await.unwrap().into_inner();
    let info = reply.agent.unwrap();
    assert_eq!((info.host.as_str(), info.incarnation.as_str(), info.now_ns), ("web-1", "run-1", 7_000_000_000));
    assert_eq!(reply.services.iter().map(|service| service.service.as_str()).collect::<Vec<_>>(), ["web"]);

    let mut events = client.reload(reload_request("r-1")).await.unwrap().into_inner();
    let mut count = 0;
    while soon("an event", events.message()).await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 3, "the ending is the last message and no error");
    assert_eq!(agent.driver.attempts().len(), 1);

    let request = v1::TestimonyRequest { service: "web".into(), rollout: String::new() };
    assert_eq!(client.testimony(request).await.unwrap().into_inner().records.len(), 2);
}

#[tokio::test]
async fn an_observer_may_look_only_and_an_agent_may_not_even_look() {
    let agent = Running::start().await;

    let mut observer = remote(&agent, &Leaf::observer("grafana")).await.unwrap();
    assert!(observer.status(v1::StatusRequest::default()).await.is_ok());
    assert!(observer.watch(v1::WatchRequest { service: "web".into() }).await.is_ok());
    let request = v1::TestimonyRequest { service: "web".into(), rollout: "r-1".into() };
    assert_eq!(observer.testimony(request).await.unwrap().into_inner().records.len(), 1);
    let refused = reload_refused(&mut observer, reload_request("r-1")).await;
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().starts_with("spiffe://prod/observer/grafana at 127.0.0.1:"), "{refused}");
    assert!(refused.message().ends_with("has the role observer, which may not reload services"), "{refused}");

    let other = channel(&agent, &Leaf::agent("web-2")).await.unwrap();
    let refused = AgentClient::new(other.clone()).status(v1::StatusRequest::default()).await.expect_err("it may not look");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let refused = reload_refused(&mut AgentClient::new(other.clone()), reload_request("r-1")).await;
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(HealthClient::new(other).check(HealthCheckRequest::default()).await.is_ok());

    assert_eq!(agent.driver.attempts(), []);
    agent.assert_alive().await;
}

/// Supervisor/supervisor#964: what starts programs is not to be reached from the network.
#[tokio::test]
async fn nobody_starts_or_stops_a_service_from_afar_not_even_an_operator() {
    let agent = Running::start().await;
    for leaf in [Leaf::operator("ada"), Leaf::observer("grafana")] {
        let mut client = remote(&agent, &leaf).await.unwrap();
        let start = client.start(v1::StartRequest { service: "web".into() }).await.expect_err("from afar");
        let stop = client.stop(v1::StopRequest { service: "web".into() }).await.expect_err("from afar");
        for refused in [start, stop] {
            assert_eq!(refused.code(), Code::PermissionDenied);
            let end = "may not start or stop services from afar: that is done on the host, with `baton-agent`";
            assert!(refused.message().ends_with(end), "{refused}");
        }
    }
    agent.assert_alive().await;
}

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong_with_it() {
    let agent = Running::start().await;
    let mut client = remote(&agent, &Leaf::operator("ada")).await.unwrap();
    let good = reload_request("r-1");
    for (request, code, message) in [
        (
            v1::ReloadRequest { service: "wbe".into(), ..good.clone() },
            Code::NotFound,
            "no service \"wbe\" on this host; known: api, web",
        ),
        (v1::ReloadRequest { attempt: 0, ..good.clone() }, Code::InvalidArgument, "the attempt must be 1 or more"),
    ] {
        let refused = reload_refused(&mut client, request).await;
        assert_eq!((refused.code(), refused.message()), (code, message));
    }
    for request in [
        v1::ReloadRequest { service: String::new(), ..good.clone() },
        v1::ReloadRequest { service: "../web".into(), ..good.clone() },
        reload_request("a\nb"),
        reload_request(""),
    ] {
        assert_eq!(reload_refused(&mut client, request).await.code(), Code::InvalidArgument);
    }
    let huge = reload_refused(&mut client, reload_request(&"r".repeat(100_000))).await;
    assert_eq!(huge.code(), Code::OutOfRange, "{huge}");
    let request = v1::TestimonyRequest { service: "web".into(), rollout: "r-9".into() };
    assert_eq!(client.testimony(request).await.expect_err("it is not on record").code(), Code::NotFound);
    agent.driver.refuse("nobody holds the lock");
    let refused = reload_refused(&mut client, good).await;
    assert_eq!((refused.code(), refused.message()), (Code::FailedPrecondition, "nobody holds the lock"));
    assert_eq!(agent.driver.attempts(), []);
    agent.assert_alive().await;
}

#[tokio::test]
async fn a_certificate_that_is_nobody_of_ours_gets_an_alert_and_no_word_of_http() {
    let agent = Running::start().await;
    let expired = Leaf { is_expired: true, ..Leaf::operator("ada") };
    for (leaf, alert_wanted) in [
        (Leaf::of(&["spiffe://staging/operator/ada"]), "CertificateUnknown"),
        (Leaf::of(&["spiffe://prod/root/ada"]), "CertificateUnknown"),
        (Leaf::of(&["spiffe://prod/operator/ada", "spiffe://prod/operator/eve"]), "CertificateUnknown"),
        (Leaf { names: vec!["web-1".into()], ..Leaf::of(&[]) }, "CertificateUnknown"),
        (expired, "CertificateExpired"),
    ] {
        let told = soon("an alert", alert(&agent, Some(&agent.authority.issue(&leaf)))).await;
        assert!(told.contains(alert_wanted), "{:?} was told {told}", leaf.uris);
        assert!(remote_status(&agent, &leaf).await.is_err());
    }
    let told = soon("an alert", alert(&agent, None)).await;
    assert!(told.contains("CertificateRequired"), "{told}");
    let stranger = Authority::new().issue(&Leaf::operator("ada"));
    let told = soon("an alert", alert(&agent, Some(&stranger))).await;
    assert!(told.contains("UnknownCA") || told.contains("DecryptError") || told.contains("BadCertificate"), "{told}");
    agent.assert_alive().await;
}

/// An answer, or whatever went wrong on the way to it.
async fn remote_status(agent: &Running, leaf: &Leaf) -> Result<(), Box<dyn std::error::Error>> {
    let mut client = remote(agent, leaf).await?;
    client.status(v1::StatusRequest::default()).await?;
    Ok(())
}

/// What comes back for some bytes, up to the end of the connection.
async fn answer_to(agent: &Running, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(agent.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = soon("the end of the connection", stream.read_to_end(&mut answer)).await;
    answer
}

#[tokio::test]
async fn garbage_and_plain_http_on_the_port_are_turned_away() {
    let agent = Running::start().await;
    for bytes in [&b"GET / HTTP/1.1\r\nHost: web-1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0xff; 4_096], &[0; 64]] {
        let answer = answer_to(&agent, bytes).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        assert!(answer.len() <= 7, "an alert at most: {answer:?}");
        agent.assert_alive().await;
    }
}

#[tokio::test]
async fn a_handshake_that_takes_for_ever_is_ended() {
    let agent = Running::start().await;
    let began = tokio::time::Instant::now();
    // The beginning of a ClientHello that never goes on.
    let answer = answer_to(&agent, b"\x16\x03\x01\x02\x00\x01\x00").await;
    assert_eq!(answer, b"");
    assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
    agent.assert_alive().await;
}

#[tokio::test]
async fn of_300_connections_without_a_handshake_the_oldest_make_room_for_the_newest() {
    let agent = Running::start().await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(agent.address).await.unwrap());
    }
    // Beyond 256 each newcomer ends an older one.
    for stream in &mut idle[..300 - 256] {
        let mut byte = [0];
        let read = soon("the end of an old connection", stream.read(&mut byte)).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    local(agent.socket()).await.status(v1::StatusRequest::default()).await.expect("the host is not locked out");
    agent.assert_alive().await;
}

#[tokio::test]
async fn who_says_nothing_after_the_handshake_is_sent_away() {
    let agent = Running::start().await;
    let began = tokio::time::Instant::now();
    let own = agent.authority.issue(&Leaf::agent("web-2"));
    let mut silent = tls(&agent, Some(&own)).await.unwrap();
    let _ = soon("the end of the connection", silent.read_to_end(&mut Vec::new())).await;
    assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
    let mut other = tls(&agent, Some(&own)).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: web-1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = soon("the end of the connection", other.read_to_end(&mut answer)).await;
    assert_eq!(answer, b"", "not a word to what is no HTTP/2");
    agent.assert_alive().await;
}

#[tokio::test]
async fn one_certificate_cannot_take_the_places_of_others() {
    let agent = Running::start().await;
    let leaf = Leaf::agent("web-2");
    let mut open = Vec::new();
    for _ in 0..16 {
        let channel = channel(&agent, &leaf).await.unwrap();
        assert!(HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.is_ok());
        open.push(channel);
    }
    let is_let_in = async || match channel(&agent, &leaf).await {
        Ok(channel) => HealthClient::new(channel).check(HealthCheckRequest::default()).await.is_ok(),
        Err(_) => false,
    };
    assert!(!is_let_in().await, "a seventeenth");
    agent.assert_alive().await;
    open.pop();
    let let_in = async {
        while !is_let_in().await {
            tokio::task::yield_now().await;
        }
    };
    soon("a place that is free again", let_in).await;
}

#[tokio::test]
async fn whoever_is_on_the_unix_socket_as_our_user_is_an_operator() {
    let agent = Running::start().await;
    let mut client = local(agent.socket()).await;
    assert_eq!(client.status(v1::StatusRequest::default()).await.unwrap().into_inner().services.len(), 2);
    assert!(client.reload(reload_request("r-1")).await.is_ok());
    let mut stream = tokio::net::UnixStream::connect(agent.socket()).await.unwrap();
    stream.write_all(&[0xff; 64]).await.unwrap();
    let _ = soon("the end of the connection", stream.read_to_end(&mut Vec::new())).await;
    agent.assert_alive().await;
}

#[tokio::test]
async fn renewed_certificates_are_taken_up_and_bad_ones_are_not() {
    let agent = Running::start().await;
    let first = shown(&agent).await;
    assert_eq!(first, shown(&agent).await);

    let renewed = agent.authority.issue(&Leaf::agent("web-1"));
    renewed.write(agent.directory.path());
    assert_eq!(shown(&agent).await, renewed.chain()[0]);

    for bad in [
        "",
        "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        &agent.authority.issue(&Leaf::agent("web-2")).certificate,
        &agent.authority.issue(&Leaf::agent("web-1")).certificate,
    ] {
        std::fs::write(agent.directory.path().join("own.crt"), bad).unwrap();
        assert_eq!(shown(&agent).await, renewed.chain()[0], "with {bad:?}");
    }
    std::fs::remove_file(agent.directory.path().join("own.crt")).unwrap();
    assert_eq!(shown(&agent).await, renewed.chain()[0]);

    let again = agent.authority.issue(&Leaf::agent("web-1"));
    again.write(agent.directory.path());
    assert_eq!(shown(&agent).await, again.chain()[0]);
    agent.assert_alive().await;
}

#[tokio::test]
async fn an_agent_whose_certificate_is_not_its_hosts_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    std::fs::write(directory.path().join("ca.crt"), authority.pem()).unwrap();
    let config = Config::parse(&configuration(directory.path())).unwrap();
    let no_dns_name = Leaf { names: Vec::new(), ..Leaf::agent("web-1") };
    let other_fleet = Leaf { uris: vec!["spiffe://staging/agent/web-1".into()], ..Leaf::agent("web-1") };
    let operator = Leaf { names: vec!["web-1".into()], ..Leaf::operator("web-1") };
    for (leaf, wanted) in [
        (Leaf::agent("web-2"), "is the certificate of spiffe://prod/agent/web-2, not of spiffe://prod/agent/web-1"),
        (operator, "is the certificate of spiffe://prod/operator/web-1, not of spiffe://prod/agent/web-1"),
        (other_fleet, "the certificate spiffe://staging/agent/web-1 is not of the fleet \"prod\""),
        (no_dns_name, "has no DNS name \"web-1\""),
    ] {
        authority.issue(&leaf).write(directory.path());
        let error = Doors::bind(&config).await.expect_err("it is not this host's");
        assert!(chain(&error).contains(wanted), "{}", chain(&error));
        assert!(error.hint().is_some());
        assert!(!config.socket.exists(), "nothing was bound");
    }
    authority.issue(&Leaf { is_expired: true, ..Leaf::agent("web-1") }).write(directory.path());
    assert!(Doors::bind(&config).await.is_ok(), "an expired one is renewed while the agent watches its locks");
}

#[tokio::test]
async fn a_watch_is_told_of_a_drop_and_of_being_cut_off() {
    let agent = Running::start().await;
    let mut client = remote(&agent, &Leaf::observer("grafana")).await.unwrap();
    let mut events = client.watch(v1::WatchRequest { service: "web".into() }).await.unwrap().into_inner();
    let first = soon("the state", events.message()).await.unwrap().unwrap();
    assert!(matches!(first.event, Some(watch_event::Event::Status(_))), "{first:?}");
    agent.driver.drop_lock().await;
    let drop = soon("the drop", events.message()).await.unwrap().unwrap();
    assert!(matches!(drop.event, Some(watch_event::Event::Drop(_))), "{drop:?}");
    agent.driver.cut_off();
    let cut = soon("the end", events.message()).await.expect_err("a stream never ends quietly");
    assert_eq!(cut.code(), Code::Unavailable);
}

#[tokio::test]
async fn an_agent_that_stops_says_so_to_its_watchers_and_ends_at_once() {
    let mut agent = Running::start().await;
    let channel = channel(&agent, &Leaf::observer("grafana")).await.unwrap();
    let mut events =
        AgentClient::new(channel.clone()).watch(v1::WatchRequest { service: "web".into() }).await.unwrap().into_inner();
    assert!(soon("the state", events.message()).await.unwrap().is_some());
    let mut health = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(soon("health", health.message()).await.unwrap().unwrap().status, 1);

    let began = tokio::time::Instant::now();
    agent.ask_to_stop();
    let ended = soon("the end of the watch", events.message()).await.expect_err("it is an error");
    assert_eq!((ended.code(), ended.message()), (Code::Unavailable, "the agent is shutting down"));
    assert_eq!(soon("health", health.message()).await.unwrap().unwrap().status, 2, "it is NOT_SERVING");
    let address = agent.address;
    agent.stopped().await;
    assert!(began.elapsed() < Duration::from_secs(4), "nobody is waited for: {:?}", began.elapsed());
    assert!(TcpStream::connect(address).await.is_err());
}
