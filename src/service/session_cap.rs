//! Keeps accounts at the number of sessions that they may have.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::trail::AuditTrail;
use crate::domain::audit::{AuditAction, AuditActor, Reason};
use crate::domain::causes::with_causes;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::session_cap::{self, SessionCursor};
use crate::store::{StoreResult, TokenStore};

/// How many sessions a login ends before it is answered; the rest ends beside it. An account that is kept at
/// its number has one too many.
const ENDED_BEFORE_THE_ANSWER: usize = 8;

/// Ends sessions of accounts that have too many. Cheap to clone.
#[derive(Clone)]
pub(super) struct SessionCap {
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) trail: AuditTrail,
    /// How many an account may have.
    pub(super) max: u32,
    /// Accounts whose rest is being ended.
    pub(super) under_way: Arc<Mutex<HashSet<UserId>>>,
}

/// Which sessions end, of whom, and from where the one was opened that there is no room for.
struct Surplus {
    user: UserId,
    sessions: Vec<SessionId>,
    address: Option<IpAddr>,
}

impl SessionCap {
    /// Brings the account down to the number of sessions that it may have, now that one was opened. Should
    /// that fail the session stands all the same, and the next one that is opened makes up for it.
    pub(super) async fn make_room_for(&self, opened: &Session) {
        let user = opened.user;
        match self.surplus(opened).await {
            Ok(mut now) => {
                let rest = now.sessions.split_off(now.sessions.len().min(ENDED_BEFORE_THE_ANSWER));
                let address = now.address;
                if self.end(now).await && !rest.is_empty() {
                    self.end_beside(Surplus { user, sessions: rest, address });
                }
            }
            Err(error) => {
                tracing::warn!(%user, error = %with_causes(&error), "it is not known whether the account has too many sessions");
            }
        }
    }

    async fn surplus(&self, opened: &Session) -> StoreResult<Surplus> {
        let user = opened.user;
        let mut surplus = Surplus { user, sessions: Vec::new(), address: opened.carried.origin.address };
        // Hardly any account has too many, and all of its sessions are read to tell which.
        let standing = self.token_store.count_sessions(&[user], opened.created_at).await?;
        if standing > u64::from(self.max) {
            let sessions = self.token_store.session_uses(user).await?;
            surplus.sessions = session_cap::surplus(sessions, SessionCursor::from(opened), self.max);
        }
        Ok(surplus)
    }

    /// Ends them, in their order; answers whether there was no hindrance.
    async fn end(&self, surplus: Surplus) -> bool {
        let Surplus { user, sessions, address } = surplus;
        for session in sessions {
            match self.token_store.evict_session(user, session, self.max).await {
                Ok(true) => {
                    let entry = self.trail.event(AuditAction::SessionEnded, AuditActor::Service);
                    let entry = entry.on(user).session(session).from(address);
                    self.trail.record(entry.because(Reason::TooManySessions));
                }
                // Ended meanwhile, or another login has made room.
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%user, error = %with_causes(&error), "the account keeps too many sessions until its next login");
                    return false;
                }
            }
        }
        true
    }

    /// Does the same while the login goes on; one such work an account.
    fn end_beside(&self, surplus: Surplus) {
        let user = surplus.user;
        if !self.under_way().insert(user) {
            return;
        }
        let count = surplus.sessions.len();
        tracing::info!(%user, count, "the account has far too many sessions: they end");
        let work = UnderWay { cap: self.clone(), user };
        tokio::spawn(async move { work.cap.end(surplus).await });
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashSet<UserId>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account's rest is being ended until this is dropped, whatever becomes of the work.
struct UnderWay {
    cap: SessionCap,
    user: UserId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.cap.under_way().remove(&self.user);
    }
}
