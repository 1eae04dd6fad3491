//! Accounts by what they have in common, for both databases.
//!
//! The order is that of the ids, which no index of names has. A beginning that few have is looked up by the indexes,
//! and what they have is put in order; for one that many have a page is soon found along the ids, in order from the
//! start. So neither takes more the more accounts there are.

use sqlx::{Database, Encode, QueryBuilder, Type};

use crate::domain::ids::UserId;
use crate::domain::user::Role;
use crate::domain::user_filter::{UserFilter, UserOrder, UserPrefix};

/// How many may begin so, at most, that few do.
pub(super) const FEW: i64 = 5_000;

/// What is searched for a beginning, in lower case, as one of the databases has it in indexes.
pub(super) type Searched = [&'static str; 3];

/// Which accounts a page has.
#[derive(Clone, Copy)]
pub(super) struct PageOf<'a> {
    pub(super) filter: &'a UserFilter,
    pub(super) order: UserOrder,
    pub(super) after: Option<UserId>,
    pub(super) limit: u32,
}

/// Whether few accounts begin so: answers how many, and [`FEW`] and one where they are more.
pub(super) fn count_few<DB>(begin: &str, searched: &Searched, prefix: &UserPrefix) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut count = QueryBuilder::new(format!("{begin} count(*) FROM ("));
    push_found(&mut count, searched, prefix, " UNION ALL ", |_| ());
    count.push(" LIMIT ").push_bind(FEW + 1).push(") AS found");
    count
}

/// A page; where few have the beginning that is wanted, by the indexes.
pub(super) fn select_page<DB>(
    begin: &str,
    searched: &Searched,
    PageOf { filter, order, after, limit }: PageOf<'_>,
    are_few: bool,
) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
{
    let (beyond, first, by) = match order {
        UserOrder::Oldest => (" id > ", 0, " ORDER BY id LIMIT "),
        UserOrder::Newest => (" id < ", i64::MAX, " ORDER BY id DESC LIMIT "),
    };
    let (after, limit) = (after.map_or(first, UserId::get), i64::from(limit));
    let mut select = QueryBuilder::new(format!("{begin} FROM users WHERE"));
    match &filter.prefix {
        Some(prefix) if are_few => {
            select.push(" id IN (SELECT id FROM (");
            push_found(&mut select, searched, prefix, " UNION ", |found| {
                found.push(" AND").push(beyond).push_bind(after);
                push_filter(found, filter);
            });
            select.push(") AS found").push(by).push_bind(limit).push(")");
        }
        prefix => {
            select.push(beyond).push_bind(after);
            push_filter(&mut select, filter);
            if let Some(prefix) = prefix {
                push_prefix(&mut select, searched, prefix);
            }
        }
    }
    select.push(by).push_bind(limit);
    select
}

/// How many there are in all.
pub(super) fn count_all<DB>(begin: &str, searched: &Searched, filter: &UserFilter) -> QueryBuilder<DB>
where
    DB: Database,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
{
    let mut count = QueryBuilder::new(format!("{begin} count(*) FROM "));
    match &filter.prefix {
        Some(prefix) => {
            count.push("(");
            push_found(&mut count, searched, prefix, " UNION ", |found| push_filter(found, filter));
            count.push(") AS found");
        }
        None => {
            count.push("users WHERE id > 0");
            push_filter(&mut count, filter);
        }
    }
    count
}

/// The ids of those that begin so, each searched by its own index, under further conditions.
fn push_found<DB>(
    select: &mut QueryBuilder<DB>,
    searched: &Searched,
    prefix: &UserPrefix,
    union: &'static str,
    further: impl Fn(&mut QueryBuilder<DB>),
) where
    DB: Database,
    for<'q> String: Encode<'q, DB> + Type<DB>,
{
    for (number, text) in searched.iter().enumerate() {
        if number > 0 {
            select.push(union);
        }
        select.push("SELECT id FROM users WHERE ").push(text).push(" >= ").push_bind(prefix.first());
        if let Some(end) = prefix.end() {
            select.push(" AND ").push(text).push(" < ").push_bind(end);
        }
        further(select);
    }
}

/// The beginning as a condition among others.
fn push_prefix<DB>(select: &mut QueryBuilder<DB>, searched: &Searched, prefix: &UserPrefix)
where
    DB: Database,
    for<'q> String: Encode<'q, DB> + Type<DB>,
{
    for (number, text) in searched.iter().enumerate() {
        select.push(if number == 0 { " AND (" } else { " OR " });
        select.push(text).push(" LIKE ").push_bind(prefix.like_pattern()).push(r" ESCAPE '\'");
    }
    select.push(")");
}

/// The conditions of a filter but for the beginning. Words of ours stand as they are: an index of the few accounts of a
/// kind is of use where it is known beforehand that they are meant.
fn push_filter<DB>(select: &mut QueryBuilder<DB>, filter: &UserFilter)
where
    DB: Database,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
{
    let UserFilter { email, prefix: _, role, disabled, external_id } = filter;
    if let Some(email) = email {
        select.push(" AND (email = ").push_bind(email.as_str());
        select.push(" OR mailbox = ").push_bind(email.mailbox()).push(")");
    }
    if let Some(role) = role {
        select.push(match role {
            Role::Admin => " AND role = 'admin'",
            Role::Member => " AND role = 'member'",
        });
    }
    if let Some(disabled) = disabled {
        select.push(if *disabled { " AND disabled = TRUE" } else { " AND disabled = FALSE" });
    }
    if let Some(external_id) = external_id {
        select.push(" AND external_id = ").push_bind(external_id.as_str());
    }
}

/// The list and its count, on one of the databases.
macro_rules! list_users {
    ($store:ty, $database:ty, $reader:ident, $searched:expr) => {
        impl $store {
            async fn select_users(&self, page: PageOf<'_>) -> StoreResult<Vec<User>> {
                let are_few = match &page.filter.prefix {
                    Some(prefix) => {
                        let mut count = user_list::count_few::<$database>("SELECT", &$searched, prefix);
                        let count = count.build_query_scalar::<i64>().fetch_one(&self.$reader);
                        self.reading(count).await? <= user_list::FEW
                    }
                    None => false,
                };
                let begin = concat!("SELECT ", user_columns!());
                let mut select = user_list::select_page::<$database>(begin, &$searched, page, are_few);
                let page = self.reading(select.build().fetch_all(&self.$reader)).await?;
                page.iter().map(rows::user).collect()
            }

            async fn count_selected_users(&self, filter: &UserFilter) -> StoreResult<u64> {
                let mut count = user_list::count_all::<$database>("SELECT", &$searched, filter);
                let count = count.build_query_scalar::<i64>().fetch_one(&self.$reader);
                Ok(self.reading(count).await?.unsigned_abs())
            }
        }
    };
}
pub(super) use list_users;

#[cfg(test)]
mod tests {
    use sqlx::{Connection, Row, Sqlite, SqliteConnection};

    use super::*;
    use crate::domain::email::Email;
    use crate::domain::external_id::ExternalId;
    use crate::store::sql::sqlite::{SqliteOptions, SqliteStore};

    const SEARCHED: Searched = crate::store::sql::sqlite::users::SEARCHED;

    /// How SQLite goes about a query, a step a line (<https://sqlite.org/eqp.html>).
    async fn plan(connection: &mut SqliteConnection, mut query: QueryBuilder<Sqlite>) -> String {
        let steps = query.build().fetch_all(connection).await.expect("a plan");
        let step = |row: &sqlx::sqlite::SqliteRow| row.get::<String, _>("detail");
        steps.iter().map(step).collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn no_list_of_few_accounts_looks_at_all_of_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/hallpass.db", folder.path().display());
        let store = SqliteStore::connect(&url, SqliteOptions::default()).await.expect("a file");
        store.migrate().await.expect("its tables");
        let mut connection = SqliteConnection::connect(&url).await.expect("a connection");
        let explain = "EXPLAIN QUERY PLAN SELECT";
        let prefix = UserPrefix::parse("ada").expect("a beginning");
        let beginning = UserFilter { prefix: Some(prefix.clone()), ..UserFilter::default() };
        let by_names = ["sqlite_autoindex_users_1 (email", "users_by_first_name", "users_by_last_name"];
        let among = |role, disabled| UserFilter { role, disabled, ..UserFilter::default() };
        let cases: Vec<(UserFilter, bool, &[&str])> = vec![
            (beginning.clone(), true, &by_names),
            (UserFilter { disabled: Some(false), ..beginning.clone() }, true, &by_names),
            (UserFilter { role: Some(Role::Admin), ..beginning.clone() }, true, &by_names),
            (among(Some(Role::Admin), None), false, &["users_admins"]),
            (among(None, Some(true)), false, &["users_disabled"]),
            (among(Some(Role::Member), Some(false)), false, &["INTEGER PRIMARY KEY"]),
            (UserFilter::default(), false, &["INTEGER PRIMARY KEY"]),
            (
                UserFilter { email: Email::parse("ada@example.com").ok(), ..UserFilter::default() },
                false,
                &["(email=?", "users_mailbox_key"],
            ),
            (
                UserFilter { external_id: ExternalId::parse("a").expect("one"), ..UserFilter::default() },
                false,
                &["users_external_id_key"],
            ),
        ];
        for (filter, are_few, indexes) in cases {
            for order in [UserOrder::Oldest, UserOrder::Newest] {
                let page = PageOf { filter: &filter, order, after: None, limit: 50 };
                let begin = "EXPLAIN QUERY PLAN SELECT id, first_name";
                let plan = plan(&mut connection, select_page(begin, &SEARCHED, page, are_few)).await;
                assert!(!plan.contains("SCAN users"), "{filter:?}:\n{plan}");
                for index in indexes {
                    assert!(plan.contains(index), "{filter:?}, {index}:\n{plan}");
                }
            }
        }
        for counted in [
            count_few(explain, &SEARCHED, &prefix),
            count_all(explain, &SEARCHED, &beginning),
            count_all(explain, &SEARCHED, &among(Some(Role::Admin), None)),
        ] {
            let plan = plan(&mut connection, counted).await;
            assert!(!plan.contains("SCAN users"), "{plan}");
        }
    }
}
