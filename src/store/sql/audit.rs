//! The audit log, in SQL: one text for both engines.

use async_trait::async_trait;
use sqlx::{Postgres, QueryBuilder, Sqlite};

use super::audit_rows::{self, audit_columns};
use super::calls::Work;
use super::failure::Failure;
use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use crate::domain::audit::{AuditEntry, AuditFilter, AuditId, RecordedEntry};
use crate::domain::clock::Timestamp;
use crate::store::audit::AuditStore;
use crate::store::error::StoreResult;

/// Entries in one statement, which takes so many values at most.
const CHUNK: usize = 500;

macro_rules! keep_audit_log {
    ($store:ty, $database:ty) => {
        #[async_trait]
        impl AuditStore for $store {
            async fn append_audit(&self, entries: &[AuditEntry]) -> StoreResult<()> {
                self.on(Work::AuditWrites, async {
                    let mut transaction = self.begin_write().await?;
                    for chunk in entries.chunks(CHUNK) {
                        let mut insert = QueryBuilder::<$database>::new(
                            "INSERT INTO audit_log
                             (event, at, action, actor, user_id, session_id, token_id, address, reason, object, count) ",
                        );
                        insert.push_values(chunk, |mut row, entry| {
                            row.push_bind(entry.event.to_string())
                                .push_bind(entry.at.as_millis())
                                .push_bind(entry.action.as_str())
                                .push_bind(entry.actor.to_string())
                                .push_bind(entry.user.map(|user| user.get()))
                                .push_bind(entry.session.map(|session| session.to_string()))
                                .push_bind(entry.token.map(|token| token.to_string()))
                                .push_bind(entry.address.map(|address| address.to_string()))
                                .push_bind(entry.reason.map(|reason| reason.as_str()))
                                .push_bind(entry.object.as_deref())
                                .push_bind(entry.count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)));
                        });
                        insert.push(" ON CONFLICT (event) DO NOTHING");
                        insert.build().execute(transaction.as_mut()).await?;
                    }
                    transaction.commit().await
                })
                .await
            }

            async fn list_audit(
                &self,
                filter: &AuditFilter,
                before: Option<AuditId>,
                limit: u32,
            ) -> StoreResult<Vec<RecordedEntry>> {
                let AuditFilter { user, actor, session, token, action, reason, since, until } = filter;
                let mut select = QueryBuilder::<$database>::new(concat!(
                    "SELECT ",
                    audit_columns!(),
                    " FROM audit_log WHERE id < "
                ));
                select.push_bind(before.map_or(i64::MAX, AuditId::get));
                if let Some(user) = user {
                    select.push(" AND user_id = ").push_bind(user.get());
                }
                if let Some(actor) = actor {
                    select.push(" AND actor = ").push_bind(actor.to_string());
                }
                if let Some(session) = session {
                    select.push(" AND session_id = ").push_bind(session.to_string());
                }
                if let Some(token) = token {
                    select.push(" AND token_id = ").push_bind(token.to_string());
                }
                if let Some(action) = action {
                    select.push(" AND action = ").push_bind(action.as_str());
                }
                if let Some(reason) = reason {
                    select.push(" AND reason = ").push_bind(reason.as_str());
                }
                if let Some(since) = since {
                    select.push(" AND at >= ").push_bind(since.as_millis());
                }
                if let Some(until) = until {
                    select.push(" AND at < ").push_bind(until.as_millis());
                }
                select.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
                let page = self.on(Work::AuditReads, select.build().fetch_all(self.reader())).await?;
                page.iter().map(audit_rows::recorded).collect()
            }

            async fn prune_audit(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
                self.on(Work::AuditWrites, async {
                    let mut transaction = self.begin_write().await?;
                    // What the trigger lets go.
                    sqlx::query("UPDATE audit_log_horizon SET at = CASE WHEN at < $1 THEN $1 ELSE at END")
                        .bind(before.as_millis())
                        .execute(transaction.as_mut())
                        .await?;
                    let pruned = sqlx::query(
                        "DELETE FROM audit_log
                         WHERE id IN (SELECT id FROM audit_log WHERE at < $1 ORDER BY at LIMIT $2)",
                    )
                    .bind(before.as_millis())
                    .bind(i64::from(limit))
                    .execute(transaction.as_mut())
                    .await?;
                    transaction.commit().await?;
                    Ok::<_, Failure>(pruned.rows_affected())
                })
                .await
            }

            async fn audit_horizon(&self) -> StoreResult<Timestamp> {
                let select = sqlx::query_scalar("SELECT at FROM audit_log_horizon").fetch_one(self.reader());
                self.on(Work::AuditReads, select).await.map(Timestamp::from_millis)
            }
        }
    };
}

keep_audit_log!(PostgresStore, Postgres);
keep_audit_log!(SqliteStore, Sqlite);
