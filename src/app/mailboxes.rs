//! Mailboxes of addresses from before they were compared by them: SQL knows no UTS 46, so no step of the
//! schema could write them down.

use crate::domain::causes::with_causes;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::store::{StoreResult, UserStore};

/// How many accounts are held in memory at once.
const PAGE: u32 = 500;

/// Writes down the mailboxes that are missing. An account that shares its mailbox with another one stays
/// without and is found by its spelling, as before: [`find_shared`] tells of it.
pub(super) async fn fill_in(users: &dyn UserStore) {
    let filling = async {
        let mut after = None;
        loop {
            let page = users.list_users_without_mailbox(after, PAGE).await?;
            let Some(last) = page.last() else { return StoreResult::Ok(()) };
            after = Some(last.id);
            for user in &page {
                if !users.set_mailbox(user.id, &user.email).await? {
                    tracing::warn!(user = %user.id, "another account has the same mailbox; see hallpass doctor");
                }
            }
        }
    };
    if let Err(error) = filling.await {
        tracing::warn!(error = %with_causes(&error), "not all mailboxes are written down; the next start tries again");
    }
}

/// Pairs of accounts whose addresses are one mailbox.
///
/// # Errors
/// [`StoreError`](crate::store::StoreError).
pub(super) async fn find_shared(users: &dyn UserStore) -> StoreResult<Vec<(UserId, UserId)>> {
    let (mut shared, mut after) = (Vec::new(), None);
    loop {
        let page = users.list_users_without_mailbox(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(shared) };
        after = Some(last.id);
        for user in &page {
            let Ok(mailbox) = Email::kept(user.email.mailbox().to_owned()) else { continue };
            match users.find_user_by_email(&mailbox).await? {
                Some(other) if other.id != user.id => shared.push((other.id, user.id)),
                _ => {}
            }
        }
    }
}
