//! Who is behind a request, for the log: the span of the request is told once it is known, so that its line and
//! whatever else is logged meanwhile says so. Where there is no such span, as in commands and background
//! tasks, nothing is recorded.

use std::fmt::Display;

use tracing::Span;
use tracing::field::display;

use crate::domain::audit::{AuditActor, AuditEntry};
use crate::domain::client::ClientId;
use crate::domain::rate_limit::AccountMark;

/// Whose account it is about, by its id: the caller's, where somebody has proven who they are.
pub(super) fn account(user: impl Display) {
    Span::current().record("account", display(user));
}

/// The client that has proven who it is.
pub(super) fn client(id: &ClientId) {
    Span::current().record("client", display(id));
}

/// The e-mail address that came, known or not: the log has no address, only a mark that is the same for the
/// same one. A login that succeeds says beside it whose it is.
pub(super) fn email(mark: AccountMark) {
    Span::current().record("email_mark", display(mark));
}

/// Whoever has done what the audit log notes, or else whom it was done to.
pub(super) fn whom(entry: &AuditEntry) {
    match &entry.actor {
        AuditActor::User(user) => account(user),
        AuditActor::Client(id) => client(id),
        AuditActor::Anonymous | AuditActor::Service => entry.user.into_iter().for_each(account),
        AuditActor::Operator => {}
    }
}
