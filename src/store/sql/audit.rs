//! The audit log, in SQL: one text for both engines.

use async_trait::async_trait;
use sqlx::{Database, Encode, Postgres, QueryBuilder, Sqlite, Type};

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

/// How many entries a span of time may have, at most, that it is a short one.
const FEW: i64 = 5_000;

/// Whether few entries are of that time: answers how many, and [`FEW`] and one where they are more.
fn count_few<DB>(begin: &str, filter: &AuditFilter) -> QueryBuilder<DB>
where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut count = QueryBuilder::new(format!("{begin} count(*) FROM (SELECT at FROM audit_log WHERE "));
    push_time(&mut count, filter);
    count.push(" LIMIT ").push_bind(FEW + 1).push(") AS few");
    count
}

/// A page in the order of ids, which is nearly that of time, but no index has both: the entries of a short time are
/// looked up by it and put in order. Those of a long one are found along the order.
fn select_page<DB>(
    explain: &str,
    columns: &str,
    filter: &AuditFilter,
    before: Option<AuditId>,
    limit: u32,
    are_few: bool,
) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut select = QueryBuilder::new(explain);
    if are_few {
        select.push("WITH few AS MATERIALIZED (SELECT * FROM audit_log WHERE ");
        push_time(&mut select, filter);
        select.push(") ").push(columns).push(" FROM few WHERE id < ");
    } else {
        select.push(columns).push(" FROM audit_log WHERE id < ");
    }
    select.push_bind(before.map_or(i64::MAX, AuditId::get));
    let AuditFilter { user, actor, session, token, action, reason, since, until } = filter;
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
    if !are_few && (since.is_some() || until.is_some()) {
        select.push(" AND ");
        push_time(&mut select, filter);
    }
    select.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
    select
}

/// The span of time of a filter, as a condition.
fn push_time<DB>(select: &mut QueryBuilder<DB>, AuditFilter { since, until, .. }: &AuditFilter)
where
    DB: Database,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let first = since.map_or(i64::MIN, Timestamp::as_millis);
    select.push("at >= ").push_bind(first);
    if let Some(until) = until {
        select.push(" AND at < ").push_bind(until.as_millis());
    }
}

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
                let are_few = filter.since.is_some() || filter.until.is_some();
                let are_few = are_few && {
                    let mut count = count_few::<$database>("SELECT", filter);
                    let count = count.build_query_scalar::<i64>().fetch_one(self.reader());
                    self.on(Work::AuditReads, count).await? <= FEW
                };
                let columns = concat!("SELECT ", audit_columns!());
                let mut select = select_page::<$database>("", columns, filter, before, limit, are_few);
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

#[cfg(test)]
mod tests {
    use sqlx::{Connection, Row, SqliteConnection};

    use super::*;
    use crate::domain::audit::{AuditAction, AuditActor, Reason};
    use crate::store::sql::sqlite::SqliteOptions;

    #[tokio::test]
    async fn no_page_of_few_entries_looks_at_all_of_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/hallpass.db", folder.path().display());
        let store = SqliteStore::connect(&url, SqliteOptions::default()).await.expect("a file");
        store.migrate().await.expect("its tables");
        let mut connection = SqliteConnection::connect(&url).await.expect("a connection");
        let (since, until) = (Some(Timestamp::from_millis(1)), Some(Timestamp::from_millis(2)));
        let all = AuditFilter::default;
        let short = || AuditFilter { since, until, ..all() };
        let common = Some(AuditAction::LoginSucceeded);
        let cases = [
            (all(), false, "PRIMARY KEY"),
            (AuditFilter { actor: Some(AuditActor::Anonymous), ..all() }, false, "audit_log_by_actor"),
            (AuditFilter { action: common, ..all() }, false, "audit_log_by_action"),
            (AuditFilter { reason: Some(Reason::RevokedByAdmin), ..all() }, false, "audit_log_by_reason"),
            (short(), true, "audit_log_by_time"),
            (AuditFilter { until, ..all() }, true, "audit_log_by_time"),
            (AuditFilter { action: common, ..short() }, true, "audit_log_by_time"),
            (AuditFilter { action: common, since, ..all() }, false, "audit_log_by_action"),
        ];
        for (filter, are_few, index) in cases {
            let explain = "EXPLAIN QUERY PLAN ";
            let mut page = select_page::<Sqlite>(explain, "SELECT id, event", &filter, None, 50, are_few);
            let steps = page.build().fetch_all(&mut connection).await.expect("a plan");
            let steps: Vec<String> = steps.iter().map(|row| row.get("detail")).collect();
            assert!(steps.iter().any(|step| step.contains(index)), "{filter:?}, {index}: {steps:?}");
            assert!(!steps.iter().any(|step| step.starts_with("SCAN audit_log")), "{filter:?}: {steps:?}");
            let mut count = count_few::<Sqlite>("EXPLAIN QUERY PLAN SELECT", &filter);
            let steps = count.build().fetch_all(&mut connection).await.expect("a plan");
            assert!(steps.iter().any(|row| row.get::<String, _>("detail").contains("audit_log_by_time")));
        }
    }
}
