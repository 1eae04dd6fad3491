//! What administrators change about accounts, and what it owes.

use hallpass::domain::ids::UserId;
use hallpass::domain::password::PasswordHash;
use hallpass::domain::user::{AccountChange, NewUser, Role, SecurityVersion, User};
use hallpass::store::{ChangeOutcome, CutOffOrder, DeleteOutcome, Repository};

use super::fixtures::{email, insert, new_user, user_id};
use super::{at_once, found};

const DEMOTION: AccountChange = AccountChange { role: Some(Role::Member), disabled: None, email: None };
const SHUTTING: AccountChange = AccountChange { role: None, disabled: Some(true), email: None };

async fn admin(repository: &dyn Repository, address: &str) -> User {
    insert(repository, &NewUser { role: Role::Admin, ..new_user(address) }).await
}

async fn change(repository: &dyn Repository, id: UserId, change: &AccountChange) -> ChangeOutcome {
    repository.change_account(id, change).await.expect("an answer")
}

async fn changed(repository: &dyn Repository, id: UserId, wanted: &AccountChange) -> User {
    match change(repository, id, wanted).await {
        ChangeOutcome::Changed { after, .. } => after,
        other => panic!("{other:?}"),
    }
}

pub async fn owed(repository: &dyn Repository) -> Vec<CutOffOrder> {
    repository.list_owed_cut_offs(10).await.expect("list_owed_cut_offs")
}

pub async fn settle(repository: &dyn Repository, user: UserId, version: SecurityVersion) {
    repository.settle_cut_off(CutOffOrder { user, version }).await.expect("settle_cut_off");
}

pub async fn a_change_of_an_account_is_kept_and_owes_a_cut_off(repository: &dyn Repository) {
    let ada = insert(repository, &NewUser { email_verified: true, ..new_user("ada@example.com") }).await;
    assert!(ada.email_verified && !ada.disabled);
    let wanted = AccountChange {
        role: Some(Role::Admin),
        disabled: Some(true),
        email: Some(email("countess@example.com")),
    };
    let answered = changed(repository, ada.id, &wanted).await;
    for user in [&answered, &found(repository, ada.id).await] {
        assert_eq!((user.role, user.disabled), (Role::Admin, true));
        assert_eq!(user.email, email("countess@example.com"));
        assert!(!user.email_verified, "the new address is not proven");
        assert_eq!(user.security_version, ada.security_version.next());
        assert_eq!((&user.password, &user.first_name), (&ada.password, &ada.first_name));
    }
    assert_eq!(owed(repository).await, [CutOffOrder::from(&answered)]);
}

pub async fn a_change_to_what_is_so_already_writes_nothing(repository: &dyn Repository) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let same =
        AccountChange { role: Some(Role::Member), disabled: Some(false), email: Some(ada.email.clone()) };
    for nothing in [&same, &AccountChange::default()] {
        assert!(matches!(change(repository, ada.id, nothing).await, ChangeOutcome::Unchanged(_)));
    }
    assert_eq!(found(repository, ada.id).await.security_version, ada.security_version);
    assert!(owed(repository).await.is_empty());
}

pub async fn a_change_of_role_keeps_a_proven_address_proven(repository: &dyn Repository) {
    let ada = insert(repository, &NewUser { email_verified: true, ..new_user("ada@example.com") }).await;
    let promotion = AccountChange { role: Some(Role::Admin), ..AccountChange::default() };
    assert!(changed(repository, ada.id, &promotion).await.email_verified);
}

pub async fn a_taken_address_is_refused(repository: &dyn Repository) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let eve = insert(repository, &new_user("eve@example.com")).await;
    let wanted = AccountChange { email: Some(ada.email.clone()), disabled: Some(true), role: None };
    assert!(matches!(change(repository, eve.id, &wanted).await, ChangeOutcome::EmailTaken));
    let eve_after = found(repository, eve.id).await;
    assert_eq!((eve_after.email, eve_after.disabled), (eve.email, false));
    assert_eq!(eve_after.security_version, eve.security_version);
}

pub async fn nobody_is_changed_or_deleted_or_kicked(repository: &dyn Repository) {
    let nobody = user_id(99);
    assert!(matches!(change(repository, nobody, &SHUTTING).await, ChangeOutcome::NotFound));
    assert_eq!(repository.delete_user(nobody).await.expect("an answer"), DeleteOutcome::NotFound);
    assert!(repository.advance_security_version(nobody).await.expect("an answer").is_none());
    let hash = PasswordHash::from_phc("$new");
    assert!(repository.set_password(nobody, &hash).await.expect("an answer").is_none());
    assert!(!repository.verify_email(nobody, &email("ada@example.com")).await.expect("an answer"));
    assert!(owed(repository).await.is_empty());
}

pub async fn the_last_enabled_administrator_stays(repository: &dyn Repository) {
    let root = admin(repository, "root@example.com").await;
    let second = admin(repository, "second@example.com").await;
    changed(repository, second.id, &SHUTTING).await;
    insert(repository, &new_user("member@example.com")).await;

    for attempt in [&DEMOTION, &SHUTTING] {
        assert!(matches!(change(repository, root.id, attempt).await, ChangeOutcome::LastAdmin));
    }
    assert_eq!(repository.delete_user(root.id).await.expect("an answer"), DeleteOutcome::LastAdmin);
    let root_after = found(repository, root.id).await;
    assert!(root_after.is_enabled_admin());
    assert_eq!(root_after.security_version, root.security_version);

    // One that is shut is no longer one of those that count.
    changed(repository, second.id, &DEMOTION).await;
    let opening = AccountChange { disabled: Some(false), role: Some(Role::Admin), email: None };
    changed(repository, second.id, &opening).await;
    changed(repository, root.id, &DEMOTION).await;
}

pub async fn of_many_administrators_who_are_demoted_at_once_one_stays(repository: &dyn Repository) {
    let mut admins = Vec::new();
    for n in 0..20 {
        admins.push(admin(repository, &format!("admin{n}@example.com")).await);
    }
    let outcomes = at_once(20, |n| {
        let id = admins[n as usize].id;
        async move {
            // Each in one of the three ways.
            match n % 3 {
                0 => matches!(change(repository, id, &DEMOTION).await, ChangeOutcome::LastAdmin),
                1 => matches!(change(repository, id, &SHUTTING).await, ChangeOutcome::LastAdmin),
                _ => repository.delete_user(id).await.expect("an answer") == DeleteOutcome::LastAdmin,
            }
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|refused| **refused).count(), 1);
    let users = repository.list_users(None, 100).await.expect("an answer");
    assert_eq!(users.iter().filter(|user| user.is_enabled_admin()).count(), 1);
}

pub async fn a_deleted_account_is_gone_and_its_cut_off_stays_owed(repository: &dyn Repository) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let outcome = repository.delete_user(ada.id).await.expect("an answer");
    let order = CutOffOrder { user: ada.id, version: ada.security_version.next() };
    assert_eq!(outcome, DeleteOutcome::Deleted(order));
    assert!(repository.find_user(ada.id).await.expect("an answer").is_none());
    assert_eq!(owed(repository).await, [order]);

    settle(repository, ada.id, ada.security_version).await;
    assert_eq!(owed(repository).await, [order], "an earlier cut-off was confirmed");
    settle(repository, ada.id, order.version).await;
    assert!(owed(repository).await.is_empty());
}

pub async fn the_address_of_a_deleted_account_is_free_and_its_id_is_not(repository: &dyn Repository) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    repository.delete_user(ada.id).await.expect("an answer");
    let successor = insert(repository, &new_user("ada@example.com")).await;
    assert!(successor.id > ada.id);
}

pub async fn a_kick_moves_the_version_on_and_changes_nothing_else(repository: &dyn Repository) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let kicked = repository.advance_security_version(ada.id).await.expect("an answer").expect("the account");
    assert_eq!(kicked.security_version, ada.security_version.next());
    assert_eq!((kicked.password, kicked.email, kicked.disabled), (ada.password, ada.email, false));
    assert_eq!(owed(repository).await.len(), 1);
}

pub async fn a_password_that_is_set_replaces_any_version(repository: &dyn Repository) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    repository.advance_security_version(ada.id).await.expect("an answer");
    let hash = PasswordHash::from_phc("$set");
    let user = repository.set_password(ada.id, &hash).await.expect("an answer").expect("the account");
    assert_eq!(user.password, hash);
    assert_eq!(user.security_version, ada.security_version.next().next());
}

pub async fn an_address_is_proven_only_while_it_is_the_accounts(repository: &dyn Repository) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let wrong = repository.verify_email(ada.id, &email("old@example.com")).await.expect("an answer");
    assert!(!wrong && !found(repository, ada.id).await.email_verified);
    assert!(repository.verify_email(ada.id, &ada.email).await.expect("an answer"));
    let user = found(repository, ada.id).await;
    assert!(user.email_verified);
    assert_eq!(user.security_version, ada.security_version, "this ends nobody's session");
}
