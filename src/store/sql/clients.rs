//! Clients, in SQL: one text for both engines.

use async_trait::async_trait;

use super::calls::Work;
use super::failure::Failure;
use super::postgres::{self, PostgresStore};
use super::rows;
use super::sqlite::{self, SqliteStore};
use crate::domain::audiences::Audiences;
use crate::domain::client::{Client, ClientChange, ClientId, ClientSecretHash, NewClient};
use crate::domain::clock::Timestamp;
use crate::domain::journal::{EventEntry, Journaled, NewEntry};
use crate::domain::metadata::Metadata;
use crate::store::clients::{ClientStore, InsertClientOutcome};
use crate::store::cut_offs::ClientEnd;
use crate::store::error::StoreResult;

macro_rules! keep_clients {
    ($store:ty, $journal:ident) => {
        #[async_trait]
        impl ClientStore for $store {
            async fn insert_client(
                &self,
                client: &NewClient,
                free_since: Timestamp,
            ) -> StoreResult<InsertClientOutcome> {
                self.on(Work::ClientWrites, async {
                    let mut transaction = self.begin_change().await?;
                    let inserted = sqlx::query(
                        "INSERT INTO clients (id, scopes, audience, created_at, audiences, exchange, metadata)
                         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                    )
                    .bind(client.id.as_str())
                    .bind(client.scopes.to_string())
                    .bind(client.audience.as_deref())
                    .bind(client.created_at.as_millis())
                    .bind(client.audiences.encode())
                    .bind(client.exchange)
                    .bind(client.metadata.to_text())
                    .execute(transaction.as_mut())
                    .await?;
                    if inserted.rows_affected() == 0 {
                        return Ok(InsertClientOutcome::Taken);
                    }
                    // What is not committed leaves nothing.
                    let select = sqlx::query_scalar::<_, Option<i64>>(
                        "SELECT max(until) FROM journal
                         WHERE partition = 64 AND kind = 'user' AND subject = $1 AND until >= $2",
                    )
                    .bind(client.id.as_str())
                    .bind(free_since.as_millis());
                    if let Some(until) = select.fetch_one(transaction.as_mut()).await? {
                        return Ok(InsertClientOutcome::Deleted { until: Timestamp::from_millis(until) });
                    }
                    sqlx::query(
                        "INSERT INTO client_secrets (client_id, hash, created_at) VALUES ($1, $2, $3)",
                    )
                    .bind(client.id.as_str())
                    .bind(client.secret.as_bytes().as_slice())
                    .bind(client.created_at.as_millis())
                    .execute(transaction.as_mut())
                    .await?;
                    transaction.commit().await?;
                    Ok::<_, Failure>(InsertClientOutcome::Inserted)
                })
                .await
            }

            async fn find_client(&self, id: &ClientId) -> StoreResult<Option<Client>> {
                let select = sqlx::query(
                    "SELECT id, scopes, audience, audiences, exchange, metadata, clients.created_at AS created_at, hash
                     FROM clients LEFT JOIN client_secrets ON client_id = id
                     WHERE id = $1 ORDER BY client_secrets.created_at DESC, hash",
                )
                .bind(id.as_str());
                let found = self.on(Work::ClientReads, select.fetch_all(self.reader())).await?;
                Ok(rows::clients(&found)?.pop())
            }

            async fn list_clients(&self) -> StoreResult<Vec<Client>> {
                let select = sqlx::query(
                    "SELECT id, scopes, audience, audiences, exchange, metadata, clients.created_at AS created_at, hash
                     FROM clients LEFT JOIN client_secrets ON client_id = id
                     ORDER BY id, client_secrets.created_at DESC, hash",
                );
                rows::clients(&self.on(Work::ClientReads, select.fetch_all(self.reader())).await?)
            }

            async fn add_client_secret(
                &self,
                id: &ClientId,
                secret: &ClientSecretHash,
                now: Timestamp,
                drop_others: bool,
            ) -> StoreResult<bool> {
                self.on(Work::ClientWrites, async {
                    let mut transaction = self.begin_change().await?;
                    let exists = sqlx::query("SELECT 1 FROM clients WHERE id = $1").bind(id.as_str());
                    if exists.fetch_optional(transaction.as_mut()).await?.is_none() {
                        return Ok(false);
                    }
                    // All of them, or all but the newest.
                    sqlx::query(
                        "DELETE FROM client_secrets WHERE client_id = $1 AND hash NOT IN (
                           SELECT hash FROM client_secrets WHERE client_id = $1
                           ORDER BY created_at DESC, hash LIMIT $2)",
                    )
                    .bind(id.as_str())
                    .bind(i64::from(!drop_others))
                    .execute(transaction.as_mut())
                    .await?;
                    sqlx::query(
                        "INSERT INTO client_secrets (client_id, hash, created_at) VALUES ($1, $2, $3)",
                    )
                    .bind(id.as_str())
                    .bind(secret.as_bytes().as_slice())
                    .bind(now.as_millis())
                    .execute(transaction.as_mut())
                    .await?;
                    transaction.commit().await?;
                    Ok::<_, Failure>(true)
                })
                .await
            }

            async fn change_client(&self, id: &ClientId, change: &ClientChange) -> StoreResult<bool> {
                let update = sqlx::query(
                    "UPDATE clients SET audience = CASE WHEN $2 THEN $3 ELSE audience END,
                       audiences = COALESCE($4, audiences), exchange = COALESCE($5, exchange),
                       metadata = CASE WHEN $6 THEN $7 ELSE metadata END
                     WHERE id = $1",
                )
                .bind(id.as_str())
                .bind(change.audience.is_some())
                .bind(change.audience.clone().flatten())
                .bind(change.audiences.as_ref().map(Audiences::encode))
                .bind(change.exchange)
                .bind(change.metadata.is_some())
                .bind(change.metadata.as_ref().and_then(Metadata::to_text));
                let updated = self.on(Work::ClientWrites, update.execute(self.writer())).await?;
                Ok(updated.rows_affected() == 1)
            }

            async fn delete_client(
                &self,
                id: &ClientId,
                EventEntry { id: entry, until, .. }: EventEntry,
            ) -> StoreResult<Option<ClientEnd>> {
                self.on(Work::ClientWrites, async {
                    let mut transaction = self.begin_change().await?;
                    let delete = sqlx::query("DELETE FROM clients WHERE id = $1").bind(id.as_str());
                    if delete.execute(transaction.as_mut()).await?.rows_affected() == 0 {
                        return Ok(None);
                    }
                    let new = NewEntry { id: entry, revoked: Journaled::Client(id.clone()), until };
                    let link = $journal::append_in(&mut transaction, &new).await?;
                    transaction.commit().await?;
                    Ok::<_, Failure>(Some(ClientEnd { client: id.clone(), link, until }))
                })
                .await
            }
        }
    };
}

keep_clients!(PostgresStore, postgres);
keep_clients!(SqliteStore, sqlite);
