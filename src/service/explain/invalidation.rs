//! Why a session or a token is no good any more: sought in the log, in the stores, in the clock.

use uuid::Uuid;

use super::{Invalidation, Known, TokenInspector};
use crate::domain::audit::{AuditAction, AuditFilter, Reason, RecordedEntry};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::tokens::{Generation, RefreshClaims};
use crate::service::caller::Administrator;
use crate::service::error::Result;
use crate::store::{AccessStatus, AccessSubject, OnReuse, RefreshOutcome};

/// Entries of the audit log that are read at a time, and how many pages of them at most: far more
/// security events than any account has seen in one session.
const PAGE: u32 = 200;
const PAGES_MAX: usize = 50;

impl TokenInspector {
    /// Whether an access token of a live session is denied by itself, or too old for what the store
    /// remembers.
    pub(super) async fn denial_of(&self, subject: &AccessSubject) -> Result<Option<Invalidation>> {
        Ok(match self.token_store.access_status(subject).await? {
            AccessStatus::Live => None,
            // The log is asked as well, and has the better answer if it has one.
            AccessStatus::Revoked => Some(Invalidation::of(Reason::Unknown)),
            AccessStatus::StoreLost => Some(Invalidation::of(Reason::StoreLost)),
        })
    }

    /// Why a session that is gone is gone.
    pub(super) async fn invalidation_of(
        &self,
        by: Administrator,
        known: &Known,
        now: Timestamp,
    ) -> Result<Invalidation> {
        if let Some(invalidation) = self.recorded_invalidation_of(by, known).await? {
            return Ok(invalidation);
        }
        Ok(Invalidation::of(match self.remembered(known).await? {
            Some(reason) => reason,
            None => self.inferred(known, now).await?,
        }))
    }

    /// Why a session has ended, as long as the token store knows that: by which of its deadlines, or since
    /// there were too many.
    async fn remembered(&self, known: &Known) -> Result<Option<Reason>> {
        let lifetimes = &self.lifetimes;
        // Of a session that is not live this changes nothing, whatever the generation.
        let any = RefreshClaims { user: known.user, session: known.session, generation: Generation::FIRST };
        let outcome = self.token_store.check_refresh(&any, lifetimes, OnReuse::Refuse).await?;
        Ok(match outcome {
            RefreshOutcome::Expired(timeout) => Some(timeout.into()),
            RefreshOutcome::Evicted => Some(Reason::TooManySessions),
            _ => None,
        })
    }

    /// Of a session that nobody knows any more.
    async fn inferred(&self, known: &Known, now: Timestamp) -> Result<Reason> {
        let Some(lived_at) = known.lived_at else { return Ok(Reason::Unknown) };
        let nobody = Jti::from(Uuid::nil());
        // An incarnation is numbered by when it began, or by more.
        let incarnation = lived_at.as_millis();
        let subject = AccessSubject { user: known.user, session: known.session, token: nobody, incarnation };
        if self.token_store.access_status(&subject).await? == AccessStatus::StoreLost {
            return Ok(Reason::StoreLost);
        }
        let lifetimes = &self.lifetimes;
        let opened_at = known.opening.as_ref().map_or(lived_at, |opening| opening.entry.at);
        Ok(if now >= opened_at.after(lifetimes.absolute) {
            Reason::AbsoluteTimeout
        } else if now >= lived_at.after(lifetimes.idle) {
            Reason::IdleTimeout
        } else {
            Reason::Unknown
        })
    }

    /// Why a session has ended, as the audit log and the account tell.
    pub(super) async fn recorded_invalidation_of(
        &self,
        by: Administrator,
        known: &Known,
    ) -> Result<Option<Invalidation>> {
        let mut entries = Vec::new();
        for action in AuditAction::ALL.iter().filter(|action| action.ends_its_session()) {
            let filter =
                AuditFilter { session: Some(known.session), action: Some(*action), ..AuditFilter::default() };
            entries.extend(self.oldest(by, filter, None).await?);
        }
        for action in AuditAction::ALL.iter().filter(|action| action.ends_all_sessions()) {
            let Some(lived_at) = known.lived_at else { break };
            let filter = AuditFilter {
                user: Some(known.user),
                action: Some(*action),
                since: Some(lived_at),
                ..AuditFilter::default()
            };
            entries.extend(self.oldest(by, filter, known.opening.as_ref()).await?);
        }
        if let Some(first) = entries.into_iter().min_by_key(|entry| (entry.entry.at, entry.id)) {
            let reason = ending_reason(&first);
            return Ok(Some(Invalidation::told(reason, first)));
        }
        let user = self.users.find_user(known.user).await?;
        Ok(match user {
            None => Some(Invalidation::of(Reason::AccountDeleted)),
            Some(user) if user.disabled => Some(Invalidation::of(Reason::AccountDisabled)),
            Some(_) => None,
        })
    }

    /// The oldest entry that satisfies a filter, of those after `after`.
    async fn oldest(
        &self,
        by: Administrator,
        filter: AuditFilter,
        after: Option<&RecordedEntry>,
    ) -> Result<Option<RecordedEntry>> {
        let (mut oldest, mut before) = (None, None);
        for _ in 0..PAGES_MAX {
            let page = self.trail.audit.list(by, &filter, before, PAGE).await?;
            let mut entries = page.entries.into_iter();
            oldest = entries.rfind(|entry| after.is_none_or(|after| entry.id > after.id)).or(oldest);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        Ok(oldest)
    }

    /// The entry that says that an access token was taken back by itself.
    pub(super) async fn revocation_of(&self, by: Administrator, token: Jti) -> Result<Option<RecordedEntry>> {
        let filter = AuditFilter {
            token: Some(token),
            action: Some(AuditAction::TokenRevoked),
            ..AuditFilter::default()
        };
        self.oldest(by, filter, None).await
    }

    /// A session, with what the log says of its opening. `lived_at` is a moment at which it lived, for
    /// when the log does not say.
    pub(super) async fn known(
        &self,
        by: Administrator,
        user: UserId,
        session: SessionId,
        lived_at: Option<Timestamp>,
    ) -> Result<Known> {
        let filter = AuditFilter {
            session: Some(session),
            action: Some(AuditAction::LoginSucceeded),
            ..AuditFilter::default()
        };
        let opening = self.oldest(by, filter, None).await?;
        let lived_at = lived_at.or(opening.as_ref().map(|opening| opening.entry.at));
        Ok(Known { user, session, lived_at, opening })
    }

    /// A session by its id alone, if the log knows whose it is.
    pub(super) async fn known_by_id(&self, by: Administrator, session: SessionId) -> Result<Option<Known>> {
        let ends = AuditAction::ALL.iter().copied().filter(|action| action.ends_its_session());
        for action in std::iter::once(AuditAction::LoginSucceeded).chain(ends) {
            let filter =
                AuditFilter { session: Some(session), action: Some(action), ..AuditFilter::default() };
            let entry = self.oldest(by, filter, None).await?;
            if let Some(user) = entry.and_then(|entry| entry.entry.user) {
                return self.known(by, user, session, None).await.map(Some);
            }
        }
        Ok(None)
    }
}

/// Why sessions have ended that an entry has ended.
fn ending_reason(recorded: &RecordedEntry) -> Reason {
    let entry = &recorded.entry;
    match entry.action {
        AuditAction::AccountDisabled => Reason::AccountDisabled,
        AuditAction::AccountEnabled => Reason::AccountEnabled,
        AuditAction::AccountDeleted => Reason::AccountDeleted,
        AuditAction::RoleChanged => Reason::RoleChanged,
        AuditAction::EmailChanged => Reason::EmailChanged,
        AuditAction::PasswordChanged => Reason::PasswordChanged,
        AuditAction::PasswordReset => Reason::PasswordReset,
        _ => entry.reason.unwrap_or(Reason::Unknown),
    }
}
