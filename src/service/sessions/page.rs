//! The live sessions of an account, page by page.

use super::Sessions;
use crate::domain::ids::UserId;
use crate::domain::session::Session;
use crate::domain::session_cap::SessionCursor;
use crate::service::caller::Caller;
use crate::service::error::Result;
use crate::store::{StoreResult, TokenStore};

/// A page of an account's live sessions, newest first.
#[derive(Clone, Debug)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<Session>,
    /// Behind which the next page begins, if there is one.
    pub next: Option<SessionCursor>,
}

impl SessionPage {
    pub(in crate::service) async fn read(
        store: &dyn TokenStore,
        user: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> StoreResult<Self> {
        let mut sessions = store.list_sessions(user, after, limit.saturating_add(1)).await?;
        let has_more = sessions.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if has_more {
            sessions.pop();
        }
        let next = sessions.last().filter(|_| has_more).map(SessionCursor::from);
        Ok(Self { sessions, next })
    }
}

impl Sessions {
    /// At most `limit` of the caller's live sessions, newest first, from the one behind `after` on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(
        &self,
        caller: &Caller,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> Result<SessionPage> {
        Ok(SessionPage::read(&*self.token_store, caller.user, after, limit).await?)
    }
}
