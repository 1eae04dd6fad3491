//! Sessions: asked of a backend that was found whole; what ends them is written down.

use std::sync::Arc;

use async_trait::async_trait;

use super::found::Scope;
use super::repeated::whole_minute;
use super::shared::{NotVouched, TRIES};
use super::store::JournaledTokenStore;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::domain::session::{NewSession, Session, SessionLifetimes};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::tokens::RefreshClaims;
use crate::store::error::StoreResult;
use crate::store::sessions::{
    OnReuse, OnUnknown, OpenOutcome, Opening, Presented, RefreshOutcome, SessionStore,
};
use crate::store::vouching::Vouched;

#[async_trait]
impl SessionStore for JournaledTokenStore {
    async fn open_session(
        &self,
        session: &NewSession,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<OpenOutcome> {
        for _ in 0..TRIES {
            let open =
                |by: Arc<Vouched>| async move { self.0.backend.open_session(&by, session, lifetimes).await };
            match self.on_vouched(Partition::of(session.user), open).await? {
                Opening::Settled(outcome) => return Ok(outcome),
                // By an entry of the journal, as whatever ends sessions: a store that goes back revives none.
                Opening::OlderStand => {
                    self.end_older(session.user, session.security_version).await?;
                }
            }
        }
        Err(NotVouched.error())
    }

    async fn rotate(
        &self,
        token: &RefreshClaims,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<RefreshOutcome> {
        let alarm = EntryId::generate(&*self.0.random);
        let presented = self
            .on_vouched(Partition::of(token.user), |by| async move {
                self.0.backend.rotate(&by, token, alarm, lifetimes).await
            })
            .await?;
        self.settle_alarm(token, alarm, &presented);
        Ok(presented.outcome)
    }

    async fn check_refresh(
        &self,
        token: &RefreshClaims,
        lifetimes: &SessionLifetimes,
        on_reuse: OnReuse,
    ) -> StoreResult<RefreshOutcome> {
        let alarm = EntryId::generate(&*self.0.random);
        let presented = self
            .on_vouched(Partition::of(token.user), |by| async move {
                self.0.backend.check_refresh(&by, token, alarm, lifetimes, on_reuse).await
            })
            .await?;
        self.settle_alarm(token, alarm, &presented);
        Ok(presented.outcome)
    }

    async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        on_unknown: OnUnknown,
    ) -> StoreResult<bool> {
        let (now, partition) = (self.0.now(), Partition::of(user));
        let asking = |by: Arc<Vouched>| async move { self.0.backend.session_end(&by, user, session).await };
        let (end, is_over) = match (self.on_vouched(partition, asking).await, on_unknown) {
            (Ok(Some(end)), _) => (end, end <= now),
            (Ok(None), OnUnknown::Deny) => (now, true),
            (Ok(None), OnUnknown::Ignore) => {
                // Somebody else has ended it, and it may just have been announced.
                self.announced_is_known(partition).await?;
                return Ok(false);
            }
            // The latest that it can be.
            (Err(_), _) => (now.after(self.0.spans.idle), false),
        };
        // Its access tokens have to be denied in any case.
        let until = whole_minute(end.max(now.after(self.0.spans.denial)));
        // No access token is minted any more for one that is over: whatever denies it still denies them all.
        let known_until = is_over.then_some(now);
        let revoked = self.revoke(Journaled::Session { user, session }, until, known_until).await?;
        Ok(!revoked.ended.is_empty())
    }

    async fn evict_session(&self, user: UserId, session: SessionId, max: u32) -> StoreResult<bool> {
        self.evict(user, session, max).await
    }

    async fn newest_access_tokens(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>> {
        let ask = |by: Arc<Vouched>| async move { self.0.backend.newest_access_tokens(&by, users).await };
        self.on_all_vouched(Scope::Any, ask).await
    }

    async fn count_sessions(&self, users: &[UserId], now: Timestamp) -> StoreResult<u64> {
        let ask = |by: Arc<Vouched>| async move { self.0.backend.count_sessions(&by, users, now).await };
        match users {
            [user] => self.on_vouched(Partition::of(*user), ask).await,
            _ => self.on_all_vouched(Scope::All, ask).await,
        }
    }

    async fn list_sessions(
        &self,
        user: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> StoreResult<Vec<Session>> {
        let partition = Partition::of(user);
        self.on_vouched(
            partition,
            |by| async move { self.0.backend.list_sessions(&by, user, after, limit).await },
        )
        .await
    }

    async fn session_uses(&self, user: UserId) -> StoreResult<Vec<SessionUse>> {
        let partition = Partition::of(user);
        self.on_vouched(partition, |by| async move { self.0.backend.session_uses(&by, user).await }).await
    }

    async fn find_session(&self, user: UserId, session: SessionId) -> StoreResult<Option<Session>> {
        let partition = Partition::of(user);
        self.on_vouched(partition, |by| async move { self.0.backend.find_session(&by, user, session).await })
            .await
    }
}

impl JournaledTokenStore {
    /// A session that a reused token has ended is owed to the journal: written down beside the answer.
    fn settle_alarm(&self, token: &RefreshClaims, alarm: EntryId, presented: &Presented) {
        let Some(until) = presented.ended_until else { return };
        let revoked = Journaled::Session { user: token.user, session: token.session };
        let entry = NewEntry { id: alarm, revoked, until };
        self.0.remember(entry.clone());
        let shared = self.0.clone();
        // Should that fail it stays owed, which is said there.
        tokio::spawn(async move { shared.settle_one(&entry).await });
    }
}
