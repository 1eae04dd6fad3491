//! A relay in front of a server that can vanish the way a host does: without a word.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// How many hosts have stood behind the address, and whether the newest answers.
#[derive(Clone, Copy)]
struct Host {
    number: u32,
    answers: bool,
}

/// Listens on a loopback port and relays to a server's socket.
pub struct SilentProxy {
    address: SocketAddr,
    host: watch::Sender<Host>,
}

impl SilentProxy {
    /// A relay to `socket` that answers.
    pub async fn before(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (host, watched) = watch::channel(Host { number: 0, answers: true });
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, socket.clone(), watched.clone()));
            }
        });
        Self { address, host }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing comes back, on old connections and on new ones; none is closed.
    pub fn fall_silent(&self) {
        self.host.send_modify(|host| host.answers = false);
    }

    /// New connections get answers again. The old ones were to the vanished host and stay silent.
    pub fn put_up_a_successor(&self) {
        self.host.send_modify(|host| *host = Host { number: host.number + 1, answers: true });
    }
}

async fn relay(mut client: TcpStream, socket: PathBuf, mut host: watch::Receiver<Host>) {
    let number = host.borrow().number;
    let mut server = UnixStream::connect(socket).await.expect("the server");
    let silence = async {
        // The answer holds a lock on the channel; it must not last as long as the silence.
        drop(host.wait_for(|host| host.number != number || !host.answers).await);
    };
    tokio::select! {
        () = silence => {}
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
    }
    // Both ends stay open: nobody is told.
    std::future::pending().await
}
