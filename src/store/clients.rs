//! OAuth clients, in SQL.

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::client::{Client, ClientChange, ClientId, ClientSecretHash, NewClient};
use crate::domain::clock::Timestamp;

/// What keeps the clients.
#[async_trait]
pub trait ClientStore: Send + Sync + 'static {
    /// Adds a client; answers whether its id was free.
    async fn insert_client(&self, client: &NewClient) -> StoreResult<bool>;

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

    /// Deletes a client; answers whether there was one.
    async fn delete_client(&self, id: &ClientId) -> StoreResult<bool>;
}
