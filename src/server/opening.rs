//! The first bytes of a connection, under a time limit.
//!
//! Which version of HTTP a client speaks is told by the first bytes that it sends, and hyper's own
//! limits begin after those. A client that sends nothing, or a part of HTTP/2's preface (`P` is
//! one), would be waited for without end.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// What every HTTP/2 connection begins with (RFC 9113 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose client must show in time which version of HTTP it speaks; after that it is a
/// stream like any other.
pub(super) struct Opening<S = TcpStream> {
    stream: S,
    /// How much of the preface has come.
    seen: usize,
    /// `None` once the version is known.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Opening<S> {
    /// Reading fails with [`io::ErrorKind::TimedOut`] when the version is not known by then.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, seen: 0, deadline: Some(Box::pin(tokio::time::sleep(limit))) }
    }

    /// Takes note of bytes that have come.
    fn see(&mut self, bytes: &[u8]) {
        let rest = &HTTP2_PREFACE[self.seen..];
        self.seen += bytes.len();
        if !rest.starts_with(bytes) || rest.len() == bytes.len() {
            self.deadline = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match (&mut self.deadline, &outcome) {
            (Some(deadline), Poll::Pending) => {
                deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            (Some(_), Poll::Ready(_)) => {
                self.see(&buffer.filled()[before..]);
                outcome
            }
            (None, _) => outcome,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn opened() -> (DuplexStream, Opening<DuplexStream>) {
        let (client, server) = duplex(64);
        (client, Opening::new(server, LIMIT))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_show_its_version_is_given_up_in_time() {
        for bytes in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let (mut client, mut server) = opened();
            let began = Instant::now();
            for byte in bytes {
                client.write_all(&[*byte]).await.expect("a byte goes");
                assert_eq!(server.read_u8().await.expect("it comes"), *byte);
            }
            let error = server.read_u8().await.expect_err("the limit");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{bytes:?}");
            // tokio's timers have a grain of a millisecond.
            assert!((LIMIT..LIMIT + Duration::from_millis(2)).contains(&began.elapsed()), "{bytes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_whose_version_is_known_may_take_its_time() {
        for bytes in [&b"G"[..], b"PO", b"PRI * HTTP/1.1", HTTP2_PREFACE, &[HTTP2_PREFACE, b"\0"].concat()] {
            let (mut client, mut server) = opened();
            client.write_all(bytes).await.expect("bytes go");
            server.read_exact(&mut vec![0; bytes.len()]).await.expect("they come");
            assert!(timeout(10 * LIMIT, server.read_u8()).await.is_err(), "{bytes:?}");
        }
    }
}
