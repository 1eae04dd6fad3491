//! Moving all accounts on after a database was restored.

use hallpass::domain::clock::Timestamp;
use hallpass::store::restored::RestoredAccounts;

use super::fixtures::{AT, Accounts, insert, new_user};
use super::found;
use super::journal::assert_nothing_is_journaled;

/// What has accounts and can move all of them on.
pub trait Restorable: Accounts + RestoredAccounts {}

impl<T: Accounts + RestoredAccounts> Restorable for T {}

pub async fn all_accounts_move_on_in_pages_and_nothing_is_journaled(store: &impl Restorable) {
    let mut users = Vec::new();
    for name in ["ada", "grace", "edsger", "alan", "barbara"] {
        users.push(insert(store, &new_user(&format!("{name}@example.com"))).await);
    }
    let ids: Vec<_> = users.iter().map(|user| user.id).collect();
    let mut now = AT;
    for round in 0..3 {
        let (mut moved, mut after) = (Vec::new(), None);
        loop {
            let page = store.advance_security_versions(after, 2, now).await.expect("an answer");
            assert!(page.len() <= 2);
            let Some(last) = page.last() else { break };
            after = Some(*last);
            moved.extend(page);
        }
        assert_eq!(moved, ids, "round {round}");
        for user in &mut users {
            let on = found(store, user.id).await;
            assert_eq!(on.security_version, user.security_version.next(now), "round {round}");
            assert_eq!((&on.password, &on.email, on.role()), (&user.password, &user.email, user.role()));
            *user = on;
        }
        // Whatever the clock shows, each is a later one.
        now = Timestamp::from_millis(now.as_millis() - 60_000);
    }
    assert_nothing_is_journaled(store).await;
}
