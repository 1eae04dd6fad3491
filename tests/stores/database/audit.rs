//! The audit log: what goes in comes out, newest first, and stays until its time is over.

use hallpass::domain::audit::{
    AuditAction, AuditActor, AuditEntry, AuditFilter, AuditId, Reason, RecordedEntry,
};
use hallpass::domain::clock::Timestamp;
use hallpass::domain::ids::{Jti, SessionId};
use hallpass::store::AuditStore;
use sqlx::Executor;
use uuid::Uuid;

use super::at_once;
use super::fixtures::{Postgres, Sqlite, user_id};

const ALL: u32 = 1_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// An entry that says no more than it must, at its own millisecond.
fn entry(n: u32) -> AuditEntry {
    AuditEntry {
        event: Uuid::from_u128(u128::from(n) + 1),
        at: at(i64::from(n)),
        action: AuditAction::LoginSucceeded,
        actor: AuditActor::Anonymous,
        user: None,
        session: None,
        token: None,
        address: None,
        reason: None,
        object: None,
        count: None,
    }
}

/// An entry that says all it can.
pub fn full_entry(n: u32) -> AuditEntry {
    AuditEntry {
        action: AuditAction::SessionsEnded,
        actor: AuditActor::User(user_id(7)),
        user: Some(user_id(9_007_199_254_740_991)),
        session: Some(SessionId::from(Uuid::from_u128(3))),
        token: Some(Jti::from(Uuid::from_u128(4))),
        address: Some("2001:db8::1".parse().expect("an address")),
        reason: Some(Reason::RevokedByAdmin),
        object: Some("Żółć '; --".to_owned()),
        count: Some(17),
        ..entry(n)
    }
}

async fn append(store: &dyn AuditStore, entries: &[AuditEntry]) {
    store.append_audit(entries).await.expect("append_audit");
}

async fn list(store: &dyn AuditStore, filter: &AuditFilter) -> Vec<RecordedEntry> {
    store.list_audit(filter, None, ALL).await.expect("list_audit")
}

/// The numbers of all entries that satisfy a filter, newest first.
async fn numbers(store: &dyn AuditStore, filter: &AuditFilter) -> Vec<i64> {
    list(store, filter).await.iter().map(|recorded| recorded.entry.at.as_millis()).collect()
}

pub async fn an_audit_entry_is_read_as_it_was_written(store: &dyn AuditStore) {
    let client = AuditEntry { actor: AuditActor::Client("reports".parse().expect("an id")), ..entry(2) };
    let written = [entry(0), full_entry(1), client];
    append(store, &written).await;
    append(store, &[]).await;
    let read: Vec<_> = list(store, &AuditFilter::default()).await;
    let newest_first: Vec<_> = written.iter().rev().cloned().collect();
    assert_eq!(read.iter().map(|recorded| recorded.entry.clone()).collect::<Vec<_>>(), newest_first);
    assert!(read.is_sorted_by(|newer, older| newer.id > older.id), "{read:?}");
}

pub async fn every_audit_action_and_reason_is_kept(store: &dyn AuditStore) {
    let actions = AuditAction::ALL.iter().map(|action| (*action, None));
    let reasons = Reason::ALL.iter().map(|reason| (AuditAction::LoginFailed, Some(*reason)));
    let entries: Vec<_> = (0_u32..)
        .zip(actions.chain(reasons))
        .map(|(n, (action, reason))| AuditEntry { action, reason, ..entry(n) })
        .collect();
    append(store, &entries).await;
    let read = list(store, &AuditFilter::default()).await;
    assert!(read.iter().rev().map(|recorded| &recorded.entry).eq(&entries));
}

pub async fn an_audit_batch_that_is_sent_again_is_kept_once(store: &dyn AuditStore) {
    let batch: Vec<_> = (0..1_200).map(entry).collect();
    append(store, &batch[..700]).await;
    append(store, &batch).await;
    append(store, &batch[5..10]).await;
    let read = store.list_audit(&AuditFilter::default(), None, 2_000).await.expect("list_audit");
    let read: Vec<_> = read.iter().rev().map(|recorded| recorded.entry.at.as_millis()).collect();
    assert_eq!(read, (0..1_200).collect::<Vec<_>>());
}

pub async fn audit_entries_that_are_written_at_once_are_all_kept(store: &dyn AuditStore) {
    at_once(20, |n| async move {
        let batch: Vec<_> = (0..10).map(|i| entry(n * 10 + i)).collect();
        append(store, &batch).await;
    })
    .await;
    let mut all = numbers(store, &AuditFilter::default()).await;
    all.sort_unstable();
    assert_eq!(all, (0..200).collect::<Vec<_>>());
}

pub async fn audit_entries_are_found_by_each_of_their_sides(store: &dyn AuditStore) {
    append(store, &[entry(0), full_entry(1), entry(2)]).await;
    let full = full_entry(1);
    let none = AuditFilter::default();
    for filter in [
        AuditFilter { user: full.user, ..none.clone() },
        AuditFilter { actor: Some(full.actor), ..none.clone() },
        AuditFilter { session: full.session, ..none.clone() },
        AuditFilter { token: full.token, ..none.clone() },
        AuditFilter { action: Some(full.action), ..none.clone() },
        AuditFilter { reason: full.reason, ..none.clone() },
        AuditFilter { since: Some(at(1)), until: Some(at(2)), ..none.clone() },
    ] {
        assert_eq!(numbers(store, &filter).await, [1], "{filter:?}");
        let elsewhere = AuditFilter { since: Some(at(2)), ..filter };
        assert!(numbers(store, &elsewhere).await.is_empty(), "all of it must hold: {elsewhere:?}");
    }
    let stranger = AuditFilter { user: Some(user_id(8)), ..none.clone() };
    assert!(numbers(store, &stranger).await.is_empty());
    let early = AuditFilter { until: Some(at(2)), ..none };
    assert_eq!(numbers(store, &early).await, [1, 0], "the end is not in it");
}

pub async fn audit_pages_follow_each_other_without_a_gap(store: &dyn AuditStore) {
    let entries: Vec<_> = (0..10).map(entry).collect();
    append(store, &entries).await;
    let (mut seen, mut before): (Vec<i64>, Option<AuditId>) = (Vec::new(), None);
    loop {
        let page = store.list_audit(&AuditFilter::default(), before, 3).await.expect("list_audit");
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|recorded| recorded.entry.at.as_millis()));
        // What comes in between is newer than all pages to come.
        append(store, &[entry(100 + u32::try_from(seen.len()).expect("a few"))]).await;
    }
    assert_eq!(seen, (0..10).rev().collect::<Vec<_>>());
}

/// Those of a short time are looked up by it, and those of a long one along the ids: nobody sees which.
pub async fn audit_pages_of_a_time_are_whole_and_in_order_however_long_it_is(store: &dyn AuditStore) {
    let entries: Vec<_> = (0..6_000).map(entry).collect();
    append(store, &entries).await;
    // One that is written late.
    append(store, &[AuditEntry { at: at(5), ..entry(6_000) }]).await;
    let all = AuditFilter::default;
    for (filter, wanted) in [
        (AuditFilter { since: Some(at(10)), until: Some(at(5_900)), ..all() }, (10..5_900).rev().collect()),
        (
            AuditFilter { since: Some(at(3_000)), until: Some(at(3_007)), ..all() },
            (3_000..3_007).rev().collect(),
        ),
        (AuditFilter { since: Some(at(5_990)), ..all() }, (5_990..6_000).rev().collect()),
        (
            AuditFilter { until: Some(at(7)), ..all() },
            [5].into_iter().chain((0..7).rev()).collect::<Vec<_>>(),
        ),
        (AuditFilter { since: Some(at(9_000)), ..all() }, vec![]),
        (
            AuditFilter { action: Some(AuditAction::LoginSucceeded), until: Some(at(3)), ..all() },
            vec![2, 1, 0],
        ),
        (AuditFilter { action: Some(AuditAction::SessionsEnded), until: Some(at(3)), ..all() }, vec![]),
    ] {
        let (mut seen, mut before): (Vec<i64>, Option<AuditId>) = (Vec::new(), None);
        loop {
            let page = store.list_audit(&filter, before, 1_000).await.expect("list_audit");
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            seen.extend(page.iter().map(|recorded| recorded.entry.at.as_millis()));
        }
        assert_eq!(seen, wanted, "{filter:?}");
    }
}

pub async fn audit_entries_are_pruned_oldest_first_and_no_further(store: &dyn AuditStore) {
    let entries: Vec<_> = (0..10).map(entry).collect();
    append(store, &entries).await;
    assert_eq!(store.audit_horizon().await.expect("audit_horizon"), at(0));
    for (limit, gone, left) in [(4, 4, 4..10), (4, 1, 5..10), (4, 0, 5..10)] {
        assert_eq!(store.prune_audit(at(5), limit).await.expect("prune_audit"), gone);
        assert_eq!(numbers(store, &AuditFilter::default()).await, left.rev().collect::<Vec<_>>());
    }
    assert_eq!(store.audit_horizon().await.expect("audit_horizon"), at(5));
    assert_eq!(store.prune_audit(at(2), 4).await.expect("prune_audit"), 0, "never back");
    assert_eq!(store.audit_horizon().await.expect("audit_horizon"), at(5));
}

pub async fn an_audit_id_is_never_given_again(store: &dyn AuditStore) {
    append(store, &[entry(0), entry(1)]).await;
    let newest = list(store, &AuditFilter::default()).await[0].id;
    assert_eq!(store.prune_audit(at(100), ALL).await.expect("prune_audit"), 2);
    append(store, &[entry(2)]).await;
    assert!(list(store, &AuditFilter::default()).await[0].id > newest);
}

/// What somebody with a connection of their own, or a slip in a statement, may not do.
const FORBIDDEN: [&str; 7] = [
    "UPDATE audit_log SET reason = NULL",
    "UPDATE audit_log SET at = 0 WHERE id = 1",
    "DELETE FROM audit_log",
    "DELETE FROM audit_log WHERE id = 1",
    "DELETE FROM audit_log_horizon",
    "UPDATE audit_log_horizon SET at = at - 1",
    "UPDATE audit_log_horizon SET id = 2",
];

#[tokio::test]
async fn sqlite_lets_nobody_change_the_audit_log() {
    let database = Sqlite::migrated().await;
    append(&database.store, &[full_entry(1)]).await;
    let mut connection = database.connection().await;
    for statement in FORBIDDEN {
        assert!(connection.execute(statement).await.is_err(), "{statement}");
    }
    assert_eq!(list(&database.store, &AuditFilter::default()).await[0].entry, full_entry(1));
}

#[tokio::test]
async fn postgres_lets_nobody_change_the_audit_log() {
    let database = Postgres::migrated().await;
    append(&database.store, &[full_entry(1)]).await;
    let mut connection = database.connection().await;
    for statement in FORBIDDEN.iter().chain(&["TRUNCATE audit_log", "TRUNCATE audit_log_horizon"]) {
        assert!(connection.execute(*statement).await.is_err(), "{statement}");
    }
    assert_eq!(list(&database.store, &AuditFilter::default()).await[0].entry, full_entry(1));
}
