//! What the role needs that the service runs as, and no more: it makes no tables and changes none.

use std::fmt;

use sqlx::Row;

use super::pool::Transaction;
use super::store::{PostgresStore, unreachable_at};
use crate::store::sql::error::DatabaseError;

/// The tables, each with what is done to it at run time.
pub(super) const NEEDED: [(&str, &[&str]); 13] = [
    ("_sqlx_migrations", &["SELECT"]),
    ("users", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("signing_keys", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("audit_log", &["SELECT", "INSERT", "DELETE"]),
    ("audit_log_horizon", &["SELECT", "UPDATE"]),
    ("clients", &["SELECT", "INSERT", "UPDATE", "DELETE"]),
    ("client_secrets", &["SELECT", "INSERT", "DELETE"]),
    ("sealed_values", &["SELECT", "INSERT", "UPDATE"]),
    ("deployment", &["SELECT", "INSERT", "UPDATE"]),
    ("journal", &["SELECT", "INSERT", "DELETE"]),
    ("journal_heads", &["SELECT", "UPDATE"]),
    ("journal_holes", &["SELECT", "INSERT", "UPDATE"]),
    ("journal_readers", &["SELECT", "UPDATE"]),
];

/// What a role lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It may not look into the schema.
    Schema(String),
    /// It may not do that to a table.
    Table {
        /// The table.
        table: &'static str,
        /// What it may not do: `SELECT` and the like.
        rights: Vec<&'static str>,
    },
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(schema) => write!(f, "USAGE on the schema {schema}"),
            Self::Table { table, rights } => write!(f, "{} on {table}", rights.join(", ")),
        }
    }
}

impl Lack {
    /// The statement that gives it.
    pub(super) fn grant_to(&self, role: &str) -> String {
        let role = quoted(role);
        match self {
            Self::Schema(schema) => format!("GRANT USAGE ON SCHEMA {} TO {role}", quoted(schema)),
            Self::Table { table, rights } => format!("GRANT {} ON {table} TO {role}", rights.join(", ")),
        }
    }
}

/// An identifier as it is (Postgres' manual, 4.1.1).
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl PostgresStore {
    /// The role that statements run as, which a pooler may have set.
    ///
    /// # Errors
    /// [`DatabaseError::Unreachable`].
    pub async fn current_role(&self) -> Result<String, DatabaseError> {
        let asked = sqlx::query_scalar("SELECT current_user::text").fetch_one(&self.pool).await;
        asked.map_err(|error| unreachable_at(&self.place, &error))
    }

    /// What the role that the service runs as lacks of the rights that it needs. The schema must be up to date.
    ///
    /// # Errors
    /// [`DatabaseError::Unreachable`].
    pub async fn lacking_rights(&self) -> Result<Vec<Lack>, DatabaseError> {
        let looking = async {
            let mut transaction = self.pool.begin_migration().await?;
            let role: String =
                sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut transaction).await?;
            lacking(&mut transaction, &role).await
        };
        looking.await.map_err(|error| unreachable_at(&self.place, &error))
    }
}

/// What that role lacks; the tables are looked for where the transaction finds them.
pub(super) async fn lacking(transaction: &mut Transaction, role: &str) -> sqlx::Result<Vec<Lack>> {
    let mut lacking = Vec::new();
    let schema = sqlx::query(
        "SELECT nspname::text, has_schema_privilege($1, pg_namespace.oid, 'USAGE') FROM pg_class
         JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE relname = '_sqlx_migrations' AND nspname = ANY (current_schemas(false)::text[])",
    );
    if let Some(row) = schema.bind(role).fetch_optional(&mut *transaction).await?
        && !row.try_get::<bool, _>(1)?
    {
        lacking.push(Lack::Schema(row.try_get(0)?));
    }
    let mut pairs = Vec::new();
    for (table, rights) in NEEDED {
        pairs.extend(rights.iter().map(|right| (table, *right)));
    }
    let (tables, rights): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
    let held = sqlx::query(
        "SELECT COALESCE(has_table_privilege($3, to_regclass(name), privilege), FALSE)
         FROM UNNEST($1::text[], $2::text[]) WITH ORDINALITY AS asked (name, privilege, place) ORDER BY place",
    );
    let held = held.bind(tables).bind(rights).bind(role).fetch_all(&mut *transaction).await?;
    for ((table, right), row) in pairs.into_iter().zip(held) {
        if row.try_get::<bool, _>(0)? {
            continue;
        }
        match lacking.last_mut() {
            Some(Lack::Table { table: last, rights }) if *last == table => rights.push(right),
            _ => lacking.push(Lack::Table { table, rights: vec![right] }),
        }
    }
    Ok(lacking)
}

/// Whether the server has refused for want of rights: insufficient_privilege, or a schema that may not be
/// looked into (invalid_schema_name), which for the server is not there.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("42501" | "3F000"))
}
