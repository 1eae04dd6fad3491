//! Sessions with servers that know no EHLO (RFC 5321 3.2).
//!
//! A connection of lettre's begins with EHLO and is over when that is refused. So one is begun with an answer
//! that stands here, which has no extensions, and is then put over the real stream, where nothing was said yet.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::Error;
#[expect(deprecated, reason = "lettre has no other way to talk to a server that knows no EHLO")]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection over a stream on which the server is about to greet; it knows of no extension.
///
/// # Errors
/// None that could come of the server.
#[expect(deprecated, reason = "lettre has no other way to talk to a server that knows no EHLO")]
pub(super) async fn unspoken(
    stream: AsyncNetworkStream,
    hello: &ClientId,
) -> Result<AsyncSmtpConnection, Error> {
    let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(Prompt::new()), hello).await?;
    connection.set_stream(stream);
    Ok(connection)
}

/// The command by which a client says who it is, without asking for extensions (RFC 5321 4.1.1.1).
pub(super) struct Helo<'a>(pub(super) &'a ClientId);

impl fmt::Display for Helo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HELO {}\r\n", self.0)
    }
}

/// Nobody: says a greeting and an answer to EHLO that offers nothing, whatever it is told.
#[derive(Debug)]
struct Prompt {
    left: &'static [u8],
}

impl Prompt {
    fn new() -> Self {
        Self { left: b"220 nobody\r\n250 nobody\r\n" }
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (now, later) = self.left.split_at(self.left.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.left = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncTokioStream for Prompt {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::UNSPECIFIED, 0).into())
    }
}
