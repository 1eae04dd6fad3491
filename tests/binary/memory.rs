//! Memory that is of no use any more is the system's again.

use std::net::Ipv4Addr;

use hyper::StatusCode;

use crate::client::{Connection, get};
use crate::process::{Service, dev, eventually};

/// From as many addresses, so that none has more than its share.
const ADDRESSES: u8 = 4;

const FROM_EACH: usize = 500;

/// What the system has given the process for its own data, MiB.
fn own(service: &Service) -> u64 {
    service.memory_mib("RssAnon")
}

/// Opens connections that are answered once and then do nothing.
async fn come(service: &Service) -> Vec<Connection> {
    let mut held = Vec::new();
    for number in 0..ADDRESSES {
        let client = service.client().at(Ipv4Addr::new(127, 0, 2, 1 + number));
        for _ in 0..FROM_EACH {
            let mut connection = client.connect().await;
            let answer = connection.send(get("/health/live")).await.expect("an answer");
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            held.push(connection);
        }
    }
    held
}

#[tokio::test]
#[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), ignore = "needs glibc")]
async fn what_many_connections_had_is_given_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let before = own(&service);
    let held = come(&service).await;
    let (full, expected) = (own(&service), held.len() as u64 * 20 / 1024);
    assert!(full > before + expected, "{before} MiB, and {full} with {} connections", held.len());
    drop(held);
    // Within a quarter of what they had.
    let most = before + (full - before) / 4;
    eventually("what they had is given back", async || own(&service) <= most).await;
}

#[tokio::test]
#[cfg_attr(not(all(target_os = "linux", target_env = "gnu")), ignore = "needs glibc")]
async fn what_a_dear_hash_took_is_given_back_before_its_answer() {
    const EMAIL: &str = "ada@example.com";
    let folder = tempfile::tempdir().expect("a folder");
    let dear = dev(folder.path()).variable("HALLPASS_PASSWORDS__ARGON2__MEMORY_KIB", "28672").start();
    dear.client().register(EMAIL).await;
    dear.stop().await;
    // Beyond its own cost it keeps nothing.
    let service = dev(folder.path()).start();
    let before = own(&service);
    for _ in 0..3 {
        service.client().log_in(EMAIL).await;
    }
    let left = own(&service);
    assert!(left < before + 10, "{before} MiB, and {left} after three logins of 28 MiB each");
}
