//! One mailbox, one account, however its address is spelled.

use hallpass::domain::user::{AccountChange, ImportedUser, User};
use hallpass::store::{ChangeOutcome, InsertUserOutcome, UserStore};
use sqlx::query;

use super::fixtures::{AT, Accounts, Postgres, Sqlite, email, event, insert, new_user};

const TYPED: &str = "grace@b\u{fc}cher.example";
const LABEL: &str = "grace@xn--bcher-kva.example";

async fn find(store: &dyn UserStore, address: &str) -> Option<User> {
    store.find_user_by_email(&email(address)).await.expect("an answer")
}

pub async fn an_account_is_found_by_any_spelling_of_its_mailbox(store: &dyn UserStore) {
    for (address, spellings) in [
        (TYPED, [TYPED, LABEL, "GRACE@B\u{dc}CHER.example", "grace@bu\u{308}cher.example"]),
        (
            "ada@xn--fsq.example",
            ["ada@xn--fsq.example", "ada@\u{4f8b}.example", "Ada@XN--fsq.example", " ada@\u{4f8b}.example "],
        ),
    ] {
        let user = insert(store, &new_user(address)).await;
        for spelling in spellings {
            let found = find(store, spelling).await.expect("the account");
            assert_eq!((found.id, found.email.as_str()), (user.id, address), "{spelling}");
        }
    }
    for other in ["grace@bucher.example", "grace@xn--bcher.example"] {
        assert!(find(store, other).await.is_none(), "{other}");
    }
}

pub async fn one_mailbox_is_one_account(store: &dyn Accounts) {
    let grace = insert(store, &new_user(TYPED)).await;
    let again = store.insert_user(&new_user(LABEL)).await.expect("an answer");
    assert!(matches!(again, InsertUserOutcome::EmailTaken));
    let import = [LABEL, "\u{e9}va@b\u{fc}cher.example"].map(|address| ImportedUser {
        account: new_user(address),
        disabled: false,
        external_id: None,
    });
    assert_eq!(store.count_there(&import).await.expect("an answer"), 1);
    assert_eq!(store.insert_users(&import, AT).await.expect("an answer"), 1);

    let ada = insert(store, &new_user("ada@example.com")).await;
    let move_in = AccountChange { email: Some(email(LABEL)), ..AccountChange::default() };
    let outcome = store.change_account(ada.id, &move_in, event()).await.expect("an answer");
    assert!(matches!(outcome, ChangeOutcome::EmailTaken), "{outcome:?}");
    // Whoever moves away makes room, and is found where they went.
    let away = AccountChange { email: Some(email("grace@\u{4f8b}.example")), ..AccountChange::default() };
    store.change_account(grace.id, &away, event()).await.expect("an answer");
    assert_eq!(find(store, "grace@xn--fsq.example").await.map(|user| user.id), Some(grace.id));
    let outcome = store.change_account(ada.id, &move_in, event()).await.expect("an answer");
    assert!(matches!(outcome, ChangeOutcome::Changed { .. }), "{outcome:?}");
    assert_eq!(find(store, TYPED).await.map(|user| user.id), Some(ada.id));
    assert!(store.list_users_without_mailbox(None, 9).await.expect("an answer").is_empty());
}

/// Two accounts of one mailbox from before mailboxes were compared.
async fn two_of_before(store: &dyn UserStore, forget: impl AsyncFnOnce(&'static str)) {
    let typed = insert(store, &new_user(TYPED)).await;
    let plain = insert(store, &new_user("ada@example.com")).await;
    forget("UPDATE users SET mailbox = NULL WHERE email <> 'ada@example.com'").await;
    let label = insert(store, &new_user(LABEL)).await;

    // Each logs in as before, and nothing of the other is touched.
    assert_eq!(find(store, TYPED).await.map(|user| user.id), Some(typed.id));
    assert_eq!(find(store, LABEL).await.map(|user| user.id), Some(label.id));
    let without = store.list_users_without_mailbox(None, 9).await.expect("an answer");
    assert_eq!(without.iter().map(|user| user.id).collect::<Vec<_>>(), [typed.id]);
    assert!(store.list_users_without_mailbox(Some(typed.id), 9).await.expect("an answer").is_empty());
    assert!(!store.set_mailbox(typed.id, &typed.email).await.expect("an answer"));
    assert!(!store.set_mailbox(typed.id, &plain.email).await.expect("an answer"), "it has another address");
    let disabling = AccountChange { disabled: Some(true), ..AccountChange::default() };
    let outcome = store.change_account(typed.id, &disabling, event()).await.expect("an answer");
    assert!(matches!(outcome, ChangeOutcome::Changed { .. }), "{outcome:?}");

    store.delete_user(label.id, event()).await.expect("an answer");
    assert!(store.set_mailbox(typed.id, &typed.email).await.expect("an answer"));
    assert_eq!(find(store, LABEL).await.map(|user| user.id), Some(typed.id));
    assert!(store.list_users_without_mailbox(None, 9).await.expect("an answer").is_empty());
}

#[tokio::test]
async fn two_accounts_of_one_mailbox_stay_apart_on_sqlite() {
    let database = Sqlite::migrated().await;
    two_of_before(&database.store, async |statement| {
        query(statement).execute(&mut database.connection().await).await.expect("a change");
    })
    .await;
}

#[tokio::test]
async fn two_accounts_of_one_mailbox_stay_apart_on_postgres() {
    let database = Postgres::migrated().await;
    two_of_before(&database.store, async |statement| {
        query(statement).execute(&mut database.connection().await).await.expect("a change");
    })
    .await;
}
