//! What a service manager hears of a service (sd_notify(3)), and of one that waits.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::process::{PATIENCE, Program, Service, dev, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// The other end of the socket that a service is told by `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { socket, path }
    }

    fn starts(&self, program: Program) -> Service {
        program.variable("NOTIFY_SOCKET", &self.path).start()
    }

    /// What it is told next.
    fn hears(&self) -> String {
        let mut text = [0; 1024];
        let length = self.socket.recv(&mut text).expect("a word");
        String::from_utf8(text[..length].to_vec()).expect("text")
    }

    fn hears_nothing_more(&self) {
        self.socket.set_nonblocking(true).expect("a socket that does not wait");
        let more = self.socket.recv(&mut [0; 1024]);
        assert!(more.is_err(), "{more:?}");
    }
}

#[tokio::test]
async fn a_service_manager_hears_that_it_is_ready_and_that_it_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let manager = Manager::new(folder.path());
    let service = manager.starts(dev(folder.path()));
    assert!(manager.hears().starts_with("READY=1\n"));
    assert!(service.client().is_ready().await);
    service.terminate();
    assert!(manager.hears().starts_with("STOPPING=1\n"));
    assert_eq!(service.ended().await.0, Some(0));
    manager.hears_nothing_more();
}

#[tokio::test]
async fn a_service_that_waits_for_postgres_is_not_ready_yet() {
    let folder = tempfile::tempdir().expect("a folder");
    let (redis, server) = (RedisServer::start(), PostgresServer::shared());
    let database = server.create_database().await;
    let name = database.rsplit('/').next().expect("a name");
    let elsewhere = folder.path().to_str().expect("a UTF-8 path").replace('/', "%2F");
    let manager = Manager::new(folder.path());
    let not_there = format!("postgres://postgres@{elsewhere}/{name}");
    let service = manager.starts(serve(folder.path(), &redis.url(), &not_there));
    assert!(manager.hears().starts_with("STATUS=waits for the database"));
    symlink(server.socket(), folder.path().join(".s.PGSQL.5432")).expect("the socket");
    assert!(manager.hears().starts_with("READY=1\n"));
    service.stop().await;
}

#[tokio::test]
async fn where_nobody_listens_the_service_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let gone = folder.path().join("gone");
    let service = dev(folder.path()).variable("NOTIFY_SOCKET", &gone).start();
    assert!(service.client().is_ready().await);
    let said = service.log().text();
    assert!(said.contains("the service manager cannot be told"), "{said}");
    service.stop().await;
}
