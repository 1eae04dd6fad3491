//! Accounts as an administrator's list shows them.

use super::Accounts;
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::domain::user_filter::{UserFilter, UserOrder};
use crate::service::caller::Caller;
use crate::service::error::Result;

/// When an access token was issued and when it ends, seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTimes {
    /// Claim `iat`.
    pub issued_at: i64,
    /// Claim `exp`.
    pub expires_at: i64,
}

/// An account as an administrator's list shows it.
#[derive(Clone, Debug)]
pub struct ListedUser {
    /// The account.
    pub user: User,
    /// The newest access token that is live.
    pub newest_token: Option<TokenTimes>,
}

/// A page of accounts.
#[derive(Clone, Debug)]
pub struct UserPage {
    /// The accounts, in the order of their ids.
    pub users: Vec<ListedUser>,
    /// Behind which id the next page begins, if there is one.
    pub next: Option<UserId>,
    /// How many there are on all pages, where that was asked for.
    pub total: Option<u64>,
}

/// Which accounts an administrator wants to see.
#[derive(Clone, Debug)]
pub struct UserListRequest {
    /// What they have in common.
    pub filter: UserFilter,
    /// Which of them come first.
    pub order: UserOrder,
    /// The page begins behind this one.
    pub after: Option<UserId>,
    /// Accounts in the page.
    pub limit: u32,
    /// Whether to count all pages.
    pub count: bool,
}

impl Accounts {
    /// A page of accounts, for administrators.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub async fn list(&self, caller: &Caller, wanted: &UserListRequest) -> Result<UserPage> {
        caller.require_admin()?;
        let UserListRequest { filter, order, after, limit, count } = wanted;
        let mut users = self.users.list_users(filter, *order, *after, limit.saturating_add(1)).await?;
        let total = if *count { Some(self.users.count_users(filter).await?) } else { None };
        let page_size = usize::try_from(*limit).unwrap_or(usize::MAX);
        let more = users.len() > page_size;
        users.truncate(page_size);
        let next = users.last().map(|user| user.id).filter(|_| more);
        let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
        let now = self.clock.now();
        let issued = self.token_store.newest_access_tokens(&ids).await?;
        let lifetime = self.lifetimes.access_token;
        let users = users
            .into_iter()
            .zip(issued)
            .map(|(user, issued)| ListedUser {
                user,
                newest_token: issued
                    .map(|at| TokenTimes {
                        issued_at: at.as_secs(),
                        expires_at: at.after(lifetime).as_secs(),
                    })
                    .filter(|token| now.as_secs() < token.expires_at),
            })
            .collect();
        Ok(UserPage { users, next, total })
    }
}
