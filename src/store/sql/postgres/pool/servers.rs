//! The servers, and a connection to the first that can be used.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Row};
use tokio::time::{Instant, timeout};

use crate::store::sql::failure::NoConnection;
use crate::store::sql::postgres::verdict::code_may_pass;

/// The servers, and what must be true of one to be used.
#[derive(Clone)]
pub(in crate::store::sql::postgres) struct Servers {
    /// In the order in which they are tried.
    pub(in crate::store::sql::postgres) hosts: Vec<Host>,
    /// Whether one that takes no writes is passed over.
    pub(in crate::store::sql::postgres) needs_writes: bool,
}

/// A server.
#[derive(Clone)]
pub(in crate::store::sql::postgres) struct Host {
    /// Where it is, without user and password.
    pub(in crate::store::sql::postgres) place: String,
    /// How it is reached; holds the password.
    pub(in crate::store::sql::postgres) options: PgConnectOptions,
}

/// Connects to the servers, beginning with the one that was of use last.
pub(super) struct Connector {
    servers: Servers,
    /// The one that was of use last, tried first.
    newest: AtomicUsize,
}

impl Connector {
    pub(super) fn new(servers: Servers) -> Self {
        Self { servers, newest: AtomicUsize::new(0) }
    }

    /// Where the server is that was of use last.
    pub(super) fn newest_place(&self) -> String {
        let newest = self.newest.load(Ordering::Relaxed);
        self.servers.hosts.get(newest).map_or_else(String::new, |host| host.place.clone())
    }

    /// Connects to the first server that can be used, beginning with the one that could be last.
    pub(super) async fn connect(&self, until: Instant) -> sqlx::Result<PgConnection> {
        let hosts = &self.servers.hosts;
        let first = self.newest.load(Ordering::Relaxed);
        let mut failed: Option<sqlx::Error> = None;
        let mut only_read = Vec::new();
        for tried in 0..hosts.len() {
            let at = (first + tried) % hosts.len();
            let Some(host) = hosts.get(at) else { break };
            // What is left is shared by those that are left.
            let left = until.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(hosts.len() - tried).unwrap_or(1);
            match timeout(share, self.connect_to(host)).await {
                Ok(Ok(Some(connection))) => {
                    self.newest.store(at, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Ok(None)) => only_read.push(host.place.clone()),
                // What may pass is worth waiting for, whatever another has said.
                Ok(Err(error)) if failed.as_ref().is_some_and(may_pass) => {
                    tracing::debug!(place = host.place, "another server cannot be used either: {error}");
                }
                Ok(Err(error)) => failed = Some(error),
                Err(_) => {
                    failed = Some(NoConnection::Silent { place: host.place.clone(), waited: share }.into())
                }
            }
        }
        Err(match failed {
            Some(error) => error,
            None => NoConnection::OnlyReads { places: only_read.join(", ") }.into(),
        })
    }

    /// A connection; `None` when the server does not take the writes that are needed.
    async fn connect_to(&self, host: &Host) -> sqlx::Result<Option<PgConnection>> {
        let mut connection = host.options.connect().await?;
        if self.servers.needs_writes {
            let row = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(&mut connection).await?;
            if row.try_get::<String, _>(0)? == "on" {
                return Ok(None);
            }
        }
        Ok(Some(connection))
    }
}

/// Whether the server has no room for one more connection.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code.starts_with("53"))
}

/// Whether an error on the way in is one that passes: the server is away, starting up, stopping or full.
/// A refusal (wrong password, no such database, TLS that fails) stays until it is repaired.
pub(in crate::store::sql::postgres) fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        // What TLS does not like of the other end comes as this kind.
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        sqlx::Error::Database(error) => code_may_pass(&error.code().unwrap_or_default()),
        _ => false,
    }
}
