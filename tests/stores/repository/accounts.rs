//! What administrators change about accounts, and what is written down of it.

use hallpass::domain::ids::UserId;
use hallpass::domain::password::PasswordHash;
use hallpass::domain::user::{AccountChange, ImportedUser, NewUser, Role, SecurityVersion, User};
use hallpass::store::{ChangeOutcome, CutOffOrder, DeleteOutcome, SecurityEvent, UserStore};

use super::fixtures::{AT, Accounts, UNTIL, email, event, insert, new_user, user_id};
use super::journal::{assert_nothing_is_journaled, assert_the_only_entry, count_entries};
use super::{at_once, found};

const DEMOTION: AccountChange = AccountChange { role: Some(Role::Member), disabled: None, email: None };
const SHUTTING: AccountChange = AccountChange { role: None, disabled: Some(true), email: None };

async fn admin(repository: &dyn UserStore, address: &str) -> User {
    insert(repository, &NewUser { role: Role::Admin, ..new_user(address) }).await
}

async fn change(repository: &dyn UserStore, id: UserId, change: &AccountChange) -> ChangeOutcome {
    repository.change_account(id, change, event()).await.expect("an answer")
}

async fn changed(repository: &dyn UserStore, id: UserId, wanted: &AccountChange) -> SecurityEvent {
    match change(repository, id, wanted).await {
        ChangeOutcome::Changed { after, .. } => *after,
        other => panic!("{other:?}"),
    }
}

async fn delete(repository: &dyn UserStore, id: UserId) -> DeleteOutcome {
    repository.delete_user(id, event()).await.expect("an answer")
}

pub async fn a_change_of_an_account_is_kept_and_written_down(repository: &dyn Accounts) {
    let ada = insert(repository, &NewUser { email_verified: true, ..new_user("ada@example.com") }).await;
    assert!(ada.email_verified && !ada.disabled);
    let wanted = AccountChange {
        role: Some(Role::Admin),
        disabled: Some(true),
        email: Some(email("countess@example.com")),
    };
    let answered = changed(repository, ada.id, &wanted).await;
    for user in [&answered.user, &found(repository, ada.id).await] {
        assert_eq!((user.role, user.disabled), (Role::Admin, true));
        assert_eq!(user.email, email("countess@example.com"));
        assert!(!user.email_verified, "the new address is not proven");
        assert_eq!(user.security_version, ada.security_version.next(AT));
        assert_eq!((&user.password, &user.first_name), (&ada.password, &ada.first_name));
    }
    assert_the_only_entry(repository, &CutOffOrder::from(&answered)).await;
}

pub async fn a_change_to_what_is_so_already_writes_nothing(repository: &dyn Accounts) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let same =
        AccountChange { role: Some(Role::Member), disabled: Some(false), email: Some(ada.email.clone()) };
    for nothing in [&same, &AccountChange::default()] {
        assert!(matches!(change(repository, ada.id, nothing).await, ChangeOutcome::Unchanged(_)));
    }
    assert_eq!(found(repository, ada.id).await.security_version, ada.security_version);
    assert_nothing_is_journaled(repository).await;
}

pub async fn a_change_of_role_keeps_a_proven_address_proven(repository: &dyn UserStore) {
    let ada = insert(repository, &NewUser { email_verified: true, ..new_user("ada@example.com") }).await;
    let promotion = AccountChange { role: Some(Role::Admin), ..AccountChange::default() };
    assert!(changed(repository, ada.id, &promotion).await.user.email_verified);
}

pub async fn a_taken_address_is_refused(repository: &dyn Accounts) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let eve = insert(repository, &new_user("eve@example.com")).await;
    let wanted = AccountChange { email: Some(ada.email.clone()), disabled: Some(true), role: None };
    assert!(matches!(change(repository, eve.id, &wanted).await, ChangeOutcome::EmailTaken));
    let eve_after = found(repository, eve.id).await;
    assert_eq!((eve_after.email, eve_after.disabled), (eve.email, false));
    assert_eq!(eve_after.security_version, eve.security_version);
    assert_nothing_is_journaled(repository).await;
}

pub async fn nobody_is_changed_or_deleted_or_kicked(repository: &dyn Accounts) {
    let nobody = user_id(99);
    assert!(matches!(change(repository, nobody, &SHUTTING).await, ChangeOutcome::NotFound));
    assert_eq!(delete(repository, nobody).await, DeleteOutcome::NotFound);
    assert!(repository.advance_security_version(nobody, event()).await.expect("an answer").is_none());
    let ninth = SecurityVersion::new(9);
    assert!(repository.raise_security_version(nobody, ninth, event()).await.expect("an answer").is_none());
    let hash = PasswordHash::from_phc("$new");
    assert!(repository.set_password(nobody, &hash, event()).await.expect("an answer").is_none());
    assert!(!repository.verify_email(nobody, &email("ada@example.com")).await.expect("an answer"));
    assert_nothing_is_journaled(repository).await;
}

pub async fn the_last_enabled_administrator_stays(repository: &dyn Accounts) {
    let root = admin(repository, "root@example.com").await;
    let second = admin(repository, "second@example.com").await;
    changed(repository, second.id, &SHUTTING).await;
    insert(repository, &new_user("member@example.com")).await;

    let written = count_entries(repository).await;
    for attempt in [&DEMOTION, &SHUTTING] {
        assert!(matches!(change(repository, root.id, attempt).await, ChangeOutcome::LastAdmin));
    }
    assert_eq!(delete(repository, root.id).await, DeleteOutcome::LastAdmin);
    assert_eq!(count_entries(repository).await, written, "a refusal is none of its events");
    let root_after = found(repository, root.id).await;
    assert!(root_after.is_enabled_admin());
    assert_eq!(root_after.security_version, root.security_version);

    // One that is shut is no longer one of those that count.
    changed(repository, second.id, &DEMOTION).await;
    let opening = AccountChange { disabled: Some(false), role: Some(Role::Admin), email: None };
    changed(repository, second.id, &opening).await;
    changed(repository, root.id, &DEMOTION).await;
}

pub async fn an_administrator_is_there_while_one_is_enabled(repository: &dyn Accounts) {
    let has = async |verified| repository.has_administrator(verified).await.expect("an answer");
    insert(repository, &new_user("member@example.com")).await;
    let shut = NewUser { role: Role::Admin, email_verified: true, ..new_user("shut@example.com") };
    let shut = ImportedUser { account: shut, disabled: true };
    assert_eq!(repository.insert_users(&[shut], AT).await.expect("an answer"), 1);
    assert!(!has(false).await && !has(true).await);
    let unproven = NewUser { role: Role::Admin, email_verified: false, ..new_user("root@example.com") };
    let root = insert(repository, &unproven).await;
    assert!(has(false).await && !has(true).await);
    assert!(repository.verify_email(root.id, &root.email).await.expect("an answer"));
    assert!(has(false).await && has(true).await);
}

pub async fn of_many_administrators_who_are_demoted_at_once_one_stays(repository: &dyn Accounts) {
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
                _ => delete(repository, id).await == DeleteOutcome::LastAdmin,
            }
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|refused| **refused).count(), 1);
    let users = repository.list_users(None, 100).await.expect("an answer");
    assert_eq!(users.iter().filter(|user| user.is_enabled_admin()).count(), 1);
    assert_eq!(count_entries(repository).await, 19);
}

pub async fn a_deleted_account_is_gone_and_its_cut_off_is_written_down(repository: &dyn Accounts) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let DeleteOutcome::Deleted(order) = delete(repository, ada.id).await else { panic!("it is deleted") };
    assert_eq!((order.user, order.version, order.until), (ada.id, ada.security_version.next(AT), UNTIL));
    assert!(repository.find_user(ada.id).await.expect("an answer").is_none());
    assert_the_only_entry(repository, &order).await;

    assert_eq!(delete(repository, ada.id).await, DeleteOutcome::NotFound);
    assert_the_only_entry(repository, &order).await;
}

pub async fn the_address_of_a_deleted_account_is_free_and_its_id_is_not(repository: &dyn UserStore) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    delete(repository, ada.id).await;
    let successor = insert(repository, &new_user("ada@example.com")).await;
    assert!(successor.id > ada.id);
}

pub async fn a_kick_moves_the_version_on_and_changes_nothing_else(repository: &dyn Accounts) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let kick = repository.advance_security_version(ada.id, event()).await.expect("an answer");
    let kick = kick.expect("the account");
    assert_the_only_entry(repository, &CutOffOrder::from(&kick)).await;
    let kicked = kick.user;
    assert_eq!(kicked.security_version, ada.security_version.next(AT));
    assert_eq!((kicked.password, kicked.email, kicked.disabled), (ada.password, ada.email, false));
}

pub async fn a_version_is_raised_and_never_lowered(repository: &dyn Accounts) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let raise = async |version| {
        let version = SecurityVersion::new(version);
        repository.raise_security_version(ada.id, version, event()).await.expect("an answer")
    };
    let raised = raise(5).await.expect("it was behind");
    assert_eq!(raised.user.security_version, SecurityVersion::new(5));
    assert_eq!((&raised.user.password, &raised.user.email), (&ada.password, &ada.email));
    for late in [5, 4, 1] {
        assert!(raise(late).await.is_none(), "{late}");
    }
    assert_eq!(found(repository, ada.id).await.security_version, SecurityVersion::new(5));
    assert_the_only_entry(repository, &CutOffOrder::from(&raised)).await;
}

pub async fn of_many_raises_at_once_the_highest_stands(repository: &dyn Accounts) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let raise = |n: u32| {
        let version = SecurityVersion::new(i64::from(n * 7 % 20) + 1);
        repository.raise_security_version(ada.id, version, event())
    };
    let answers = at_once(20, raise).await;
    let raised = answers.into_iter().filter(|answer| answer.as_ref().expect("an answer").is_some()).count();
    assert_eq!(found(repository, ada.id).await.security_version, SecurityVersion::new(20));
    assert_eq!(count_entries(repository).await, raised);
}

pub async fn a_password_that_is_set_replaces_any_version(repository: &dyn Accounts) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    repository.advance_security_version(ada.id, event()).await.expect("an answer");
    let hash = PasswordHash::from_phc("$set");
    let set = repository.set_password(ada.id, &hash, event()).await.expect("an answer").expect("the account");
    assert_eq!(set.user.password, hash);
    assert_eq!(set.user.security_version, ada.security_version.next(AT).next(AT));
    assert_eq!((set.link.at.position, count_entries(repository).await), (2, 2));
}

pub async fn an_address_is_proven_only_while_it_is_the_accounts(repository: &dyn UserStore) {
    let ada = insert(repository, &new_user("ada@example.com")).await;
    let wrong = repository.verify_email(ada.id, &email("old@example.com")).await.expect("an answer");
    assert!(!wrong && !found(repository, ada.id).await.email_verified);
    assert!(repository.verify_email(ada.id, &ada.email).await.expect("an answer"));
    let user = found(repository, ada.id).await;
    assert!(user.email_verified);
    assert_eq!(user.security_version, ada.security_version, "this ends nobody's session");
}
