//! What happens to signing keys, and by whom.

use futures_util::future::join_all;
use hallpass::domain::ids::KeyId;
use serde_json::Value;

use super::{line, page, text};
use crate::support::{DAY, MINUTE, SECOND, TestApp, on_both_flavours};

on_both_flavours! {
    a_key_that_the_service_moves_on_is_written_down_as_its_own_doing,
    what_an_operator_does_to_keys_is_written_down,
    what_is_refused_or_done_already_leaves_nothing,
    replicas_that_take_a_step_at_once_write_it_down_once,
}

const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// The entries about keys, oldest first, with the key that each is about.
async fn told(app: &TestApp) -> Vec<(String, String)> {
    let mut entries = page(&app.admin().await, "").await;
    entries.retain(|entry| text(entry, "action").starts_with("signing_key_"));
    entries.reverse();
    for entry in &entries {
        for absent in ["user", "session", "token", "address"] {
            assert_eq!(entry[absent], Value::Null, "{entry}");
        }
    }
    entries.iter().map(|entry| (line(entry), text(entry, "object").to_owned())).collect()
}

/// The key that signs, and those that stand in the ring beside it.
async fn ring(app: &TestApp) -> (String, Vec<String>) {
    let keys = app.services().signing_keys.overview().await.expect("the ring").keys;
    let signing = app.services().key_ring.current().signing_key().id().as_str().to_owned();
    let others = keys.iter().map(|key| key.key.id.as_str()).filter(|key| *key != signing);
    (signing.clone(), others.map(str::to_owned).collect())
}

/// The key that signs and the next one, of a ring that has just begun.
async fn first_two(app: &TestApp) -> [String; 2] {
    let (signing, mut others) = ring(app).await;
    assert_eq!(others.len(), 1, "{others:?}");
    [signing, others.remove(0)]
}

fn entry(what: &str, by: &str, key: &str) -> (String, String) {
    (format!("signing_key_{what} {by}"), key.to_owned())
}

async fn a_key_that_the_service_moves_on_is_written_down_as_its_own_doing(app: TestApp) {
    let [first, second] = first_two(&app).await;
    let mut expected = vec![
        entry("added", "service", &first),
        entry("promoted", "service", &first),
        entry("added", "service", &second),
    ];
    assert_eq!(told(&app).await, expected);

    app.advance(DAY * 90);
    app.catch_up().await;
    let (_, others) = ring(&app).await;
    let third = others.into_iter().find(|key| *key != first).expect("a next key");
    expected.extend([entry("promoted", "service", &second), entry("added", "service", &third)]);
    assert_eq!(told(&app).await, expected);

    app.advance(MINUTE * 17);
    app.catch_up().await;
    expected.push(entry("retired", "service", &first));
    assert_eq!(told(&app).await, expected);

    app.advance(DAY * 31);
    app.catch_up().await;
    expected.push(entry("deleted", "service", &first));
    assert_eq!(told(&app).await, expected);
}

async fn what_an_operator_does_to_keys_is_written_down(app: TestApp) {
    let keys = &app.services().signing_keys;
    let before = told(&app).await.len();
    let [first, second] = first_two(&app).await;
    let made = keys.create(None).await.expect("a key");
    let imported = keys.import(PEM.as_bytes()).await.expect("a key");
    // Every replica has read it.
    app.advance(SECOND * 5);
    keys.promote(Some(&made), true).await.expect("it signs");
    keys.retire(&KeyId::new(first.clone()), true).await.expect("retired");
    let revoked = keys.revoke(&made).await.expect("revoked");
    let next = revoked.signing.as_str();
    assert!([second.as_str(), imported.as_str()].contains(&next), "{next}");
    assert_eq!(
        told(&app).await[before..],
        [
            entry("added", "operator", made.as_str()),
            entry("added", "operator", imported.as_str()),
            entry("promoted", "operator", made.as_str()),
            entry("retired", "operator", &first),
            entry("revoked", "operator", made.as_str()),
            // What comes of it is the ring's own rule.
            entry("promoted", "service", next),
        ]
    );
}

async fn what_is_refused_or_done_already_leaves_nothing(app: TestApp) {
    let keys = &app.services().signing_keys;
    let [first, second] = first_two(&app).await.map(KeyId::new);
    keys.revoke(&second).await.expect("revoked");
    app.catch_up().await;
    let before = told(&app).await;
    assert_eq!(before.iter().filter(|(what, _)| what.starts_with("signing_key_revoked")).count(), 1);
    keys.revoke(&second).await.expect("no mistake");
    keys.revoke(&KeyId::new("nonesuch")).await.expect_err("there is none");
    keys.retire(&first, false).await.expect_err("it signs");
    keys.promote(None, false).await.expect_err("too early");
    keys.import(b"no key").await.expect_err("no key");
    assert_eq!(told(&app).await, before);
}

async fn replicas_that_take_a_step_at_once_write_it_down_once(app: TestApp) {
    let mut replicas = Vec::new();
    for _ in 0..6 {
        replicas.push(app.another_instance(|_| ()).await);
    }
    let before = told(&app).await.len();
    let [first, second] = first_two(&app).await;
    app.advance(DAY * 90);
    join_all(replicas.iter().map(|replica| replica.catch_up())).await;
    for replica in &replicas {
        assert!(replica.services().audit.flush(MINUTE).await);
    }
    let (_, others) = ring(&replicas[0]).await;
    let third = others.into_iter().find(|key| *key != first).expect("a next key");
    let mut entries = told(&app).await.split_off(before);
    entries.sort();
    assert_eq!(entries, [entry("added", "service", &third), entry("promoted", "service", &second)]);
}
