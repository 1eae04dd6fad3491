//! The revocation journal on SQLite. Whoever writes holds the only write lock until the commit, so
//! positions come in the order of commits.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sqlx::{Sqlite, Transaction};

use super::super::calls::Work;
use super::super::failure::Failure;
use super::super::journal_rows::{self, Columns};
use super::super::rows::Entry;
use super::store::SqliteStore;
use crate::domain::clock::{Timestamp, millis_of};
use crate::domain::journal::{EntryId, JournalEntry, JournalHead, Link, Mark, NewEntry};
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::journal::RevocationJournal;

/// Writes an entry within the change that it belongs to.
/// It names the one before it (model: MarkFollowsTheChain).
pub(in crate::store::sql) async fn append_in(
    transaction: &mut Transaction<'_, Sqlite>,
    entry: &NewEntry,
) -> Result<Link, Failure> {
    let partition = i64::from(entry.revoked.partition().number());
    let given = sqlx::query(
        "UPDATE journal_heads SET position = position + 1, previous = entry, entry = ?2 WHERE partition = ?1
         RETURNING position, entry, previous",
    )
    .bind(partition)
    .bind(entry.id.get())
    .fetch_all(&mut **transaction)
    .await?;
    let row = given.first().ok_or(sqlx::Error::RowNotFound)?;
    let link = journal_rows::link(row)?;
    let columns = Columns::from(&entry.revoked);
    sqlx::query(
        "INSERT INTO journal (partition, position, entry, previous, kind, user_id, subject, version, until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .bind(partition)
    .bind(link.at.position)
    .bind(link.at.entry.get())
    .bind(link.previous.get())
    .bind(columns.kind)
    .bind(columns.user)
    .bind(columns.subject)
    .bind(columns.version)
    .bind(entry.until.as_millis())
    .execute(&mut **transaction)
    .await?;
    Ok(link)
}

#[async_trait]
impl RevocationJournal for SqliteStore {
    async fn journal_heads(&self) -> StoreResult<Vec<JournalHead>> {
        let select = sqlx::query(
            "SELECT partition, position, entry, incarnation FROM journal_heads ORDER BY partition",
        );
        let heads = self.on(Work::JournalReads, select.fetch_all(&self.readers)).await?;
        heads.iter().map(journal_rows::head).collect()
    }

    async fn append_entry(&self, entry: &NewEntry) -> StoreResult<Link> {
        self.on(Work::JournalWrites, async {
            let mut transaction = self.begin_change().await?;
            let standing = sqlx::query("SELECT position, entry, previous FROM journal WHERE entry = ?1")
                .bind(entry.id.get())
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some(standing) = standing {
                return Ok(journal_rows::link(&standing)?);
            }
            let link = append_in(&mut transaction, entry).await?;
            transaction.commit().await?;
            Ok::<_, Failure>(link)
        })
        .await
    }

    async fn list_entries(
        &self,
        partition: Partition,
        after: i64,
        last: i64,
        limit: u32,
    ) -> StoreResult<Vec<JournalEntry>> {
        let select = sqlx::query(
            "SELECT position, entry, previous, kind, user_id, subject, version, until FROM journal
             WHERE partition = ?1 AND position > ?2 AND position <= ?3 ORDER BY position LIMIT ?4",
        )
        .bind(i64::from(partition.number()))
        .bind(after)
        .bind(last)
        .bind(i64::from(limit));
        let entries = self.on(Work::JournalReads, select.fetch_all(&self.readers)).await?;
        entries.iter().map(journal_rows::entry).collect()
    }

    async fn find_entries(&self, positions: &[(Partition, i64)]) -> StoreResult<Vec<Option<EntryId>>> {
        let asked: Vec<_> =
            positions.iter().map(|(partition, position)| json!([partition.number(), position])).collect();
        // CROSS JOIN: the positions come first, and each is looked up by the key.
        let select = sqlx::query(
            "SELECT journal.partition, journal.position, journal.entry FROM json_each(?1) AS asked
             CROSS JOIN journal
             WHERE journal.partition = asked.value->>0 AND journal.position = asked.value->>1",
        )
        .bind(json!(asked).to_string());
        let rows = self.on(Work::JournalReads, select.fetch_all(&self.readers)).await?;
        journal_rows::at_positions(&rows, positions)
    }

    /// Asked before a replay (model: NoReplayAcrossAHole).
    async fn has_hole(&self, partition: Partition, after: i64, last: i64) -> StoreResult<bool> {
        let select = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM journal_holes WHERE partition = ?1 AND first <= ?3 AND last > ?2)",
        )
        .bind(i64::from(partition.number()))
        .bind(after)
        .bind(last);
        self.on(Work::JournalReads, select.fetch_one(&self.readers)).await
    }

    /// The hole is written in the same commit (model: HoleIsWrittenDown).
    async fn join_history(&self, partition: Partition, position: i64, join: EntryId) -> StoreResult<Mark> {
        self.on(Work::JournalWrites, async {
            let partition = i64::from(partition.number());
            let mut transaction = self.begin_change().await?;
            let joined = sqlx::query(
                "UPDATE journal_heads SET position = max(position, ?2) + 1, previous = entry, entry = ?3
                 WHERE partition = ?1 RETURNING position, entry",
            )
            .bind(partition)
            .bind(position)
            .bind(join.get())
            .fetch_all(&mut *transaction)
            .await?;
            let mark = journal_rows::mark(joined.first().ok_or(sqlx::Error::RowNotFound)?)?;
            sqlx::query(
                "INSERT INTO journal_holes (partition, first, last) VALUES (?1, 1, ?2)
                 ON CONFLICT (partition, first) DO UPDATE SET last = max(last, excluded.last)",
            )
            .bind(partition)
            .bind(mark.position)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok::<_, Failure>(mark)
        })
        .await
    }

    async fn adopt_incarnation(&self, partition: Partition, incarnation: i64) -> StoreResult<()> {
        let update = sqlx::query(
            "UPDATE journal_heads SET incarnation = ?2 WHERE partition = ?1 AND incarnation < ?2",
        )
        .bind(i64::from(partition.number()))
        .bind(incarnation);
        self.on(Work::JournalWrites, update.execute(&self.writer)).await.map(drop)
    }

    /// Only over the incarnation that was read, and with a greater one (model: IncarnationsAreNew).
    async fn begin_incarnation(
        &self,
        partitions: &[(Partition, i64)],
        number: i64,
    ) -> StoreResult<Vec<Partition>> {
        let given: Vec<_> =
            partitions.iter().map(|(partition, known)| json!([partition.number(), known])).collect();
        let update = sqlx::query(
            "UPDATE journal_heads SET incarnation = ?2
             WHERE incarnation < ?2
               AND EXISTS (SELECT 1 FROM json_each(?1) WHERE value->>0 = partition AND value->>1 = incarnation)
             RETURNING partition",
        )
        .bind(json!(given).to_string())
        .bind(number);
        let begun = self.on(Work::JournalWrites, update.fetch_all(&self.writer)).await?;
        begun
            .iter()
            .map(|row| journal_rows::partition(&Entry { row, key: "an unreadable partition".to_owned() }))
            .collect()
    }

    async fn prune_journal(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        let delete = sqlx::query(
            "DELETE FROM journal WHERE (partition, position) IN
               (SELECT partition, position FROM journal WHERE until < ?1 ORDER BY until LIMIT ?2)",
        )
        .bind(before.as_millis())
        .bind(i64::from(limit));
        Ok(self.on(Work::JournalWrites, delete.execute(&self.writer)).await?.rows_affected())
    }

    async fn note_mirror_staleness(&self, staleness: Duration) -> StoreResult<()> {
        let update =
            sqlx::query("UPDATE journal_readers SET mirror_staleness = ?1 WHERE mirror_staleness < ?1")
                .bind(millis_of(staleness));
        self.on(Work::JournalWrites, update.execute(&self.writer)).await.map(drop)
    }

    async fn mirror_staleness(&self) -> StoreResult<Duration> {
        let select = sqlx::query_scalar("SELECT mirror_staleness FROM journal_readers");
        let millis: i64 = self.on(Work::JournalReads, select.fetch_one(&self.readers)).await?;
        Ok(Duration::from_millis(millis.unsigned_abs()))
    }
}
