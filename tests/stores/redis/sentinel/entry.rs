//! As whom Sentinels are asked, over what, and what is said when they do not answer.

use std::error::Error;
use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::store::backend::TokenBackend;
use hallpass::store::redis::{RedisOptions, RedisTls, RedisTokenStore, SENTINEL_RIGHTS, is_unfit};

use super::{MASTER, START, lazy, mark};
use crate::support::certificates::Certificates;
use crate::support::redis::RedisServer;
use crate::support::sentinels::sentinel_of;

fn all_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

#[tokio::test]
async fn both_are_asked_as_whom_the_address_says() {
    let server = RedisServer::start();
    server.command::<()>(&["ACL", "SETUSER", "ada", "on", ">hunter2", "~*", "+@all"]).await;
    server.command::<()>(&["CONFIG", "SET", "requirepass", "hunter3"]).await;
    let user = format!("user watcher on >hunter4 resetchannels -@all {SENTINEL_RIGHTS}");
    let further = format!("sentinel auth-pass {MASTER} hunter3\n{user}\nrequirepass hunter5");
    let sentinel = sentinel_of(server.port(), 1, &further);
    let host = format!("127.0.0.1:{}/{MASTER}", sentinel.port());
    let clock = Arc::new(ManualClock::at(START));
    let ping = async |url: &str| lazy(url, &mark(), &clock).ping().await;
    for good in [
        format!("redis+sentinel://ada:hunter2@{host}?sentinel_username=watcher&sentinel_password=hunter4"),
        format!("redis+sentinel://:hunter3@{host}/3?sentinel_password=hunter5"),
    ] {
        ping(&good).await.expect(&good);
    }
    for (bad, said) in [
        (format!("redis+sentinel://:hunter3@{host}"), "asks for a password"),
        (format!("redis+sentinel://:hunter3@{host}?sentinel_password=hunter4"), "asks for a password"),
        (format!("redis+sentinel://:hunter2@{host}?sentinel_password=hunter5"), "WRONGPASS"),
        (format!("redis+sentinel://{host}?sentinel_username=watcher&sentinel_password=hunter4"), "NOAUTH"),
    ] {
        let error = ping(&bad).await.expect_err(&bad);
        let text = all_text(&error);
        let is_said = text.to_lowercase().contains(&said.to_lowercase())
            || text.contains("Password authentication failed");
        assert!(is_said && !text.contains("hunter"), "{bad}: {text}");
    }
}

#[tokio::test]
async fn a_mistake_is_named_and_is_no_matter_of_waiting() {
    let server = RedisServer::start();
    let (sentinel, watches_nobody) = (sentinel_of(server.port(), 1, ""), RedisServer::sentinel());
    let clock = Arc::new(ManualClock::at(START));
    let of = |hosts: &[u16], master: &str| {
        let hosts: Vec<_> = hosts.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        lazy(&format!("redis+sentinel://:hunter2@{}/{master}", hosts.join(",")), &mark(), &clock)
    };
    for (store, said, unfit) in [
        (of(&[sentinel.port()], "other"), "knows no master of that name", true),
        (of(&[server.port()], MASTER), "is a Redis and no Sentinel", true),
        (of(&[watches_nobody.port(), server.port()], MASTER), "the master `main` is: 127.0.0.1:", true),
        (of(&[watches_nobody.port(), 1], MASTER), "127.0.0.1:1 does not answer", false),
    ] {
        let error = store.inspect().await.expect_err(said);
        let text = all_text(&error);
        assert!(text.contains(said) && !text.contains("hunter2"), "{text}");
        assert_eq!(is_unfit(&error), unfit, "{text}");
    }
    // One that knows is enough.
    let store = lazy(
        &format!(
            "redis+sentinel://127.0.0.1:{},127.0.0.1:{},127.0.0.1:{}/{MASTER}",
            watches_nobody.port(),
            server.port(),
            sentinel.port()
        ),
        &mark(),
        &clock,
    );
    store.inspect().await.expect("the one that knows");
    let view = store.ask_sentinels().await.expect("there are some");
    let said: Vec<bool> = view.told.iter().map(|(_, told)| told.is_ok()).collect();
    assert_eq!(said, [false, false, true], "{view:?}");
}

#[tokio::test]
async fn tls_is_spoken_to_the_sentinels_and_to_redis() {
    let own = Certificates::shared();
    let (_server, port) = RedisServer::with_tls(own);
    let [ca, certificate, key] =
        [own.authority(), own.certificate(), own.key()].map(|path| path.display().to_string());
    let (sentinel, sentinel_port) = RedisServer::sentinel_with_tls(
        &format!("sentinel monitor {MASTER} 127.0.0.1 {port} 1\ntls-replication yes\n"),
        [&ca, &certificate, &key],
    );
    let identity = Some((own.certificate(), own.key()));
    let connect = async |url: String, ca_file| {
        let tls = RedisTls { ca_file, identity: identity.clone() };
        RedisTokenStore::connect(&url, &mark(), RedisOptions { tls, ..RedisOptions::default() }).await
    };
    let url = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}/{MASTER}");
    let good = connect(url("rediss+sentinel", sentinel_port), Some(own.authority())).await.expect("a store");
    good.inspect().await.expect("an answer");
    let others = Certificates::make();
    for (url, ca, why) in [
        (url("rediss+sentinel", sentinel_port), Some(others.authority()), "another authority"),
        (url("rediss+sentinel", sentinel.port()), Some(own.authority()), "a port without TLS"),
    ] {
        connect(url, ca).await.expect_err(why);
    }
}
