//! The settings of the database: which one, by which roles, and for how long anything waits for it.

use std::time::Duration;

use super::Secret;
use super::build::Reader;
use super::parse::{self, Parsed, Problem};
use super::rules::Review;
use crate::domain::postgres_url::PostgresUrl;

/// More than any Postgres lets in.
const CONNECTIONS_MAX: u32 = 10_000;

/// A busy machine takes as long for nothing at all.
const WAIT_MIN: Duration = Duration::from_millis(50);
/// Nobody waits longer for an answer.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// At start, for a server that is far away.
const CONNECT_MAX: Duration = Duration::from_secs(5 * 60);

/// Where accounts and signing keys are.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// `sqlite:…` or `postgres:…`; may hold a password.
    pub url: Secret,
    /// The same database by a role that may change the schema, where that is another one.
    pub migrate_url: Option<Secret>,
    /// The most connections at once; Postgres alone.
    pub max_connections: u32,
    /// How long a call waits for a connection; Postgres alone.
    pub acquire_timeout: Duration,
    /// How long a statement may take; Postgres alone.
    pub statement_timeout: Duration,
    /// How long a connection at start may take; Postgres alone.
    pub connect_timeout: Duration,
}

pub(super) fn database(read: &mut Reader<'_>) -> DatabaseSettings {
    DatabaseSettings {
        url: read.get("database.url", url, Secret::new("")),
        migrate_url: read.find("database.migrate_url", url),
        max_connections: read.get("database.max_connections", parse::number(1..=CONNECTIONS_MAX), 1),
        acquire_timeout: read.get("database.acquire_timeout", parse::duration, WAIT_MIN),
        statement_timeout: read.get("database.statement_timeout", parse::duration, WAIT_MIN),
        connect_timeout: read.get("database.connect_timeout", parse::duration, WAIT_MIN),
    }
}

fn url(text: &str) -> Parsed<Secret> {
    const MEND: &str = "write it like sqlite://hallpass-data/hallpass.db or postgres://user@host/database";
    let problem = |problem: String| Err(Problem { problem, mend: MEND.to_owned() });
    match text.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Secret::new(text)),
        Some("postgres" | "postgresql") => match PostgresUrl::parse(text) {
            Ok(url) if url.hosts().iter().all(|host| url::Url::parse(host).is_ok()) => Ok(Secret::new(text)),
            Ok(_) => problem("is no URL".to_owned()),
            Err(error) => problem(format!("is unusable: {error}")),
        },
        _ => problem("names no database that hallpass can use".to_owned()),
    }
}

impl Review<'_> {
    /// What holds for every command.
    pub(super) fn database_spans(&mut self) {
        let database = &self.settings.database;
        let (acquire, statement, connect) =
            (database.acquire_timeout, database.statement_timeout, database.connect_timeout);
        self.within("database.acquire_timeout", acquire, WAIT_MIN, WAIT_MAX);
        self.within("database.statement_timeout", statement, WAIT_MIN, WAIT_MAX);
        self.within("database.connect_timeout", connect, WAIT_MIN, CONNECT_MAX);
    }

    /// The steps are for the database that is served.
    pub(super) fn migrates_what_is_served(&mut self) {
        const KEY: &str = "database.migrate_url";
        let Some(migrate) = &self.settings.database.migrate_url else { return };
        if !self.sound(&[KEY, "database.url"]) {
            return;
        }
        let schema = |url: &Secret| Some(PostgresUrl::parse(url.expose()).ok()?.schema().map(str::to_owned));
        match (schema(&self.settings.database.url), schema(migrate)) {
            (Some(served), Some(migrated)) if served == migrated => {}
            (Some(_), Some(_)) => {
                let mend = "name the same `schema` in both";
                self.refuse(KEY, "names another `schema` than `database.url`", mend);
            }
            _ => self.refuse(KEY, "is for Postgres, and one of the two URLs is none", "leave it out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_sqlite_and_postgres() {
        for good in [
            "sqlite://a/b.db",
            "sqlite::memory:",
            "postgres://u:p@h:5432/d",
            "postgresql://h/d",
            "postgres://u:p@one:5432,two:5433/d?target_session_attrs=read-write&schema=auth",
            "postgres:///d?host=/run/postgresql",
        ] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in [
            "mysql://host/db",
            "hallpass.db",
            "postgres",
            "postgres:hunter2",
            "postgres://host:port/db",
            "postgres://one,two:port/db",
            "postgres://u:hunter2/x@host/db",
            "postgres://host/db?pool_size=hunter2",
        ] {
            let problem = url(bad).expect_err(bad);
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
    }
}
