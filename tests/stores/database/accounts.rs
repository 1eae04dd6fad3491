//! What administrators change about accounts, and what is written down of it.

use hallpass::domain::ids::UserId;
use hallpass::domain::mapped_claims::{AccountField, ClaimSource, MappedClaim, MappedClaims, WatchedFields};
use hallpass::domain::metadata::Metadata;
use hallpass::domain::password::PasswordHash;
use hallpass::domain::roles::Roles;
use hallpass::domain::user::{
    AccountChange, ImportedUser, NewUser, ProfileChange, Role, SecurityVersion, User,
};
use hallpass::store::{ChangeOutcome, CutOffOrder, DeleteOutcome, SecurityEvent, UserStore};

use super::fixtures::{
    AT, Accounts, EVERYBODY, Sqlite, UNTIL, UserOrder, email, event, external_id, insert, name, new_user,
    user_id,
};
use sqlx::{AssertSqlSafe, Executor};

use super::journal::{assert_nothing_is_journaled, assert_the_only_entry, count_entries};
use super::{at_once, found};

const NAMES_STAY: ProfileChange = ProfileChange { first_name: None, last_name: None };

const DEMOTION: AccountChange = AccountChange {
    role: Some(Role::Member),
    roles: None,
    disabled: None,
    email: None,
    external_id: None,
    metadata: None,
    profile: NAMES_STAY,
    watched: WatchedFields::NONE,
};
const SHUTTING: AccountChange = AccountChange {
    role: None,
    roles: None,
    disabled: Some(true),
    email: None,
    external_id: None,
    metadata: None,
    profile: NAMES_STAY,
    watched: WatchedFields::NONE,
};

async fn admin(store: &dyn UserStore, address: &str) -> User {
    insert(store, &NewUser { role: Role::Admin, ..new_user(address) }).await
}

async fn change(store: &dyn UserStore, id: UserId, change: &AccountChange) -> ChangeOutcome {
    store.change_account(id, change, event()).await.expect("an answer")
}

async fn changed(store: &dyn UserStore, id: UserId, wanted: &AccountChange) -> SecurityEvent {
    match change(store, id, wanted).await {
        ChangeOutcome::Changed { after, .. } => *after,
        other => panic!("{other:?}"),
    }
}

async fn delete(store: &dyn UserStore, id: UserId) -> DeleteOutcome {
    store.delete_user(id, event()).await.expect("an answer")
}

fn metadata(text: &str) -> Metadata {
    text.parse().expect("metadata")
}

pub async fn what_is_noted_down_about_an_account_is_kept_and_ends_nothing(store: &dyn Accounts) {
    let ada =
        insert(store, &NewUser { metadata: metadata(r#"{"plan": "free"}"#), ..new_user("ada@example.com") })
            .await;
    assert_eq!(found(store, ada.id).await.metadata, metadata(r#"{"plan": "free"}"#));
    let long = format!(r#"{{"note":"{}"}}"#, "\u{e9}".repeat(1_018));
    for text in [r#"{"a": [1, 2.5, null, {"b": "'; DROP TABLE users; --\u0000\n"}], "c": true}"#, "{}", &long]
    {
        let wanted = AccountChange { metadata: Some(metadata(text)), ..AccountChange::default() };
        let ChangeOutcome::SessionsStay(answered) = change(store, ada.id, &wanted).await else {
            panic!("{text}");
        };
        let kept = found(store, ada.id).await;
        assert_eq!((&answered.metadata, &kept.metadata), (&metadata(text), &metadata(text)));
        assert_eq!(kept.security_version, ada.security_version);
        assert!(matches!(change(store, ada.id, &wanted).await, ChangeOutcome::Unchanged(_)), "{text}");
    }
    assert_nothing_is_journaled(store).await;
}

pub async fn a_change_of_an_account_is_kept_and_written_down(store: &dyn Accounts) {
    let ada = insert(store, &NewUser { email_verified: true, ..new_user("ada@example.com") }).await;
    assert!(ada.email_verified && !ada.disabled);
    let wanted = AccountChange {
        role: Some(Role::Admin),
        roles: None,
        disabled: Some(true),
        email: Some(email("countess@example.com")),
        external_id: Some(external_id("4711")),
        metadata: Some(metadata(r#"{"plan": "pro"}"#)),
        profile: ProfileChange { first_name: Some(name("Augusta")), last_name: Some(None) },
        watched: WatchedFields::NONE,
    };
    let answered = changed(store, ada.id, &wanted).await;
    for user in [&answered.user, &found(store, ada.id).await] {
        assert_eq!((user.role(), user.disabled), (Role::Admin, true));
        assert_eq!(user.email, email("countess@example.com"));
        assert_eq!(user.external_id, external_id("4711"));
        assert_eq!(user.metadata, metadata(r#"{"plan": "pro"}"#));
        assert!(!user.email_verified, "the new address is not proven");
        assert_eq!(user.security_version, ada.security_version.next(AT));
        assert_eq!((&user.first_name, &user.last_name), (&name("Augusta"), &None));
        assert_eq!(user.password, ada.password);
    }
    assert_the_only_entry(store, &CutOffOrder::from(&answered)).await;
}

/// Of names, too, where a claim of tokens comes from one, and in the step that changes it.
pub async fn a_name_that_is_watched_moves_the_version_on_and_no_other_does(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let source = ClaimSource::Account(AccountField::LastName);
    let claim = ("family".parse().expect("a name"), MappedClaim { source, audiences: None });
    let watched = MappedClaims::from_iter([claim]).account_fields(|_| true);
    let named = |first_name, last_name| AccountChange {
        profile: ProfileChange { first_name, last_name },
        watched: watched.clone(),
        ..AccountChange::default()
    };
    let stays = change(store, ada.id, &named(Some(name("Augusta")), None)).await;
    assert!(matches!(stays, ChangeOutcome::SessionsStay(_)), "{stays:?}");
    let kept = found(store, ada.id).await;
    assert_eq!((&kept.first_name, kept.security_version), (&name("Augusta"), ada.security_version));
    assert_nothing_is_journaled(store).await;

    let wanted = named(None, Some(name("King")));
    let answered = changed(store, ada.id, &wanted).await;
    for user in [&answered.user, &found(store, ada.id).await] {
        assert_eq!((&user.first_name, &user.last_name), (&name("Augusta"), &name("King")));
        assert_eq!(user.security_version, ada.security_version.next(AT));
    }
    assert_the_only_entry(store, &CutOffOrder::from(&answered)).await;
    assert!(matches!(change(store, ada.id, &wanted).await, ChangeOutcome::Unchanged(_)));
}

/// Builds before know of `admin` and `member` alone: what they find and write is one of the two.
pub async fn all_roles_are_kept_beside_the_one_that_builds_before_know(store: &dyn Accounts) {
    let roles = |text: &str| text.parse::<Roles>().expect(text);
    let ada = insert(store, &new_user("ada@example.com")).await;
    let bob = insert(store, &new_user("bob@example.com")).await;
    admin(store, "root@example.com").await;
    let set = |all| AccountChange { roles: Some(roles(all)), ..AccountChange::default() };
    for all in ["editor member", "editor", "admin editor", "admin", "support:eu", "member", "editor member"] {
        let answered = changed(store, ada.id, &set(all)).await;
        for user in [answered.user, found(store, ada.id).await] {
            assert_eq!((&user.roles, user.role()), (&roles(all), roles(all).role()), "{all}");
        }
        assert!(matches!(change(store, ada.id, &set(all)).await, ChangeOutcome::Unchanged(_)), "{all}");
    }
    assert_eq!(store.count_by_roles().await.expect("counts"), [(roles("editor member"), 1)]);
    changed(store, bob.id, &set("member editor")).await;
    assert_eq!(store.count_by_roles().await.expect("counts"), [(roles("editor member"), 2)]);

    let promotion = AccountChange { role: Some(Role::Admin), ..AccountChange::default() };
    assert_eq!(changed(store, ada.id, &promotion).await.user.roles, roles("admin editor"));
}

/// Such a build has changed `role`, and left `roles` as it was.
#[tokio::test]
async fn what_a_build_before_has_said_of_the_one_role_holds() {
    let database = Sqlite::migrated().await;
    let mut connection = database.connection().await;
    for (n, (role, roles, read)) in [
        ("member", "'admin editor'", "editor member"),
        ("admin", "'editor member'", "admin editor"),
        ("member", "'admin'", "member"),
        ("member", "'editor'", "editor"),
        ("admin", "NULL", "admin"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = insert(&database.store, &new_user(&format!("user{n}@example.com"))).await.id;
        let update = format!("UPDATE users SET role = '{role}', roles = {roles} WHERE id = {id}");
        connection.execute(AssertSqlSafe(update)).await.expect("a change");
        assert_eq!(found(&database.store, id).await.roles.to_string(), read, "{role} {roles}");
    }
}

pub async fn a_change_to_what_is_so_already_writes_nothing(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let same = AccountChange {
        role: Some(Role::Member),
        roles: Some(Role::Member.into()),
        disabled: Some(false),
        email: Some(ada.email.clone()),
        external_id: Some(None),
        metadata: Some(metadata("{}")),
        profile: ProfileChange { first_name: Some(ada.first_name.clone()), last_name: None },
        watched: WatchedFields::NONE,
    };
    for nothing in [&same, &AccountChange::default()] {
        assert!(matches!(change(store, ada.id, nothing).await, ChangeOutcome::Unchanged(_)));
    }
    assert_eq!(found(store, ada.id).await.security_version, ada.security_version);
    assert_nothing_is_journaled(store).await;
}

fn renumbering(id: Option<&str>) -> AccountChange {
    AccountChange { external_id: Some(id.and_then(external_id)), ..AccountChange::default() }
}

pub async fn an_external_id_is_set_and_cleared_and_ends_nothing(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    assert_eq!(ada.external_id, None);
    for id in [Some("auth0|5f7"), Some("AUTH0|5f7"), None] {
        let answered = match change(store, ada.id, &renumbering(id)).await {
            ChangeOutcome::SessionsStay(user) => user,
            other => panic!("{other:?}"),
        };
        for user in [answered, found(store, ada.id).await] {
            assert_eq!(user.external_id, id.and_then(external_id));
            assert_eq!((user.security_version, user.role()), (ada.security_version, ada.role()));
        }
        assert!(matches!(change(store, ada.id, &renumbering(id)).await, ChangeOutcome::Unchanged(_)));
    }
    assert_nothing_is_journaled(store).await;
}

pub async fn an_external_id_that_is_taken_is_refused(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let eve = insert(store, &new_user("eve@example.com")).await;
    change(store, ada.id, &renumbering(Some("x"))).await;
    let with_more = AccountChange { disabled: Some(true), ..renumbering(Some("x")) };
    for taken in [&renumbering(Some("x")), &with_more] {
        assert!(matches!(change(store, eve.id, taken).await, ChangeOutcome::ExternalIdTaken));
    }
    let eve_after = found(store, eve.id).await;
    assert_eq!((eve_after.external_id, eve_after.disabled), (None, false));
    assert_nothing_is_journaled(store).await;
    // Small letters and capitals differ, and what is given up is free.
    assert!(matches!(change(store, eve.id, &renumbering(Some("X"))).await, ChangeOutcome::SessionsStay(_)));
    change(store, ada.id, &renumbering(None)).await;
    assert!(matches!(change(store, eve.id, &renumbering(Some("x"))).await, ChangeOutcome::SessionsStay(_)));
}

pub async fn a_change_of_role_keeps_a_proven_address_proven(store: &dyn UserStore) {
    let ada = insert(store, &NewUser { email_verified: true, ..new_user("ada@example.com") }).await;
    let promotion = AccountChange { role: Some(Role::Admin), ..AccountChange::default() };
    assert!(changed(store, ada.id, &promotion).await.user.email_verified);
}

pub async fn a_taken_address_is_refused(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let eve = insert(store, &new_user("eve@example.com")).await;
    let wanted =
        AccountChange { email: Some(ada.email.clone()), disabled: Some(true), ..AccountChange::default() };
    assert!(matches!(change(store, eve.id, &wanted).await, ChangeOutcome::EmailTaken));
    let eve_after = found(store, eve.id).await;
    assert_eq!((eve_after.email, eve_after.disabled), (eve.email, false));
    assert_eq!(eve_after.security_version, eve.security_version);
    assert_nothing_is_journaled(store).await;
}

pub async fn nobody_is_changed_or_deleted_or_kicked(store: &dyn Accounts) {
    let nobody = user_id(99);
    assert!(matches!(change(store, nobody, &SHUTTING).await, ChangeOutcome::NotFound));
    assert_eq!(delete(store, nobody).await, DeleteOutcome::NotFound);
    assert!(store.advance_security_version(nobody, event()).await.expect("an answer").is_none());
    let ninth = SecurityVersion::new(9);
    assert!(store.raise_security_version(nobody, ninth, event()).await.expect("an answer").is_none());
    let hash = PasswordHash::from_phc("$new");
    assert!(store.set_password(nobody, &hash, event()).await.expect("an answer").is_none());
    assert!(!store.verify_email(nobody, &email("ada@example.com")).await.expect("an answer"));
    assert_nothing_is_journaled(store).await;
}

pub async fn the_last_enabled_administrator_stays(store: &dyn Accounts) {
    let root = admin(store, "root@example.com").await;
    let second = admin(store, "second@example.com").await;
    changed(store, second.id, &SHUTTING).await;
    insert(store, &new_user("member@example.com")).await;
    // Who has no password can log in no more than who is shut.
    let without_password =
        NewUser { role: Role::Admin, password: PasswordHash::unusable(), ..new_user("without@example.com") };
    insert(store, &without_password).await;

    let written = count_entries(store).await;
    for attempt in [&DEMOTION, &SHUTTING] {
        assert!(matches!(change(store, root.id, attempt).await, ChangeOutcome::LastAdmin));
    }
    assert_eq!(delete(store, root.id).await, DeleteOutcome::LastAdmin);
    assert_eq!(count_entries(store).await, written, "a refusal is none of its events");
    let root_after = found(store, root.id).await;
    assert!(root_after.is_enabled_admin());
    assert_eq!(root_after.security_version, root.security_version);

    // One that is shut is no longer one of those that count.
    changed(store, second.id, &DEMOTION).await;
    let opening =
        AccountChange { disabled: Some(false), role: Some(Role::Admin), ..AccountChange::default() };
    changed(store, second.id, &opening).await;
    changed(store, root.id, &DEMOTION).await;
}

pub async fn an_administrator_is_there_while_one_is_enabled(store: &dyn Accounts) {
    let has = async |verified| store.has_administrator(verified).await.expect("an answer");
    insert(store, &new_user("member@example.com")).await;
    let shut = NewUser { role: Role::Admin, email_verified: true, ..new_user("shut@example.com") };
    let without_password = NewUser {
        role: Role::Admin,
        email_verified: true,
        password: PasswordHash::unusable(),
        ..new_user("without@example.com")
    };
    let without_password = ImportedUser { account: without_password, disabled: false, external_id: None };
    let shut = ImportedUser { account: shut, disabled: true, external_id: None };
    assert_eq!(store.insert_users(&[shut, without_password], AT).await.expect("an answer"), 2);
    assert!(!has(false).await && !has(true).await);
    let unproven = NewUser { role: Role::Admin, email_verified: false, ..new_user("root@example.com") };
    let root = insert(store, &unproven).await;
    assert!(has(false).await && !has(true).await);
    assert!(store.verify_email(root.id, &root.email).await.expect("an answer"));
    assert!(has(false).await && has(true).await);
}

pub async fn of_many_administrators_who_are_demoted_at_once_one_stays(store: &dyn Accounts) {
    let mut admins = Vec::new();
    for n in 0..20 {
        admins.push(admin(store, &format!("admin{n}@example.com")).await);
    }
    let outcomes = at_once(20, |n| {
        let id = admins[n as usize].id;
        async move {
            // Each in one of the three ways.
            match n % 3 {
                0 => matches!(change(store, id, &DEMOTION).await, ChangeOutcome::LastAdmin),
                1 => matches!(change(store, id, &SHUTTING).await, ChangeOutcome::LastAdmin),
                _ => delete(store, id).await == DeleteOutcome::LastAdmin,
            }
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|refused| **refused).count(), 1);
    let users = store.list_users(&EVERYBODY, UserOrder::Oldest, None, 100).await.expect("an answer");
    assert_eq!(users.iter().filter(|user| user.is_enabled_admin()).count(), 1);
    assert_eq!(count_entries(store).await, 19);
}

pub async fn a_deleted_account_is_gone_and_its_cut_off_is_written_down(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let DeleteOutcome::Deleted(order) = delete(store, ada.id).await else { panic!("it is deleted") };
    assert_eq!((order.user, order.version, order.until), (ada.id, ada.security_version.next(AT), UNTIL));
    assert!(store.find_user(ada.id).await.expect("an answer").is_none());
    assert_the_only_entry(store, &order).await;

    assert_eq!(delete(store, ada.id).await, DeleteOutcome::NotFound);
    assert_the_only_entry(store, &order).await;
}

pub async fn the_address_of_a_deleted_account_is_free_and_its_id_is_not(store: &dyn UserStore) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    delete(store, ada.id).await;
    let successor = insert(store, &new_user("ada@example.com")).await;
    assert!(successor.id > ada.id);
}

pub async fn a_kick_moves_the_version_on_and_changes_nothing_else(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let kick = store.advance_security_version(ada.id, event()).await.expect("an answer");
    let kick = kick.expect("the account");
    assert_the_only_entry(store, &CutOffOrder::from(&kick)).await;
    let kicked = kick.user;
    assert_eq!(kicked.security_version, ada.security_version.next(AT));
    assert_eq!((kicked.password, kicked.email, kicked.disabled), (ada.password, ada.email, false));
}

pub async fn a_version_is_raised_and_never_lowered(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let raise = async |version| {
        let version = SecurityVersion::new(version);
        store.raise_security_version(ada.id, version, event()).await.expect("an answer")
    };
    let raised = raise(5).await.expect("it was behind");
    assert_eq!(raised.user.security_version, SecurityVersion::new(5));
    assert_eq!((&raised.user.password, &raised.user.email), (&ada.password, &ada.email));
    for late in [5, 4, 1] {
        assert!(raise(late).await.is_none(), "{late}");
    }
    assert_eq!(found(store, ada.id).await.security_version, SecurityVersion::new(5));
    assert_the_only_entry(store, &CutOffOrder::from(&raised)).await;
}

pub async fn of_many_raises_at_once_the_highest_stands(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let raise = |n: u32| {
        let version = SecurityVersion::new(i64::from(n * 7 % 20) + 1);
        store.raise_security_version(ada.id, version, event())
    };
    let answers = at_once(20, raise).await;
    let raised = answers.into_iter().filter(|answer| answer.as_ref().expect("an answer").is_some()).count();
    assert_eq!(found(store, ada.id).await.security_version, SecurityVersion::new(20));
    assert_eq!(count_entries(store).await, raised);
}

pub async fn a_password_that_is_set_replaces_any_version(store: &dyn Accounts) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    store.advance_security_version(ada.id, event()).await.expect("an answer");
    let hash = PasswordHash::from_phc("$set");
    let set = store.set_password(ada.id, &hash, event()).await.expect("an answer").expect("the account");
    assert_eq!(set.user.password, hash);
    assert_eq!(set.user.security_version, ada.security_version.next(AT).next(AT));
    assert_eq!((set.link.at.position, count_entries(store).await), (2, 2));
}

pub async fn an_address_is_proven_only_while_it_is_the_accounts(store: &dyn UserStore) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let wrong = store.verify_email(ada.id, &email("old@example.com")).await.expect("an answer");
    assert!(!wrong && !found(store, ada.id).await.email_verified);
    assert!(store.verify_email(ada.id, &ada.email).await.expect("an answer"));
    let user = found(store, ada.id).await;
    assert!(user.email_verified);
    assert_eq!(user.security_version, ada.security_version, "this ends nobody's session");
}
