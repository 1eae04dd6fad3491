//! A relay in front of several servers, as an address is that a failover moves: connections stay with
//! the server that they were made to, new ones go to the one that the address leads to now.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Listens on a loopback port.
pub struct Switchboard {
    address: SocketAddr,
    target: watch::Sender<u16>,
}

impl Switchboard {
    /// A relay to the server on that loopback port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (target, watched) = watch::channel(port);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = *watched.borrow();
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    // Either end may go at any time.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, target }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go to the server on that loopback port.
    pub fn lead_to(&self, port: u16) {
        self.target.send_replace(port);
    }
}
