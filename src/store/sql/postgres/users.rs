//! Accounts on Postgres.

use async_trait::async_trait;
use sqlx::postgres::PgRow;

use super::super::calls::Work;
use super::super::failure::{Failure, ReadOnly, unavailable};
use super::super::journal_rows;
use super::super::rows::{self, user_columns};
use super::super::user_list::{self, PageOf, Searched, list_users};
use super::pool::Transaction;
use super::store::PostgresStore;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::journal::EventEntry;
use crate::domain::password::PasswordHash;
use crate::domain::roles::Roles;
use crate::domain::user::{AccountChange, ImportedUser, NewUser, ProfileChange, SecurityVersion, User};
use crate::domain::user_filter::{UserFilter, UserOrder};
use crate::store::cut_offs::CutOffOrder;
use crate::store::error::StoreResult;
use crate::store::users::{ChangeOutcome, DeleteOutcome, InsertUserOutcome, SecurityEvent, UserStore};

/// A statement that changes one account, and writes its cut-off down in the same commit.
///
/// `$1` is the id of the entry and `$2` until when it matters; the change has the numbers from `$3` on,
/// and `$3` is the account. The cut-off is at the account's version as the change left it, or at
/// `version` of the row that it answers.
/// The entry names the one before it (model: MarkFollowsTheChain).
macro_rules! security_event {
    ($change:literal) => {
        security_event!($change, version: "security_version")
    };
    ($change:literal, version: $version:literal) => {
        concat!(
            "WITH changed AS (", $change, " RETURNING ", user_columns!(), "),
             head AS (
               UPDATE journal_heads SET position = position + 1, previous = entry, entry = $1
               FROM changed WHERE partition = changed.id % 64
               RETURNING partition, position, entry, previous
             ),
             written AS (
               INSERT INTO journal (partition, position, entry, previous, kind, user_id, version, until)
               SELECT head.partition, head.position, head.entry, head.previous, 'user', changed.id, ", $version, ", $2
               FROM head, changed
             )
             SELECT changed.*, head.position, head.entry, head.previous FROM changed, head"
        )
    };
}

/// What keeps addresses and external ids apart.
const EMAIL_KEY: &str = "users_email_key";
const MAILBOX_KEY: &str = "users_mailbox_key";
const EXTERNAL_ID_KEY: &str = "users_external_id_key";

/// One column of all accounts.
fn column<'a, T>(users: &'a [ImportedUser], of: impl Fn(&'a ImportedUser) -> T) -> Vec<T> {
    users.iter().map(of).collect()
}

fn external_id(user: &ImportedUser) -> Option<&str> {
    user.external_id.as_ref().map(|id| id.as_str())
}

/// What such a statement has answered.
fn one_event(rows: Vec<PgRow>, entry: EventEntry) -> StoreResult<Option<SecurityEvent>> {
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(SecurityEvent { user: rows::user(row)?, link: journal_rows::link(row)?, until: entry.until }))
}

/// As the indexes have it.
pub(in crate::store::sql) const SEARCHED: Searched =
    ["email", "lower(first_name) COLLATE \"C\"", "lower(last_name) COLLATE \"C\""];

list_users!(PostgresStore, sqlx::Postgres, pool, SEARCHED);

#[async_trait]
impl UserStore for PostgresStore {
    async fn insert_user(&self, user: &NewUser) -> StoreResult<InsertUserOutcome> {
        let insert = sqlx::query(concat!(
            "INSERT INTO users
                 (email, first_name, last_name, role, password_hash, email_verified, security_version, created_at, mailbox,
                  metadata)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT DO NOTHING
             RETURNING ",
            user_columns!()
        ))
        .bind(user.email.as_str())
        .bind(user.first_name.as_ref().map(|name| name.as_str()))
        .bind(user.last_name.as_ref().map(|name| name.as_str()))
        .bind(user.role.as_str())
        .bind(user.password.expose())
        .bind(user.email_verified)
        .bind(SecurityVersion::of_new_account(user.created_at).get())
        .bind(user.created_at.as_millis())
        .bind(user.email.mailbox())
        .bind(user.metadata.to_text());
        let inserted = self.within(insert.fetch_all(&self.pool)).await?;
        match inserted.first() {
            Some(row) => Ok(InsertUserOutcome::Inserted(Box::new(rows::user(row)?))),
            None => Ok(InsertUserOutcome::EmailTaken),
        }
    }

    async fn insert_users(&self, users: &[ImportedUser], now: Timestamp) -> StoreResult<u64> {
        // One statement, so one transaction and one round trip, however many rows.
        let insert = sqlx::query(
            "INSERT INTO users
                 (email, first_name, last_name, role, password_hash, email_verified, disabled, created_at, external_id,
                  mailbox, metadata, security_version)
             SELECT email, first_name, last_name, role, password_hash, email_verified, disabled, created_at, external_id,
                    mailbox, metadata, $12
             FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::bool[], $8::bigint[],
                         $9::text[], $10::text[], $11::text[])
                 AS given (email, first_name, last_name, role, password_hash, email_verified, disabled, created_at,
                           external_id, mailbox, metadata)
             ON CONFLICT DO NOTHING",
        )
        .bind(column(users, |user| user.account.email.as_str()))
        .bind(column(users, |user| user.account.first_name.as_ref().map(|name| name.as_str())))
        .bind(column(users, |user| user.account.last_name.as_ref().map(|name| name.as_str())))
        .bind(column(users, |user| user.account.role.as_str()))
        .bind(column(users, |user| user.account.password.expose()))
        .bind(column(users, |user| user.account.email_verified))
        .bind(column(users, |user| user.disabled))
        .bind(column(users, |user| user.account.created_at.as_millis()))
        .bind(column(users, external_id))
        .bind(column(users, |user| user.account.email.mailbox()))
        .bind(column(users, |user| user.account.metadata.to_text()))
        .bind(SecurityVersion::of_new_account(now).get());
        Ok(self.within(insert.execute(&self.pool)).await?.rows_affected())
    }

    async fn count_there(&self, users: &[ImportedUser]) -> StoreResult<u64> {
        // Three questions, so that each is one of an index.
        let count = sqlx::query_scalar(
            "SELECT count(*) FROM UNNEST($1::text[], $2::text[], $3::text[]) AS given (email, external_id, mailbox)
             WHERE EXISTS (SELECT 1 FROM users WHERE users.email = given.email)
                OR EXISTS (SELECT 1 FROM users WHERE users.mailbox = given.mailbox)
                OR EXISTS (SELECT 1 FROM users WHERE users.external_id = given.external_id)",
        )
        .bind(column(users, |user| user.account.email.as_str()))
        .bind(column(users, external_id))
        .bind(column(users, |user| user.account.email.mailbox()));
        let count: i64 = self.reading(count.fetch_one(&self.pool)).await?;
        Ok(count.unsigned_abs())
    }

    async fn find_user(&self, id: UserId) -> StoreResult<Option<User>> {
        let select =
            sqlx::query(concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1")).bind(id.get());
        let found = self.reading(select.fetch_optional(&self.pool)).await?;
        found.as_ref().map(rows::user).transpose()
    }

    async fn find_user_by_email(&self, email: &Email) -> StoreResult<Option<User>> {
        // Of two accounts of one mailbox, from before mailboxes were compared, the one that is spelled so.
        let select = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE email = $1 OR mailbox = $2 ORDER BY email <> $1 LIMIT 1"
        ))
        .bind(email.as_str())
        .bind(email.mailbox());
        let found = self.reading(select.fetch_optional(&self.pool)).await?;
        found.as_ref().map(rows::user).transpose()
    }

    async fn list_users_without_mailbox(&self, after: Option<UserId>, limit: u32) -> StoreResult<Vec<User>> {
        let select = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE mailbox IS NULL AND id > $1 ORDER BY id LIMIT $2"
        ))
        .bind(after.map_or(0, UserId::get))
        .bind(i64::from(limit));
        let found = self.reading(select.fetch_all(&self.pool)).await?;
        found.iter().map(rows::user).collect()
    }

    async fn list_users_with_more_in_tokens(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> StoreResult<Vec<User>> {
        let select = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE (metadata IS NOT NULL OR roles IS NOT NULL) AND id > $1 ORDER BY id LIMIT $2"
        ))
        .bind(after.map_or(0, UserId::get))
        .bind(i64::from(limit));
        let found = self.reading(select.fetch_all(&self.pool)).await?;
        found.iter().map(rows::user).collect()
    }

    async fn set_mailbox(&self, id: UserId, email: &Email) -> StoreResult<bool> {
        let update = sqlx::query("UPDATE users SET mailbox = $3 WHERE id = $1 AND email = $2")
            .bind(id.get())
            .bind(email.as_str())
            .bind(email.mailbox());
        self.within(async {
            match update.execute(&self.pool).await {
                Err(error) if violates(&error, MAILBOX_KEY) => Ok(false),
                answer => Ok::<_, Failure>(answer?.rows_affected() > 0),
            }
        })
        .await
    }

    async fn list_users(
        &self,
        filter: &UserFilter,
        order: UserOrder,
        after: Option<UserId>,
        limit: u32,
    ) -> StoreResult<Vec<User>> {
        self.select_users(PageOf { filter, order, after, limit }).await
    }

    async fn count_users(&self, filter: &UserFilter) -> StoreResult<u64> {
        self.count_selected_users(filter).await
    }

    async fn count_by_roles(&self) -> StoreResult<Vec<(Roles, u64)>> {
        let select = "SELECT roles, count(*) AS accounts FROM users WHERE roles IS NOT NULL GROUP BY roles";
        let counts = self.reading(sqlx::query(select).fetch_all(&self.pool)).await?;
        counts.iter().map(rows::counted_roles).collect()
    }

    async fn has_administrator(&self, verified: bool) -> StoreResult<bool> {
        let select = sqlx::query(
            "SELECT 1 FROM users
             WHERE role = 'admin' AND NOT disabled AND password_hash <> $2 AND (email_verified OR NOT $1) LIMIT 1",
        )
        .bind(verified)
        .bind(PasswordHash::UNUSABLE);
        Ok(self.reading(select.fetch_optional(&self.pool)).await?.is_some())
    }

    async fn update_profile(&self, id: UserId, change: &ProfileChange) -> StoreResult<Option<User>> {
        let update = sqlx::query(concat!(
            "UPDATE users
             SET first_name = CASE WHEN $2 THEN $3 ELSE first_name END,
                 last_name = CASE WHEN $4 THEN $5 ELSE last_name END
             WHERE id = $1
             RETURNING ",
            user_columns!()
        ))
        .bind(id.get())
        .bind(change.first_name.is_some())
        .bind(change.first_name.as_ref().and_then(Option::as_ref).map(|name| name.as_str()))
        .bind(change.last_name.is_some())
        .bind(change.last_name.as_ref().and_then(Option::as_ref).map(|name| name.as_str()));
        let updated = self.within(update.fetch_all(&self.pool)).await?;
        updated.first().map(rows::user).transpose()
    }

    async fn change_password(
        &self,
        id: UserId,
        expected: SecurityVersion,
        password: &PasswordHash,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>> {
        let update = sqlx::query(security_event!(
            "UPDATE users SET password_hash = $4, security_version = $5 WHERE id = $3 AND security_version = $6"
        ))
        .bind(entry.id.get())
        .bind(entry.until.as_millis())
        .bind(id.get())
        .bind(password.expose())
        .bind(expected.next(entry.at).get())
        .bind(expected.get());
        one_event(self.within(update.fetch_all(&self.pool)).await?, entry)
    }

    /// To a version that is no smaller than the time (model: VersionsAreNew).
    async fn set_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>> {
        let update = sqlx::query(security_event!(
            "UPDATE users SET password_hash = $4, security_version = GREATEST(security_version + 1, $5) WHERE id = $3"
        ))
        .bind(entry.id.get())
        .bind(entry.until.as_millis())
        .bind(id.get())
        .bind(password.expose())
        .bind(entry.at.as_millis());
        one_event(self.within(update.fetch_all(&self.pool)).await?, entry)
    }

    async fn change_account(
        &self,
        id: UserId,
        change: &AccountChange,
        entry: EventEntry,
    ) -> StoreResult<ChangeOutcome> {
        self.within(async {
            let mut transaction = self.begin_change().await?;
            let Some(user) = find_in(&mut transaction, id).await? else {
                return Ok(ChangeOutcome::NotFound);
            };
            if change.is_done(&user) {
                return Ok(ChangeOutcome::Unchanged(user));
            }
            if change.takes_admin_away(&user) && !another_admin_than(&mut transaction, id).await? {
                return Ok(ChangeOutcome::LastAdmin);
            }
            let external_id = change.external_id.as_ref().unwrap_or(&user.external_id).as_ref();
            let metadata = change.metadata.as_ref().unwrap_or(&user.metadata);
            let named = change.profile.applied_to(&user);
            let [first_name, last_name] =
                [&named.first_name, &named.last_name].map(|name| name.as_ref().map(|name| name.as_str()));
            if !change.ends_sessions(&user) {
                let update = sqlx::query(concat!(
                    "UPDATE users SET external_id = $2, metadata = $3, first_name = $4, last_name = $5
                     WHERE id = $1 RETURNING ",
                    user_columns!()
                ))
                .bind(id.get())
                .bind(external_id.map(|id| id.as_str()))
                .bind(metadata.to_text())
                .bind(first_name)
                .bind(last_name);
                let changed = match update.fetch_all(&mut transaction).await {
                    Err(error) if violates(&error, EXTERNAL_ID_KEY) => {
                        return Ok(ChangeOutcome::ExternalIdTaken);
                    }
                    answer => answer?,
                };
                let changed = changed.first().map(rows::user).transpose()?;
                transaction.commit().await?;
                return Ok(changed.map_or(ChangeOutcome::NotFound, ChangeOutcome::SessionsStay));
            }
            let roles = change.roles_after(&user);
            let update = sqlx::query(security_event!(
                "UPDATE users
                 SET role = $4, disabled = $5, email = $6, security_version = $7,
                     email_verified = (email_verified AND email = $6), external_id = $8,
                     mailbox = coalesce($9, mailbox), roles = $10, metadata = $11,
                     first_name = $12, last_name = $13
                 WHERE id = $3"
            ))
            .bind(entry.id.get())
            .bind(entry.until.as_millis())
            .bind(id.get())
            .bind(roles.role().as_str())
            .bind(change.disabled.unwrap_or(user.disabled))
            .bind(change.email.as_ref().unwrap_or(&user.email).as_str())
            .bind(user.security_version.next(entry.at).get())
            .bind(external_id.map(|id| id.as_str()))
            .bind(change.email.as_ref().map(Email::mailbox))
            .bind(rows::roles_column(&roles))
            .bind(metadata.to_text())
            .bind(first_name)
            .bind(last_name);
            let changed = match update.fetch_all(&mut transaction).await {
                Err(error) if violates(&error, EMAIL_KEY) || violates(&error, MAILBOX_KEY) => {
                    return Ok(ChangeOutcome::EmailTaken);
                }
                Err(error) if violates(&error, EXTERNAL_ID_KEY) => return Ok(ChangeOutcome::ExternalIdTaken),
                answer => answer?,
            };
            transaction.commit().await?;
            Ok::<_, Failure>(match one_event(changed, entry)? {
                Some(after) => ChangeOutcome::Changed { before: user, after: Box::new(after) },
                None => ChangeOutcome::NotFound,
            })
        })
        .await
    }

    /// To a version that is no smaller than the time (model: VersionsAreNew).
    async fn advance_security_version(
        &self,
        id: UserId,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>> {
        let update = sqlx::query(security_event!(
            "UPDATE users SET security_version = GREATEST(security_version + 1, $4) WHERE id = $3"
        ))
        .bind(entry.id.get())
        .bind(entry.until.as_millis())
        .bind(id.get())
        .bind(entry.at.as_millis());
        one_event(self.within(update.fetch_all(&self.pool)).await?, entry)
    }

    async fn raise_security_version(
        &self,
        id: UserId,
        version: SecurityVersion,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>> {
        let update = sqlx::query(security_event!(
            "UPDATE users SET security_version = $4 WHERE id = $3 AND security_version < $4"
        ))
        .bind(entry.id.get())
        .bind(entry.until.as_millis())
        .bind(id.get())
        .bind(version.get());
        one_event(self.within(update.fetch_all(&self.pool)).await?, entry)
    }

    /// To a version that is no smaller than the time (model: VersionsAreNew).
    async fn delete_user(&self, id: UserId, entry: EventEntry) -> StoreResult<DeleteOutcome> {
        self.within(async {
            let mut transaction = self.begin_change().await?;
            let Some(user) = find_in(&mut transaction, id).await? else {
                return Ok(DeleteOutcome::NotFound);
            };
            if user.is_enabled_admin() && !another_admin_than(&mut transaction, id).await? {
                return Ok(DeleteOutcome::LastAdmin);
            }
            let delete = sqlx::query(security_event!(
                "DELETE FROM users WHERE id = $3",
                version: "GREATEST(security_version + 1, $4)"
            ))
            .bind(entry.id.get())
            .bind(entry.until.as_millis())
            .bind(id.get())
            .bind(entry.at.as_millis());
            let deleted = delete.fetch_all(&mut transaction).await?;
            transaction.commit().await?;
            Ok::<_, Failure>(match one_event(deleted, entry)? {
                Some(SecurityEvent { user, link, until }) => DeleteOutcome::Deleted(CutOffOrder {
                    user: user.id,
                    version: user.security_version.next(entry.at),
                    link,
                    until,
                }),
                None => DeleteOutcome::NotFound,
            })
        })
        .await
    }

    async fn verify_email(&self, id: UserId, email: &Email) -> StoreResult<bool> {
        let update = sqlx::query("UPDATE users SET email_verified = TRUE WHERE id = $1 AND email = $2")
            .bind(id.get())
            .bind(email.as_str());
        let updated = self.within(update.execute(&self.pool)).await?;
        Ok(updated.rows_affected() == 1)
    }

    async fn rehash_password(&self, id: UserId, from: &PasswordHash, to: &PasswordHash) -> StoreResult<bool> {
        let update = sqlx::query("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2")
            .bind(id.get())
            .bind(from.expose())
            .bind(to.expose());
        let updated = self.within(update.execute(&self.pool)).await?;
        Ok(updated.rows_affected() == 1)
    }

    async fn time(&self) -> StoreResult<Option<Timestamp>> {
        let select = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let millis = self.on(Work::Probe, sqlx::query_scalar(select).fetch_one(&self.pool)).await?;
        Ok(Some(Timestamp::from_millis(millis)))
    }

    async fn ping(&self) -> StoreResult<()> {
        // What a login reads, and whether the server takes writes (a standby says on).
        let select = "SELECT current_setting('transaction_read_only') = 'on', EXISTS (SELECT 1 FROM users)";
        let (only_reads, _): (bool, bool) =
            self.on(Work::Probe, sqlx::query_as(select).fetch_one(&self.pool)).await?;
        if only_reads {
            self.pool.retire_all();
            return Err(unavailable(&ReadOnly));
        }
        Ok(())
    }
}

async fn find_in(transaction: &mut Transaction, id: UserId) -> Result<Option<User>, Failure> {
    let select = sqlx::query(concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1")).bind(id.get());
    let found = select.fetch_optional(transaction).await?;
    Ok(found.as_ref().map(rows::user).transpose()?)
}

/// Whether somebody else can log in as an administrator.
async fn another_admin_than(transaction: &mut Transaction, id: UserId) -> Result<bool, Failure> {
    let other = sqlx::query(
        "SELECT 1 FROM users
         WHERE role = 'admin' AND NOT disabled AND password_hash <> $2 AND id <> $1 LIMIT 1",
    )
    .bind(id.get())
    .bind(PasswordHash::UNUSABLE);
    Ok(other.fetch_optional(transaction).await?.is_some())
}

/// Whether the database has refused a row for that constraint.
pub(super) fn violates(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().and_then(|error| error.constraint()) == Some(constraint)
}
