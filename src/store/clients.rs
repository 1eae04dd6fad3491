//! OAuth clients, in SQL.

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::client::{Client, ClientChange, ClientId, ClientSecretHash, NewClient};
use crate::domain::clock::Timestamp;
use crate::domain::journal::EventEntry;
use crate::store::cut_offs::ClientEnd;

/// What became of a client that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertClientOutcome {
    /// It is there.
    Inserted,
    /// Another one has its id.
    Taken,
    /// One of its id was deleted, and the journal still says so: until then, whoever follows revocations refuses tokens of
    /// that id.
    Deleted {
        /// When that matters no more.
        until: Timestamp,
    },
}

/// What keeps the clients.
#[async_trait]
pub trait ClientStore: Send + Sync + 'static {
    /// Adds a client, unless its id is one's, or was one's whose end matters at `free_since` or later.
    async fn insert_client(
        &self,
        client: &NewClient,
        free_since: Timestamp,
    ) -> StoreResult<InsertClientOutcome>;

    /// The client of that id.
    async fn find_client(&self, id: &ClientId) -> StoreResult<Option<Client>>;

    /// All clients in the order of their ids. There are as many as services, not as users.
    async fn list_clients(&self) -> StoreResult<Vec<Client>>;

    /// Adds a secret. Of those that were there only the newest stays beside it, and with
    /// `drop_others` none. Answers whether there is such a client.
    async fn add_client_secret(
        &self,
        id: &ClientId,
        secret: &ClientSecretHash,
        now: Timestamp,
        drop_others: bool,
    ) -> StoreResult<bool>;

    /// Changes a client in one step; answers whether there is one.
    async fn change_client(&self, id: &ClientId, change: &ClientChange) -> StoreResult<bool>;

    /// Deletes a client and writes that into the journal, in one commit; `None` when there is none.
    async fn delete_client(&self, id: &ClientId, entry: EventEntry) -> StoreResult<Option<ClientEnd>>;
}
