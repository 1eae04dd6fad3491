//! Clients that are deleted: what is written down of it, and when their id is free.

use hallpass::domain::client::{ClientId, ClientSecretHash, NewClient};
use hallpass::domain::clock::Timestamp;
use hallpass::domain::journal::{EntryId, EventEntry, JournalEntry, Journaled, Mark};
use hallpass::domain::partition::Partition;
use hallpass::store::clients::{ClientStore, InsertClientOutcome};
use hallpass::store::journal::RevocationJournal;

use super::at_once;

const AT: Timestamp = Timestamp::from_millis(1_000_000);
const UNTIL: Timestamp = Timestamp::from_millis(2_000_000);

fn id(text: &str) -> ClientId {
    text.parse().expect("a client id")
}

fn client(id: ClientId) -> NewClient {
    NewClient {
        id,
        scopes: Default::default(),
        audience: None,
        audiences: Default::default(),
        exchange: false,
        metadata: Default::default(),
        secret: ClientSecretHash::new([7; 32]),
        created_at: AT,
    }
}

fn entry(number: i64) -> EventEntry {
    EventEntry { id: EntryId::new(number), at: AT, until: UNTIL }
}

async fn insert<T: ClientStore>(database: &T, text: &str, free_since: Timestamp) -> InsertClientOutcome {
    database.insert_client(&client(id(text)), free_since).await.expect("an answer")
}

async fn entries<T: RevocationJournal>(database: &T) -> Vec<JournalEntry> {
    database.list_entries(Partition::EVERYBODY, 0, i64::MAX, 100).await.expect("an answer")
}

pub async fn a_deleted_client_is_gone_and_its_end_is_written_down<T>(database: &T)
where
    T: ClientStore + RevocationJournal,
{
    for text in ["orders", "order"] {
        assert_eq!(insert(database, text, AT).await, InsertClientOutcome::Inserted);
    }
    let end = database.delete_client(&id("orders"), entry(7)).await.expect("an answer").expect("its end");
    assert_eq!((end.client.as_str(), end.until), ("orders", UNTIL));
    assert_eq!(end.link.at, Mark { position: 1, entry: EntryId::new(7) });
    let expected = JournalEntry { link: end.link, revoked: Journaled::Client(id("orders")), until: UNTIL };
    assert_eq!(entries(database).await, [expected]);
    assert!(database.find_client(&id("orders")).await.expect("an answer").is_none());
    assert!(database.find_client(&id("order")).await.expect("an answer").is_some());
    // Whoever is not there has no end.
    for text in ["orders", "nobody"] {
        assert_eq!(database.delete_client(&id(text), entry(8)).await.expect("an answer"), None);
    }
    assert_eq!(entries(database).await.len(), 1);
}

pub async fn the_id_of_a_deleted_client_is_free_when_its_end_matters_no_more<T>(database: &T)
where
    T: ClientStore + RevocationJournal,
{
    insert(database, "orders", AT).await;
    database.delete_client(&id("orders"), entry(7)).await.expect("an answer");
    let after = Timestamp::from_millis(UNTIL.as_millis() + 1);
    for free_since in [AT, UNTIL] {
        let outcome = insert(database, "orders", free_since).await;
        assert_eq!(outcome, InsertClientOutcome::Deleted { until: UNTIL });
        assert!(database.find_client(&id("orders")).await.expect("an answer").is_none());
    }
    for other in ["order", "orders2"] {
        assert_eq!(insert(database, other, AT).await, InsertClientOutcome::Inserted, "{other}");
    }
    assert_eq!(insert(database, "orders", after).await, InsertClientOutcome::Inserted);
    assert_eq!(insert(database, "orders", after).await, InsertClientOutcome::Taken);
}

pub async fn of_many_who_delete_a_client_one_does<T>(database: &T)
where
    T: ClientStore + RevocationJournal,
{
    insert(database, "orders", AT).await;
    let orders = id("orders");
    let ends = at_once(8, async |number| {
        database.delete_client(&orders, entry(i64::from(number) + 1)).await.expect("an answer")
    })
    .await;
    assert_eq!(ends.iter().flatten().count(), 1);
    assert_eq!(entries(database).await.len(), 1);
}
