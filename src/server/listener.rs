//! Where connections come from: TCP, or a socket in the file system.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use poem::Addr;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::connection::Ends;

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
