//! Accounts on SQLite.

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, Transaction};

use super::super::calls::Work;
use super::super::failure::Failure;
use super::super::rows::{self, user_columns};
use super::super::user_list::{self, PageOf, Searched, list_users};
use super::journal::append_in;
use super::store::SqliteStore;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::journal::{EventEntry, Journaled, NewEntry};
use crate::domain::password::PasswordHash;
use crate::domain::roles::Roles;
use crate::domain::user::{AccountChange, ImportedUser, NewUser, ProfileChange, SecurityVersion, User};
use crate::domain::user_filter::{UserFilter, UserOrder};
use crate::store::cut_offs::CutOffOrder;
use crate::store::error::StoreResult;
use crate::store::users::{ChangeOutcome, DeleteOutcome, InsertUserOutcome, SecurityEvent, UserStore};

/// As the indexes have it.
pub(in crate::store::sql) const SEARCHED: Searched = ["email", "lower(first_name)", "lower(last_name)"];

list_users!(SqliteStore, Sqlite, readers, SEARCHED);

#[async_trait]
impl UserStore for SqliteStore {
    async fn insert_user(&self, user: &NewUser) -> StoreResult<InsertUserOutcome> {
        let insert = sqlx::query(concat!(
            "INSERT INTO users
                 (email, first_name, last_name, role, password_hash, email_verified, security_version, created_at, mailbox,
                  metadata)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
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
        let inserted = self.within(insert.fetch_all(&self.writer)).await?;
        match inserted.first() {
            Some(row) => Ok(InsertUserOutcome::Inserted(Box::new(rows::user(row)?))),
            None => Ok(InsertUserOutcome::EmailTaken),
        }
    }

    async fn insert_users(&self, users: &[ImportedUser], now: Timestamp) -> StoreResult<u64> {
        // One statement, so one transaction and one turn of the writer, however many rows.
        // `WHERE true`: without it SQLite takes ON CONFLICT for a join (lang_upsert, "parsing ambiguity").
        let insert = sqlx::query(
            "INSERT INTO users
                 (email, first_name, last_name, role, password_hash, email_verified, disabled, created_at, external_id,
                  mailbox, metadata, security_version)
             SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8,
                    value->>9, value->>10, ?2
             FROM json_each(?1)
             WHERE true
             ON CONFLICT DO NOTHING",
        )
        .bind(rows_as_json(users))
        .bind(SecurityVersion::of_new_account(now).get());
        Ok(self.within(insert.execute(&self.writer)).await?.rows_affected())
    }

    async fn count_there(&self, users: &[ImportedUser]) -> StoreResult<u64> {
        let count = sqlx::query_scalar(
            "SELECT count(*) FROM json_each(?1) AS given
             WHERE EXISTS (SELECT 1 FROM users WHERE email = given.value->>0)
                OR EXISTS (SELECT 1 FROM users WHERE mailbox = given.value->>9)
                OR EXISTS (SELECT 1 FROM users WHERE external_id = given.value->>8)",
        )
        .bind(rows_as_json(users));
        let count: i64 = self.reading(count.fetch_one(&self.readers)).await?;
        Ok(count.unsigned_abs())
    }

    async fn find_user(&self, id: UserId) -> StoreResult<Option<User>> {
        let select =
            sqlx::query(concat!("SELECT ", user_columns!(), " FROM users WHERE id = ?1")).bind(id.get());
        let found = self.reading(select.fetch_optional(&self.readers)).await?;
        found.as_ref().map(rows::user).transpose()
    }

    async fn find_user_by_email(&self, email: &Email) -> StoreResult<Option<User>> {
        // Of two accounts of one mailbox, from before mailboxes were compared, the one that is spelled so.
        let select = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE email = ?1 OR mailbox = ?2 ORDER BY email <> ?1 LIMIT 1"
        ))
        .bind(email.as_str())
        .bind(email.mailbox());
        let found = self.reading(select.fetch_optional(&self.readers)).await?;
        found.as_ref().map(rows::user).transpose()
    }

    async fn list_users_without_mailbox(&self, after: Option<UserId>, limit: u32) -> StoreResult<Vec<User>> {
        let select = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE mailbox IS NULL AND id > ?1 ORDER BY id LIMIT ?2"
        ))
        .bind(after.map_or(0, UserId::get))
        .bind(i64::from(limit));
        let found = self.reading(select.fetch_all(&self.readers)).await?;
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
            " FROM users WHERE (metadata IS NOT NULL OR roles IS NOT NULL) AND id > ?1 ORDER BY id LIMIT ?2"
        ))
        .bind(after.map_or(0, UserId::get))
        .bind(i64::from(limit));
        let found = self.reading(select.fetch_all(&self.readers)).await?;
        found.iter().map(rows::user).collect()
    }

    async fn set_mailbox(&self, id: UserId, email: &Email) -> StoreResult<bool> {
        let update = sqlx::query("UPDATE OR IGNORE users SET mailbox = ?3 WHERE id = ?1 AND email = ?2")
            .bind(id.get())
            .bind(email.as_str())
            .bind(email.mailbox());
        Ok(self.within(update.execute(&self.writer)).await?.rows_affected() > 0)
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
        let counts = self.reading(sqlx::query(select).fetch_all(&self.readers)).await?;
        counts.iter().map(rows::counted_roles).collect()
    }

    async fn has_administrator(&self, verified: bool) -> StoreResult<bool> {
        let select = sqlx::query(
            "SELECT 1 FROM users
             WHERE role = 'admin' AND NOT disabled AND password_hash <> ?2 AND (email_verified OR NOT ?1) LIMIT 1",
        )
        .bind(verified)
        .bind(PasswordHash::UNUSABLE);
        Ok(self.reading(select.fetch_optional(&self.readers)).await?.is_some())
    }

    async fn update_profile(&self, id: UserId, change: &ProfileChange) -> StoreResult<Option<User>> {
        let update = sqlx::query(concat!(
            "UPDATE users
             SET first_name = CASE WHEN ?2 THEN ?3 ELSE first_name END,
                 last_name = CASE WHEN ?4 THEN ?5 ELSE last_name END
             WHERE id = ?1
             RETURNING ",
            user_columns!()
        ))
        .bind(id.get())
        .bind(change.first_name.is_some())
        .bind(change.first_name.as_ref().and_then(Option::as_ref).map(|name| name.as_str()))
        .bind(change.last_name.is_some())
        .bind(change.last_name.as_ref().and_then(Option::as_ref).map(|name| name.as_str()));
        let updated = self.within(update.fetch_all(&self.writer)).await?;
        updated.first().map(rows::user).transpose()
    }

    async fn change_password(
        &self,
        id: UserId,
        expected: SecurityVersion,
        password: &PasswordHash,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>> {
        let update = sqlx::query(concat!(
            "UPDATE users
             SET password_hash = ?3, security_version = ?4
             WHERE id = ?1 AND security_version = ?2
             RETURNING ",
            user_columns!()
        ))
        .bind(id.get())
        .bind(expected.get())
        .bind(password.expose())
        .bind(expected.next(entry.at).get());
        self.security_event(update, entry).await
    }

    /// To a version that is no smaller than the time (model: VersionsAreNew).
    async fn set_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>> {
        let update = sqlx::query(concat!(
            "UPDATE users SET password_hash = ?2, security_version = max(security_version + 1, ?3) WHERE id = ?1 RETURNING ",
            user_columns!()
        ))
        .bind(id.get())
        .bind(password.expose())
        .bind(entry.at.as_millis());
        self.security_event(update, entry).await
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
                    "UPDATE users SET external_id = ?2, metadata = ?3, first_name = ?4, last_name = ?5
                     WHERE id = ?1 RETURNING ",
                    user_columns!()
                ))
                .bind(id.get())
                .bind(external_id.map(|id| id.as_str()))
                .bind(metadata.to_text())
                .bind(first_name)
                .bind(last_name);
                let changed = match update.fetch_all(&mut *transaction).await {
                    Err(error) if is_taken(&error, EXTERNAL_ID) => return Ok(ChangeOutcome::ExternalIdTaken),
                    answer => answer?,
                };
                let changed = changed.first().map(rows::user).transpose()?;
                transaction.commit().await?;
                return Ok(changed.map_or(ChangeOutcome::NotFound, ChangeOutcome::SessionsStay));
            }
            let roles = change.roles_after(&user);
            let update = sqlx::query(concat!(
                "UPDATE users
                 SET role = ?2, disabled = ?3, email = ?4, security_version = ?5,
                     email_verified = (email_verified AND email = ?4), external_id = ?6,
                     mailbox = coalesce(?7, mailbox), roles = ?8, metadata = ?9,
                     first_name = ?10, last_name = ?11
                 WHERE id = ?1
                 RETURNING ",
                user_columns!()
            ))
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
            let changed = match update.fetch_all(&mut *transaction).await {
                Err(error) if is_taken(&error, EMAIL) || is_taken(&error, MAILBOX) => {
                    return Ok(ChangeOutcome::EmailTaken);
                }
                Err(error) if is_taken(&error, EXTERNAL_ID) => return Ok(ChangeOutcome::ExternalIdTaken),
                answer => answer?,
            };
            let Some(after) = changed.first().map(rows::user).transpose()? else {
                return Ok(ChangeOutcome::NotFound);
            };
            let after = Box::new(journaled(&mut transaction, after, entry).await?);
            transaction.commit().await?;
            Ok::<_, Failure>(ChangeOutcome::Changed { before: user, after })
        })
        .await
    }

    /// To a version that is no smaller than the time (model: VersionsAreNew).
    async fn advance_security_version(
        &self,
        id: UserId,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>> {
        let update = sqlx::query(concat!(
            "UPDATE users SET security_version = max(security_version + 1, ?2) WHERE id = ?1 RETURNING ",
            user_columns!()
        ))
        .bind(id.get())
        .bind(entry.at.as_millis());
        self.security_event(update, entry).await
    }

    async fn raise_security_version(
        &self,
        id: UserId,
        version: SecurityVersion,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>> {
        let update = sqlx::query(concat!(
            "UPDATE users SET security_version = ?2 WHERE id = ?1 AND security_version < ?2 RETURNING ",
            user_columns!()
        ))
        .bind(id.get())
        .bind(version.get());
        self.security_event(update, entry).await
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
            let version = user.security_version.next(entry.at);
            sqlx::query("DELETE FROM users WHERE id = ?1").bind(id.get()).execute(&mut *transaction).await?;
            let link = append_in(&mut transaction, &cut_off(id, version, entry)).await?;
            let order = CutOffOrder { user: id, version, link, until: entry.until };
            transaction.commit().await?;
            Ok::<_, Failure>(DeleteOutcome::Deleted(order))
        })
        .await
    }

    async fn verify_email(&self, id: UserId, email: &Email) -> StoreResult<bool> {
        let update = sqlx::query("UPDATE users SET email_verified = TRUE WHERE id = ?1 AND email = ?2")
            .bind(id.get())
            .bind(email.as_str());
        let updated = self.within(update.execute(&self.writer)).await?;
        Ok(updated.rows_affected() == 1)
    }

    async fn rehash_password(&self, id: UserId, from: &PasswordHash, to: &PasswordHash) -> StoreResult<bool> {
        let update = sqlx::query("UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2")
            .bind(id.get())
            .bind(from.expose())
            .bind(to.expose());
        let updated = self.within(update.execute(&self.writer)).await?;
        Ok(updated.rows_affected() == 1)
    }

    async fn time(&self) -> StoreResult<Option<Timestamp>> {
        Ok(None)
    }

    async fn ping(&self) -> StoreResult<()> {
        // `SELECT 1` alone would not touch the file.
        let select = sqlx::query("SELECT 1 FROM sqlite_schema LIMIT 1");
        self.on(Work::Probe, select.fetch_optional(&self.readers)).await.map(drop)
    }
}

impl SqliteStore {
    /// Makes a change that moves a security version on, and writes its cut-off down with it.
    async fn security_event(
        &self,
        update: Query<'_, Sqlite, SqliteArguments>,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>> {
        self.within(async {
            let mut transaction = self.begin_change().await?;
            let changed = update.fetch_all(&mut *transaction).await?;
            let Some(user) = changed.first().map(rows::user).transpose()? else {
                return Ok(None);
            };
            let event = journaled(&mut transaction, user, entry).await?;
            transaction.commit().await?;
            Ok::<_, Failure>(Some(event))
        })
        .await
    }
}

/// The entry of a security event.
fn cut_off(user: UserId, below: SecurityVersion, EventEntry { id, until, .. }: EventEntry) -> NewEntry {
    NewEntry { id, revoked: Journaled::User { user, below }, until }
}

/// Writes down the cut-off of an account as it is now.
async fn journaled(
    transaction: &mut Transaction<'_, Sqlite>,
    user: User,
    entry: EventEntry,
) -> Result<SecurityEvent, Failure> {
    let link = append_in(transaction, &cut_off(user.id, user.security_version, entry)).await?;
    Ok(SecurityEvent { user, link, until: entry.until })
}

async fn find_in(transaction: &mut Transaction<'_, Sqlite>, id: UserId) -> Result<Option<User>, Failure> {
    let select = sqlx::query(concat!("SELECT ", user_columns!(), " FROM users WHERE id = ?1")).bind(id.get());
    let found = select.fetch_optional(&mut **transaction).await?;
    Ok(found.as_ref().map(rows::user).transpose()?)
}

/// Whether somebody else can log in as an administrator.
async fn another_admin_than(transaction: &mut Transaction<'_, Sqlite>, id: UserId) -> Result<bool, Failure> {
    let other = sqlx::query(
        "SELECT 1 FROM users
         WHERE role = 'admin' AND NOT disabled AND password_hash <> ?2 AND id <> ?1 LIMIT 1",
    )
    .bind(id.get())
    .bind(PasswordHash::UNUSABLE);
    Ok(other.fetch_optional(&mut **transaction).await?.is_some())
}

/// The columns that are unique, as SQLite names them in errors.
const EMAIL: &str = "users.email";
const MAILBOX: &str = "users.mailbox";
const EXTERNAL_ID: &str = "users.external_id";

/// Whether another row has the value of that column. SQLite tells it in words alone.
fn is_taken(error: &sqlx::Error, column: &str) -> bool {
    let error = error.as_database_error().filter(|error| error.is_unique_violation());
    error.is_some_and(|error| error.message().split(' ').any(|word| word == column))
}

/// Accounts as the rows of a JSON array, which is how SQLite takes many values at once.
fn rows_as_json(users: &[ImportedUser]) -> String {
    let row = |ImportedUser { account, disabled, external_id }: &ImportedUser| {
        json!([
            account.email.as_str(),
            account.first_name.as_ref().map(|name| name.as_str()),
            account.last_name.as_ref().map(|name| name.as_str()),
            account.role.as_str(),
            account.password.expose(),
            account.email_verified,
            disabled,
            account.created_at.as_millis(),
            external_id.as_ref().map(|id| id.as_str()),
            account.email.mailbox(),
            account.metadata.to_text(),
        ])
    };
    users.iter().map(row).collect::<Value>().to_string()
}
