//! The stream under a connection: opened here, so that two things are known of it which the driver
//! does not tell. Whether it has ended: an idle connection that the other end has closed is replaced
//! before anything is sent on it. And whether anything was written since some moment: what was
//! certainly not sent can be sent again on another connection, what may have been sent cannot.

use std::fmt::Display;
use std::io::{self, ErrorKind as IoErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::select_ok;
use redis::io::tcp::socket2::{SockRef, Socket, TcpKeepalive};
use redis::{ConnectionAddr, ErrorKind, RedisError, RedisResult};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_rustls::TlsConnector;

/// What connections over TLS trust and show, as files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// The authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl RedisTls {
    /// Whether the system's own is all there is to it.
    pub(super) fn is_default(&self) -> bool {
        self.ca_file.is_none() && self.identity.is_none()
    }
}

/// When the kernel asks an idle connection for a sign of life, how often and how many times. Load
/// balancers drop idle connections without a word, the earliest of the common ones after a minute;
/// and a host that vanished is noticed within half a minute, though nobody asks it anything.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_TRIES: u32 = 3;

/// Anything that bytes come from and go to.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What is known of a stream.
#[derive(Debug)]
pub(super) struct Wire {
    written: AtomicU64,
    has_ended: AtomicBool,
    /// The same socket once more, for looking at what has come without taking it.
    socket: Socket,
}

impl Wire {
    /// How many bytes were written so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether the other end has closed it. Asks the kernel: the driver learns of an end only when the
    /// runtime gets round to it.
    pub(super) fn has_ended(&self) -> bool {
        if self.has_ended.load(Ordering::Acquire) {
            return true;
        }
        match self.socket.peek(&mut [MaybeUninit::uninit()]) {
            Ok(bytes) => bytes == 0,
            Err(error) => !matches!(error.kind(), IoErrorKind::WouldBlock | IoErrorKind::Interrupted),
        }
    }

    fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }
}

/// A stream that keeps its [`Wire`] up to date.
pub(super) struct Watched {
    stream: Box<dyn Stream>,
    wire: Arc<Wire>,
}

impl Watched {
    fn new(stream: impl Stream + 'static, socket: Socket) -> Self {
        let wire = Wire { written: AtomicU64::new(0), has_ended: AtomicBool::new(false), socket };
        Self { stream: Box::new(stream), wire: Arc::new(wire) }
    }

    /// What is known of this stream, also while a driver has it.
    pub(super) fn wire(&self) -> Arc<Wire> {
        self.wire.clone()
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = (buffer.filled().len(), buffer.remaining());
        let outcome = Pin::new(&mut *self.stream).poll_read(cx, buffer);
        match &outcome {
            Poll::Ready(Ok(())) if buffer.filled().len() == before.0 && before.1 > 0 => self.wire.end(),
            Poll::Ready(Err(_)) => self.wire.end(),
            _ => {}
        }
        outcome
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut *self.stream).poll_write(cx, bytes);
        match &outcome {
            // With TLS they may lie in its buffer still: they count, since they may be sent.
            Poll::Ready(Ok(written)) => {
                self.wire.written.fetch_add(u64::try_from(*written).unwrap_or(u64::MAX), Ordering::AcqRel);
            }
            Poll::Ready(Err(_)) => self.wire.end(),
            Poll::Pending => {}
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }
}

/// What a connection over TLS trusts and shows: the authorities of a file, or else the certificates of the
/// system (`SSL_CERT_FILE`, `SSL_CERT_DIR`).
pub(super) fn tls_config(files: &RedisTls) -> RedisResult<Arc<ClientConfig>> {
    let roots = match &files.ca_file {
        Some(path) => roots_of(path)?,
        None => native_roots()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &files.identity else {
        return Ok(Arc::new(config.with_no_client_auth()));
    };
    let chain = certificates_of(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    let config =
        config.with_client_auth_cert(chain, secret).map_err(|error| unusable(certificate, &error))?;
    Ok(Arc::new(config))
}

fn native_roots() -> RedisResult<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        let problem = native.errors.first().map(ToString::to_string).unwrap_or_default();
        let error = (ErrorKind::InvalidClientConfig, "the system has no certificates to trust", problem);
        return Err(RedisError::from(error));
    }
    Ok(roots)
}

fn roots_of(path: &Path) -> RedisResult<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_of(path)? {
        roots.add(certificate).map_err(|error| unusable(path, &error))?;
    }
    Ok(roots)
}

/// All certificates of a file, of which there is one at least.
fn certificates_of(path: &Path) -> RedisResult<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(unusable(path, &"it holds no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &Path, problem: &impl Display) -> RedisError {
    let problem = format!("{}: {problem}", path.display());
    RedisError::from((ErrorKind::InvalidClientConfig, "what TLS with Redis needs cannot be used", problem))
}

/// Opens a stream to `address`; of several addresses of a host the first that answers is taken.
///
/// # Errors
/// When none does, or TLS fails.
pub(super) async fn open(
    address: &ConnectionAddr,
    tls: impl AsyncFnOnce() -> RedisResult<Arc<ClientConfig>>,
) -> RedisResult<Watched> {
    match address {
        ConnectionAddr::Tcp(host, port) => {
            let (stream, socket) = connect(host, *port).await?;
            Ok(Watched::new(stream, socket))
        }
        ConnectionAddr::TcpTls { host, port, insecure: false, .. } => {
            let connector = TlsConnector::from(tls().await?);
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let (stream, socket) = connect(host, *port).await?;
            Ok(Watched::new(connector.connect(name, stream).await?, socket))
        }
        ConnectionAddr::Unix(path) => {
            let stream = UnixStream::connect(path).await?.into_std()?;
            let socket = Socket::from(OwnedFd::from(stream.try_clone()?));
            Ok(Watched::new(UnixStream::from_std(stream)?, socket))
        }
        _ => Err(RedisError::from((ErrorKind::InvalidClientConfig, "no such connection is made here"))),
    }
}

async fn connect(host: &str, port: u16) -> io::Result<(TcpStream, Socket)> {
    let attempts: Vec<_> =
        lookup_host((host, port)).await?.map(|address| Box::pin(TcpStream::connect(address))).collect();
    if attempts.is_empty() {
        return Err(io::Error::new(IoErrorKind::NotFound, "the host has no address"));
    }
    let (stream, _) = select_ok(attempts).await?;
    // Otherwise each small command would wait for an acknowledgement.
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_TRIES);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    let stream = stream.into_std()?;
    let socket = Socket::from(OwnedFd::from(stream.try_clone()?));
    Ok((TcpStream::from_std(stream)?, socket))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn opened() -> (Watched, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let address = ConnectionAddr::Tcp("127.0.0.1".to_owned(), port);
        let (watched, accepted) =
            tokio::join!(open(&address, async || tls_config(&RedisTls::default())), listener.accept());
        (watched.expect("a stream"), accepted.expect("its other end").0)
    }

    #[tokio::test]
    async fn an_end_is_known_before_anything_is_read_or_written() {
        let (watched, other) = opened().await;
        assert!(!watched.wire().has_ended());
        drop(other);
        // No await since: the runtime has had no chance to hear of it.
        assert!(watched.wire().has_ended());
    }

    #[tokio::test]
    async fn what_was_written_is_counted() {
        let (mut watched, mut other) = opened().await;
        let wire = watched.wire();
        assert_eq!(wire.written(), 0);
        watched.write_all(b"PING").await.expect("written");
        assert_eq!(wire.written(), 4);
        other.write_all(b"PONG").await.expect("written");
        let mut answer = [0; 4];
        watched.read_exact(&mut answer).await.expect("an answer");
        assert!(!wire.has_ended(), "what has come is no end");
    }
}
