//! `database.*`: which one, by which roles, and for how long anything waits for it.

use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use super::public_url::{is_loopback, is_loopback_host};
use crate::config::engine::{
    Always, Computed, Nothing, Parsed, Review, Secret, Values, parse, problem, settings,
};
use crate::domain::postgres_url::PostgresUrl;

/// More than any Postgres lets in.
const CONNECTIONS_MAX: u32 = 10_000;

/// A busy machine takes as long as the shortest for nothing at all; nobody waits longer than the longest.
const WAIT: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(60);

/// At start, for a server that is far away.
const CONNECT: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(5 * 60);

/// The modes in which Postgres is never spoken to in the clear. Without one of them (`prefer` is the
/// default) whoever sits in between has only to say that there is no TLS.
const ENCRYPTED: [&str; 3] = ["require", "verify-ca", "verify-full"];

settings! {
    /// Where accounts and signing keys are.
    #[derive(Clone, Debug)]
    pub struct DatabaseSettings {
        /// The SQL database, SQLite or Postgres: accounts and signing keys. Postgres: several hosts with commas between
        /// (the first that takes writes is used), `?schema=`, `?sslmode=verify-full&sslrootcert=`; see
        /// [docs/stores.md](docs/stores.md).
        url: Secret = "database.url" {
            alias: "DATABASE_URL", kind: SecretUrl, parse: url,
            default: Computed { says: "`sqlite://<data_dir>/hallpass.db`", by: in_data_folder },
            example: "postgres://hallpass@db/hallpass",
        },
        /// The same Postgres by a role that owns the tables: with it the schema is brought up to date, and the role of
        /// `database.url` gets the rights that it needs, so that it need not own anything.
        migrate_url: Option<Secret> = "database.migrate_url" {
            kind: SecretUrl, parse: url, default: Nothing, example: "postgres://hallpass_owner@db/hallpass",
        },
        /// The most connections to Postgres that one replica has (1 to 10000). When all are in use for longer than
        /// `database.acquire_timeout` the answer is 503, and the log says so.
        max_connections: u32 = "database.max_connections" {
            kind: Number, parse: parse::number(1..=CONNECTIONS_MAX), default: Always("10"), example: "20",
        },
        /// How long a call waits for a connection to Postgres, making one included (50ms to 1m). Together with
        /// `database.statement_timeout` it bounds how long a request hangs while Postgres does.
        acquire_timeout: Duration = "database.acquire_timeout" {
            kind: Text, parse: parse::span(WAIT), default: Always("400ms"), example: "2s",
        },
        /// How long a statement in Postgres may take, waiting for locks included (50ms to 1m); migrations are not held
        /// to it.
        statement_timeout: Duration = "database.statement_timeout" {
            kind: Text, parse: parse::span(WAIT), default: Always("400ms"), example: "1s",
        },
        /// How long the first connection to Postgres at start, and those of migrations, may take (50ms to 5m).
        connect_timeout: Duration = "database.connect_timeout" {
            kind: Text, parse: parse::span(CONNECT), default: Always("5s"), example: "15s",
        },
    }
}

fn in_data_folder(values: &Values) -> Option<String> {
    // In a sqlite: URL only these two would end the path or begin an escape.
    let folder = values.text("data_dir")?.replace('%', "%25").replace('?', "%3F");
    Some(format!("sqlite://{folder}/hallpass.db"))
}

fn url(text: &str) -> Parsed<Secret> {
    const HELP: &str = "write it like sqlite://hallpass-data/hallpass.db or postgres://user@host/database";
    match text.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Secret::new(text)),
        Some("postgres" | "postgresql") => match PostgresUrl::parse(text) {
            Ok(url) if url.hosts().iter().all(|host| Url::parse(host).is_ok()) => Ok(Secret::new(text)),
            Ok(_) => problem("is no URL", HELP),
            Err(error) => problem(format!("is unusable: {error}"), HELP),
        },
        _ => problem("names no database that hallpass can use", HELP),
    }
}

impl DatabaseSettings {
    /// The steps of migrations are for the database that is served.
    pub(crate) fn review(&self, review: &mut Review<'_>) {
        const KEY: &str = "database.migrate_url";
        let Some(migrate) = &self.migrate_url else { return };
        if !review.sound(&[KEY, "database.url"]) {
            return;
        }
        let schema = |url: &Secret| Some(PostgresUrl::parse(url.expose()).ok()?.schema().map(str::to_owned));
        match (schema(&self.url), schema(migrate)) {
            (Some(served), Some(migrated)) if served == migrated => {}
            (Some(_), Some(_)) => {
                let help = "name the same `schema` in both";
                review.refuse(KEY, "names another `schema` than `database.url`", help);
            }
            _ => review.refuse(KEY, "is for Postgres, and one of the two URLs is none", "leave it out"),
        }
    }

    /// What deserves a second thought: another machine that is spoken to without TLS.
    pub(crate) fn review_plaintext(&self, review: &mut Review<'_>) {
        for (key, url) in
            [("database.url", Some(&self.url)), ("database.migrate_url", self.migrate_url.as_ref())]
        {
            if review.sound(&[key]) && url.is_some_and(|url| is_spoken_to_in_the_clear(url.expose())) {
                review.warn(
                    key,
                    "leads to another machine and does not insist on TLS: accounts and password hashes may travel in \
                     the clear; add `?sslmode=verify-full` (or `require`, which checks no certificate)",
                );
            }
        }
    }

    /// A file, a socket, or a server on this machine.
    pub(crate) fn is_local(&self) -> bool {
        is_local(self.url.expose())
    }
}

fn is_spoken_to_in_the_clear(database: &str) -> bool {
    !is_local(database)
        && PostgresUrl::parse(database).is_ok_and(|url| url.hosts().iter().any(|host| may_be_clear(host)))
}

/// Of the URL of one host.
fn may_be_clear(host: &str) -> bool {
    let Ok(url) = Url::parse(host) else { return false };
    // As sqlx reads it: the last one counts.
    let modes = url.query_pairs().filter(|(name, _)| matches!(&**name, "sslmode" | "ssl-mode"));
    let mode = modes.last().map(|(_, mode)| mode.to_ascii_lowercase());
    !mode.is_some_and(|mode| ENCRYPTED.contains(&mode.as_str()))
}

/// A file, or sockets and servers on this machine alone.
fn is_local(database: &str) -> bool {
    if database.starts_with("sqlite:") {
        return true;
    }
    PostgresUrl::parse(database).is_ok_and(|url| url.hosts().iter().all(|host| host_is_local(host)))
}

fn host_is_local(host: &str) -> bool {
    let Ok(url) = Url::parse(host) else { return false };
    let host = url.query_pairs().find(|(name, _)| matches!(&**name, "host" | "hostaddr"));
    match host {
        Some((_, host)) => {
            host.starts_with('/') || host.parse().is_ok_and(is_loopback) || host == "localhost"
        }
        None => is_loopback_host(&url),
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
