//! Accounts whose tokens would be longer than they may be.

use crate::domain::ids::UserId;
use crate::service::token_size::{TOKEN_MAX_BYTES, TokenSize};
use crate::store::{StoreResult, UserStore};

/// How many accounts are held in memory at once.
const PAGE: u32 = 500;

/// The settings make tokens too long of which nobody has anything noted down.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "with `tokens.claims`, `tokens.audiences` and `role_scopes` as they are, a token may have {0} bytes before anything is noted down about its \
     account; {TOKEN_MAX_BYTES} is the most: shorten them"
)]
pub struct ClaimsTooLong(usize);

/// Refuses claims that leave no room for any account.
///
/// # Errors
/// [`ClaimsTooLong`].
pub(super) fn refuse_too_long(size: &TokenSize) -> Result<(), ClaimsTooLong> {
    match size.without_metadata() {
        bytes if bytes > TOKEN_MAX_BYTES => Err(ClaimsTooLong(bytes)),
        _ => Ok(()),
    }
}

/// Accounts whose tokens leave claims out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LongTokens {
    /// How many there are.
    pub(super) accounts: u64,
    /// The first of them.
    pub(super) first: UserId,
}

impl std::fmt::Display for LongTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { accounts, first } = self;
        let them = if *accounts == 1 { "account" } else { "accounts" };
        write!(
            f,
            "tokens of {accounts} {them} would be longer than {TOKEN_MAX_BYTES} bytes, and leave claims out (the first is \
             {first}): shorten `tokens.claims`, or what is noted down about them"
        )
    }
}

/// Looks for them, among those about whom something is noted down or who have more roles than one.
///
/// # Errors
/// [`StoreError`](crate::store::StoreError).
pub(super) async fn find(users: &dyn UserStore, size: &TokenSize) -> StoreResult<Option<LongTokens>> {
    let (mut found, mut after) = (None, None);
    loop {
        let page = users.list_users_with_more_in_tokens(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.id);
        for user in page.iter().filter(|user| size.of(user) > TOKEN_MAX_BYTES) {
            found.get_or_insert(LongTokens { accounts: 0, first: user.id }).accounts += 1;
        }
    }
}
