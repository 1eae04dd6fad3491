//! From a row of the audit log, of either engine, to the domain.

use std::net::{AddrParseError, IpAddr};

use sqlx::{ColumnIndex, Decode, Row, Type};
use uuid::Uuid;

use super::rows::Entry;
use crate::domain::audit::{AuditEntry, AuditId, Reason, ReasonError, RecordedEntry};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{UserId, UserIdError};
use crate::store::error::StoreResult;

/// The columns that [`recorded`] reads.
macro_rules! audit_columns {
    () => {
        "id, event, at, action, actor, user_id, session_id, token_id, address, reason, object, count"
    };
}
pub(super) use audit_columns;

/// An entry out of a row of `audit_log`.
pub(super) fn recorded<'r, R>(row: &'r R) -> StoreResult<RecordedEntry>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    let id: i64 = Entry { row, key: "an unreadable id".to_owned() }.get("audit_log.id")?;
    let entry = Entry { row, key: id.to_string() };
    Ok(RecordedEntry {
        id: AuditId::new(id),
        entry: AuditEntry {
            event: entry.parse("audit_log.event", |text: String| Uuid::parse_str(&text))?,
            at: Timestamp::from_millis(entry.get("audit_log.at")?),
            action: entry.parse("audit_log.action", |text: String| text.parse())?,
            actor: entry.parse("audit_log.actor", |text: String| text.parse())?,
            user: entry.parse("audit_log.user_id", optional_user)?,
            session: entry.parse("audit_log.session_id", optional_uuid)?.map(Into::into),
            token: entry.parse("audit_log.token_id", optional_uuid)?.map(Into::into),
            address: entry.parse("audit_log.address", optional_address)?,
            reason: entry.parse("audit_log.reason", optional_reason)?,
            object: entry.get("audit_log.object")?,
            count: entry
                .parse("audit_log.count", |count: Option<i64>| count.map(u64::try_from).transpose())?,
        },
    })
}

fn optional_user(id: Option<i64>) -> Result<Option<UserId>, UserIdError> {
    id.map(UserId::try_from).transpose()
}

fn optional_uuid(text: Option<String>) -> Result<Option<Uuid>, uuid::Error> {
    text.map(|text| Uuid::parse_str(&text)).transpose()
}

fn optional_address(text: Option<String>) -> Result<Option<IpAddr>, AddrParseError> {
    text.map(|text| text.parse()).transpose()
}

fn optional_reason(text: Option<String>) -> Result<Option<Reason>, ReasonError> {
    text.map(|text| text.parse()).transpose()
}
