//! A link between a service and a store that is slow, silent, cut, or loses answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// How the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// As it should be.
    Clear,
    /// Whatever is sent arrives so much later.
    Slow(Duration),
    /// Nothing arrives until that changes, and nobody is told.
    Silent,
    /// What is asked arrives; before an answer does, the connection is cut.
    AnswersLost,
    /// What is asked arrives, and no answer until that changes.
    AnswersHeld,
}

/// Where the link leads.
#[derive(Clone, Debug)]
pub enum Store {
    /// A loopback port.
    Port(u16),
    /// A socket in the file system.
    Socket(PathBuf),
}

#[derive(Clone, Copy)]
struct Link {
    weather: Weather,
    /// How often all connections were cut.
    cuts: u32,
}

/// Listens on a loopback port and relays to a store.
pub struct FaultyLink {
    address: SocketAddr,
    link: watch::Sender<Link>,
}

impl FaultyLink {
    /// A link that is as it should be.
    pub async fn to(store: Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (link, watched) = watch::channel(Link { weather: Weather::Clear, cuts: 0 });
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, store.clone(), watched.clone()));
            }
        });
        Self { address, link }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is from now on.
    pub fn turns(&self, weather: Weather) {
        self.link.send_modify(|link| link.weather = weather);
    }

    /// Ends all connections that there are.
    pub fn cut(&self) {
        self.link.send_modify(|link| link.cuts += 1);
    }
}

async fn connect(client: TcpStream, store: Store, link: watch::Receiver<Link>) {
    match store {
        Store::Port(port) => match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(server) => relay(client, server, link).await,
            // The store is away: the client hears of the end of its connection.
            Err(_) => drop(client),
        },
        Store::Socket(socket) => match UnixStream::connect(socket).await {
            Ok(server) => relay(client, server, link).await,
            Err(_) => drop(client),
        },
    }
}

async fn relay(client: TcpStream, server: impl AsyncRead + AsyncWrite, mut link: watch::Receiver<Link>) {
    let cuts = link.borrow().cuts;
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = tokio::io::split(server);
    let asked = carry(client_reads, server_writes, link.clone(), false);
    let answered = carry(server_reads, client_writes, link.clone(), true);
    // Whichever ends first ends both.
    tokio::select! {
        _ = asked => {}
        _ = answered => {}
        _ = link.wait_for(|link| link.cuts != cuts) => {}
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut link: watch::Receiver<Link>,
    is_answer: bool,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        let weather = link.borrow().weather;
        match weather {
            Weather::Clear => {}
            Weather::Slow(delay) => tokio::time::sleep(delay).await,
            // It is gone when the proxy is.
            Weather::Silent => drop(link.wait_for(|link| link.weather != Weather::Silent).await),
            Weather::AnswersLost if is_answer => return Ok(()),
            Weather::AnswersHeld if is_answer => {
                drop(link.wait_for(|link| link.weather != Weather::AnswersHeld).await);
            }
            Weather::AnswersLost | Weather::AnswersHeld => {}
        }
        to.write_all(&bytes[..read]).await?;
    }
}
