//! What the store of the key ring promises.

use hallpass::domain::clock::Timestamp;
use hallpass::domain::ids::KeyId;
use hallpass::domain::signing_key::{KeyState, RingKey, SealedKey, SigningAlgorithm, StoredSigningKey};
use hallpass::store::signing_keys::{AddNext, SigningKeyStore};

use super::at_once;
use super::fixtures::signing_key;

const NOW: Timestamp = Timestamp::from_millis(5_000);
const LATER: Timestamp = Timestamp::from_millis(9_000);

fn es256(kid: &str, created_at: i64) -> StoredSigningKey {
    signing_key(kid, SigningAlgorithm::Es256, created_at)
}

fn id(kid: &str) -> KeyId {
    KeyId::new(kid)
}

async fn ring(store: &dyn SigningKeyStore) -> Vec<RingKey> {
    store.list_signing_keys().await.expect("an answer")
}

async fn states(store: &dyn SigningKeyStore) -> Vec<(String, KeyState)> {
    let ring = ring(store).await;
    ring.into_iter().map(|key| (key.key.id.as_str().to_owned(), key.state)).collect()
}

fn active(kid: &str, since: i64) -> (String, KeyState) {
    (kid.to_owned(), KeyState::Active { since: Timestamp::from_millis(since) })
}

fn state(kid: &str, state: KeyState) -> (String, KeyState) {
    (kid.to_owned(), state)
}

async fn begin(store: &dyn SigningKeyStore, kid: &str) {
    assert!(store.insert_first_signing_key(&es256(kid, 1_000)).await.expect("an answer"));
}

async fn add(store: &dyn SigningKeyStore, kid: &str, created_at: i64) -> bool {
    let key = es256(kid, created_at);
    store.insert_next_signing_key(&key, AddNext::Anyway).await.expect("an answer")
}

async fn promote(store: &dyn SigningKeyStore, next: &str, instead_of: Option<&str>) -> bool {
    let instead_of = instead_of.map(id);
    store.promote_signing_key(&id(next), instead_of.as_ref(), NOW).await.expect("an answer")
}

fn wins(answers: Vec<hallpass::store::StoreResult<bool>>) -> usize {
    answers.into_iter().filter(|answer| *answer.as_ref().expect("an answer")).count()
}

pub async fn an_empty_key_ring_takes_a_key_that_signs_and_no_second_one(store: &dyn SigningKeyStore) {
    assert_eq!(ring(store).await, []);
    let key = es256("first", 1_000);
    begin(store, "first").await;
    let state = KeyState::Active { since: Timestamp::from_millis(1_000) };
    let expected = [RingKey { key, state }];
    assert_eq!(ring(store).await, expected);
    // Neither another key, nor one of another algorithm, nor one of the same name.
    for late in [
        es256("second", 2_000),
        signing_key("third", SigningAlgorithm::EdDsa, 2_000),
        signing_key("first", SigningAlgorithm::Rs256, 2_000),
    ] {
        assert!(!store.insert_first_signing_key(&late).await.expect("an answer"));
        assert_eq!(ring(store).await, expected);
    }
}

pub async fn of_eight_concurrent_first_keys_one_is_kept(store: &dyn SigningKeyStore) {
    let keys: Vec<_> = (0..8).map(|n| es256(&format!("key-{n}"), 1_000 + n)).collect();
    assert_eq!(wins(at_once(8, |n| store.insert_first_signing_key(&keys[n as usize])).await), 1);
    assert_eq!(ring(store).await.len(), 1);
}

pub async fn of_eight_concurrent_next_keys_one_is_kept(store: &dyn SigningKeyStore) {
    begin(store, "first").await;
    let keys: Vec<_> = (0..8).map(|n| es256(&format!("key-{n}"), 2_000 + n)).collect();
    let insert = |n: u32| store.insert_next_signing_key(&keys[n as usize], AddNext::IfNone);
    assert_eq!(wins(at_once(8, insert).await), 1);
    assert_eq!(ring(store).await.len(), 2);
    // Each algorithm has one of its own.
    let other = signing_key("other", SigningAlgorithm::EdDsa, 3_000);
    assert!(store.insert_next_signing_key(&other, AddNext::IfNone).await.expect("an answer"));
}

pub async fn a_next_key_that_is_asked_for_stands_beside_another(store: &dyn SigningKeyStore) {
    assert!(add(store, "b", 2_000).await);
    assert!(add(store, "a", 3_000).await);
    assert_eq!(states(store).await, [state("b", KeyState::Next), state("a", KeyState::Next)]);
}

pub async fn a_key_that_is_there_is_not_added_again(store: &dyn SigningKeyStore) {
    begin(store, "first").await;
    assert!(!add(store, "first", 2_000).await);
    assert!(store.revoke_signing_key(&id("first"), NOW).await.expect("an answer"));
    assert!(!add(store, "first", 2_000).await, "a leaked key comes back");
    assert!(!store.insert_first_signing_key(&es256("first", 2_000)).await.expect("an answer"));
}

pub async fn a_promoted_key_signs_and_the_one_before_is_retiring(store: &dyn SigningKeyStore) {
    begin(store, "a").await;
    assert!(add(store, "b", 2_000).await);
    assert!(promote(store, "b", Some("a")).await);
    let expected = [state("a", KeyState::Retiring { since: NOW }), active("b", 5_000)];
    assert_eq!(states(store).await, expected);
}

pub async fn a_promotion_that_was_overtaken_changes_nothing(store: &dyn SigningKeyStore) {
    begin(store, "a").await;
    assert!(add(store, "b", 2_000).await);
    assert!(add(store, "c", 3_000).await);
    let before = states(store).await;
    // Another key signs than was thought; nothing was thought to sign; the key is none to promote.
    for (next, instead_of) in
        [("b", Some("c")), ("b", Some("x")), ("b", None), ("x", Some("a")), ("a", Some("a")), ("a", None)]
    {
        assert!(!promote(store, next, instead_of).await, "{next} instead of {instead_of:?}");
        assert_eq!(states(store).await, before);
    }
}

pub async fn of_eight_replicas_that_promote_at_once_one_does(store: &dyn SigningKeyStore) {
    begin(store, "a").await;
    assert!(add(store, "b", 2_000).await);
    let (a, b) = (id("a"), id("b"));
    assert_eq!(wins(at_once(8, |_| store.promote_signing_key(&b, Some(&a), NOW)).await), 1);
    let expected = [state("a", KeyState::Retiring { since: NOW }), active("b", 5_000)];
    assert_eq!(states(store).await, expected);
}

pub async fn of_eight_replicas_that_promote_different_keys_one_does(store: &dyn SigningKeyStore) {
    begin(store, "a").await;
    for n in 0..8 {
        assert!(add(store, &format!("next-{n}"), 2_000 + n).await);
    }
    let a = id("a");
    let next: Vec<_> = (0..8).map(|n| id(&format!("next-{n}"))).collect();
    let promote = |n: u32| store.promote_signing_key(&next[n as usize], Some(&a), NOW);
    assert_eq!(wins(at_once(8, promote).await), 1);
    let count = |name: &str, states: &[(String, KeyState)]| {
        states.iter().filter(|(_, state)| state.as_str() == name).count()
    };
    let states = states(store).await;
    assert_eq!((count("active", &states), count("retiring", &states), count("next", &states)), (1, 1, 7));
}

pub async fn a_next_key_signs_where_nothing_does(store: &dyn SigningKeyStore) {
    begin(store, "a").await;
    assert!(add(store, "b", 2_000).await);
    assert!(add(store, "c", 2_000).await);
    assert!(store.revoke_signing_key(&id("a"), NOW).await.expect("an answer"));
    let (b, c) = (id("b"), id("c"));
    let promote = |n: u32| store.promote_signing_key(if n.is_multiple_of(2) { &b } else { &c }, None, NOW);
    assert_eq!(wins(at_once(8, promote).await), 1);
}

pub async fn a_key_is_retired_and_then_forgotten(store: &dyn SigningKeyStore) {
    begin(store, "a").await;
    assert!(add(store, "b", 2_000).await);
    assert!(promote(store, "b", Some("a")).await);
    let a = id("a");
    assert!(!store.forget_signing_key(&a).await.expect("an answer"), "it is still published");
    assert_eq!(wins(at_once(8, |_| store.retire_signing_key(&a, LATER)).await), 1);
    assert_eq!(states(store).await[0], state("a", KeyState::Retired { since: LATER }));
    assert_eq!(wins(at_once(8, |_| store.forget_signing_key(&a)).await), 1);
    assert_eq!(states(store).await, [active("b", 5_000)]);
    // A next key that was never used goes the same way.
    assert!(add(store, "c", 2_000).await);
    assert!(store.retire_signing_key(&id("c"), LATER).await.expect("an answer"));
}

pub async fn a_key_that_signs_is_neither_retired_nor_forgotten(store: &dyn SigningKeyStore) {
    begin(store, "a").await;
    for key in [id("a"), id("x")] {
        assert!(!store.retire_signing_key(&key, LATER).await.expect("an answer"));
        assert!(!store.forget_signing_key(&key).await.expect("an answer"));
    }
    assert_eq!(states(store).await, [active("a", 1_000)]);
}

pub async fn a_key_is_revoked_from_any_state_and_for_good(store: &dyn SigningKeyStore) {
    begin(store, "retired").await;
    for (kid, before) in [("retiring", "retired"), ("active", "retiring")] {
        assert!(add(store, kid, 2_000).await);
        assert!(promote(store, kid, Some(before)).await);
    }
    assert!(add(store, "next", 3_000).await);
    assert!(store.retire_signing_key(&id("retired"), NOW).await.expect("an answer"));
    let revoked = KeyState::Revoked { since: LATER, announced: None };
    for kid in ["retired", "retiring", "active", "next"] {
        let key = id(kid);
        assert_eq!(wins(at_once(4, |_| store.revoke_signing_key(&key, LATER)).await), 1, "{kid}");
        assert!(states(store).await.contains(&state(kid, revoked)), "{kid}");
        assert!(!store.retire_signing_key(&key, LATER).await.expect("an answer"));
        assert!(!store.forget_signing_key(&key).await.expect("an answer"));
        assert!(!promote(store, kid, None).await);
    }
    assert!(!store.revoke_signing_key(&id("x"), LATER).await.expect("an answer"));
    // All are out: there is room for a new beginning.
    begin(store, "fresh").await;
}

pub async fn the_announcement_of_a_revoked_key_is_noted(store: &dyn SigningKeyStore) {
    begin(store, "a").await;
    let a = id("a");
    // Of a key that is not revoked there is nothing to note.
    store.note_signing_key_announced(&a, NOW).await.expect("an answer");
    store.revoke_signing_key(&a, NOW).await.expect("an answer");
    let revoked = |announced| state("a", KeyState::Revoked { since: NOW, announced });
    assert_eq!(states(store).await, [revoked(None)]);
    // The latest moment stays, whoever notes it last.
    for noted in [NOW, LATER, NOW] {
        store.note_signing_key_announced(&a, noted).await.expect("an answer");
    }
    assert_eq!(states(store).await, [revoked(Some(LATER))]);
}

pub async fn a_key_is_sealed_anew_in_any_state_and_only_where_it_is_as_it_was(store: &dyn SigningKeyStore) {
    let sealed = |byte: u8| SealedKey::new(vec![byte; 100]);
    begin(store, "a").await;
    assert!(add(store, "b", 2_000).await);
    assert!(store.revoke_signing_key(&id("b"), NOW).await.expect("an answer"));
    let before = ring(store).await;
    for key in &before {
        let RingKey { key, .. } = key;
        let replace = async |from: &SealedKey, to: &SealedKey| {
            store.replace_sealed_key(&key.id, from, to).await.expect("an answer")
        };
        assert!(!replace(&sealed(1), &sealed(2)).await, "it is another");
        assert!(replace(&key.sealed, &sealed(2)).await);
        assert!(!replace(&key.sealed, &sealed(3)).await, "it was overtaken");
    }
    assert!(!store.replace_sealed_key(&id("x"), &sealed(2), &sealed(3)).await.expect("an answer"));
    let anew = |key: &RingKey| RingKey {
        key: StoredSigningKey { sealed: sealed(2), ..key.key.clone() },
        state: key.state,
    };
    assert_eq!(ring(store).await, before.iter().map(anew).collect::<Vec<_>>());
}
