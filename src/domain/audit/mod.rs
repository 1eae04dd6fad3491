//! What happened to accounts, sessions and tokens, for those who have to find out later.
//!
//! An entry names ids only: no e-mail address, no password, no token. What was merely typed
//! into a login is not kept either, since people type passwords where the address should stand.

mod actor;
mod entry;
mod names;

pub use self::actor::{AuditActor, AuditActorError};
pub use self::entry::{AuditEntry, AuditFilter, AuditId, RecordedEntry};
pub use self::names::{AuditAction, AuditActionError, Reason, ReasonError};
