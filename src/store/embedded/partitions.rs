//! The tables of partitions: up to where the journal was carried out, and what is owed to it.

use sqlx::{SqliteConnection, SqliteExecutor};
use uuid::Uuid;

use super::fault::Fault;
use super::feed;
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;
use crate::domain::journal::{EntryId, Journaled, Link, Mark, NewEntry, VouchingId};
use crate::domain::partition::Partition;
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::user::SecurityVersion;
use crate::store::examination::{NewPartition, PartitionState};
use crate::store::revocations::Placed;
use crate::store::vouching::{Vouched, VouchedPartition};

type StateRow = (i64, i64, i64, i64, i64, String);

/// What each partition says of itself, in the order of [`Partition::all`].
pub(super) async fn states(
    executor: impl SqliteExecutor<'_>,
) -> Result<Vec<Option<PartitionState>>, sqlx::Error> {
    let rows: Vec<StateRow> = sqlx::query_as(
        "SELECT partition, incarnation, vouching, position, entry, seal FROM partitions ORDER BY partition",
    )
    .fetch_all(executor)
    .await?;
    let mut states = vec![None; Partition::COUNT];
    for (partition, incarnation, vouching, position, entry, seal) in rows {
        if let Some(state) = usize::try_from(partition).ok().and_then(|index| states.get_mut(index)) {
            *state = Some(PartitionState {
                incarnation,
                vouching: VouchingId::new(vouching),
                mark: Mark { position, entry: EntryId::new(entry) },
                seal,
            });
        }
    }
    Ok(states)
}

/// Sees that a partition is what was vouched for.
/// (model: VouchingIsPassed)
pub(super) async fn require(
    executor: impl SqliteExecutor<'_>,
    partition: Partition,
    by: VouchedPartition,
) -> Result<(), Fault> {
    let vouching: Option<i64> = sqlx::query_scalar("SELECT vouching FROM partitions WHERE partition = ?1")
        .bind(i64::from(partition.number()))
        .fetch_optional(executor)
        .await?;
    if vouching == Some(by.vouching.get()) { Ok(()) } else { Err(Fault::Unvouched) }
}

/// Sees that every partition is what was vouched for: one alone can be begun anew.
/// (model: VouchingIsPassed)
pub(super) async fn require_all(connection: &mut SqliteConnection, by: &Vouched) -> Result<(), Fault> {
    let stored: Vec<i64> = sqlx::query_scalar("SELECT vouching FROM partitions ORDER BY partition")
        .fetch_all(connection)
        .await?;
    let expected = Partition::all().map(|partition| by.of(partition).vouching.get());
    if stored.into_iter().eq(expected) { Ok(()) } else { Err(Fault::Unvouched) }
}

/// Begins a partition anew, if it stands as it was read.
///
/// That compares the vouching alone, and one who was paused may find it condemned a second time, or lost
/// again. They write the incarnation that they have drawn, below the one that the database has got since: so
/// nobody vouches for it, and the next look begins it anew (model: IncarnationNeverGoesBack).
/// (model: StepsCompareAndSet)
pub(super) async fn begin(tx: &mut SqliteConnection, new: &NewPartition) -> Result<(), sqlx::Error> {
    let (partition, state) = (i64::from(new.partition.number()), &new.state);
    let begun = sqlx::query(
        "INSERT INTO partitions (partition, incarnation, vouching, position, entry, seal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (partition) DO UPDATE SET incarnation = excluded.incarnation,
           vouching = excluded.vouching, position = excluded.position, entry = excluded.entry,
           seal = excluded.seal
           WHERE partitions.vouching = ?7",
    )
    .bind(partition)
    .bind(state.incarnation)
    .bind(state.vouching.get())
    .bind(state.mark.position)
    .bind(state.mark.entry.get())
    .bind(&state.seal)
    .bind(new.read.map(VouchingId::get))
    .execute(&mut *tx)
    .await?;
    if begun.rows_affected() == 0 {
        return Ok(());
    }
    // What was carried out in what is lost counts for nothing.
    sqlx::query("DELETE FROM applied WHERE partition = ?1").bind(partition).execute(&mut *tx).await?;
    for (client, until) in &new.deleted_clients {
        let revoked = Revoked::Client(client.clone());
        feed::insert(tx, &Revocation { revoked, until: *until }).await?;
    }
    Ok(())
}

/// Takes back the vouching for a partition that stands exactly as it was read.
/// (model: CondemnedBeforeDrawn, StepsCompareAndSet)
pub(super) async fn condemn(
    tx: &mut SqliteConnection,
    partition: Partition,
    read: &PartitionState,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE partitions SET vouching = ?5
         WHERE partition = ?1 AND vouching = ?2 AND position = ?3 AND entry = ?4",
    )
    .bind(i64::from(partition.number()))
    .bind(read.vouching.get())
    .bind(read.mark.position)
    .bind(read.mark.entry.get())
    .bind(VouchingId::NONE.get())
    .execute(tx)
    .await?;
    Ok(())
}

/// Vouches for a partition that stands as it was read.
/// (model: SealIsTheServer, StepsCompareAndSet)
pub(super) async fn seal(
    tx: &mut SqliteConnection,
    partition: Partition,
    read: &PartitionState,
    vouching: VouchingId,
    seal: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE partitions SET vouching = ?4, seal = ?5
         WHERE partition = ?1 AND vouching = ?2 AND position >= ?3",
    )
    .bind(i64::from(partition.number()))
    .bind(read.vouching.get())
    .bind(read.mark.position)
    .bind(vouching.get())
    .bind(seal)
    .execute(tx)
    .await?;
    Ok(())
}

/// Moves the mark from one entry to another; answers whether it stood where it was to begin. A position
/// that was given again is another one.
/// (model: StepsCompareAndSet)
pub(super) async fn move_mark(
    tx: &mut SqliteConnection,
    partition: Partition,
    from: Mark,
    to: Mark,
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(
        "UPDATE partitions SET position = ?4, entry = ?5
         WHERE partition = ?1 AND position = ?2 AND entry = ?3",
    )
    .bind(i64::from(partition.number()))
    .bind(from.position)
    .bind(from.entry.get())
    .bind(to.position)
    .bind(to.entry.get())
    .execute(&mut *tx)
    .await?;
    if moved.rows_affected() == 0 {
        return Ok(false);
    }
    pass_over_applied(tx, partition).await?;
    Ok(true)
}

/// Notes that the entry at a position was carried out, and moves the mark over it once all before it
/// were.
/// (model: MarkMovesOnlyOverApplied, MarkFollowsTheChain)
pub(super) async fn pass(
    tx: &mut SqliteConnection,
    partition: Partition,
    Link { at, previous }: Link,
) -> Result<Placed, sqlx::Error> {
    let number = i64::from(partition.number());
    let (position, entry): (i64, i64) =
        sqlx::query_as("SELECT position, entry FROM partitions WHERE partition = ?1")
            .bind(number)
            .fetch_one(&mut *tx)
            .await?;
    if at.position == position && at.entry.get() == entry {
        return Ok(Placed::Again);
    }
    if at.position <= position {
        return Ok(Placed::Passed);
    }
    if at.position == position + 1 && previous.get() != entry {
        return Ok(Placed::Diverged);
    }
    let was_applied = is_applied(tx, partition, at).await?;
    note_applied(tx, partition, Link { at, previous }).await?;
    pass_over_applied(tx, partition).await?;
    Ok(if was_applied { Placed::Again } else { Placed::Counted })
}

/// Remembers what was carried out ahead of a gap, or by a replay whose mark has moved meanwhile: behind the mark nothing
/// has to be.
pub(super) async fn note_applied(
    tx: &mut SqliteConnection,
    partition: Partition,
    Link { at, previous }: Link,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO applied (partition, position, entry, previous)
         SELECT ?1, ?2, ?3, ?4 FROM partitions WHERE partition = ?1 AND position < ?2
         ON CONFLICT (partition, position) DO UPDATE SET entry = excluded.entry, previous = excluded.previous",
    )
    .bind(i64::from(partition.number()))
    .bind(at.position)
    .bind(at.entry.get())
    .bind(previous.get())
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether that very entry was carried out already, by somebody who found it in the journal.
async fn is_applied(tx: &mut SqliteConnection, partition: Partition, at: Mark) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM applied WHERE partition = ?1 AND position = ?2 AND entry = ?3)",
    )
    .bind(i64::from(partition.number()))
    .bind(at.position)
    .bind(at.entry.get())
    .fetch_one(tx)
    .await
}

/// Moves the mark over what was carried out without a gap behind it.
/// (model: MarkMovesOnlyOverApplied, MarkFollowsTheChain)
async fn pass_over_applied(tx: &mut SqliteConnection, partition: Partition) -> Result<(), sqlx::Error> {
    let number = i64::from(partition.number());
    loop {
        let moved = sqlx::query(
            "UPDATE partitions SET position = applied.position, entry = applied.entry FROM applied
             WHERE partitions.partition = ?1 AND applied.partition = ?1
               AND applied.position = partitions.position + 1 AND applied.previous = partitions.entry",
        )
        .bind(number)
        .execute(&mut *tx)
        .await?;
        if moved.rows_affected() == 0 {
            break;
        }
    }
    sqlx::query(
        "DELETE FROM applied WHERE partition = ?1
           AND position <= (SELECT position FROM partitions WHERE partition = ?1)",
    )
    .bind(number)
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes a revocation that is to be written into the journal.
/// (model: OwedUntilJournaled)
pub(super) async fn owe(tx: &mut SqliteConnection, entry: &NewEntry) -> Result<(), sqlx::Error> {
    let (kind, user, subject, version) = match entry.revoked {
        Journaled::Session { user, session } => ("session", Some(user), Some(session.to_string()), None),
        Journaled::User { user, below } => ("user", Some(user), None, Some(below.get())),
        Journaled::Token { user, token } => ("token", Some(user), Some(token.to_string()), None),
        Journaled::MachineToken(token) => ("token", None, Some(token.to_string()), None),
        Journaled::Client(ref client) => {
            ("user", None, Some(client.to_string()), Some(SecurityVersion::OF_CLIENTS.get()))
        }
    };
    sqlx::query(
        "INSERT INTO owed (entry, kind, user_id, subject, version, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
    )
    .bind(entry.id.get())
    .bind(kind)
    .bind(user.map(UserId::get))
    .bind(subject)
    .bind(version)
    .bind(entry.until.as_millis())
    .execute(tx)
    .await?;
    Ok(())
}

/// It is written into the journal. Answers whether it was owed, and so carried out already.
pub(super) async fn settle(tx: &mut SqliteConnection, entry: EntryId) -> Result<bool, sqlx::Error> {
    let settled = sqlx::query("DELETE FROM owed WHERE entry = ?1").bind(entry.get()).execute(tx).await?;
    Ok(settled.rows_affected() > 0)
}

/// Whether anything is owed.
pub(super) async fn owes(executor: impl SqliteExecutor<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM owed)").fetch_one(executor).await
}

#[derive(sqlx::FromRow)]
struct OwedRow {
    entry: i64,
    kind: String,
    user_id: Option<i64>,
    subject: Option<String>,
    version: Option<i64>,
    until: i64,
}

/// What is owed, the oldest ids in no order.
pub(super) async fn owed(executor: impl SqliteExecutor<'_>) -> Result<Vec<NewEntry>, Fault> {
    let rows: Vec<OwedRow> =
        sqlx::query_as("SELECT entry, kind, user_id, subject, version, until FROM owed LIMIT 10000")
            .fetch_all(executor)
            .await?;
    rows.into_iter().map(NewEntry::try_from).collect()
}

impl TryFrom<OwedRow> for NewEntry {
    type Error = Fault;

    fn try_from(row: OwedRow) -> Result<Self, Fault> {
        let corrupt = || Fault::Corrupt {
            place: "owed",
            key: row.entry.to_string(),
            problem: "it is no revocation".to_owned(),
        };
        let user = row.user_id.map(UserId::try_from).transpose().map_err(|_| corrupt())?;
        let subject =
            || row.subject.as_deref().and_then(|text| Uuid::parse_str(text).ok()).ok_or_else(corrupt);
        let revoked = match (row.kind.as_str(), user, row.version) {
            ("session", Some(user), None) => Journaled::Session { user, session: subject()?.into() },
            ("token", Some(user), None) => Journaled::Token { user, token: subject()?.into() },
            ("token", None, None) => Journaled::MachineToken(subject()?.into()),
            ("user", None, Some(_)) => {
                let client = row.subject.as_deref().and_then(|text| text.parse().ok());
                Journaled::Client(client.ok_or_else(corrupt)?)
            }
            ("user", Some(user), Some(below)) => Journaled::User { user, below: SecurityVersion::new(below) },
            _ => return Err(corrupt()),
        };
        Ok(Self { id: EntryId::new(row.entry), revoked, until: Timestamp::from_millis(row.until) })
    }
}
