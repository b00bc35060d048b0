//! Ways to knock at an agent's doors.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use baton_proto::v1::agent_client::AgentClient;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::Running;
use super::authority::{Issued, Leaf};

pub(crate) type Client = AgentClient<Channel>;

fn config(agent: &Running, own: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(agent.authority.certificate()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        Some(own) => builder.with_client_auth_cert(own.chain(), own.key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A TLS connection as far as the client's side of the handshake goes.
pub(crate) async fn tls(agent: &Running, own: Option<&Issued>) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(agent.address).await?;
    TlsConnector::from(Arc::new(config(agent, own))).connect(ServerName::try_from("web-1").unwrap(), stream).await
}

/// What the agent says to a client with this certificate before HTTP/2 begins: the text of the TLS alert.
pub(crate) async fn alert(agent: &Running, own: Option<&Issued>) -> String {
    let mut stream = match tls(agent, own).await {
        Ok(stream) => stream,
        Err(error) => return error.to_string(),
    };
    match stream.read_u8().await {
        Ok(byte) => format!("the agent went on with {byte}"),
        Err(error) => error.to_string(),
    }
}

/// The certificate that the agent shows.
pub(crate) async fn shown(agent: &Running) -> CertificateDer<'static> {
    let own = agent.authority.issue(&Leaf::observer("grafana"));
    let stream = tls(agent, Some(&own)).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// A gRPC client over mutual TLS.
pub(crate) async fn channel(agent: &Running, leaf: &Leaf) -> Result<Channel, tonic::transport::Error> {
    let (address, config) = (agent.address, Arc::new(config(agent, Some(&agent.authority.issue(leaf)))));
    let connector = service_fn(move |_: Uri| {
        let connector = TlsConnector::from(Arc::clone(&config));
        async move {
            let stream = TcpStream::connect(address).await?;
            let stream = connector.connect(ServerName::try_from("web-1").unwrap(), stream).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    Endpoint::from_static("http://web-1").connect_with_connector(connector).await
}

/// The same, for the agent's own service.
pub(crate) async fn remote(agent: &Running, leaf: &Leaf) -> Result<Client, tonic::transport::Error> {
    channel(agent, leaf).await.map(AgentClient::new)
}

/// A gRPC client over the unix socket.
pub(crate) async fn local(socket: PathBuf) -> Client {
    let connector = service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    AgentClient::new(Endpoint::from_static("http://agent").connect_with_connector(connector).await.unwrap())
}
