//! What operations note in the audit log.

use std::sync::Arc;

use super::audit::Audit;
use super::caller::Administrator;
use crate::domain::audit::{AuditAction, AuditActor, AuditEntry};
use crate::domain::clock::Clock;
use crate::domain::random::Random;
use crate::domain::rate_limit::AccountMark;

/// The audit log, and what its entries are made of. Cheap to clone.
#[derive(Clone)]
pub struct AuditTrail {
    pub(super) audit: Audit,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
}

impl AuditTrail {
    /// An entry about what happens now.
    pub(super) fn event(&self, action: AuditAction, actor: AuditActor) -> AuditEntry {
        AuditEntry::new(action, actor, self.clock.now(), &*self.random)
    }

    /// An entry about what an administrator does now: from which session and address.
    pub(super) fn event_by(&self, by: Administrator, action: AuditAction) -> AuditEntry {
        let entry = self.event(action, by.actor());
        match by {
            Administrator::User { session, address, .. } => entry.session(session).from(address),
            Administrator::Operator => entry,
        }
    }

    /// [`Audit::record`].
    pub(super) fn record(&self, entry: AuditEntry) {
        self.audit.record(entry);
    }

    /// [`Audit::record_seldom`].
    pub(super) fn record_seldom(&self, entry: AuditEntry, about: Option<AccountMark>) {
        self.audit.record_seldom(entry, about);
    }
}
