use std::time::Duration;

use super::super::{SealedKey, StoredSigningKey};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

const LIFE: KeyLife = KeyLife {
    algorithm: SigningAlgorithm::Es256,
    publish_ahead: DAY,
    rotate_every: Some(Duration::from_secs(90 * 24 * 3600)),
    access_token: Duration::from_secs(905),
    session: Duration::from_secs(30 * 24 * 3600),
};

/// Some day, in hours.
fn at(hours: u32) -> Timestamp {
    Timestamp::from_millis(1_796_169_600_000).after(HOUR * hours)
}

fn of(algorithm: SigningAlgorithm, id: &str, created_at: Timestamp, state: KeyState) -> RingKey {
    let key = StoredSigningKey { id: KeyId::new(id), algorithm, sealed: SealedKey::new(vec![1]), created_at };
    RingKey { key, state }
}

fn key(id: &str, created_at: Timestamp, state: KeyState) -> RingKey {
    of(SigningAlgorithm::Es256, id, created_at, state)
}

fn promote(next: &str, instead_of: Option<&str>) -> KeyStep {
    KeyStep::Promote { next: KeyId::new(next), instead_of: instead_of.map(KeyId::new) }
}

fn before(moment: Timestamp) -> Timestamp {
    Timestamp::from_millis(moment.as_millis() - 1)
}

/// A key that signs since the beginning, and the next one from the same moment on.
fn first_day() -> Vec<RingKey> {
    vec![key("a", at(0), KeyState::Active { since: at(0) }), key("b", at(0), KeyState::Next)]
}

#[test]
fn an_empty_ring_begins_and_then_gets_a_next_key() {
    assert_eq!(LIFE.due(&[], at(0)), Some(KeyStep::Begin));
    let begun = &first_day()[..1];
    assert_eq!(LIFE.due(begun, at(0)), Some(KeyStep::AddNext));
    assert_eq!(LIFE.due(&first_day(), at(0)), None);
}

/// The table of the life: what is due to the millisecond, and not one before.
#[test]
fn every_step_has_its_moment() {
    let rotation = at(90 * 24);
    let late_next = at(90 * 24 - 2);
    let retired = KeyState::Retired { since: at(0) };
    let with = |state| [first_day(), vec![key("old", at(0), state)]].concat();
    for (ring, moment, step) in [
        (first_day(), rotation, promote("b", Some("a"))),
        // A next key that came late has its time before it signs.
        (
            vec![first_day().remove(0), key("b", late_next, KeyState::Next)],
            late_next.after(DAY),
            promote("b", Some("a")),
        ),
        (
            with(KeyState::Retiring { since: at(5) }),
            at(5).after(LIFE.access_token).after(REPLICAS_LAG),
            KeyStep::Retire(KeyId::new("old")),
        ),
        (with(retired), at(0).after(LIFE.session), KeyStep::Forget(KeyId::new("old"))),
    ] {
        assert_eq!(LIFE.due(&ring, before(moment)), None, "before {step:?}");
        assert_eq!(LIFE.due(&ring, moment), Some(step));
    }
}

#[test]
fn without_rotation_nothing_is_promoted_by_itself() {
    let life = KeyLife { rotate_every: None, ..LIFE };
    assert_eq!(life.plan(&first_day()), []);
    assert_eq!(life.next_change(&first_day()), None);
}

#[test]
fn a_revoked_key_is_never_touched_again() {
    let revoked = KeyState::Revoked { since: at(0), announced: None };
    let ring = [first_day(), vec![key("leaked", at(0), revoked)]].concat();
    let life = KeyLife { rotate_every: None, ..LIFE };
    assert_eq!(life.plan(&ring), []);
    assert!(matches!(
        life.promote(&ring, Some(&KeyId::new("leaked")), at(99), true),
        Err(KeyRefusal::WrongState { state: "revoked", .. })
    ));
}

#[test]
fn the_feed_is_told_of_a_revoked_key_twice_in_a_tokens_lifetime_for_a_day() {
    let owed = |announced, now| {
        LIFE.owes_announcement(&key("leaked", at(0), KeyState::Revoked { since: at(1), announced }), now)
    };
    let half = LIFE.access_token / 2;
    for (announced, now, is_owed) in [
        (None, at(1), true),
        (None, at(999), true),
        (Some(at(1)), before(at(1).after(half)), false),
        (Some(at(1)), at(1).after(half), true),
        (Some(at(24)), before(at(25)), true),
        (Some(at(24)), at(25), false),
    ] {
        assert_eq!(owed(announced, now), is_owed, "{announced:?} {now}");
    }
    assert!(!first_day().iter().any(|key| LIFE.owes_announcement(key, at(1))));
}

#[test]
fn when_nothing_signs_the_oldest_next_key_does_at_once() {
    let revoked = key("a", at(0), KeyState::Revoked { since: at(2), announced: None });
    let ring = [revoked.clone(), key("c", at(2), KeyState::Next), key("b", at(1), KeyState::Next)];
    assert_eq!(LIFE.urgent(&ring), Some(promote("b", None)));
    assert_eq!(LIFE.due(&ring, at(2)), Some(promote("b", None)));
    // Rather one that the settings ask for; rather any than one that nobody has.
    let other = of(SigningAlgorithm::EdDsa, "e", at(0), KeyState::Next);
    let both = [revoked.clone(), other.clone(), ring[2].clone()];
    assert_eq!(LIFE.urgent(&both), Some(promote("b", None)));
    assert_eq!(LIFE.urgent(&[revoked.clone(), other]), Some(promote("e", None)));
    assert_eq!(LIFE.urgent(&[revoked]), Some(KeyStep::Begin));
    assert_eq!(LIFE.urgent(&first_day()), None);
}

#[test]
fn another_algorithm_takes_over_like_any_next_key() {
    let life = KeyLife { algorithm: SigningAlgorithm::EdDsa, rotate_every: None, ..LIFE };
    assert_eq!(life.due(&first_day(), at(7)), Some(KeyStep::AddNext));
    let ring = [first_day(), vec![of(SigningAlgorithm::EdDsa, "e", at(7), KeyState::Next)]].concat();
    assert_eq!(life.due(&ring, before(at(7 + 24))), None);
    assert_eq!(life.due(&ring, at(7 + 24)), Some(promote("e", Some("a"))));
}

#[test]
fn the_next_change_of_what_is_published_is_the_earliest_one() {
    let ring = [first_day(), vec![key("old", at(0), KeyState::Retiring { since: at(5) })]].concat();
    assert_eq!(LIFE.next_change(&ring), Some(at(5).after(LIFE.retiring())));
    assert_eq!(LIFE.next_change(&first_day()), Some(at(90 * 24)));
    let life = KeyLife { rotate_every: None, ..LIFE };
    let ring = [first_day(), vec![key("old", at(0), KeyState::Retired { since: at(5) })]].concat();
    assert_eq!(life.next_change(&ring), None, "that a key is forgotten concerns nobody else");
}

#[test]
fn a_promotion_by_hand_keeps_to_the_time_of_publication_unless_forced() {
    let ring = [first_day().remove(0), key("b", at(10), KeyState::Next)];
    let by_hand = |moment, force| LIFE.promote(&ring, None, moment, force);
    let key = KeyId::new("b");
    assert_eq!(
        by_hand(at(12), false),
        Err(KeyRefusal::TooYoung { key: key.clone(), left: Duration::from_secs(22 * 3600) })
    );
    assert_eq!(by_hand(at(34), false), Ok(promote("b", Some("a"))));
    assert_eq!(by_hand(at(12), true), Ok(promote("b", Some("a"))));
    // Even then the other replicas must have read it.
    assert_eq!(
        by_hand(at(10).after(SECOND), true),
        Err(KeyRefusal::NotRead { key, left: Duration::from_secs(4) })
    );
    assert_eq!(LIFE.promote(&first_day()[..1], None, at(99), true), Err(KeyRefusal::NoNext));
    let unknown = KeyId::new("x");
    assert_eq!(LIFE.promote(&ring, Some(&unknown), at(99), true), Err(KeyRefusal::Unknown(unknown.clone())));
    assert!(matches!(
        LIFE.promote(&ring, Some(&KeyId::new("a")), at(99), true),
        Err(KeyRefusal::WrongState { state: "active", .. })
    ));
}

#[test]
fn a_key_whose_tokens_are_in_use_is_not_retired_unless_forced() {
    let ring = [first_day(), vec![key("old", at(0), KeyState::Retiring { since: at(5) })]].concat();
    let retire = |id: &str, moment, force| LIFE.retire(&ring, &KeyId::new(id), moment, force);
    let done = Ok(KeyStep::Retire(KeyId::new("old")));
    assert!(
        matches!(retire("old", at(5), false), Err(KeyRefusal::InUse { left, .. }) if left == LIFE.retiring())
    );
    assert_eq!(retire("old", at(5), true), done);
    assert_eq!(retire("old", at(6), false), done);
    // A next key has signed nothing.
    assert_eq!(retire("b", at(0), false), Ok(KeyStep::Retire(KeyId::new("b"))));
    assert_eq!(retire("a", at(99), true), Err(KeyRefusal::Signs(KeyId::new("a"))));
    assert_eq!(retire("x", at(99), true), Err(KeyRefusal::Unknown(KeyId::new("x"))));
}

/// A validator that keeps the keys for five minutes, or for an hour, never meets a token whose key
/// it has not: walked minute by minute through three rotations.
#[test]
fn whoever_keeps_the_keys_for_an_hour_always_has_the_one_of_a_living_token() {
    let life = KeyLife {
        publish_ahead: PUBLISH_AHEAD_MIN,
        rotate_every: Some(Duration::from_secs(3 * 3600)),
        ..LIFE
    };
    let minute = Duration::from_secs(60);
    let mut ring: Vec<RingKey> = Vec::new();
    let mut made = 0;
    let mut kept: Vec<(Timestamp, Vec<KeyId>)> = Vec::new();
    let mut signed: Vec<(Timestamp, KeyId)> = Vec::new();
    let mut signers = std::collections::BTreeSet::new();
    for step in 0..12 * 60 {
        let now = at(0).after(minute * step);
        while let Some(step) = life.due(&ring, now) {
            match step {
                KeyStep::Begin | KeyStep::AddNext => {
                    made += 1;
                    let state = match step {
                        KeyStep::Begin => KeyState::Active { since: now },
                        _ => KeyState::Next,
                    };
                    ring.push(key(&format!("key-{made}"), now, state));
                }
                KeyStep::Promote { next, instead_of } => {
                    for key in &mut ring {
                        if Some(&key.key.id) == instead_of.as_ref() {
                            key.state = KeyState::Retiring { since: now };
                        } else if key.key.id == next {
                            key.state = KeyState::Active { since: now };
                        }
                    }
                }
                KeyStep::Retire(id) => {
                    let key = ring.iter_mut().find(|key| key.key.id == id).expect("the key");
                    key.state = KeyState::Retired { since: now };
                }
                KeyStep::Forget(id) => ring.retain(|key| key.key.id != id),
            }
        }
        let published = |ring: &[RingKey]| -> Vec<KeyId> {
            ring.iter().filter(|key| key.state.is_published()).map(|key| key.key.id.clone()).collect()
        };
        kept.push((now, published(&ring)));
        let signer = active(&ring).expect("something signs").key.id.clone();
        signers.insert(signer.clone());
        signed.push((now, signer));
        // Whoever fetched the keys within the last hour has those of all tokens that live.
        kept.retain(|(fetched, _)| now.since(*fetched) <= HOUR);
        signed.retain(|(at, _)| now.since(*at) < Duration::from_secs(900));
        for (_, signer) in signed.iter().filter(|(at, _)| *at == now) {
            for (fetched, keys) in &kept {
                assert!(keys.contains(signer), "{signer} is unknown to who fetched at {fetched}");
            }
        }
        for (_, signer) in &signed {
            assert!(published(&ring).contains(signer), "{signer} is gone while its tokens live");
        }
    }
    assert_eq!(signers.len(), 4);
}

#[test]
fn spans_are_told_roughly() {
    for (span, text) in [
        (Duration::ZERO, "0s"),
        (Duration::from_millis(1), "1s"),
        (Duration::from_secs(65), "1m 5s"),
        (Duration::from_secs(24 * 3600), "24h"),
        (Duration::from_secs(22 * 3600 + 59 * 60 + 59), "22h 59m"),
    ] {
        assert_eq!(rough(&span), text);
    }
}
