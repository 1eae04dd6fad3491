//! Two processes over one Redis and one database.

use hyper::StatusCode;

use crate::client::Tokens;
use crate::process::{SECRET, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// How often a logout at one must hold at the other.
const ROUNDS: usize = 20;

#[tokio::test]
async fn a_logout_at_one_replica_holds_at_the_other_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    // They start at once on an empty database: one of them makes the schema and the signing key.
    let [first, second] = std::thread::scope(|scope| {
        let start = || scope.spawn(|| serve(folder.path(), &redis.url(), &database).start());
        [start(), start()].map(|starting| starting.join().expect("it starts"))
    });
    let (here, there) = (first.client(), second.client());
    assert_eq!(here.register("ada@example.com").await.status, StatusCode::CREATED);
    there.register("ada@example.com").await.assert_problem(409, "email_taken");

    let mut held = 0;
    for round in 0..ROUNDS {
        let (here, there) = if round % 2 == 0 { (here, there) } else { (there, here) };
        let tokens = here.log_in("ada@example.com").await;
        // The other one has seen the token alive, should it remember such a thing.
        assert_eq!(there.auth_me(&tokens.access).await.status, StatusCode::OK);
        assert_eq!(here.log_out(&tokens.access).await.status, StatusCode::OK);
        let denied = there.auth_me(&tokens.access).await;
        held += usize::from(denied.status == StatusCode::UNAUTHORIZED);
        there.refresh(&tokens.refresh).await.assert_problem(401, "invalid_refresh_token");
    }
    assert_eq!(held, ROUNDS);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_refresh_token_redeemed_at_both_replicas_has_one_successor() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let start = || serve(folder.path(), &redis.url(), &database).start();
    let (first, second) = (start(), start());
    let (here, there) = (first.client(), second.client());
    let mut tokens = here.logged_in("ada@example.com").await;
    for _ in 0..ROUNDS {
        let (a, b) = tokio::join!(here.refresh(&tokens.refresh), there.refresh(&tokens.refresh));
        let (a, b) = (Tokens::of(&a), Tokens::of(&b));
        assert_eq!(a.refresh, b.refresh, "the grace period answers the same successor");
        assert_eq!(there.auth_me(&a.access).await.status, StatusCode::OK);
        assert_eq!(here.auth_me(&b.access).await.status, StatusCode::OK);
        tokens = a;
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_replica_with_another_secret_does_not_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let first = serve(folder.path(), &redis.url(), &database).start();
    let outcome = serve(folder.path(), &redis.url(), &database)
        .variable("HALLPASS_SECRET", SECRET.to_uppercase())
        .run()
        .await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("secret"), "{outcome:?}");
    assert!(first.client().is_ready().await);
    first.stop().await;
}
