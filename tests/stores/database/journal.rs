//! What the revocation journal promises, and that every security event stands in it.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join;
use hallpass::domain::clock::Timestamp;
use hallpass::domain::ids::UserId;
use hallpass::domain::journal::{
    EntryId, EventEntry, JournalEntry, JournalHead, Journaled, Link, Mark, NewEntry,
};
use hallpass::domain::partition::Partition;
use hallpass::domain::password::PasswordHash;
use hallpass::domain::user::{AccountChange, ImportedUser, NewUser, Role, SecurityVersion};
use hallpass::store::journal::RevocationJournal;
use hallpass::store::sql::postgres::{PostgresOptions, PostgresStore};
use hallpass::store::{ChangeOutcome, CutOffOrder, DeleteOutcome, StoreError, StoreResult, UserStore};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Postgres as Pg, Transaction};
use tokio::time::Instant;
use uuid::Uuid;

use super::fixtures::{
    AT, Accounts, Postgres, Sqlite, UNTIL, email, entry_id, event, insert, new_user, user_id,
};
use super::{at_once, found};
use crate::support::postgres::PostgresServer;
use crate::support::silent_proxy::SilentProxy;

/// As much as any of the cases writes.
const ALL: u32 = 1_000;

/// How long a change that is paused may hold others up.
const BOUND: Duration = Duration::from_secs(1);

fn session_of(user: i64, number: u128) -> Journaled {
    Journaled::Session { user: user_id(user), session: Uuid::from_u128(number).into() }
}

/// The end of one of the user's sessions.
fn new_entry(user: i64) -> NewEntry {
    let id = entry_id();
    NewEntry { id, revoked: session_of(user, u128::from(id.get().unsigned_abs())), until: UNTIL }
}

fn partition(user: i64) -> Partition {
    Partition::of(user_id(user))
}

async fn append(journal: &dyn RevocationJournal, entry: &NewEntry) -> Link {
    journal.append_entry(entry).await.expect("an answer")
}

async fn heads(journal: &dyn RevocationJournal) -> Vec<JournalHead> {
    journal.journal_heads().await.expect("an answer")
}

async fn head(journal: &dyn RevocationJournal, partition: Partition) -> JournalHead {
    heads(journal).await[partition.index()]
}

async fn list(journal: &dyn RevocationJournal, partition: Partition) -> Vec<JournalEntry> {
    journal.list_entries(partition, 0, i64::MAX, ALL).await.expect("an answer")
}

fn positions(entries: &[JournalEntry]) -> Vec<i64> {
    entries.iter().map(|entry| entry.link.at.position).collect()
}

/// All of a partition, which is one chain from the first position on, with no number left out, and ends
/// at the partition's head.
async fn whole_chain(journal: &dyn RevocationJournal, partition: Partition) -> Vec<JournalEntry> {
    let entries = list(journal, partition).await;
    let mut before = Mark::START;
    for JournalEntry { link, .. } in &entries {
        assert_eq!((link.at.position, link.previous), (before.position + 1, before.entry), "{entries:#?}");
        before = link.at;
    }
    assert_eq!(head(journal, partition).await.newest, before);
    entries
}

/// Nothing has been written down.
pub async fn assert_nothing_is_journaled(journal: &dyn RevocationJournal) {
    assert!(heads(journal).await.iter().all(|head| head.newest == Mark::START));
    assert_eq!(count_entries(journal).await, 0);
}

/// That cut-off has been written down, once, and nothing else.
pub async fn assert_the_only_entry(journal: &dyn RevocationJournal, order: &CutOffOrder) {
    assert_eq!((order.link.at.position, order.link.previous), (1, EntryId::NONE));
    let revoked = Journaled::User { user: order.user, below: order.version };
    let expected = JournalEntry { link: order.link, revoked, until: order.until };
    assert_eq!(whole_chain(journal, Partition::of(order.user)).await, [expected]);
    assert_eq!(count_entries(journal).await, 1);
}

/// How many entries there are in all partitions, each of which is a whole chain.
pub async fn count_entries(journal: &dyn RevocationJournal) -> usize {
    let mut count = 0;
    for partition in Partition::all() {
        count += whole_chain(journal, partition).await.len();
    }
    count
}

pub async fn a_new_journal_has_a_head_for_each_partition(journal: &dyn RevocationJournal) {
    let expected =
        Partition::all().map(|partition| JournalHead { partition, newest: Mark::START, incarnation: 0 });
    assert_eq!(heads(journal).await, expected.collect::<Vec<_>>());
}

pub async fn entries_are_read_back_as_they_were_written(journal: &dyn RevocationJournal) {
    let user = user_id(UserId::MAX);
    let written = [
        Journaled::Session { user, session: Uuid::from_u128(1).into() },
        Journaled::User { user, below: SecurityVersion::new(i64::MAX) },
        Journaled::Token { user, token: Uuid::from_u128(u128::MAX).into() },
        Journaled::MachineToken(Uuid::from_u128(4).into()),
        Journaled::Client("orders-eu.1_a".parse().expect("a client id")),
    ]
    .map(|revoked| NewEntry { id: EntryId::new(i64::MAX - entry_id().get()), revoked, until: UNTIL });
    for (n, entry) in (0_i64..).zip(&written) {
        let until = Timestamp::from_millis(i64::MAX - n);
        let link = append(journal, &NewEntry { until, ..entry.clone() }).await;
        assert_eq!(link.at.entry, entry.id);
        let expected = JournalEntry { link, revoked: entry.revoked.clone(), until };
        assert_eq!(list(journal, entry.revoked.partition()).await.last(), Some(&expected));
    }
    assert_eq!(whole_chain(journal, Partition::of(user)).await.len(), 3);
    assert_eq!(whole_chain(journal, Partition::EVERYBODY).await.len(), 2);
}

pub async fn each_partition_counts_its_own_entries(journal: &dyn RevocationJournal) {
    // Users 1 and 65 are of one partition, 2 of another, and a machine's token is of nobody's.
    let machine = NewEntry { revoked: Journaled::MachineToken(Uuid::from_u128(1).into()), ..new_entry(1) };
    let mut given = Vec::new();
    for entry in [new_entry(1), new_entry(2), new_entry(65), machine, new_entry(1), new_entry(2)] {
        let link = append(journal, &entry).await;
        given.push((entry.revoked.partition().number(), link.at.position));
    }
    assert_eq!(given, [(1, 1), (2, 1), (1, 2), (64, 1), (1, 3), (2, 2)]);
    assert_eq!(count_entries(journal).await, 6);
}

pub async fn of_fifty_concurrent_appends_each_has_a_position_and_all_are_one_chain(
    journal: &dyn RevocationJournal,
) {
    let entries: Vec<_> = (0..50).map(|n| new_entry(if n % 2 == 0 { 1 } else { 65 })).collect();
    let links = at_once(50, |n| append(journal, &entries[n as usize])).await;
    let chain = whole_chain(journal, partition(1)).await;
    assert_eq!(chain.len(), 50);
    for (link, entry) in links.iter().zip(&entries) {
        let stands = chain.iter().find(|stands| stands.link.at.entry == entry.id).expect("the entry");
        assert_eq!((stands.link, &stands.revoked), (*link, &entry.revoked));
    }
}

/// Whoever has seen a position has seen all before it: none comes later.
pub async fn a_reader_never_finds_a_gap(journal: &dyn RevocationJournal) {
    let entries: Vec<_> = (0..100).map(|_| new_entry(1)).collect();
    let write = at_once(100, |n| append(journal, &entries[n as usize]));
    let read = async {
        let mut seen = 0;
        while seen < 100 {
            let entries = list(journal, partition(1)).await;
            assert_eq!(positions(&entries), (1..=entries.len() as i64).collect::<Vec<_>>());
            assert!(entries.len() >= seen, "an entry has gone");
            seen = entries.len();
        }
    };
    join(write, read).await;
}

pub async fn an_entry_that_is_appended_again_stands_where_it_stood(journal: &dyn RevocationJournal) {
    let (first, second) = (new_entry(1), new_entry(1));
    let link = append(journal, &first).await;
    assert_eq!(append(journal, &first).await, link);
    let later = append(journal, &second).await;
    assert_eq!(append(journal, &first).await, link);
    assert_eq!((later.at.position, later.previous), (2, first.id));
    assert_eq!(whole_chain(journal, partition(1)).await.len(), 2);
}

pub async fn of_eight_replicas_that_append_one_entry_at_once_all_are_told_where_it_stands(
    journal: &dyn RevocationJournal,
) {
    for length in 1..=10 {
        let entry = new_entry(1);
        for link in at_once(8, |_| append(journal, &entry)).await {
            assert_eq!(link.at, Mark { position: length, entry: entry.id });
        }
        assert_eq!(whole_chain(journal, partition(1)).await.len(), length as usize);
    }
}

pub async fn entries_are_listed_within_bounds_and_in_pages(journal: &dyn RevocationJournal) {
    for _ in 0..5 {
        append(journal, &new_entry(1)).await;
        append(journal, &new_entry(2)).await;
    }
    let page = async |after, last, limit| {
        positions(&journal.list_entries(partition(1), after, last, limit).await.expect("an answer"))
    };
    assert_eq!(page(0, 5, 2).await, [1, 2]);
    assert_eq!(page(2, 5, 2).await, [3, 4]);
    assert_eq!(page(4, 5, 2).await, [5]);
    assert_eq!(page(5, 9, 2).await, [0; 0]);
    assert_eq!(page(1, 3, ALL).await, [2, 3], "behind the one and up to the other");
    assert_eq!(page(3, 3, ALL).await, [0; 0]);
    assert_eq!(page(3, 1, ALL).await, [0; 0]);
    assert_eq!(page(0, i64::MAX, 0).await, [0; 0]);
}

pub async fn an_entry_is_found_at_its_position_alone(journal: &dyn RevocationJournal) {
    let (first, second) = (new_entry(1), new_entry(1));
    append(journal, &first).await;
    append(journal, &second).await;
    let find = async |user, position| journal.find_entry(partition(user), position).await.expect("an answer");
    assert_eq!((find(1, 1).await, find(1, 2).await), (Some(first.id), Some(second.id)));
    assert_eq!((find(1, 0).await, find(1, 3).await, find(2, 1).await), (None, None, None));
}

pub async fn entries_of_many_partitions_are_found_at_once(journal: &dyn RevocationJournal) {
    let (first, second, third) = (new_entry(1), new_entry(1), new_entry(2));
    for entry in [&first, &second, &third] {
        append(journal, entry).await;
    }
    let asked =
        [(2, 1), (1, 2), (3, 1), (1, 1), (2, 2), (1, 2)].map(|(user, position)| (partition(user), position));
    let found = journal.find_entries(&asked).await.expect("an answer");
    let expected = [Some(third.id), Some(second.id), None, Some(first.id), None, Some(second.id)];
    assert_eq!(found, expected, "in the order of the positions that were asked for");
    assert_eq!(journal.find_entries(&[]).await.expect("an answer"), []);
}

/// Two accounts of one partition.
async fn neighbours(accounts: &dyn Accounts) -> [UserId; 2] {
    let address = |n| format!("user{n}@example.com");
    let users: Vec<_> = (0..=Partition::USERS)
        .map(|n| ImportedUser { account: new_user(&address(n)), disabled: false, external_id: None })
        .collect();
    assert_eq!(accounts.insert_users(&users, Timestamp::from_millis(0)).await.expect("an answer"), 65);
    let id = async |n: u8| {
        let found = accounts.find_user_by_email(&email(&address(n))).await;
        found.expect("an answer").expect("the account").id
    };
    let (first, last) = (id(0).await, id(Partition::USERS).await);
    assert_eq!(Partition::of(first), Partition::of(last));
    [first, last]
}

fn promotion() -> AccountChange {
    AccountChange { role: Some(Role::Admin), ..AccountChange::default() }
}

/// Every way to move a version on.
#[derive(Clone, Copy, Debug)]
enum Event {
    ChangePassword,
    SetPassword,
    ChangeAccount,
    Advance,
    Raise,
    Delete,
}

impl Event {
    const ALL: [Self; 6] = [
        Self::ChangePassword,
        Self::SetPassword,
        Self::ChangeAccount,
        Self::Advance,
        Self::Raise,
        Self::Delete,
    ];

    /// Makes it happen to an account, and answers the cut-off.
    async fn happen(
        self,
        accounts: &dyn Accounts,
        id: UserId,
        entry: EventEntry,
    ) -> StoreResult<CutOffOrder> {
        let (version, hash) = (found(accounts, id).await.security_version, PasswordHash::from_phc("$new"));
        let event = match self {
            Self::ChangePassword => accounts.change_password(id, version, &hash, entry).await?,
            Self::SetPassword => accounts.set_password(id, &hash, entry).await?,
            Self::Advance => accounts.advance_security_version(id, entry).await?,
            Self::Raise => accounts.raise_security_version(id, version.next(AT), entry).await?,
            Self::ChangeAccount => match accounts.change_account(id, &promotion(), entry).await? {
                ChangeOutcome::Changed { after, .. } => Some(*after),
                other => panic!("{other:?}"),
            },
            Self::Delete => match accounts.delete_user(id, entry).await? {
                DeleteOutcome::Deleted(order) => return Ok(order),
                other => panic!("{other:?}"),
            },
        };
        Ok(CutOffOrder::from(&event.expect("the account")))
    }
}

pub async fn every_security_event_writes_one_entry(accounts: &dyn Accounts) {
    insert(accounts, &NewUser { role: Role::Admin, ..new_user("root@example.com") }).await;
    let users = neighbours(accounts).await;
    let mut written = Vec::new();
    for event in Event::ALL {
        for user in users {
            let before = found(accounts, user).await.security_version;
            let entry =
                EventEntry { id: entry_id(), at: AT, until: Timestamp::from_millis(1_000 + user.get()) };
            let order = event.happen(accounts, user, entry).await.expect("an answer");
            assert_eq!((order.user, order.version), (user, before.next(AT)), "{event:?}");
            assert_eq!((order.link.at.entry, order.until), (entry.id, entry.until), "{event:?}");
            written.push(JournalEntry {
                link: order.link,
                revoked: Journaled::User { user, below: order.version },
                until: entry.until,
            });
        }
    }
    assert_eq!(whole_chain(accounts, Partition::of(users[0])).await, written);
    assert_eq!(count_entries(accounts).await, 12);
}

/// A database that is restored counts from where it was: what it has given since must not come again.
pub async fn a_version_is_no_earlier_than_its_event(accounts: &dyn Accounts) {
    insert(accounts, &NewUser { role: Role::Admin, ..new_user("root@example.com") }).await;
    let ada = insert(accounts, &new_user("ada@example.com")).await;
    for (number, event) in (1_i64..).zip(Event::ALL) {
        let before = found(accounts, ada.id).await.security_version;
        let at = Timestamp::from_millis(number * 1_000_000);
        let order = event.happen(accounts, ada.id, EventEntry { id: entry_id(), at, until: UNTIL }).await;
        let expected = match event {
            Event::Raise => before.next(AT),
            _ => SecurityVersion::new(at.as_millis()),
        };
        assert_eq!(order.expect("an answer").version, expected, "{event:?}");
    }
}

pub async fn concurrent_events_of_one_partition_are_one_chain_in_the_order_of_versions(
    accounts: &dyn Accounts,
) {
    let users = neighbours(accounts).await;
    let ends: Vec<_> = (0..20).map(|_| new_entry(users[0].get())).collect();
    let hash = PasswordHash::from_phc("$new");
    at_once(60, |n| {
        let (user, end, hash) = (users[n as usize % 2], &ends[n as usize / 3], &hash);
        async move {
            match n % 3 {
                0 => drop(append(accounts, end).await),
                1 => drop(accounts.advance_security_version(user, event()).await.expect("an answer")),
                _ => drop(accounts.set_password(user, hash, event()).await.expect("an answer")),
            }
        }
    })
    .await;
    let chain = whole_chain(accounts, Partition::of(users[0])).await;
    assert_eq!(chain.len(), 60);
    for user in users {
        let versions: Vec<i64> = chain
            .iter()
            .filter_map(|entry| match entry.revoked {
                Journaled::User { user: of, below } if of == user => Some(below.get()),
                _ => None,
            })
            .collect();
        assert_eq!(versions, (2..=versions.len() as i64 + 1).collect::<Vec<_>>());
        assert_eq!(found(accounts, user).await.security_version.get(), versions.len() as i64 + 1);
    }
}

/// The change, its entry and its position are one: all of them are, or none.
pub async fn an_event_that_cannot_be_written_down_changes_nothing(accounts: &dyn Accounts) {
    insert(accounts, &NewUser { role: Role::Admin, ..new_user("root@example.com") }).await;
    let ada = insert(accounts, &new_user("ada@example.com")).await;
    let taken = append(accounts, &new_entry(ada.id.get())).await.at;
    for event in Event::ALL {
        let entry = EventEntry { id: taken.entry, at: AT, until: UNTIL };
        let answer = event.happen(accounts, ada.id, entry).await;
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{event:?}: {answer:?}");
        let user = found(accounts, ada.id).await;
        assert_eq!((user.security_version, user.role()), (ada.security_version, ada.role()), "{event:?}");
        assert_eq!(user.password, ada.password, "{event:?}");
        assert_eq!(head(accounts, Partition::of(ada.id)).await.newest, taken, "{event:?}");
    }
    let order = Event::Delete.happen(accounts, ada.id, event()).await.expect("an answer");
    assert_eq!((order.link.at.position, order.link.previous), (2, taken.entry));
}

async fn join_at(journal: &dyn RevocationJournal, user: i64, position: i64) -> Mark {
    journal.join_history(partition(user), position, entry_id()).await.expect("an answer")
}

pub async fn histories_are_joined_behind_both(journal: &dyn RevocationJournal) {
    for _ in 0..3 {
        append(journal, &new_entry(1)).await;
        append(journal, &new_entry(2)).await;
    }
    // The store has come further than this database, and this database further than the store.
    let (ahead, behind) = (join_at(journal, 1, 10).await, join_at(journal, 2, 2).await);
    assert_eq!((ahead.position, behind.position), (11, 4));
    for (user, join) in [(1, ahead), (2, behind)] {
        assert_eq!(head(journal, partition(user)).await.newest, join);
        assert_eq!(journal.find_entry(partition(user), join.position).await.expect("an answer"), None);
        assert_eq!(positions(&list(journal, partition(user)).await), [1, 2, 3], "what is there stays");
        let next = append(journal, &new_entry(user)).await;
        assert_eq!((next.at.position, next.previous), (join.position + 1, join.entry));
    }
    assert_eq!(head(journal, partition(3)).await.newest, Mark::START);
}

pub async fn what_is_before_a_join_is_a_hole(journal: &dyn RevocationJournal) {
    let has_hole =
        async |user, after, last| journal.has_hole(partition(user), after, last).await.expect("an answer");
    append(journal, &new_entry(1)).await;
    assert!(!has_hole(1, 0, i64::MAX).await);
    let join = join_at(journal, 1, 4).await.position;
    assert_eq!(join, 5);
    append(journal, &new_entry(1)).await;
    for (after, last) in [(0, 1), (0, i64::MAX), (2, 3), (join - 1, join), (join - 1, join + 1)] {
        assert!(has_hole(1, after, last).await, "({after}, {last}]");
    }
    for (after, last) in [(join, join + 1), (join, i64::MAX), (0, 0), (-1, 0)] {
        assert!(!has_hole(1, after, last).await, "({after}, {last}]");
    }
    assert!(!has_hole(2, 0, i64::MAX).await, "another partition");
}

pub async fn a_second_join_leaves_a_hole_up_to_the_later_one(journal: &dyn RevocationJournal) {
    let mut joins = Vec::new();
    // The third is told of a position far behind.
    for position in [4, 9, 1] {
        joins.push(join_at(journal, 1, position).await.position);
        let last = joins[joins.len() - 1];
        let has_hole =
            async |after, last| journal.has_hole(partition(1), after, last).await.expect("an answer");
        assert!(has_hole(0, 1).await && has_hole(last - 1, last).await, "{joins:?}");
        assert!(!has_hole(last, i64::MAX).await, "{joins:?}");
    }
    assert_eq!(joins, [5, 10, 11]);
}

pub async fn concurrent_joins_and_appends_are_one_chain(journal: &dyn RevocationJournal) {
    let marks = at_once(30, |n| async move {
        match n % 3 {
            0 => join_at(journal, 1, 0).await,
            _ => append(journal, &new_entry(1)).await.at,
        }
    })
    .await;
    let taken: HashSet<i64> = marks.iter().map(|mark| mark.position).collect();
    assert_eq!(taken, (1..=30).collect());
    for JournalEntry { link, .. } in list(journal, partition(1)).await {
        let before = marks.iter().find(|mark| mark.position == link.at.position - 1);
        assert_eq!(link.previous, before.map_or(EntryId::NONE, |mark| mark.entry));
    }
}

async fn begin(journal: &dyn RevocationJournal, known: &[(Partition, i64)], number: i64) -> Vec<Partition> {
    let mut begun = journal.begin_incarnation(known, number).await.expect("an answer");
    begun.sort_unstable();
    begun
}

async fn incarnations(journal: &dyn RevocationJournal) -> Vec<i64> {
    heads(journal).await.iter().map(|head| head.incarnation).collect()
}

pub async fn an_incarnation_is_adopted_only_if_it_is_later(journal: &dyn RevocationJournal) {
    for (adopted, then) in [(5, 5), (4, 5), (5, 5), (6, 6), (0, 6)] {
        journal.adopt_incarnation(partition(1), adopted).await.expect("an answer");
        assert_eq!(incarnations(journal).await[..3], [0, then, 0], "{adopted}");
    }
    journal.adopt_incarnation(Partition::EVERYBODY, 7).await.expect("an answer");
    assert_eq!(incarnations(journal).await[63..], [0, 7]);
    assert_nothing_is_journaled(journal).await;
}

/// Each partition is begun by one of them, in whatever order they name them.
pub async fn of_eight_replicas_that_begin_an_incarnation_at_once_one_does(journal: &dyn RevocationJournal) {
    let known: Vec<_> = Partition::all().map(|partition| (partition, 0)).collect();
    let backwards: Vec<_> = known.iter().rev().copied().collect();
    let begun =
        at_once(8, |n| begin(journal, if n % 2 == 0 { &known } else { &backwards }, 100 + i64::from(n)))
            .await;
    let mut winners: Vec<Option<usize>> = vec![None; Partition::COUNT];
    for (replica, partitions) in begun.iter().enumerate() {
        for partition in partitions {
            assert_eq!(winners[partition.index()].replace(replica), None, "{partition} has begun twice");
        }
    }
    let expected: Vec<_> = winners.iter().map(|winner| 100 + winner.expect("a winner") as i64).collect();
    assert_eq!(incarnations(journal).await, expected);
}

pub async fn an_incarnation_begins_only_where_the_known_one_still_is(journal: &dyn RevocationJournal) {
    let [first, second, third] = [1, 2, 3].map(partition);
    assert_eq!(begin(journal, &[], 5).await, []);
    assert_eq!(begin(journal, &[(first, 0), (second, 0)], 5).await, [first, second]);
    assert_eq!(begin(journal, &[(first, 0), (second, 5), (third, 0)], 6).await, [second, third]);
    assert_eq!(begin(journal, &[(first, 4), (first, 6), (third, 7)], 8).await, []);
    // A number that is none later begins nothing.
    for number in [5, 4] {
        assert_eq!(begin(journal, &[(first, 5)], number).await, [], "{number}");
    }
    assert_eq!(incarnations(journal).await[..5], [0, 5, 6, 6, 0]);
}

async fn append_until(journal: &dyn RevocationJournal, user: i64, until: i64) -> Link {
    append(journal, &NewEntry { until: Timestamp::from_millis(until), ..new_entry(user) }).await
}

async fn prune(journal: &dyn RevocationJournal, before: i64, limit: u32) -> u64 {
    journal.prune_journal(Timestamp::from_millis(before), limit).await.expect("an answer")
}

pub async fn pruning_takes_what_has_not_mattered_and_nothing_else(journal: &dyn RevocationJournal) {
    // The order of their ends is not that of their positions.
    for until in [500, 100, 400, 200, 300] {
        append_until(journal, 1, until).await;
    }
    append_until(journal, 2, 299).await;
    let left =
        async || (positions(&list(journal, partition(1)).await), list(journal, partition(2)).await.len());
    assert_eq!(prune(journal, 100, ALL).await, 0, "it still matters at its last moment");
    assert_eq!(prune(journal, 300, 2).await, 2, "the oldest two");
    assert_eq!(left().await, (vec![1, 3, 5], 1));
    assert_eq!(prune(journal, 300, 2).await, 1);
    assert_eq!(left().await, (vec![1, 3, 5], 0));
    assert_eq!(prune(journal, 300, 2).await, 0);
    assert_eq!(prune(journal, 401, ALL).await, 2);
    assert_eq!(left().await, (vec![1], 0));
}

pub async fn a_pruned_journal_goes_on_where_it_was(journal: &dyn RevocationJournal) {
    let gone = append_until(journal, 1, 100).await;
    let before = heads(journal).await;
    assert_eq!(prune(journal, 200, ALL).await, 1);
    assert_eq!(heads(journal).await, before);
    assert_eq!(journal.find_entry(partition(1), 1).await.expect("an answer"), None);
    assert!(!journal.has_hole(partition(1), 0, 1).await.expect("an answer"), "its history is known");
    let next = append_until(journal, 1, 300).await;
    assert_eq!((next.at.position, next.previous), (2, gone.at.entry));
    assert_eq!(positions(&list(journal, partition(1)).await), [2]);
}

pub async fn the_longest_mirror_staleness_is_kept(journal: &dyn RevocationJournal) {
    assert_eq!(journal.mirror_staleness().await.expect("an answer"), Duration::ZERO);
    for (noted, then) in [(2_000, 2_000), (1_999, 2_000), (0, 2_000), (2_001, 2_001)] {
        journal.note_mirror_staleness(Duration::from_millis(noted)).await.expect("an answer");
        let kept = journal.mirror_staleness().await.expect("an answer");
        assert_eq!(kept, Duration::from_millis(then), "{noted}");
    }
}

/// Assignments to columns of `journal` that no code of ours writes, to an entry of each kind.
const BAD_VALUES: [(&str, &str); 7] = [
    ("journal.kind", "user_id = NULL WHERE kind = 'session'"),
    ("journal.user_id", "user_id = -1 WHERE kind = 'session'"),
    ("journal.subject", "subject = 'no id' WHERE kind = 'session'"),
    ("journal.subject", "subject = NULL WHERE kind = 'token'"),
    ("journal.version", "version = NULL WHERE kind = 'user'"),
    // It is a client's then, which has to be named.
    ("journal.subject", "user_id = NULL WHERE kind = 'user'"),
    ("journal.subject", "user_id = NULL, subject = '7' WHERE kind = 'user'"),
];

async fn one_of_each_kind(journal: &dyn RevocationJournal) {
    let user = user_id(1);
    for revoked in [
        session_of(1, 1),
        Journaled::User { user, below: SecurityVersion::new(2) },
        Journaled::Token { user, token: Uuid::from_u128(3).into() },
    ] {
        append(journal, &NewEntry { id: entry_id(), revoked, until: UNTIL }).await;
    }
}

async fn assert_corrupt(journal: &dyn RevocationJournal, place: &str, assignment: &str) {
    match journal.list_entries(partition(1), 0, i64::MAX, ALL).await {
        Err(StoreError::Corrupt { place: named, key, .. }) => {
            assert_eq!(named, place, "{assignment}");
            assert!(key.starts_with("position "), "{key}");
        }
        answer => panic!("{assignment}: {answer:?}"),
    }
}

#[tokio::test]
async fn sqlite_names_the_entry_that_means_nothing() {
    for (place, assignment) in BAD_VALUES {
        let database = Sqlite::migrated().await;
        one_of_each_kind(&database.store).await;
        let spoil = format!("UPDATE journal SET {assignment}");
        database.connection().await.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(&database.store, place, assignment).await;
    }
}

#[tokio::test]
async fn postgres_names_the_entry_that_means_nothing() {
    for (place, assignment) in BAD_VALUES {
        let database = Postgres::migrated().await;
        one_of_each_kind(&database.store).await;
        let spoil = format!("UPDATE journal SET {assignment}");
        database.connection().await.execute(AssertSqlSafe(spoil)).await.expect("a spoilt row");
        assert_corrupt(&database.store, place, assignment).await;
    }
}

/// A replica whose connections to Postgres can fall silent, as those of one do that is paused: the server
/// waits for its next word.
struct Pausable {
    proxy: SilentProxy,
    store: PostgresStore,
}

impl Pausable {
    async fn beside(database: &Postgres) -> Self {
        let proxy = SilentProxy::before(PostgresServer::shared().socket()).await;
        let name = database.url.rsplit('/').next().expect("a name");
        let url = format!("postgres://postgres@{}/{name}", proxy.address());
        let options = PostgresOptions { max_connections: 1, ..PostgresOptions::default() };
        let store = PostgresStore::connect(&url, options).await.expect("a server");
        Self { proxy, store }
    }

    /// Pauses it when its statement waits for the head that `lock` has, and gives that back: the server
    /// finishes the statement, and nobody hears of it.
    async fn pause_behind(&self, mut lock: Transaction<'_, Pg>) {
        let waiting = "SELECT EXISTS (SELECT 1 FROM pg_locks
                       WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)";
        let started = Instant::now();
        while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut *lock).await.expect("an answer") {
            assert!(started.elapsed() < 2 * BOUND, "nothing waits for the head");
        }
        self.proxy.fall_silent();
        // The relay has its turn while the server answers this.
        lock.execute("SELECT 1").await.expect("an answer");
        lock.rollback().await.expect("the lock given back");
    }
}

async fn lock_head(connection: &mut PgConnection, of: UserId) -> Transaction<'_, Pg> {
    let mut lock = connection.begin().await.expect("a transaction");
    sqlx::query("SELECT 1 FROM journal_heads WHERE partition = $1 FOR UPDATE")
        .bind(i16::from(Partition::of(of).number()))
        .execute(&mut *lock)
        .await
        .expect("the lock");
    lock
}

/// Its last statement has taken a position, and the commit does not come. Postgres gives up on it, and the
/// position goes to the next.
#[tokio::test]
async fn a_change_that_is_paused_before_its_commit_holds_up_nobody_for_long() {
    let database = Postgres::migrated().await;
    let direct = PostgresStore::connect(&database.url, PostgresOptions::default()).await.expect("a server");
    let ada = insert(&direct, &new_user("ada@example.com")).await;
    let replica = Pausable::beside(&database).await;
    let mut other = database.connection().await;
    let lock = lock_head(&mut other, ada.id).await;

    let wanted = AccountChange { email: Some(email("countess@example.com")), ..AccountChange::default() };
    let change = replica.store.change_account(ada.id, &wanted, event());
    let others = async {
        replica.pause_behind(lock).await;
        let started = Instant::now();
        let entry = new_entry(ada.id.get());
        let link = loop {
            match direct.append_entry(&entry).await {
                Ok(link) => break link,
                Err(error) => assert!(started.elapsed() < BOUND, "{error}"),
            }
        };
        assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
        assert_eq!(link, Link { at: Mark { position: 1, entry: entry.id }, previous: EntryId::NONE });
        assert_eq!(found(&direct, ada.id).await.security_version, ada.security_version);
        // Changes of its kind, which come one after the other, go on as well.
        let promoted = loop {
            match direct.change_account(ada.id, &promotion(), event()).await {
                Ok(promoted) => break promoted,
                Err(error) => assert!(started.elapsed() < BOUND, "{error}"),
            }
        };
        let ChangeOutcome::Changed { after, .. } = promoted else { panic!("{promoted:?}") };
        assert_eq!((after.link.at.position, after.link.previous), (2, entry.id));
        assert_eq!(after.user.email, ada.email);
    };
    let (paused, ()) = join(change, others).await;
    assert!(matches!(paused, Err(StoreError::Unavailable { .. })), "{paused:?}");
    assert_eq!(count_entries(&direct).await, 2);
}

/// Its only statement commits by itself: paused, it holds nothing.
#[tokio::test]
async fn an_append_that_is_paused_before_its_answer_holds_up_nobody() {
    let database = Postgres::migrated().await;
    let direct = PostgresStore::connect(&database.url, PostgresOptions::default()).await.expect("a server");
    let replica = Pausable::beside(&database).await;
    let user = user_id(1);
    let mut other = database.connection().await;
    let lock = lock_head(&mut other, user).await;

    let (first, second) = (new_entry(1), new_entry(1));
    let others = async {
        replica.pause_behind(lock).await;
        let link = append(&direct, &second).await;
        assert_eq!(link, Link { at: Mark { position: 2, entry: second.id }, previous: first.id });
    };
    let (paused, ()) = join(replica.store.append_entry(&first), others).await;
    assert!(matches!(paused, Err(StoreError::Unavailable { .. })), "{paused:?}");
    // Made again, as after any lost answer.
    assert_eq!(append(&direct, &first).await.at, Mark { position: 1, entry: first.id });
    assert_eq!(whole_chain(&direct, Partition::of(user)).await.len(), 2);
}
