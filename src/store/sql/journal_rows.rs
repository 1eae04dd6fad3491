//! Entries of the journal, from a row of either engine to the domain and back.

use std::collections::HashMap;
use std::str::FromStr;

use sqlx::{ColumnIndex, Decode, Row, Type};
use uuid::Uuid;

use super::rows::Entry;
use crate::domain::client::ClientId;
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;
use crate::domain::journal::{EntryId, JournalEntry, JournalHead, Journaled, Link, Mark};
use crate::domain::partition::Partition;
use crate::domain::user::SecurityVersion;
use crate::store::error::StoreResult;

/// What the columns `kind`, `user_id`, `subject` and `version` hold of a revocation.
pub(super) struct Columns {
    pub(super) kind: &'static str,
    pub(super) user: Option<i64>,
    pub(super) subject: Option<String>,
    pub(super) version: Option<i64>,
}

impl From<&Journaled> for Columns {
    fn from(revoked: &Journaled) -> Self {
        match revoked {
            Journaled::Session { user, session } => Self {
                kind: "session",
                user: Some(user.get()),
                subject: Some(session.to_string()),
                version: None,
            },
            Journaled::User { user, below } => {
                Self { kind: "user", user: Some(user.get()), subject: None, version: Some(below.get()) }
            }
            Journaled::Token { user, token } => Self {
                kind: "token",
                user: Some(user.get()),
                subject: Some(token.to_string()),
                version: None,
            },
            // It has a client's id where a person's has a number.
            Journaled::Client(client) => Self {
                kind: "user",
                user: None,
                subject: Some(client.to_string()),
                version: Some(SecurityVersion::OF_CLIENTS.get()),
            },
            Journaled::MachineToken(token) => {
                Self { kind: "token", user: None, subject: Some(token.to_string()), version: None }
            }
        }
    }
}

/// An entry out of a row of `journal`.
pub(super) fn entry<'r, R>(row: &'r R) -> StoreResult<JournalEntry>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    let link = link(row)?;
    let row = Entry { row, key: format!("position {}", link.at.position) };
    let user = row.get::<Option<i64>>("journal.user_id")?.map(UserId::try_from).transpose();
    let user = user.map_err(|problem| row.corrupt("journal.user_id", problem))?;
    let revoked = match (row.get::<String>("journal.kind")?.as_str(), user) {
        ("session", Some(user)) => Journaled::Session { user, session: id(&row)?.into() },
        ("token", Some(user)) => Journaled::Token { user, token: id(&row)?.into() },
        ("token", None) => Journaled::MachineToken(id(&row)?.into()),
        ("user", Some(user)) => {
            // SQLite would read a number as zero where there is none, and version 0 ends nothing.
            let version = row.get::<Option<i64>>("journal.version")?;
            let version = version.ok_or_else(|| row.corrupt("journal.version", "it is missing"))?;
            Journaled::User { user, below: SecurityVersion::new(version) }
        }
        ("user", None) => {
            let client = row.parse("journal.subject", |text: String| text.parse::<ClientId>())?;
            Journaled::Client(client)
        }
        _ => return Err(row.corrupt("journal.kind", "it is of no kind, or lacks its user")),
    };
    Ok(JournalEntry { link, revoked, until: Timestamp::from_millis(row.get("journal.until")?) })
}

fn id<'r, R>(row: &Entry<'r, R>) -> StoreResult<Uuid>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    row.parse("journal.subject", |text: String| Uuid::from_str(&text))
}

/// The columns `position` and `entry` of a row.
pub(super) fn mark<'r, R>(row: &'r R) -> StoreResult<Mark>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let row = Entry { row, key: "an unreadable position".to_owned() };
    Ok(Mark { position: row.get("journal.position")?, entry: EntryId::new(row.get("journal.entry")?) })
}

/// What rows of `partition`, `position` and `entry` say of some positions, in the order of those.
pub(super) fn at_positions<'r, R>(
    rows: &'r [R],
    positions: &[(Partition, i64)],
) -> StoreResult<Vec<Option<EntryId>>>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let mark = mark(row)?;
        let row = Entry { row, key: format!("position {}", mark.position) };
        found.insert((partition(&row)?, mark.position), mark.entry);
    }
    Ok(positions.iter().map(|position| found.get(position).copied()).collect())
}

/// The columns `position`, `entry` and `previous` of a row.
pub(super) fn link<'r, R>(row: &'r R) -> StoreResult<Link>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let at = mark(row)?;
    let row = Entry { row, key: format!("position {}", at.position) };
    Ok(Link { at, previous: EntryId::new(row.get("journal.previous")?) })
}

/// Where a partition stands, out of a row of `journal_heads`.
pub(super) fn head<'r, R>(row: &'r R) -> StoreResult<JournalHead>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let newest = mark(row)?;
    let row = Entry { row, key: "an unreadable partition".to_owned() };
    Ok(JournalHead {
        partition: partition(&row)?,
        newest,
        incarnation: row.get("journal_heads.incarnation")?,
    })
}

/// The column `partition` of a row.
pub(super) fn partition<'r, R>(row: &Entry<'r, R>) -> StoreResult<Partition>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let number: i64 = row.get("journal_heads.partition")?;
    u8::try_from(number)
        .ok()
        .and_then(|number| Partition::try_from(number).ok())
        .ok_or_else(|| row.corrupt("journal_heads.partition", "it is no partition's number"))
}
