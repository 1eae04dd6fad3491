//! Redis as people run it: users with few rights, sockets, TLS with an own authority, and servers that are no
//! plain Redis.

use std::error::Error;
use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::deployment::DeploymentMark;
use hallpass::store::redis::{
    ConnectError, RedisLack, RedisOptions, RedisTls, RedisTokenStore, is_unfit, needed_commands,
};

use super::SHARED;
use crate::journaled::TestStore;
use crate::support::certificates::Certificates;
use crate::support::redis::RedisServer;
use crate::token_store::SharedStore;
use crate::token_store::support::{fresh_mark, laid_over, mark};

// The whole contract, as a user that may do no more than what docs/stores.md says.
crate::token_store::contract!(open_store);

async fn open_store(clock: Arc<ManualClock>) -> (SharedStore, ()) {
    let mark = fresh_mark();
    let backend = Arc::new(as_least(&SHARED, &mark, &[]).await.with_time(laid_over(&clock)));
    (Arc::new(TestStore::new(backend, clock).await), ())
}

/// A store as a user that has the needed rights on the keys of a mark, with further rules.
async fn as_least(server: &RedisServer, mark: &DeploymentMark, further: &[&str]) -> RedisTokenStore {
    let (user, keys) = (format!("user-{mark}"), format!("~{mark}:*"));
    let mut words = vec!["ACL", "SETUSER", &user, "reset", "on", ">hunter2", &keys, "resetchannels"];
    let needed: Vec<String> = needed_commands().collect();
    words.extend(needed.iter().map(String::as_str));
    words.extend(further);
    server.command::<()>(&words).await;
    let url = format!("redis://{user}:hunter2@127.0.0.1:{}", server.port());
    RedisTokenStore::connect_lazy(&url, mark, RedisOptions::default()).expect("a store")
}

pub(super) fn all_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

#[tokio::test]
async fn what_a_user_may_not_do_is_named_and_nothing_is_done() {
    let server = RedisServer::start();
    let lack = async |further: &[&str]| {
        as_least(&server, &mark(), further).await.lacking_rights().await.expect("an answer")
    };
    assert_eq!(lack(&[]).await, None, "it may not open a transaction");
    let ask = ["+multi", "+discard"];
    let nothing = RedisLack { commands: Vec::new(), keys: None };
    assert_eq!(lack(&ask).await, Some(nothing.clone()));
    let less = [&ask[..], &["-hset", "-script|load", "-info", "-xread"]].concat();
    // INFO is asked at each connect.
    let error = as_least(&server, &mark(), &less).await.lacking_rights().await.expect_err("no INFO");
    assert!(all_text(&error).contains("info"), "{}", all_text(&error));
    let less = [&ask[..], &["-hset", "-script|load", "-xread"]].concat();
    let named = RedisLack { commands: vec!["hset", "script|load", "xread"], keys: None };
    assert_eq!(lack(&less).await, Some(named));
    let elsewhere = [&ask[..], &["resetkeys", "~other:*"]].concat();
    let keys = RedisLack { keys: Some(format!("{}:", mark())), ..nothing };
    assert_eq!(lack(&elsewhere).await, Some(keys));
    assert_eq!(server.command::<i64>(&["DBSIZE"]).await, 0);
}

#[tokio::test]
async fn a_server_that_is_no_plain_redis_is_named() {
    for (server, said) in [
        (RedisServer::node_of_a_cluster(), "a node of a Redis Cluster"),
        (RedisServer::sentinel(), "a Sentinel"),
    ] {
        let store = RedisTokenStore::connect_lazy(&server.url(), &mark(), RedisOptions::default());
        let error = store.expect("a store").inspect().await.expect_err("no plain Redis");
        assert!(is_unfit(&error), "{error}");
        assert!(all_text(&error).contains(said), "{}", all_text(&error));
    }
    let fine = RedisTokenStore::connect_lazy(&SHARED.url(), &mark(), RedisOptions::default());
    fine.expect("a store").inspect().await.expect("a plain one");
}

#[tokio::test]
async fn a_socket_is_as_good_as_a_port() {
    let (server, url) = RedisServer::with_socket();
    let store = RedisTokenStore::connect(&url, &mark(), RedisOptions::default()).await.expect("a store");
    store.inspect().await.expect("an answer");
    let set: Vec<&str> = vec!["ACL", "SETUSER", "ada", "on", ">hunter2", "~*", "+@all"];
    server.command::<()>(&set).await;
    for (account, works) in [("user=ada&pass=hunter2", true), ("user=ada&pass=hunter3", false)] {
        let url = format!("{url}?db=1&{account}");
        let connected = RedisTokenStore::connect(&url, &mark(), RedisOptions::default()).await;
        assert_eq!(connected.is_ok(), works, "{account}");
    }
}

#[tokio::test]
async fn tls_trusts_the_authority_of_the_file_and_shows_the_certificate() {
    let own = Certificates::shared();
    let others = Certificates::make();
    let (_server, port) = RedisServer::with_tls(own);
    let identity = |of: &Certificates| Some((of.certificate(), of.key()));
    let connect = async |host: &str, tls: RedisTls| {
        let options = RedisOptions { tls, ..RedisOptions::default() };
        RedisTokenStore::connect(&format!("rediss://{host}:{port}"), &mark(), options).await
    };
    let store =
        connect("127.0.0.1", RedisTls { ca_file: Some(own.authority()), identity: identity(own) }).await;
    store.expect("a store").inspect().await.expect("an answer");

    for (host, tls, why) in [
        (
            "127.0.0.1",
            RedisTls { ca_file: Some(others.authority()), identity: identity(own) },
            "another authority",
        ),
        ("127.0.0.1", RedisTls { ca_file: None, identity: identity(own) }, "the system's authorities"),
        ("127.0.0.1", RedisTls { ca_file: Some(own.authority()), identity: None }, "no certificate"),
        ("127.0.0.1", RedisTls { ca_file: Some(own.authority()), identity: identity(&others) }, "of another"),
        ("localhost", RedisTls { ca_file: Some(own.authority()), identity: identity(own) }, "another name"),
    ] {
        let error = connect(host, tls).await.expect_err(why);
        assert!(matches!(error, ConnectError::Unreachable(_)), "{why}: {error:?}");
    }
    // What cannot be read is told before anything is sent.
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing\n").expect("a file");
    for tls in [
        RedisTls { ca_file: Some(empty.clone()), identity: None },
        RedisTls { ca_file: Some(folder.path().join("none.pem")), identity: None },
        RedisTls { ca_file: None, identity: Some((own.certificate(), empty)) },
        RedisTls { ca_file: None, identity: Some((own.certificate(), others.key())) },
    ] {
        let error = connect("127.0.0.1", tls).await.expect_err("a refusal");
        assert!(matches!(&error, ConnectError::Url(_)), "{error:?}");
        assert!(error.to_string().contains(".pem"), "{error}");
    }
}
