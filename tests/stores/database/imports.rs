//! Accounts that come in many at once.

use hallpass::domain::clock::Timestamp;
use hallpass::domain::user::{ImportedUser, NewUser, Role, SecurityVersion};
use hallpass::store::UserStore;

use super::at_once;
use super::fixtures::{Accounts, EVERYBODY, UserOrder, external_id, insert, name, new_user};
use super::journal::assert_nothing_is_journaled;

/// When these imports take place.
const IMPORTED_AT: Timestamp = Timestamp::from_millis(1_900_000_000_456);

fn imported(address: &str) -> ImportedUser {
    ImportedUser { account: new_user(address), disabled: false, external_id: None }
}

async fn import(store: &dyn UserStore, users: &[ImportedUser]) -> u64 {
    store.insert_users(users, IMPORTED_AT).await.expect("an answer")
}

pub async fn imported_accounts_are_found_as_they_were_given(store: &dyn Accounts) {
    let ada = ImportedUser {
        account: NewUser {
            first_name: name("Żółć"),
            last_name: name("O'Brien \"x\" {}, \\ 🦀"),
            role: Role::Admin,
            email_verified: true,
            metadata: r#"{"plan": "pro's \"best\"", "org": {"id": 7}}"#.parse().expect("metadata"),
            created_at: Timestamp::from_millis(1_600_000_000_123),
            ..new_user("ada@example.com")
        },
        disabled: true,
        external_id: external_id("ab|cd 'é'"),
    };
    let eve = imported("eve@example.com");
    assert_eq!(import(store, &[ada.clone(), eve.clone()]).await, 2);
    for ImportedUser { account, disabled, external_id } in [ada, eve] {
        let user = store.find_user_by_email(&account.email).await.expect("an answer").expect("there");
        assert_eq!((&user.first_name, &user.last_name), (&account.first_name, &account.last_name));
        assert_eq!((user.role(), user.disabled), (account.role, disabled));
        assert_eq!((user.external_id, user.metadata), (external_id, account.metadata));
        assert_eq!((&user.password, user.created_at), (&account.password, account.created_at));
        assert_eq!(user.email_verified, account.email_verified);
        assert_eq!(
            user.security_version,
            SecurityVersion::of_new_account(IMPORTED_AT),
            "not of when it was made"
        );
    }
    assert_nothing_is_journaled(store).await;
}

pub async fn an_import_leaves_accounts_that_are_there_as_they_stand(store: &dyn UserStore) {
    let ada = insert(store, &new_user("ada@example.com")).await;
    let mut other = imported("ada@example.com");
    (other.account.role, other.account.first_name, other.disabled) = (Role::Admin, name("Eve"), true);
    let users = [imported("bob@example.com"), other, imported("bob@example.com")];
    assert_eq!(import(store, &users).await, 1);
    assert_eq!(import(store, &users).await, 0, "a second time changes nothing");
    let now = store.find_user(ada.id).await.expect("an answer").expect("there");
    assert_eq!((now.role(), now.first_name, now.disabled), (ada.role(), ada.first_name, false));
    assert_eq!(store.list_users(&EVERYBODY, UserOrder::Oldest, None, 10).await.expect("an answer").len(), 2);
}

pub async fn an_import_of_nobody_is_none(store: &dyn UserStore) {
    assert_eq!(import(store, &[]).await, 0);
    assert_eq!(store.count_there(&[]).await.expect("an answer"), 0);
}

pub async fn of_concurrent_imports_of_the_same_accounts_each_counts_its_own(store: &dyn UserStore) {
    let users: Vec<ImportedUser> = (0..200).map(|n| imported(&format!("user{n}@example.com"))).collect();
    let counts = at_once(4, |_| import(store, &users)).await;
    assert_eq!(counts.iter().sum::<u64>(), 200, "{counts:?}");
    assert_eq!(
        store.list_users(&EVERYBODY, UserOrder::Oldest, None, 1000).await.expect("an answer").len(),
        200
    );
}

pub async fn an_import_leaves_out_whose_external_id_is_there(store: &dyn UserStore) {
    let numbered = |address, id| ImportedUser { external_id: external_id(id), ..imported(address) };
    assert_eq!(import(store, &[numbered("ada@example.com", "1"), imported("bob@example.com")]).await, 2);
    let others = [
        numbered("countess@example.com", "1"),
        numbered("bob@example.com", "2"),
        imported("ada@example.com"),
        numbered("eve@example.com", "3"),
        imported("dan@example.com"),
    ];
    assert_eq!(store.count_there(&others).await.expect("an answer"), 3);
    assert_eq!(import(store, &others).await, 2);
    assert_eq!(store.count_there(&others).await.expect("an answer"), 5);
    let users = store.list_users(&EVERYBODY, UserOrder::Oldest, None, 10).await.expect("an answer");
    let found: Vec<_> = users.iter().map(|user| (user.email.as_str(), user.external_id.clone())).collect();
    let expected = [
        ("ada@example.com", external_id("1")),
        ("bob@example.com", None),
        ("dan@example.com", None),
        ("eve@example.com", external_id("3")),
    ];
    let mut found_by_address = found;
    found_by_address.sort_by_key(|(address, _)| *address);
    assert_eq!(found_by_address, expected);
}

pub async fn accounts_that_are_there_are_counted(store: &dyn UserStore) {
    import(store, &[imported("ada@example.com"), imported("bob@example.com")]).await;
    let asked = ["ada@example.com", "eve@example.com", "BOB@example.com"].map(imported);
    assert_eq!(store.count_there(&asked).await.expect("an answer"), 2);
}
