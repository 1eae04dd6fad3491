//! Ids that a restored database gives again: nothing of an earlier holder is the new one's.

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::user::SecurityVersion;
use hallpass::store::{CutOffStore, SessionStore};

use super::support::*;

/// Two people with one id: the earlier holder, and who has it now.
fn holders(clock: &ManualClock) -> (Person, Person) {
    let earlier = Person::new();
    (earlier, Person { version: SecurityVersion::of_new_account(clock.now()), ..earlier })
}

pub async fn a_new_account_ends_what_an_earlier_holder_of_its_id_has(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let (earlier, now) = holders(clock);
    let mut sessions = [earlier.log_in(store, clock).await, earlier.log_in(store, clock).await];
    sessions.sort_by_key(|session| session.id);
    let stranger = Person::new().log_in(store, clock).await;
    let before = store.journal.count().await;
    let mut ended = store.begin_account(now.user, now.version).await.expect("an answer");
    ended.sort();
    assert_eq!(ended, sessions.each_ref().map(|session| session.id));
    assert_eq!(store.journal.count().await, before + 1, "a store that goes back revives none");
    for session in &sessions {
        assert_dead(store, session).await;
    }
    let own = now.log_in(store, clock).await;
    let listed = store.list_sessions(now.user, None, 1_000).await.expect("a list");
    assert_eq!(listed.iter().map(|session| session.id).collect::<Vec<_>>(), [own.id]);
    assert_live(store, &own, 0).await;
    assert_live(store, &stranger, 0).await;
}

pub async fn a_new_account_whose_id_is_new_writes_nothing_down(store: &SharedStore, clock: &ManualClock) {
    let (_, now) = holders(clock);
    let before = store.journal.count().await;
    assert_eq!(store.begin_account(now.user, now.version).await.expect("an answer"), []);
    now.log_in(store, clock).await;
    now.log_in(store, clock).await;
    assert_eq!(store.journal.count().await, before);
}

/// For accounts that are made without a token store.
pub async fn a_login_ends_what_is_of_an_earlier_version(store: &SharedStore, clock: &ManualClock) {
    let (earlier, now) = holders(clock);
    let session = earlier.log_in(store, clock).await;
    let before = store.journal.count().await;
    let own = now.log_in(store, clock).await;
    assert_eq!(store.journal.count().await, before + 1, "a store that goes back revives none");
    assert_dead(store, &session).await;
    assert_live(store, &own, 0).await;
    // Nor can the earlier holder come in late.
    let late = earlier.session();
    let outcome = store.open_session(&late, &LIFETIMES).await.expect("an answer");
    assert_eq!(outcome, hallpass::store::OpenOutcome::Superseded { first: now.version });
    now.log_in(store, clock).await;
    assert_eq!(store.journal.count().await, before + 1, "once");
}
