//! Deletes what has ended. No answer depends on it: every read compares deadlines itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::SqlitePool;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::time::EmbeddedTime;
use crate::domain::causes::with_causes;
use crate::domain::clock::{Timestamp, millis_of};
use crate::domain::session::Session;

/// A session that has ended by itself stays for this long, so that its client hears `Expired`
/// rather than `Unknown`.
const SESSION_KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest sleep: a clock that was set forward is noticed by then.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The shortest sleep: what ends in quick succession is deleted together.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);

/// The most rows that one transaction deletes: nobody waits long for their turn to write.
const BATCH: i64 = 1_000;

/// When a session's row may go.
pub(super) fn end_of(session: &Session) -> Timestamp {
    session.idle_deadline.min(session.absolute_deadline).after(SESSION_KEPT_FOR)
}

/// The task that deletes; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct PurgeTask {
    schedule: Arc<Schedule>,
    task: AbortHandle,
}

/// What the task and the operations of the store tell each other.
#[derive(Debug)]
struct Schedule {
    /// The earliest deadline that the task knows of, in ms since the epoch.
    next: AtomicI64,
    sooner: Notify,
}

impl PurgeTask {
    /// Starts the task; it deletes what has ended, then sleeps until the next deadline.
    pub(super) fn spawn(pool: SqlitePool, time: EmbeddedTime) -> Self {
        let schedule = Arc::new(Schedule { next: AtomicI64::new(i64::MAX), sooner: Notify::new() });
        let task = tokio::spawn(run(pool, time, Arc::clone(&schedule))).abort_handle();
        Self { schedule, task }
    }

    /// Something ends at `deadline`: wakes the task if it would sleep longer.
    pub(super) fn expect(&self, deadline: Timestamp) {
        let deadline = deadline.as_millis();
        if deadline < self.schedule.next.fetch_min(deadline, Ordering::AcqRel) {
            self.schedule.sooner.notify_one();
        }
    }

    /// Ends the task.
    pub(super) fn end(&self) {
        self.task.abort();
    }
}

impl Drop for PurgeTask {
    fn drop(&mut self) {
        self.end();
    }
}

async fn run(pool: SqlitePool, time: EmbeddedTime, schedule: Arc<Schedule>) {
    loop {
        // Forgotten before looking: a deadline that is added meanwhile wakes the task again.
        schedule.next.store(i64::MAX, Ordering::Release);
        let Ok(now) = time.now() else {
            // The clock was set ahead: nothing goes before that has been looked into.
            tokio::time::sleep(SHORTEST_PAUSE).await;
            continue;
        };
        let pause = match purge(&pool, now).await {
            Ok(next) => {
                let next = next.unwrap_or(Timestamp::from_millis(i64::MAX));
                schedule.next.fetch_min(next.as_millis(), Ordering::AcqRel);
                next.since(now).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
            }
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "could not delete expired entries of the token store");
                SHORTEST_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = schedule.sooner.notified() => {}
        }
    }
}

/// Deletes what has ended at `now`; answers when the next entry will have.
async fn purge(pool: &SqlitePool, now: Timestamp) -> Result<Option<Timestamp>, sqlx::Error> {
    let now = now.as_millis();
    let sessions_until = now.saturating_sub(millis_of(SESSION_KEPT_FOR));
    delete_until(
        pool,
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions
           WHERE min(idle_deadline, absolute_deadline) <= ?1 LIMIT ?2)",
        sessions_until,
    )
    .await?;
    delete_until(
        pool,
        "DELETE FROM denials WHERE (user_id, jti) IN (SELECT user_id, jti FROM denials
           WHERE expires_at <= ?1 LIMIT ?2)",
        now,
    )
    .await?;
    delete_until(
        pool,
        "DELETE FROM cutoffs WHERE user_id IN (SELECT user_id FROM cutoffs
           WHERE expires_at <= ?1 LIMIT ?2)",
        now,
    )
    .await?;
    delete_until(
        pool,
        "DELETE FROM reset_tokens WHERE (user_id, place) IN (SELECT user_id, place FROM reset_tokens
           WHERE expires_at <= ?1 LIMIT ?2)",
        now,
    )
    .await?;
    delete_until(
        pool,
        "DELETE FROM places WHERE (account, place) IN (SELECT account, place FROM places
           WHERE expires_at <= ?1 LIMIT ?2)",
        now,
    )
    .await?;
    delete_until(
        pool,
        "DELETE FROM revocations WHERE id IN (SELECT id FROM revocations
           WHERE expires_at <= ?1 LIMIT ?2)",
        now,
    )
    .await?;
    delete_until(
        pool,
        "DELETE FROM evictions WHERE session IN (SELECT session FROM evictions
           WHERE expires_at <= ?1 LIMIT ?2)",
        now,
    )
    .await?;
    let (session, other): (Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT
           (SELECT min(min(idle_deadline, absolute_deadline)) FROM sessions),
           (SELECT min(ends_at) FROM (
              SELECT min(expires_at) AS ends_at FROM denials
              UNION ALL SELECT min(expires_at) FROM cutoffs
              UNION ALL SELECT min(expires_at) FROM revocations
              UNION ALL SELECT min(expires_at) FROM reset_tokens
              UNION ALL SELECT min(expires_at) FROM places
              UNION ALL SELECT min(expires_at) FROM evictions))",
    )
    .fetch_one(pool)
    .await?;
    let session = session.map(|ended| Timestamp::from_millis(ended).after(SESSION_KEPT_FOR));
    Ok(session.into_iter().chain(other.map(Timestamp::from_millis)).min())
}

/// Runs a deletion of `?2` rows at most, by deadlines until `?1`, as often as it finds that many.
async fn delete_until(pool: &SqlitePool, statement: &'static str, until: i64) -> Result<(), sqlx::Error> {
    loop {
        let deleted = sqlx::query(statement).bind(until).bind(BATCH).execute(pool).await?;
        if i64::try_from(deleted.rows_affected()).unwrap_or(i64::MAX) < BATCH {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::file::DataFile;
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(2_000_000_000_000);

    async fn empty_file() -> (DataFile, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = DataFile::open(&folder.path().join("tokens.db")).await.expect("a file");
        (file, folder)
    }

    /// Entries that end in `ends_in` ms from now, one of each kind, all called `id`.
    async fn insert(pool: &SqlitePool, id: i64, ends_in: i64) {
        let ends_at = NOW.as_millis() + ends_in;
        for statement in [
            "INSERT INTO sessions VALUES ('idle ' || ?1, ?1, 1, 0, 0, 0, 0, ?2 - ?3, ?2 + ?3, 0, '')",
            "INSERT INTO sessions VALUES ('absolute ' || ?1, ?1, 1, 0, 0, 0, 0, ?2 + ?3, ?2 - ?3, 0, '')",
            "INSERT INTO denials VALUES (?1, 'denial ' || ?1, ?2 + 0 * ?3)",
            "INSERT INTO cutoffs VALUES (?1, 1, ?2 + 0 * ?3)",
            "INSERT INTO reset_tokens VALUES (?1, x'00', x'00', 1, ?2 + 0 * ?3, 0)",
            "INSERT INTO places VALUES (CAST('place ' || ?1 AS BLOB), x'00', ?2 + 0 * ?3)",
            "INSERT INTO evictions VALUES ('evicted ' || ?1, ?1, ?2 + 0 * ?3)",
        ] {
            let kept_for = millis_of(SESSION_KEPT_FOR);
            sqlx::query(statement)
                .bind(id)
                .bind(ends_at)
                .bind(kept_for)
                .execute(pool)
                .await
                .expect(statement);
        }
    }

    async fn names(pool: &SqlitePool) -> BTreeSet<String> {
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM sessions UNION SELECT jti FROM denials
             UNION SELECT 'cut-off ' || user_id FROM cutoffs
             UNION SELECT 'reset ' || user_id FROM reset_tokens
             UNION SELECT CAST(account AS TEXT) FROM places
             UNION SELECT session FROM evictions
             UNION SELECT 'partition ' || partition FROM partitions",
        )
        .fetch_all(pool)
        .await
        .expect("names");
        names.into_iter().collect()
    }

    #[tokio::test]
    async fn what_has_ended_goes_and_nothing_else() {
        let (file, _folder) = empty_file().await;
        let pool = &file.writer;
        let state = "INSERT INTO partitions VALUES (5, 1, 1, 0, 0, '')";
        sqlx::query(state).execute(pool).await.expect("a partition");
        insert(pool, 1, -1).await;
        insert(pool, 2, 0).await;
        insert(pool, 3, 1).await;
        insert(pool, 4, 60_000).await;
        let next = purge(pool, NOW).await.expect("purge");
        let left = ["absolute 3", "absolute 4", "cut-off 3", "cut-off 4", "denial 3", "denial 4"];
        let left = left.into_iter().chain(["evicted 3", "evicted 4", "idle 3", "idle 4", "partition 5"]);
        let left = left.chain(["place 3", "place 4", "reset 3", "reset 4"]);
        assert_eq!(names(pool).await, left.map(str::to_owned).collect());
        assert_eq!(next, Some(NOW.after(Duration::from_millis(1))));
    }

    #[tokio::test]
    async fn more_than_a_batch_goes_in_one_purge() {
        let (file, _folder) = empty_file().await;
        let pool = &file.writer;
        sqlx::query(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO denials SELECT i, 'denial ' || i, 0 FROM n",
        )
        .bind(2 * BATCH + 1)
        .execute(pool)
        .await
        .expect("denials");
        assert_eq!(purge(pool, NOW).await.expect("purge"), None);
        assert!(names(pool).await.is_empty());
    }

    #[tokio::test]
    async fn a_deadline_at_the_end_of_time_is_no_error() {
        let (file, _folder) = empty_file().await;
        let end = i64::MAX;
        sqlx::query("INSERT INTO sessions VALUES ('s', 1, 1, 0, 0, 0, 0, ?1, ?1, 0, '')")
            .bind(end)
            .execute(&file.writer)
            .await
            .expect("a session");
        let next = purge(&file.writer, NOW).await.expect("purge");
        assert_eq!(next, Some(Timestamp::from_millis(end)));
    }

    #[tokio::test]
    async fn deletions_walk_an_index() {
        let (file, _folder) = empty_file().await;
        for (query, index) in [
            (
                "SELECT id FROM sessions WHERE min(idle_deadline, absolute_deadline) <= 1 LIMIT 2",
                "sessions_by_end",
            ),
            ("SELECT min(min(idle_deadline, absolute_deadline)) FROM sessions", "sessions_by_end"),
            ("SELECT user_id, jti FROM denials WHERE expires_at <= 1 LIMIT 2", "denials_by_end"),
            ("SELECT user_id FROM cutoffs WHERE expires_at <= 1 LIMIT 2", "cutoffs_by_end"),
            ("SELECT user_id, place FROM reset_tokens WHERE expires_at <= 1 LIMIT 2", "reset_tokens_by_end"),
            ("SELECT account, place FROM places WHERE expires_at <= 1 LIMIT 2", "places_by_end"),
            ("SELECT session FROM evictions WHERE expires_at <= 1 LIMIT 2", "evictions_by_end"),
        ] {
            let statement = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
            let plan: (i64, i64, i64, String) =
                sqlx::query_as(statement).fetch_one(&file.writer).await.expect(query);
            assert!(plan.3.contains(index), "{query}: {}", plan.3);
        }
    }
}
