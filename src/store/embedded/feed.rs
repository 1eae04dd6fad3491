//! The revocation feed of the embedded store: a table, and a bell that rings at every entry.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::watch;
use uuid::Uuid;

use super::fault::{Fault, bounded};
use super::partitions;
use super::time::EmbeddedTime;
use crate::domain::client::ClientId;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, KeyId, SessionId};
use crate::domain::journal::VouchingId;
use crate::domain::partition::Partition;
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::user::SecurityVersion;
use crate::store::error::StoreResult;
use crate::store::revocations::{BackendReader, FeedBatch, Standing};
use crate::store::vouching::{BackendResult, Vouched};

/// How many entries are read at a time.
const PAGE: i64 = 1_000;

/// Adds to the feed, within the transaction that revokes.
pub(super) async fn insert(tx: &mut SqliteConnection, revocation: &Revocation) -> Result<(), sqlx::Error> {
    let (kind, subject, below) = match &revocation.revoked {
        Revoked::Token(jti) => ("jti", jti.to_string(), None),
        Revoked::Session(sid) => ("sid", sid.to_string(), None),
        Revoked::User { user, below } => ("sub", user.to_string(), Some(below.get())),
        Revoked::Client(client) => ("sub", client.to_string(), Some(SecurityVersion::OF_CLIENTS.get())),
        Revoked::Key(kid) => ("kid", kid.as_str().to_owned(), None),
        // The incarnation stands with the partition.
        Revoked::Everything { .. } => return Ok(()),
    };
    sqlx::query("INSERT INTO revocations (kind, subject, below, expires_at) VALUES (?1, ?2, ?3, ?4)")
        .bind(kind)
        .bind(subject)
        .bind(below)
        .bind(revocation.until.as_millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// Rings when something was added.
#[derive(Clone, Debug)]
pub(super) struct Bell(watch::Sender<()>);

impl Bell {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// After the commit.
    pub(super) fn ring(&self) {
        self.0.send_replace(());
    }

    pub(super) fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// Follows the table.
pub(super) struct Reader {
    readers: SqlitePool,
    bell: watch::Receiver<()>,
    time: EmbeddedTime,
    position: i64,
    /// By which vouching of each partition the position was read.
    of: Option<Vec<VouchingId>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    kind: String,
    subject: String,
    below: Option<i64>,
    expires_at: i64,
}

impl Reader {
    pub(super) fn new(readers: SqlitePool, bell: watch::Receiver<()>, time: EmbeddedTime) -> Self {
        Self { readers, bell, time, position: 0, of: None }
    }

    /// The next entries of data that is vouched for (model: ReadsWhatIsVouchedFor).
    async fn page(&self, by: &Vouched) -> Result<(Timestamp, Vec<Row>), Fault> {
        bounded(async {
            let mut reader = self.readers.begin().await?;
            let now = self.time.now()?;
            partitions::require_all(&mut reader, by).await?;
            let rows = sqlx::query_as(
                "SELECT id, kind, subject, below, expires_at FROM revocations
                 WHERE id > ?1 AND expires_at > ?2 ORDER BY id LIMIT ?3",
            )
            .bind(self.position)
            .bind(now.as_millis())
            .bind(PAGE)
            .fetch_all(&mut *reader)
            .await?;
            Ok((now, rows))
        })
        .await
    }
}

#[async_trait]
impl BackendReader for Reader {
    /// From the beginning by another vouching (model: NewVouchingReadsAnew).
    async fn read(&mut self, by: &Vouched, wait: Duration) -> BackendResult<FeedBatch> {
        let vouching = by.of(Partition::EVERYBODY).vouching;
        let vouchings: Vec<_> = Partition::all().map(|partition| by.of(partition).vouching).collect();
        let is_new = self.of.as_ref() != Some(&vouchings);
        self.of = Some(vouchings);
        if is_new {
            self.position = 0;
        }
        let deadline = tokio::time::Instant::now() + if is_new { Duration::ZERO } else { wait };
        let (as_of, rows) = loop {
            // Before looking: what is added from here on rings. It may ring for what was seen already.
            self.bell.mark_unchanged();
            let (as_of, rows) = self.page(by).await?;
            let is_over =
                !rows.is_empty() || tokio::time::timeout_at(deadline, self.bell.changed()).await.is_err();
            if is_over {
                break (as_of, rows);
            }
        };
        let is_complete = i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE;
        if let Some(last) = rows.last() {
            self.position = last.id;
        }
        let announced = rows.into_iter().map(announced).collect::<Result<_, Fault>>()?;
        Ok(FeedBatch { announced, vouching, incarnations: by.incarnations(), as_of, is_complete })
    }

    /// The store is in this process already: nobody needs a copy in place of it.
    async fn confirm(&mut self, _: &Vouched) -> BackendResult<Standing> {
        Ok(Standing::Observer)
    }

    async fn step_back(&mut self) -> StoreResult<()> {
        Ok(())
    }
}

fn announced(row: Row) -> Result<Revocation, Fault> {
    let corrupt = |problem: &str| Fault::Corrupt {
        place: "revocations",
        key: row.id.to_string(),
        problem: problem.to_owned(),
    };
    let id = || Uuid::parse_str(&row.subject).map_err(|_| corrupt("its subject is no UUID"));
    let below = || row.below.map(SecurityVersion::new).ok_or_else(|| corrupt("it has no version"));
    let revoked = match row.kind.as_str() {
        "jti" => Revoked::Token(Jti::from(id()?)),
        "sid" => Revoked::Session(SessionId::from(id()?)),
        "sub" if row.subject.parse::<ClientId>().is_ok() => {
            Revoked::Client(row.subject.parse().map_err(|_| corrupt("its subject is no client id"))?)
        }
        "sub" => Revoked::User {
            user: row.subject.parse().map_err(|_| corrupt("its subject is no user id"))?,
            below: below()?,
        },
        "kid" => Revoked::Key(KeyId::new(row.subject.as_str())),
        _ => return Err(corrupt("it is of an unknown kind")),
    };
    Ok(Revocation { revoked, until: Timestamp::from_millis(row.expires_at) })
}
