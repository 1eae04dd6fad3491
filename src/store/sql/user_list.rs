//! Accounts by what they have in common, for both databases.

use sqlx::{Database, Encode, QueryBuilder, Type};

use crate::domain::user_filter::UserFilter;

/// Puts the conditions of a filter behind a `WHERE` that begins already.
pub(super) fn push_filter<DB>(select: &mut QueryBuilder<DB>, filter: &UserFilter)
where
    DB: Database,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> String: Encode<'q, DB> + Type<DB>,
    for<'q> bool: Encode<'q, DB> + Type<DB>,
{
    let UserFilter { email, prefix, role, disabled, external_id } = filter;
    if let Some(email) = email {
        select.push(" AND (email = ").push_bind(email.as_str());
        select.push(" OR mailbox = ").push_bind(email.mailbox()).push(")");
    }
    if let Some(prefix) = prefix {
        let pattern = prefix.like_pattern();
        select.push(" AND (email LIKE ").push_bind(pattern.clone()).push(r" ESCAPE '\'");
        select.push(" OR lower(first_name) LIKE ").push_bind(pattern.clone()).push(r" ESCAPE '\'");
        select.push(" OR lower(last_name) LIKE ").push_bind(pattern).push(r" ESCAPE '\')");
    }
    if let Some(role) = role {
        select.push(" AND role = ").push_bind(role.as_str());
    }
    if let Some(disabled) = disabled {
        select.push(" AND disabled = ").push_bind(*disabled);
    }
    if let Some(external_id) = external_id {
        select.push(" AND external_id = ").push_bind(external_id.as_str());
    }
}

/// The list and its count, on one of the databases.
macro_rules! list_users {
    ($store:ty, $reader:ident) => {
        impl $store {
            async fn select_users(
                &self,
                filter: &UserFilter,
                order: UserOrder,
                after: Option<UserId>,
                limit: u32,
            ) -> StoreResult<Vec<User>> {
                let (beyond, begin, by) = match order {
                    UserOrder::Oldest => (" FROM users WHERE id > ", 0, " ORDER BY id LIMIT "),
                    UserOrder::Newest => (" FROM users WHERE id < ", i64::MAX, " ORDER BY id DESC LIMIT "),
                };
                let mut select = QueryBuilder::new(concat!("SELECT ", user_columns!()));
                select.push(beyond).push_bind(after.map_or(begin, UserId::get));
                push_filter(&mut select, filter);
                select.push(by).push_bind(i64::from(limit));
                let page = self.reading(select.build().fetch_all(&self.$reader)).await?;
                page.iter().map(rows::user).collect()
            }

            async fn count_selected_users(&self, filter: &UserFilter) -> StoreResult<u64> {
                let mut select = QueryBuilder::new("SELECT count(*) FROM users WHERE id > 0");
                push_filter(&mut select, filter);
                let count: i64 = self.reading(select.build_query_scalar().fetch_one(&self.$reader)).await?;
                Ok(count.unsigned_abs())
            }
        }
    };
}
pub(super) use list_users;
