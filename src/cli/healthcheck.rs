//! `hallpass healthcheck`: asks the running service whether it is ready. Container images have
//! neither a shell nor curl to ask with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::Empty;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

use super::{Failure, ListenArgs};
use crate::config::{Profile, Purpose};

/// From looking up the name to the last byte of the answer's head. Docker's own limit is 30 s.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What answers 200 when the service can do its work.
const PATH: &str = "/health/ready";

/// Whom to ask.
#[derive(Args)]
pub struct HealthcheckArgs {
    /// Where the service is, like <http://127.0.0.1:8080>; without it, where the settings say that
    /// it listens
    #[arg(long)]
    url: Option<Url>,
    #[command(flatten)]
    settings: ListenArgs,
}

/// Runs the command: exit code 0 when the service is ready, 1 and a line about why when it is not.
pub(super) fn run(args: HealthcheckArgs) -> Result<ExitCode, Failure> {
    let authority = match args.url {
        Some(url) => authority(&url)?,
        None => {
            let listen = args.settings.load(Profile::Serve, Purpose::Inspect)?.settings.listen;
            reachable(listen).to_string()
        }
    };
    // One connection and no more: no need for a thread per core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(check(&authority))?;
    println!("ready");
    Ok(ExitCode::SUCCESS)
}

/// Where the service was looked for, and why it is not ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthcheckError {
    #[error("the service at {0} did not answer within {secs} s", secs = TIMEOUT.as_secs())]
    Silent(String),
    #[error("the service at {0} cannot be reached")]
    Unreachable(String, #[source] std::io::Error),
    #[error("what answers at {0} does not speak HTTP")]
    NotHttp(String, #[source] hyper::Error),
    #[error("the service at {0} is not ready (status {status})", status = .1.as_u16())]
    NotReady(String, StatusCode),
    #[error("--url must be like http://127.0.0.1:8080")]
    Url,
}

/// Host and port of a plain `http://` URL. This asks a service directly, where it listens without
/// TLS.
pub(super) fn authority(url: &Url) -> Result<String, HealthcheckError> {
    match (url.scheme(), url.host_str(), url.port_or_known_default()) {
        ("http", Some(host), Some(port)) => Ok(format!("{host}:{port}")),
        _ => Err(HealthcheckError::Url),
    }
}

/// The address to ask at: a service that listens on all of them is reached by loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn check(authority: &str) -> Result<(), HealthcheckError> {
    match tokio::time::timeout(TIMEOUT, ask(authority)).await {
        Ok(Ok(StatusCode::OK)) => Ok(()),
        Ok(Ok(status)) => Err(HealthcheckError::NotReady(authority.to_owned(), status)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(HealthcheckError::Silent(authority.to_owned())),
    }
}

async fn ask(authority: &str) -> Result<StatusCode, HealthcheckError> {
    let not_http = |error| HealthcheckError::NotHttp(authority.to_owned(), error);
    let stream = TcpStream::connect(authority)
        .await
        .map_err(|error| HealthcheckError::Unreachable(authority.to_owned(), error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(not_http)?;
    // It ends with the answer, or with the runtime.
    tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = hyper::Uri::from_static(PATH);
    let host = authority.parse().map_err(|_| HealthcheckError::Url)?;
    request.headers_mut().insert(header::HOST, host);
    Ok(sender.send_request(request).await.map_err(not_http)?.status())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A service that gives one answer; returns its authority and, later, what it was asked.
    async fn answering(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (authority, asked)
    }

    #[tokio::test]
    async fn a_ready_service_is_healthy() {
        let (authority, asked) = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        check(&authority).await.unwrap();
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("GET /health/ready HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains(&format!("host: {authority}\r\n")), "{asked}");
    }

    #[tokio::test]
    async fn a_service_that_is_not_ready_is_not_healthy() {
        let (authority, _asked) = answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
        let error = check(&authority).await.unwrap_err().to_string();
        assert_eq!(error, format!("the service at {authority} is not ready (status 503)"));
    }

    #[tokio::test]
    async fn what_is_no_http_is_not_healthy() {
        let (authority, _asked) = answering("SSH-2.0-OpenSSH_9.2\r\n").await;
        assert!(matches!(check(&authority).await, Err(HealthcheckError::NotHttp(..))));
    }

    #[tokio::test]
    async fn nobody_there_is_not_healthy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        drop(listener);
        assert!(matches!(check(&authority).await, Err(HealthcheckError::Unreachable(..))));
    }

    #[test]
    fn a_service_on_all_addresses_is_asked_on_loopback() {
        for (listen, asked) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80")]
        {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn only_plain_http_is_asked() {
        let authority = |url: &str| authority(&Url::parse(url).unwrap()).ok();
        assert_eq!(authority("http://[::1]:8080/x").as_deref(), Some("[::1]:8080"));
        assert_eq!(authority("http://hallpass").as_deref(), Some("hallpass:80"));
        assert_eq!(authority("https://hallpass"), None);
        assert_eq!(authority("redis://hallpass"), None);
    }
}
