//! Accounts with too many sessions: `evict_session`, and lists and cut-offs of very many.

use std::collections::BTreeSet;
use std::sync::Arc;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::journal::Journaled;
use hallpass::domain::session::Session;
use hallpass::domain::session_cap::{SessionCursor, SessionUse};
use hallpass::store::journal::RevocationJournal;
use hallpass::store::sessions::EVICTIONS_REMEMBERED;
use hallpass::store::{AccessStatus, CutOffStore, RefreshOutcome, SessionStore};

use super::support::*;

/// More than Redis is asked for at once, twice over.
const VERY_MANY: usize = 1_100;

/// How many of them are opened at once.
const AT_ONCE: usize = 10;

async fn evict(store: &SharedStore, session: &Session, max: u32) -> bool {
    store.evict_session(session.user, session.id, max).await.expect("evict_session")
}

async fn logged_in(store: &SharedStore, clock: &ManualClock, ada: &Person, count: usize) -> Vec<Session> {
    let mut sessions = Vec::with_capacity(count);
    for _ in 0..count {
        sessions.push(ada.log_in(store, clock).await);
        clock.advance(MILLISECOND);
    }
    sessions
}

pub async fn an_evicted_session_is_over_and_its_client_is_told_why(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let sessions = logged_in(store, clock, &ada, 3).await;
    let access = sessions[0].access_token();
    assert!(evict(store, &sessions[0], 2).await);
    assert_eq!(status(store, &access).await, AccessStatus::Revoked);
    for generation in 0..=2 {
        let token = sessions[0].token(generation);
        assert_eq!(check(store, token).await, RefreshOutcome::Evicted);
        assert_eq!(check_only(store, token).await, RefreshOutcome::Evicted);
        assert_eq!(rotate(store, token).await, RefreshOutcome::Evicted);
    }
    for live in &sessions[1..] {
        assert_live(store, live, 0).await;
    }
    // For as long as it would have lived, to the millisecond.
    let left = sessions[0].idle_deadline.since(clock.now());
    clock.advance(left - MILLISECOND);
    assert_eq!(rotate(store, sessions[0].token(0)).await, RefreshOutcome::Evicted);
    clock.advance(MILLISECOND);
    assert_eq!(rotate(store, sessions[0].token(0)).await, RefreshOutcome::Unknown);
}

pub async fn no_session_is_evicted_where_there_is_room(store: &SharedStore, clock: &ManualClock) {
    let (ada, eve) = (Person::new(), Person::new());
    let sessions = logged_in(store, clock, &ada, 3).await;
    assert!(!evict(store, &sessions[0], 3).await);
    assert!(!store.evict_session(eve.user, sessions[0].id, 0).await.expect("evict_session"), "not hers");
    for live in &sessions {
        assert_live(store, live, 0).await;
    }
    assert!(evict(store, &sessions[0], 2).await);
    assert!(!evict(store, &sessions[0], 0).await, "it is over");
    // What has ended by itself takes no room.
    clock.advance(LIFETIMES.idle);
    let last = ada.log_in(store, clock).await;
    assert!(!evict(store, &last, 1).await);
    assert_live(store, &last, 0).await;
}

pub async fn fifty_evictions_at_once_end_no_more_than_are_too_many(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let sessions = logged_in(store, clock, &ada, RACERS).await;
    let max = u32::try_from(RACERS).expect("a few") - 3;
    let calls = sessions.iter().map(|session| {
        let (store, id) = (Arc::clone(store), session.id);
        async move { store.evict_session(ada.user, id, max).await }
    });
    let ended = race(calls).await.into_iter().filter(|ended| *ended).count();
    assert_eq!(ended, 3);
    assert_eq!(store.session_uses(ada.user).await.expect("session_uses").len(), RACERS - 3);
}

pub async fn an_eviction_is_owed_until_it_is_written_down(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let sessions = logged_in(store, clock, &ada, 2).await;
    store
        .journal
        .execute("CREATE TRIGGER refused BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'refused'); END")
        .await;
    assert!(evict(store, &sessions[0], 1).await);
    assert!(store.settle_owed(ada.user).await.is_err(), "it cannot be written");
    store.journal.execute("DROP TRIGGER refused").await;
    store.settle_owed(ada.user).await.expect("it can again");
    let partition = Journaled::Session { user: ada.user, session: sessions[0].id }.partition();
    let entries = store.journal.store.list_entries(partition, 0, i64::MAX, 1_000).await.expect("entries");
    let written: Vec<_> = entries
        .iter()
        .filter(|entry| entry.revoked == Journaled::Session { user: ada.user, session: sessions[0].id })
        .collect();
    assert_eq!(written.len(), 1, "once: {entries:?}");
    assert_eq!(written[0].until, sessions[0].idle_deadline, "it matters for as long as it could revive");
    assert_eq!(rotate(store, sessions[0].token(0)).await, RefreshOutcome::Evicted);
}

pub async fn the_latest_evictions_of_an_account_are_remembered(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let remembered = usize::try_from(EVICTIONS_REMEMBERED).expect("a few");
    let sessions = logged_in(store, clock, &ada, remembered + 3).await;
    for session in &sessions[..remembered + 2] {
        assert!(evict(store, session, 1).await);
    }
    for forgotten in &sessions[..2] {
        assert_eq!(rotate(store, forgotten.token(0)).await, RefreshOutcome::Unknown);
    }
    for known in &sessions[2..remembered + 2] {
        assert_eq!(rotate(store, known.token(0)).await, RefreshOutcome::Evicted);
    }
    assert_live(store, &sessions[remembered + 2], 0).await;
}

pub async fn how_sessions_were_used_is_told(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let sessions = logged_in(store, clock, &ada, 3).await;
    rotate(store, sessions[0].token(0)).await;
    clock.advance(SECOND);
    check(store, sessions[1].token(0)).await;
    let used: Vec<_> = {
        let mut uses = store.session_uses(ada.user).await.expect("session_uses");
        uses.sort_by_key(|session| session.at);
        uses
    };
    let [rotated, checked, unused] = used.as_slice() else { panic!("{used:?}") };
    assert!(rotated.is_refreshed && checked.is_refreshed && !unused.is_refreshed, "{used:?}");
    assert!(rotated.issued_at < checked.issued_at, "{used:?}");
    assert_eq!(*unused, SessionUse::from(&sessions[2]));
}

pub async fn a_list_comes_in_pages(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let mut sessions = logged_in(store, clock, &ada, 4).await;
    // Two of one millisecond.
    sessions.push(ada.log_in(store, clock).await);
    sessions.push(ada.log_in(store, clock).await);
    sessions.sort_by_key(|session| std::cmp::Reverse(SessionCursor::from(session)));
    for limit in [1, 2, 4, 6, 7] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.list_sessions(ada.user, after, limit).await.expect("list_sessions");
            let Some(last) = page.last() else { break };
            assert!(page.len() <= usize::try_from(limit).expect("a few"));
            after = Some(SessionCursor::from(last));
            seen.extend(page);
        }
        assert_eq!(seen, sessions, "{limit} a page");
    }
    // Where a page ended goes on being a place in the list.
    let after = Some(SessionCursor::from(&sessions[2]));
    store.revoke_session(ada.user, sessions[2].id, OnUnknown::Ignore).await.expect("revoke_session");
    assert_eq!(store.list_sessions(ada.user, after, 9).await.expect("list_sessions"), sessions[3..]);
}

pub async fn one_session_is_found_while_it_lives(store: &SharedStore, clock: &ManualClock) {
    let (ada, eve) = (Person::new(), Person::new());
    let session = ada.log_in(store, clock).await;
    let find = async |user| store.find_session(user, session.id).await.expect("find_session");
    assert_eq!(find(ada.user).await.as_ref(), Some(&session));
    assert_eq!(find(eve.user).await, None);
    clock.advance(LIFETIMES.idle - MILLISECOND);
    assert!(find(ada.user).await.is_some());
    clock.advance(MILLISECOND);
    assert_eq!(find(ada.user).await, None);
    let session = ada.log_in(store, clock).await;
    store.revoke_session(ada.user, session.id, OnUnknown::Ignore).await.expect("revoke_session");
    assert_eq!(store.find_session(ada.user, session.id).await.expect("find_session"), None);
}

pub async fn very_many_sessions_are_listed_and_cut_off(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let mut sessions = BTreeSet::new();
    for _ in 0..VERY_MANY / AT_ONCE {
        let calls = (0..AT_ONCE).map(|_| {
            let (store, session) = (Arc::clone(store), ada.session());
            async move { store.open_session(&session, &LIFETIMES).await.map(|_| session.id) }
        });
        sessions.extend(race(calls).await);
    }
    let listed = store.list_sessions(ada.user, None, u32::MAX).await.expect("list_sessions");
    assert_eq!(listed.iter().map(|session| session.id).collect::<BTreeSet<_>>(), sessions);
    assert_eq!(newest_access_token(store, &ada).await, Some(clock.now()));
    let page = store.list_sessions(ada.user, None, 10).await.expect("list_sessions");
    assert_eq!(page, listed[..10]);

    let changed = ada.after_a_security_event();
    let ended = changed.cut_off(store, clock).await;
    assert_eq!(ended.into_iter().collect::<BTreeSet<_>>(), sessions);
    assert!(store.session_uses(ada.user).await.expect("session_uses").is_empty());
    for session in &listed {
        assert_eq!(status(store, &session.access_token()).await, AccessStatus::Revoked);
    }
    assert_dead(store, &listed[0]).await;
    changed.log_in(store, clock).await;
}
