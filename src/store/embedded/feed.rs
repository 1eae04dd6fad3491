//! The revocation feed of the embedded store: a table, and a bell that rings at every entry.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::watch;
use uuid::Uuid;

use super::{Fault, bounded};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, KeyId, SessionId};
use crate::domain::revocation::{Revocation, Revoked};
use crate::store::StoreResult;
use crate::store::feed::{FeedBatch, RevocationReader, Standing};

/// How many entries are read at a time.
const PAGE: i64 = 1_000;

/// Adds to the feed, within the transaction that revokes.
pub(super) async fn insert(tx: &mut SqliteConnection, revocation: &Revocation) -> Result<(), sqlx::Error> {
    let (kind, subject, not_before) = match &revocation.revoked {
        Revoked::Token(jti) => ("jti", jti.to_string(), None),
        Revoked::Session(sid) => ("sid", sid.to_string(), None),
        Revoked::User { user, not_before } => ("sub", user.to_string(), Some(not_before)),
        Revoked::Key(kid) => ("kid", kid.as_str().to_owned(), None),
        Revoked::Everything { not_before } => ("all", String::new(), Some(not_before)),
    };
    sqlx::query("INSERT INTO revocations (kind, subject, not_before, expires_at) VALUES (?1, ?2, ?3, ?4)")
        .bind(kind)
        .bind(subject)
        .bind(not_before.map(|moment| moment.as_millis()))
        .bind(revocation.until.as_millis())
        .execute(tx)
        .await?;
    Ok(())
}

/// Rings when something was added.
#[derive(Debug)]
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
    position: i64,
    remembers_since: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    kind: String,
    subject: String,
    not_before: Option<i64>,
    expires_at: i64,
}

impl Reader {
    pub(super) fn new(readers: SqlitePool, bell: watch::Receiver<()>) -> Self {
        Self { readers, bell, position: 0, remembers_since: None }
    }

    async fn page(&self, now: Timestamp) -> StoreResult<(Vec<Row>, Option<i64>)> {
        bounded(async {
            let since =
                sqlx::query_scalar("SELECT since FROM incarnation").fetch_optional(&self.readers).await?;
            let rows = sqlx::query_as(
                "SELECT id, kind, subject, not_before, expires_at FROM revocations
                 WHERE id > ?1 AND expires_at > ?2 ORDER BY id LIMIT ?3",
            )
            .bind(self.position)
            .bind(now.as_millis())
            .bind(PAGE)
            .fetch_all(&self.readers)
            .await?;
            Ok((rows, since))
        })
        .await
    }
}

#[async_trait]
impl RevocationReader for Reader {
    async fn read(&mut self, now: Timestamp, wait: Duration) -> StoreResult<FeedBatch> {
        let wait = if self.remembers_since.is_none() { Duration::ZERO } else { wait };
        let deadline = tokio::time::Instant::now() + wait;
        let (rows, since) = loop {
            // Before looking: what is added from here on rings. It may ring for what was seen already.
            self.bell.mark_unchanged();
            let (rows, since) = self.page(now).await?;
            let is_over =
                !rows.is_empty() || tokio::time::timeout_at(deadline, self.bell.changed()).await.is_err();
            if is_over {
                break (rows, since);
            }
        };
        // A file without a session has nothing to forget.
        let since = since.map_or(now, Timestamp::from_millis);
        let remembers_since = *self.remembers_since.insert(since);
        let is_complete = i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE;
        if let Some(last) = rows.last() {
            self.position = last.id;
        }
        let announced = rows.into_iter().map(announced).collect::<Result<_, Fault>>()?;
        Ok(FeedBatch { announced, remembers_since, is_complete })
    }

    /// The store is in this process already: nobody needs a copy in place of it.
    async fn confirm(&mut self, _: Timestamp) -> StoreResult<Standing> {
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
    let not_before =
        || row.not_before.map(Timestamp::from_millis).ok_or_else(|| corrupt("it has no not_before"));
    let revoked = match row.kind.as_str() {
        "jti" => Revoked::Token(Jti::from(id()?)),
        "sid" => Revoked::Session(SessionId::from(id()?)),
        "sub" => Revoked::User {
            user: row.subject.parse().map_err(|_| corrupt("its subject is no user id"))?,
            not_before: not_before()?,
        },
        "kid" => Revoked::Key(KeyId::new(row.subject.as_str())),
        "all" => Revoked::Everything { not_before: not_before()? },
        _ => return Err(corrupt("it is of an unknown kind")),
    };
    Ok(Revocation { revoked, until: Timestamp::from_millis(row.expires_at) })
}
