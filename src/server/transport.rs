//! The bytes of a connection, watched from below: when they come, when they go and when they do not.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::pulse::Pulse;

/// What every HTTP/2 connection begins with (RFC 9113 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What connections are made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Throws away, when it is closed, what it still has to send.
    fn reset_on_close(&self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn reset_on_close(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

impl Stream for UnixStream {
    /// Nothing is on its way that could be thrown away: what was written is in the other end's buffer.
    fn reset_on_close(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that tells the connection's pulse what happens.
pub(super) struct Transport<S: Stream> {
    stream: S,
    pulse: Arc<Pulse>,
    /// How much of the preface has come; `None` once it is known whether it is one.
    seen: Option<usize>,
}

impl<S: Stream> Transport<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Self { stream, pulse, seen: Some(0) }
    }

    /// Takes note of bytes that have come.
    fn see(&mut self, bytes: &[u8]) {
        self.pulse.received();
        let Some(seen) = self.seen else { return };
        let rest = &HTTP2_PREFACE[seen..];
        self.seen = if bytes.starts_with(rest) {
            self.pulse.speaks_http2();
            None
        } else {
            rest.starts_with(bytes).then_some(seen + bytes.len())
        };
    }

    /// Takes note of what became of writing.
    fn wrote<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &outcome {
            Poll::Pending => self.pulse.blocked(),
            Poll::Ready(_) => self.pulse.wrote(),
        }
        outcome
    }
}

impl<S: Stream> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let bytes = &buffer.filled()[before..];
        if !bytes.is_empty() {
            self.see(bytes);
        }
        outcome
    }
}

impl<S: Stream> AsyncWrite for Transport<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(outcome)
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
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S: Stream> Drop for Transport<S> {
    fn drop(&mut self) {
        if self.pulse.is_to_be_reset() {
            // Where it does not work, the kernel goes on trying to send, and gives up later.
            let _ = self.stream.reset_on_close();
        }
    }
}
