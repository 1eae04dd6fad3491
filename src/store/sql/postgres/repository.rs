//! Accounts on Postgres.

use async_trait::async_trait;
use sqlx::{Postgres, Transaction};

use super::super::Failure;
use super::super::rows::{self, user_columns};
use super::PostgresRepository;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::password::PasswordHash;
use crate::domain::user::{AccountChange, ImportedUser, NewUser, ProfileChange, SecurityVersion, User};
use crate::store::{ChangeOutcome, CutOffOrder, DeleteOutcome, InsertUserOutcome, Repository, StoreResult};

#[async_trait]
impl Repository for PostgresRepository {
    async fn insert_user(&self, user: &NewUser) -> StoreResult<InsertUserOutcome> {
        let insert = sqlx::query(concat!(
            "INSERT INTO users (email, first_name, last_name, role, password_hash, email_verified, security_version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (email) DO NOTHING
             RETURNING ",
            user_columns!()
        ))
        .bind(user.email.as_str())
        .bind(user.first_name.as_ref().map(|name| name.as_str()))
        .bind(user.last_name.as_ref().map(|name| name.as_str()))
        .bind(user.role.as_str())
        .bind(user.password.expose())
        .bind(user.email_verified)
        .bind(SecurityVersion::FIRST.get())
        .bind(user.created_at.as_millis());
        let inserted = self.within(insert.fetch_all(&self.pool)).await?;
        match inserted.first() {
            Some(row) => Ok(InsertUserOutcome::Inserted(rows::user(row)?)),
            None => Ok(InsertUserOutcome::EmailTaken),
        }
    }

    async fn insert_users(&self, users: &[ImportedUser]) -> StoreResult<u64> {
        /// One column of all accounts.
        fn column<'a, T>(users: &'a [ImportedUser], of: impl Fn(&'a ImportedUser) -> T) -> Vec<T> {
            users.iter().map(of).collect()
        }
        // One statement, so one transaction and one round trip, however many rows.
        let insert = sqlx::query(
            "INSERT INTO users
                 (email, first_name, last_name, role, password_hash, email_verified, disabled, security_version, created_at)
             SELECT email, first_name, last_name, role, password_hash, email_verified, disabled, $9, created_at
             FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::bool[], $8::bigint[])
                 AS given (email, first_name, last_name, role, password_hash, email_verified, disabled, created_at)
             ON CONFLICT (email) DO NOTHING",
        )
        .bind(column(users, |user| user.account.email.as_str()))
        .bind(column(users, |user| user.account.first_name.as_ref().map(|name| name.as_str())))
        .bind(column(users, |user| user.account.last_name.as_ref().map(|name| name.as_str())))
        .bind(column(users, |user| user.account.role.as_str()))
        .bind(column(users, |user| user.account.password.expose()))
        .bind(column(users, |user| user.account.email_verified))
        .bind(column(users, |user| user.disabled))
        .bind(column(users, |user| user.account.created_at.as_millis()))
        .bind(SecurityVersion::FIRST.get());
        Ok(self.within(insert.execute(&self.pool)).await?.rows_affected())
    }

    async fn count_emails(&self, emails: &[Email]) -> StoreResult<u64> {
        let emails: Vec<&str> = emails.iter().map(Email::as_str).collect();
        let count = sqlx::query_scalar("SELECT count(*) FROM users WHERE email = ANY($1)").bind(emails);
        let count: i64 = self.within(count.fetch_one(&self.pool)).await?;
        Ok(count.unsigned_abs())
    }

    async fn find_user(&self, id: UserId) -> StoreResult<Option<User>> {
        let select =
            sqlx::query(concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1")).bind(id.get());
        let found = self.within(select.fetch_optional(&self.pool)).await?;
        found.as_ref().map(rows::user).transpose()
    }

    async fn find_user_by_email(&self, email: &Email) -> StoreResult<Option<User>> {
        let select = sqlx::query(concat!("SELECT ", user_columns!(), " FROM users WHERE email = $1"))
            .bind(email.as_str());
        let found = self.within(select.fetch_optional(&self.pool)).await?;
        found.as_ref().map(rows::user).transpose()
    }

    async fn list_users(&self, after: Option<UserId>, limit: u32) -> StoreResult<Vec<User>> {
        let select = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE id > $1 ORDER BY id LIMIT $2"
        ))
        .bind(after.map_or(0, UserId::get))
        .bind(i64::from(limit));
        let page = self.within(select.fetch_all(&self.pool)).await?;
        page.iter().map(rows::user).collect()
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
    ) -> StoreResult<Option<User>> {
        let update = sqlx::query(concat!(
            "UPDATE users
             SET password_hash = $3, security_version = $4
             WHERE id = $1 AND security_version = $2
             RETURNING ",
            user_columns!()
        ))
        .bind(id.get())
        .bind(expected.get())
        .bind(password.expose())
        .bind(expected.next().get());
        let updated = self.within(update.fetch_all(&self.pool)).await?;
        updated.first().map(rows::user).transpose()
    }

    async fn set_password(&self, id: UserId, password: &PasswordHash) -> StoreResult<Option<User>> {
        let update = sqlx::query(concat!(
            "UPDATE users SET password_hash = $2, security_version = security_version + 1 WHERE id = $1 RETURNING ",
            user_columns!()
        ))
        .bind(id.get())
        .bind(password.expose());
        let updated = self.within(update.fetch_all(&self.pool)).await?;
        updated.first().map(rows::user).transpose()
    }

    async fn change_account(&self, id: UserId, change: &AccountChange) -> StoreResult<ChangeOutcome> {
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
            let update = sqlx::query(concat!(
                "UPDATE users
                 SET role = $2, disabled = $3, email = $4, security_version = $5,
                     email_verified = (email_verified AND email = $4)
                 WHERE id = $1
                 RETURNING ",
                user_columns!()
            ))
            .bind(id.get())
            .bind(change.role.unwrap_or(user.role).as_str())
            .bind(change.disabled.unwrap_or(user.disabled))
            .bind(change.email.as_ref().unwrap_or(&user.email).as_str())
            .bind(user.security_version.next().get());
            let changed = match update.fetch_all(&mut *transaction).await {
                Err(error) if is_taken(&error) => return Ok(ChangeOutcome::EmailTaken),
                answer => answer?,
            };
            transaction.commit().await?;
            let changed = changed.first().map(rows::user).transpose()?;
            Ok::<_, Failure>(match changed {
                Some(after) => ChangeOutcome::Changed { before: user, after },
                None => ChangeOutcome::NotFound,
            })
        })
        .await
    }

    async fn advance_security_version(&self, id: UserId) -> StoreResult<Option<User>> {
        let update = sqlx::query(concat!(
            "UPDATE users SET security_version = security_version + 1 WHERE id = $1 RETURNING ",
            user_columns!()
        ))
        .bind(id.get());
        let updated = self.within(update.fetch_all(&self.pool)).await?;
        updated.first().map(rows::user).transpose()
    }

    async fn delete_user(&self, id: UserId) -> StoreResult<DeleteOutcome> {
        self.within(async {
            let mut transaction = self.begin_change().await?;
            let Some(user) = find_in(&mut transaction, id).await? else {
                return Ok(DeleteOutcome::NotFound);
            };
            if user.is_enabled_admin() && !another_admin_than(&mut transaction, id).await? {
                return Ok(DeleteOutcome::LastAdmin);
            }
            let order = CutOffOrder { user: id, version: user.security_version.next() };
            sqlx::query("DELETE FROM users WHERE id = $1").bind(id.get()).execute(&mut *transaction).await?;
            sqlx::query("INSERT INTO deleted_users (id, security_version) VALUES ($1, $2)")
                .bind(id.get())
                .bind(order.version.get())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok::<_, Failure>(DeleteOutcome::Deleted(order))
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

    async fn list_owed_cut_offs(&self, limit: u32) -> StoreResult<Vec<CutOffOrder>> {
        let select = sqlx::query(
            "SELECT id, security_version FROM users WHERE cut_off_version < security_version
             UNION ALL
             SELECT id, security_version FROM deleted_users
             ORDER BY id LIMIT $1",
        )
        .bind(i64::from(limit));
        let owed = self.within(select.fetch_all(&self.pool)).await?;
        owed.iter().map(rows::cut_off_order).collect()
    }

    async fn settle_cut_off(&self, order: CutOffOrder) -> StoreResult<()> {
        let CutOffOrder { user, version } = order;
        let update =
            sqlx::query("UPDATE users SET cut_off_version = $2 WHERE id = $1 AND cut_off_version < $2")
                .bind(user.get())
                .bind(version.get());
        let updated = self.within(update.execute(&self.pool)).await?;
        if updated.rows_affected() == 0 {
            let delete = sqlx::query("DELETE FROM deleted_users WHERE id = $1 AND security_version <= $2")
                .bind(user.get())
                .bind(version.get());
            self.within(delete.execute(&self.pool)).await?;
        }
        Ok(())
    }

    async fn rehash_password(&self, id: UserId, from: &PasswordHash, to: &PasswordHash) -> StoreResult<bool> {
        let update = sqlx::query("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2")
            .bind(id.get())
            .bind(from.expose())
            .bind(to.expose());
        let updated = self.within(update.execute(&self.pool)).await?;
        Ok(updated.rows_affected() == 1)
    }

    async fn ping(&self) -> StoreResult<()> {
        self.within(sqlx::query("SELECT 1").execute(&self.pool)).await.map(drop)
    }
}

/// What changes of accounts that need the whole table in view lock: "hpuser" in ASCII.
const CHANGE_LOCK: i64 = 0x6870_7573_6572;

impl PostgresRepository {
    /// Begins a change that is decided by what is there: changes of this kind come one after the
    /// other, or two administrators could demote each other at once.
    pub(super) async fn begin_change(&self) -> sqlx::Result<Transaction<'_, Postgres>> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(CHANGE_LOCK).execute(&mut *transaction).await?;
        Ok(transaction)
    }
}

async fn find_in(transaction: &mut Transaction<'_, Postgres>, id: UserId) -> Result<Option<User>, Failure> {
    let select = sqlx::query(concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1")).bind(id.get());
    let found = select.fetch_optional(&mut **transaction).await?;
    Ok(found.as_ref().map(rows::user).transpose()?)
}

/// Whether somebody else can log in as an administrator.
async fn another_admin_than(
    transaction: &mut Transaction<'_, Postgres>,
    id: UserId,
) -> Result<bool, Failure> {
    let other = sqlx::query("SELECT 1 FROM users WHERE role = 'admin' AND NOT disabled AND id <> $1 LIMIT 1")
        .bind(id.get());
    Ok(other.fetch_optional(&mut **transaction).await?.is_some())
}

fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}
