//! The revocation journal on Postgres. The statement that gives a position locks the partition's row
//! of `journal_heads` until its commit, so positions come in the order of commits. An append commits in the
//! exchange that it comes in, and a replica that is paused holds none open.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::super::calls::Work;
use super::super::failure::Failure;
use super::super::journal_rows::{self, Columns};
use super::super::rows::Entry;
use super::pool::Transaction;
use super::store::PostgresStore;
use super::users::violates;
use crate::domain::clock::{Timestamp, millis_of};
use crate::domain::journal::{EntryId, JournalEntry, JournalHead, Link, Mark, NewEntry};
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::journal::RevocationJournal;

/// The statement that writes an entry down. It is without parameters, to be sent together with its commit: numbers, and
/// names that are quoted. Each entry names the one before it (model: MarkFollowsTheChain).
fn append(entry: &NewEntry) -> String {
    let columns = Columns::from(&entry.revoked);
    format!(
        "WITH head AS (
           UPDATE journal_heads SET position = position + 1, previous = entry, entry = {entry}
           WHERE partition = {partition} AND NOT EXISTS (SELECT 1 FROM journal WHERE entry = {entry})
           RETURNING position, previous
         )
         INSERT INTO journal (partition, position, entry, previous, kind, user_id, subject, version, until)
         SELECT {partition}, position, {entry}, previous, {kind}, {user}, {subject}, {version}, {until} FROM head
         RETURNING position, entry, previous",
        partition = i16::from(entry.revoked.partition().number()),
        kind = text(Some(columns.kind)),
        user = number(columns.user),
        subject = text(columns.subject.as_deref()),
        version = number(columns.version),
        until = entry.until.as_millis(),
        entry = entry.id.get(),
    )
}

/// Writes an entry down within the change that it belongs to, as its last statement.
pub(in crate::store::sql) async fn append_in(
    transaction: &mut Transaction,
    entry: &NewEntry,
) -> Result<Link, Failure> {
    let written = sqlx::raw_sql(AssertSqlSafe(append(entry))).fetch_all(transaction.connection()?).await?;
    Ok(journal_rows::link(written.first().ok_or(sqlx::Error::RowNotFound)?)?)
}

#[async_trait]
impl RevocationJournal for PostgresStore {
    async fn journal_heads(&self) -> StoreResult<Vec<JournalHead>> {
        let select = sqlx::query(
            "SELECT partition::bigint AS partition, position, entry, incarnation FROM journal_heads ORDER BY partition",
        );
        let heads = self.on(Work::JournalReads, select.fetch_all(&self.pool)).await?;
        heads.iter().map(journal_rows::head).collect()
    }

    async fn append_entry(&self, entry: &NewEntry) -> StoreResult<Link> {
        let append = append(entry);
        let written = self
            .on(Work::JournalWrites, async {
                match self.pool.run_by_itself(&append).await {
                    // Somebody else has written the same entry down since the statement looked; nothing
                    // of it stands, its position included.
                    Err(error) if violates(&error, "journal_entry_key") => Ok(Vec::new()),
                    answer => answer,
                }
            })
            .await?;
        if let Some(row) = written.first() {
            return journal_rows::link(row);
        }
        let select = sqlx::query("SELECT position, entry, previous FROM journal WHERE entry = $1")
            .bind(entry.id.get());
        journal_rows::link(&self.on(Work::JournalWrites, select.fetch_one(&self.pool)).await?)
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
             WHERE partition = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4",
        )
        .bind(i16::from(partition.number()))
        .bind(after)
        .bind(last)
        .bind(i64::from(limit));
        let entries = self.on(Work::JournalReads, select.fetch_all(&self.pool)).await?;
        entries.iter().map(journal_rows::entry).collect()
    }

    async fn find_entries(&self, positions: &[(Partition, i64)]) -> StoreResult<Vec<Option<EntryId>>> {
        let (partitions, numbers): (Vec<i16>, Vec<i64>) =
            positions.iter().map(|(partition, position)| (i16::from(partition.number()), *position)).unzip();
        let select = sqlx::query(
            "SELECT journal.partition::bigint AS partition, journal.position, journal.entry
             FROM UNNEST($1::smallint[], $2::bigint[]) AS asked (partition, position)
             JOIN journal ON journal.partition = asked.partition AND journal.position = asked.position",
        )
        .bind(partitions)
        .bind(numbers);
        let rows = self.on(Work::JournalReads, select.fetch_all(&self.pool)).await?;
        journal_rows::at_positions(&rows, positions)
    }

    /// Asked before a replay (model: NoReplayAcrossAHole).
    async fn has_hole(&self, partition: Partition, after: i64, last: i64) -> StoreResult<bool> {
        let select = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM journal_holes WHERE partition = $1 AND first <= $3 AND last > $2)",
        )
        .bind(i16::from(partition.number()))
        .bind(after)
        .bind(last);
        self.on(Work::JournalReads, select.fetch_one(&self.pool)).await
    }

    /// The hole is written in the same commit (model: HoleIsWrittenDown).
    async fn join_history(&self, partition: Partition, position: i64, join: EntryId) -> StoreResult<Mark> {
        let update = sqlx::query(
            "WITH head AS (
               UPDATE journal_heads SET position = greatest(position, $2) + 1, previous = entry, entry = $3
               WHERE partition = $1 RETURNING position, entry
             ),
             hole AS (
               INSERT INTO journal_holes (partition, first, last) SELECT $1, 1, position FROM head
               ON CONFLICT (partition, first) DO UPDATE SET last = greatest(journal_holes.last, excluded.last)
             )
             SELECT position, entry FROM head",
        )
        .bind(i16::from(partition.number()))
        .bind(position)
        .bind(join.get());
        journal_rows::mark(&self.on(Work::JournalWrites, update.fetch_one(&self.pool)).await?)
    }

    async fn adopt_incarnation(&self, partition: Partition, incarnation: i64) -> StoreResult<()> {
        let update = sqlx::query(
            "UPDATE journal_heads SET incarnation = $2 WHERE partition = $1 AND incarnation < $2",
        )
        .bind(i16::from(partition.number()))
        .bind(incarnation);
        self.on(Work::JournalWrites, update.execute(&self.pool)).await.map(drop)
    }

    /// Only over the incarnation that was read, and with a greater one (model: IncarnationsAreNew).
    async fn begin_incarnation(
        &self,
        partitions: &[(Partition, i64)],
        number: i64,
    ) -> StoreResult<Vec<Partition>> {
        let (numbers, known): (Vec<i16>, Vec<i64>) =
            partitions.iter().map(|(partition, known)| (i16::from(partition.number()), *known)).unzip();
        let update = sqlx::query(
            "UPDATE journal_heads AS head SET incarnation = $3
             FROM UNNEST($1::smallint[], $2::bigint[]) AS given (partition, known)
             WHERE head.partition = given.partition AND head.incarnation = given.known AND head.incarnation < $3
             RETURNING head.partition::bigint AS partition",
        )
        .bind(numbers)
        .bind(known)
        .bind(number);
        let begun = self.on(Work::JournalWrites, update.fetch_all(&self.pool)).await?;
        begun
            .iter()
            .map(|row| journal_rows::partition(&Entry { row, key: "an unreadable partition".to_owned() }))
            .collect()
    }

    async fn prune_journal(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        let delete = sqlx::query(
            "DELETE FROM journal WHERE (partition, position) IN
               (SELECT partition, position FROM journal WHERE until < $1 ORDER BY until LIMIT $2)",
        )
        .bind(before.as_millis())
        .bind(i64::from(limit));
        Ok(self.on(Work::JournalWrites, delete.execute(&self.pool)).await?.rows_affected())
    }

    async fn note_mirror_staleness(&self, staleness: Duration) -> StoreResult<()> {
        let update =
            sqlx::query("UPDATE journal_readers SET mirror_staleness = $1 WHERE mirror_staleness < $1")
                .bind(millis_of(staleness));
        self.on(Work::JournalWrites, update.execute(&self.pool)).await.map(drop)
    }

    async fn mirror_staleness(&self) -> StoreResult<Duration> {
        let select = sqlx::query_scalar("SELECT mirror_staleness FROM journal_readers");
        let millis: i64 = self.on(Work::JournalReads, select.fetch_one(&self.pool)).await?;
        Ok(Duration::from_millis(millis.unsigned_abs()))
    }
}

/// A number as it stands in a statement.
fn number(value: Option<i64>) -> String {
    value.map_or_else(|| "NULL::bigint".to_owned(), |value| format!("({value})::bigint"))
}

/// A text as it stands in a statement: one with escapes, whatever `standard_conforming_strings` says
/// (Postgres' manual, 4.1.2.2).
fn text(value: Option<&str>) -> String {
    let Some(value) = value else { return "NULL::text".to_owned() };
    format!("E'{}'::text", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_where_it_ends() {
        for (value, written) in [
            ("user", r"E'user'::text"),
            ("it's", r"E'it\'s'::text"),
            (r"\", r"E'\\'::text"),
            (r"\' OR 1=1 --", r"E'\\\' OR 1=1 --'::text"),
        ] {
            assert_eq!(text(Some(value)), written);
        }
        assert_eq!(
            (text(None), number(None), number(Some(-1))),
            ("NULL::text".into(), "NULL::bigint".into(), "(-1)::bigint".into())
        );
    }
}
