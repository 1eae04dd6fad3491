//! Refresh tokens: `open_session`, `rotate`, `check_refresh`.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::email::Email;
use hallpass::domain::session::{NewSession, Session, SessionLifetimes, Timeout};
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::tokens::Generation;
use hallpass::domain::user::{Role, SecurityVersion};
use hallpass::store::{AccessStatus, OpenOutcome, RefreshOutcome, SessionStore};

use super::support::*;

const GRACE: Duration = LIFETIMES.rotation_grace_period;

pub async fn a_new_session_keeps_every_field(store: &SharedStore, clock: &ManualClock) {
    let email = Email::parse("o'hara+pass{1}@sub.example.com").expect("an address");
    let origin =
        SessionOrigin::new("2001:db8::7".parse().ok(), Some("Müller's \"Browser\" 🦀 {1}"), "a-client");
    let session = NewSession {
        id: fresh_session_id(),
        user: fresh_user(),
        security_version: SecurityVersion::new((1 << 53) + 1),
        carried: Carried { email_verified: true, ..Carried::new(email, Role::Admin, origin) },
    };
    let outcome = store.open_session(&session, &LIFETIMES).await.expect("open_session");
    let OpenOutcome::Opened(opened) = outcome else { panic!("{outcome:?}") };
    let session = session.at(clock.now(), opened.incarnation, &LIFETIMES);
    assert_eq!(opened, session);
    clock.advance(SECOND);
    let checked = check(store, session.token(0)).await;
    assert_eq!(checked, RefreshOutcome::Current(Session { issued_at: clock.now(), ..session }));
}

pub async fn a_session_of_unknown_origin_keeps_that_it_is_unknown(store: &SharedStore, _: &ManualClock) {
    let origin = SessionOrigin::new(None, None, "hallpass");
    let ada = Person::new();
    let session = NewSession { carried: Carried { origin, ..ada.carried() }, ..ada.session() };
    store.open_session(&session, &LIFETIMES).await.expect("open_session");
    let rotated = successor(rotate(store, session.token(0)).await);
    assert_eq!(rotated.carried, session.carried);
    assert_eq!(check(store, session.token(1)).await, RefreshOutcome::Current(rotated));
}

pub async fn a_current_token_is_rotated_to_its_successor(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    clock.advance(SECOND);
    let rotated = Session {
        generation: Generation::new(1),
        rotated_at: clock.now(),
        issued_at: clock.now(),
        idle_deadline: clock.now().after(LIFETIMES.idle),
        ..session.clone()
    };
    assert_eq!(rotate(store, session.token(0)).await, RefreshOutcome::Current(rotated.clone()));
    assert_eq!(check(store, session.token(1)).await, RefreshOutcome::Current(rotated));
}

pub async fn a_token_redeemed_again_within_the_grace_period_gets_the_same_successor(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let session = Person::new().log_in(store, clock).await;
    let rotated = successor(rotate(store, session.token(0)).await);
    for _ in 0..3 {
        clock.advance(SECOND);
        let replay = rotate(store, session.token(0)).await;
        let same = Session { issued_at: clock.now(), ..rotated.clone() };
        assert_eq!(replay, RefreshOutcome::Previous(same));
    }
    assert_live(store, &session, 1).await;
}

pub async fn the_grace_period_ends_to_the_millisecond(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    rotate(store, session.token(0)).await;
    clock.advance(GRACE - MILLISECOND);
    assert!(matches!(rotate(store, session.token(0)).await, RefreshOutcome::Previous(_)));
    clock.advance(MILLISECOND);
    assert_eq!(rotate(store, session.token(0)).await, RefreshOutcome::Reused);
    assert_dead(store, &session).await;
}

pub async fn a_replay_within_the_grace_period_does_not_prolong_it(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    rotate(store, session.token(0)).await;
    clock.advance(GRACE / 2);
    assert!(matches!(rotate(store, session.token(0)).await, RefreshOutcome::Previous(_)));
    clock.advance(GRACE / 2);
    assert_eq!(rotate(store, session.token(0)).await, RefreshOutcome::Reused);
}

pub async fn a_grace_period_of_zero_makes_every_replay_reuse(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let strict = SessionLifetimes { rotation_grace_period: Duration::ZERO, ..LIFETIMES };
    let token = session.token(0);
    let first = store.rotate(&token, &strict).await.expect("rotate");
    assert!(matches!(first, RefreshOutcome::Current(_)), "{first:?}");
    let second = store.rotate(&token, &strict).await.expect("rotate");
    assert_eq!(second, RefreshOutcome::Reused);
    assert_dead(store, &session).await;
}

pub async fn a_used_successor_closes_the_grace_period_at_once(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    rotate(store, session.token(0)).await;
    rotate(store, session.token(1)).await;
    assert_eq!(rotate(store, session.token(0)).await, RefreshOutcome::Reused);
    assert_dead(store, &session).await;
}

pub async fn a_token_two_generations_back_revokes_its_session_and_no_other(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let stolen = ada.log_in(store, clock).await;
    let elsewhere = ada.log_in(store, clock).await;
    let strangers = Person::new().log_in(store, clock).await;
    for generation in 0..3 {
        rotate(store, stolen.token(generation)).await;
        clock.advance(SECOND);
    }
    let access = stolen.access_token();
    assert_eq!(status(store, &access).await, AccessStatus::Live);
    assert_eq!(rotate(store, stolen.token(1)).await, RefreshOutcome::Reused);
    assert_eq!(status(store, &access).await, AccessStatus::Revoked);
    assert_eq!(rotate(store, stolen.token(3)).await, RefreshOutcome::Unknown);
    assert_dead(store, &stolen).await;
    assert_live(store, &elsewhere, 0).await;
    assert_live(store, &strangers, 0).await;
}

pub async fn fifty_rotations_of_one_token_give_one_successor(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let outcomes = race(rotations(store, clock, &session, 0)).await;
    let mut winners = 0;
    for outcome in outcomes {
        match outcome {
            RefreshOutcome::Current(session) => {
                winners += 1;
                assert_eq!(session.generation, Generation::new(1));
            }
            RefreshOutcome::Previous(session) => assert_eq!(session.generation, Generation::new(1)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(winners, 1);
    assert_live(store, &session, 1).await;
}

pub async fn fifty_reuses_of_one_token_are_reported_once(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    rotate(store, session.token(0)).await;
    rotate(store, session.token(1)).await;
    let outcomes = race(rotations(store, clock, &session, 0)).await;
    let reports = outcomes.iter().filter(|outcome| **outcome == RefreshOutcome::Reused).count();
    let unknown = outcomes.iter().filter(|outcome| **outcome == RefreshOutcome::Unknown).count();
    assert_eq!((reports, unknown), (1, RACERS - 1));
}

pub async fn a_token_newer_than_the_store_knows_moves_the_session_forward(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let session = Person::new().log_in(store, clock).await;
    clock.advance(SECOND);
    let recovered = Session {
        generation: Generation::new(6),
        rotated_at: clock.now(),
        issued_at: clock.now(),
        idle_deadline: clock.now().after(LIFETIMES.idle),
        ..session.clone()
    };
    assert_eq!(rotate(store, session.token(5)).await, RefreshOutcome::Recovered(recovered.clone()));
    assert_eq!(rotate(store, session.token(5)).await, RefreshOutcome::Previous(recovered));
    assert_live(store, &session, 6).await;
    assert_eq!(rotate(store, session.token(4)).await, RefreshOutcome::Reused);
}

pub async fn checking_a_newer_token_moves_the_session_to_it(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    clock.advance(SECOND);
    let RefreshOutcome::Recovered(recovered) = check_only(store, session.token(5)).await else {
        panic!("a newer token is recovered from");
    };
    assert_eq!(recovered.generation, Generation::new(5));
    assert_eq!(recovered.idle_deadline, session.idle_deadline, "a check never prolongs");
    assert_live(store, &session, 5).await;
    assert_eq!(rotate(store, session.token(3)).await, RefreshOutcome::Reused);
}

pub async fn an_idle_session_ends_to_the_millisecond(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let idle = ada.log_in(store, clock).await;
    let used = ada.log_in(store, clock).await;
    let access = idle.access_token();
    clock.advance(LIFETIMES.idle - MILLISECOND);
    assert_live(store, &idle, 0).await;
    assert!(matches!(rotate(store, used.token(0)).await, RefreshOutcome::Current(_)));
    clock.advance(MILLISECOND);
    assert_ended(store, clock, &idle, 0, Timeout::Idle).await;
    assert_eq!(status(store, &access).await, AccessStatus::Revoked);
    assert_live(store, &used, 1).await;
}

pub async fn a_session_ends_at_its_absolute_end_to_the_millisecond(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    for generation in 0..5 {
        clock.advance(DAY * 5);
        assert!(matches!(rotate(store, session.token(generation)).await, RefreshOutcome::Current(_)));
    }
    clock.advance(DAY * 5 - MILLISECOND);
    let last = successor(rotate(store, session.token(5)).await);
    assert_eq!(last.idle_deadline, session.absolute_deadline);
    assert_live(store, &session, 6).await;
    clock.advance(MILLISECOND);
    assert_eq!(clock.now(), session.absolute_deadline);
    assert_ended(store, clock, &session, 6, Timeout::Absolute).await;
}

pub async fn a_rotation_moves_the_idle_end_but_not_the_absolute_end(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let session = Person::new().log_in(store, clock).await;
    for generation in 0..4 {
        clock.advance(DAY * 6);
        let rotated = successor(rotate(store, session.token(generation)).await);
        assert_eq!(
            rotated.idle_deadline,
            clock.now().after(LIFETIMES.idle).min(session.absolute_deadline),
            "generation {generation}"
        );
        assert_eq!(rotated.absolute_deadline, session.absolute_deadline);
        assert_eq!(rotated.created_at, session.created_at);
    }
}

pub async fn a_superseded_token_of_an_ended_session_is_expired_not_reused(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let session = Person::new().log_in(store, clock).await;
    rotate(store, session.token(0)).await;
    rotate(store, session.token(1)).await;
    clock.advance(LIFETIMES.idle);
    assert_ended(store, clock, &session, 0, Timeout::Idle).await;
    assert_ended(store, clock, &session, 9, Timeout::Idle).await;
}

pub async fn checking_neither_rotates_nor_prolongs(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    for _ in 0..6 {
        clock.advance(DAY);
        let same = Session { issued_at: clock.now(), ..session.clone() };
        assert_eq!(check(store, session.token(0)).await, RefreshOutcome::Current(same));
    }
    clock.advance(DAY);
    assert_ended(store, clock, &session, 0, Timeout::Idle).await;
}

pub async fn checking_knows_the_grace_period(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    let rotated = successor(rotate(store, session.token(0)).await);
    clock.advance(GRACE - MILLISECOND);
    let same = Session { issued_at: clock.now(), ..rotated };
    assert_eq!(check(store, session.token(0)).await, RefreshOutcome::Previous(same));
    clock.advance(MILLISECOND);
    assert_eq!(check_only(store, session.token(0)).await, RefreshOutcome::Reused);
}

pub async fn a_reused_token_that_is_checked_revokes_its_session(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let stolen = ada.log_in(store, clock).await;
    let elsewhere = ada.log_in(store, clock).await;
    rotate(store, stolen.token(0)).await;
    clock.advance(GRACE);
    assert_eq!(check(store, stolen.token(0)).await, RefreshOutcome::Reused);
    assert_eq!(check(store, stolen.token(0)).await, RefreshOutcome::Unknown);
    assert_dead(store, &stolen).await;
    assert_live(store, &elsewhere, 0).await;
}

pub async fn a_reused_token_that_is_only_refused_changes_nothing(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    rotate(store, session.token(0)).await;
    let rotated = successor(rotate(store, session.token(1)).await);
    for _ in 0..2 {
        assert_eq!(check_only(store, session.token(0)).await, RefreshOutcome::Reused);
    }
    assert_eq!(check(store, session.token(2)).await, RefreshOutcome::Current(rotated));
    assert_live(store, &session, 2).await;
}

pub async fn a_token_that_names_another_users_session_is_unknown(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    rotate(store, session.token(0)).await;
    rotate(store, session.token(1)).await;
    let stranger = fresh_user();
    for generation in 0..=3 {
        let mut token = session.token(generation);
        token.user = stranger;
        assert_eq!(rotate(store, token).await, RefreshOutcome::Unknown);
        assert_eq!(check(store, token).await, RefreshOutcome::Unknown);
    }
    assert_live(store, &session, 2).await;
}

pub async fn a_token_of_no_session_is_unknown(store: &SharedStore, _: &ManualClock) {
    let session = Person::new().session();
    for generation in 0..=1 {
        let token = session.token(generation);
        assert_eq!(rotate(store, token).await, RefreshOutcome::Unknown);
        assert_eq!(check(store, token).await, RefreshOutcome::Unknown);
    }
}

/// The session out of a rotation that must have gone well.
fn successor(outcome: RefreshOutcome) -> Session {
    match outcome {
        RefreshOutcome::Current(session) => session,
        other => panic!("{other:?}"),
    }
}

/// Asserts that the session has ended by itself for rotation, check and access tokens.
async fn assert_ended(
    store: &SharedStore,
    _: &ManualClock,
    session: &Session,
    generation: u32,
    timeout: Timeout,
) {
    let token = session.token(generation);
    assert_eq!(check(store, token).await, RefreshOutcome::Expired(timeout));
    assert_eq!(check_only(store, token).await, RefreshOutcome::Expired(timeout));
    assert_eq!(rotate(store, token).await, RefreshOutcome::Expired(timeout));
    assert_eq!(status(store, &session.access_token()).await, AccessStatus::Revoked);
}

/// As many calls with one token as a race has callers.
fn rotations(
    store: &SharedStore,
    _: &ManualClock,
    session: &Session,
    generation: u32,
) -> Vec<impl Future<Output = hallpass::store::StoreResult<RefreshOutcome>> + Send + use<>> {
    let token = session.token(generation);
    let call = |store: SharedStore| async move { store.rotate(&token, &LIFETIMES).await };
    (0..RACERS).map(|_| call(Arc::clone(store))).collect()
}
