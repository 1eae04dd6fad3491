//! Where connections come from: TCP, or a socket in the file system.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use poem::Addr;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::connection::Ends;

/// How many the kernel keeps for us at most before they are accepted, as tokio asks it to.
const QUEUE_MAX: usize = 1024;

/// What listens.
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A socket in the file system, for this machine alone.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// A connection that has come.
pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| Accepted::Tcp(stream, peer)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        }
    }
}

impl Listener {
    /// Those that have come and were not accepted yet; nobody else can come. What has sent its request by now would be
    /// reset with the listener.
    pub(super) fn close(self) -> Vec<Accepted> {
        match self {
            Self::Tcp(listener) => waiting(listener.into_std(), |listener| {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Accepted::Tcp(TcpStream::from_std(stream)?, peer))
            }),
            Self::Unix(listener) => waiting(listener.into_std(), |listener| {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Accepted::Unix(UnixStream::from_std(stream)?))
            }),
        }
    }
}

/// What `accept` gives until nobody waits any more.
fn waiting<L>(listener: io::Result<L>, accept: impl Fn(&L) -> io::Result<Accepted>) -> Vec<Accepted> {
    let Ok(listener) = listener else { return Vec::new() };
    (0..QUEUE_MAX)
        .map(|_| accept(&listener))
        .take_while(|accepted| !matches!(accepted, Err(error) if error.kind() == io::ErrorKind::WouldBlock))
        .flatten()
        .collect()
}

impl Accepted {
    /// Whose share of the connections it is out of; all that come by a socket share one.
    pub(super) fn place(&self) -> IpAddr {
        match self {
            Self::Tcp(_, peer) => peer.ip(),
            Self::Unix(_) => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Makes it ready to be served.
    pub(super) fn prepare(&self) -> io::Result<Ends> {
        match self {
            Self::Tcp(stream, peer) => {
                stream.set_nodelay(true)?;
                let local = Addr::SocketAddr(stream.local_addr()?);
                Ok(Ends { local, remote: Addr::SocketAddr(*peer) })
            }
            Self::Unix(_) => {
                let end = || Addr::Custom("unix", "".into());
                Ok(Ends { local: end(), remote: end() })
            }
        }
    }

    /// Resets it: its client knows at once, and nothing is left of it here.
    pub(super) fn refuse(self) {
        if let Self::Tcp(stream, _) = self {
            // Where that does not work, it is closed in the usual way.
            let _ = stream.set_zero_linger();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_come_is_not_lost_with_what_listened() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut visitors = Vec::new();
        for _ in 0..3 {
            visitors.push(TcpStream::connect(address).await.unwrap());
        }
        assert_eq!(Listener::from(listener).close().len(), visitors.len());
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let visitor = UnixStream::connect(&path).await.unwrap();
        assert_eq!(Listener::from(listener).close().len(), 1);
        drop(visitor);
        assert!(UnixStream::connect(&path).await.is_err());
    }
}
