//! What lists of accounts are searched by, where there are many.

use hallpass::domain::clock::Timestamp;
use hallpass::domain::email::Email;
use hallpass::domain::ids::UserId;
use hallpass::domain::user::{ImportedUser, NewUser, Role};
use hallpass::domain::user_filter::{UserFilter, UserOrder, UserPrefix};
use hallpass::store::UserStore;
use hallpass::store::sql::postgres::{PostgresOptions, PostgresStore};
use sqlx::{Connection, Executor, PgConnection};

use super::fixtures::{Postgres, external_id, name, new_user};

/// More than few begin so.
const MANY: usize = 5_200;

/// Every so manieth account is disabled, and is an administrator.
const FEW_IN: usize = 100;

fn account(number: usize, first_name: &str) -> ImportedUser {
    let role = if number % FEW_IN == 2 { Role::Admin } else { Role::Member };
    let account = new_user(&format!("{number}.person@example.com"));
    ImportedUser {
        account: NewUser { first_name: name(first_name), last_name: name("Lovelace"), role, ..account },
        disabled: number % FEW_IN == 1,
        external_id: external_id(&format!("crm-{number}")),
    }
}

/// Many whose first name begins with `an`, and among them three whose begins with `zo`.
async fn fill(store: &dyn UserStore) {
    let first_name = |number| if number % 2_000 == 1_000 { "Zoë" } else { "Anna" };
    let users: Vec<_> = (1..=MANY).map(|number| account(number, first_name(number))).collect();
    for users in users.chunks(1_000) {
        store.insert_users(users, Timestamp::from_millis(1_900_000_000_000)).await.expect("accounts");
    }
}

fn begins(text: &str) -> UserFilter {
    UserFilter { prefix: UserPrefix::parse(text).ok(), ..UserFilter::default() }
}

/// All pages of a list, as the numbers in the addresses.
async fn pages(store: &dyn UserStore, filter: &UserFilter, order: UserOrder, limit: u32) -> Vec<usize> {
    let (mut numbers, mut after) = (Vec::new(), None::<UserId>);
    loop {
        let page = store.list_users(filter, order, after, limit).await.expect("a page");
        let number =
            |email: &Email| email.as_str().split('.').next().and_then(|number| number.parse::<usize>().ok());
        numbers.extend(page.iter().map(|user| number(&user.email).expect("a number")));
        match page.last() {
            Some(user) => after = Some(user.id),
            None => return numbers,
        }
    }
}

/// Few are looked up and put in order, and many are found along the order: nobody sees which.
pub async fn pages_of_a_beginning_are_whole_and_in_order_whether_few_or_many_have_it(store: &dyn UserStore) {
    fill(store).await;
    let is_zoe = |number: &usize| number % 2_000 == 1_000;
    let is_disabled = |number: &usize| number % FEW_IN == 1;
    for (filter, wanted) in [
        (begins("an"), (1..=MANY).filter(|number| !is_zoe(number)).collect::<Vec<_>>()),
        (begins("LOVE"), (1..=MANY).collect()),
        (begins("zo"), vec![1_000, 3_000, 5_000]),
        (begins("52"), vec![52, 520, 521, 522, 523, 524, 525, 526, 527, 528, 529, 5_200]),
        (begins("zz"), vec![]),
        (UserFilter { disabled: Some(true), ..begins("an") }, (1..=MANY).filter(is_disabled).collect()),
        (UserFilter { disabled: Some(false), ..begins("zo") }, vec![1_000, 3_000, 5_000]),
        (UserFilter { role: Some(Role::Admin), ..begins("zo") }, vec![]),
        (UserFilter { role: Some(Role::Admin), ..begins("52") }, vec![]),
    ] {
        assert_eq!(store.count_users(&filter).await.expect("a number"), wanted.len() as u64, "{filter:?}");
        assert_eq!(pages(store, &filter, UserOrder::Oldest, 1_000).await, wanted, "{filter:?}");
        let newest: Vec<_> = wanted.into_iter().rev().collect();
        assert_eq!(pages(store, &filter, UserOrder::Newest, 1_000).await, newest, "{filter:?}");
    }
    assert_eq!(pages(store, &begins("zo"), UserOrder::Oldest, 2).await, [1_000, 3_000, 5_000]);
}

/// How often all accounts were looked at one after the other, and an index was.
async fn looks(connection: &mut PgConnection, index: &str) -> (i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'users'),
                (SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = $1)",
    )
    .bind(index)
    .fetch_one(connection)
    .await
    .expect("what the server has counted")
}

/// Waits until all others have ended: a connection tells what it has counted before it is gone.
async fn has_ended(connection: &mut PgConnection) {
    let others = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut *connection).await.expect("a number") > 0 {
        tokio::task::yield_now().await;
    }
}

/// Counted by the server itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_of_few_accounts_looks_at_all_of_them_on_postgres() {
    let Postgres { store, url } = Postgres::migrated().await;
    fill(&store).await;
    let mut connection = PgConnection::connect(&url).await.expect("a connection");
    connection.execute("ANALYZE users").await.expect("what is there");
    store.close().await;
    has_ended(&mut connection).await;
    let all = UserFilter::default;
    for (filter, index) in [
        (begins("zo"), "users_by_first_name"),
        (begins("zz"), "users_by_last_name"),
        (UserFilter { disabled: Some(false), ..begins("52") }, "users_email_key"),
        (UserFilter { role: Some(Role::Admin), ..all() }, "users_admins"),
        (UserFilter { disabled: Some(true), ..all() }, "users_disabled"),
        (UserFilter { email: Email::parse("7.person@example.com").ok(), ..all() }, "users_mailbox_key"),
        (UserFilter { external_id: external_id("crm-7"), ..all() }, "users_external_id_key"),
        (all(), "users_pkey"),
    ] {
        let before = looks(&mut connection, index).await;
        let store = PostgresStore::connect(&url, PostgresOptions::default()).await.expect("a server");
        store.list_users(&filter, UserOrder::Oldest, None, 50).await.expect("a page");
        store.close().await;
        has_ended(&mut connection).await;
        let after = looks(&mut connection, index).await;
        assert_eq!(after.0, before.0, "{filter:?}");
        assert!(after.1 > before.1, "{filter:?}, {index}: {before:?}, {after:?}");
    }
}
