//! Sessions in Redis. The rule for refresh tokens is [`Presented::judge`](crate::domain::session::Presented::judge),
//! which the scripts repeat.

use std::time::Duration;

use async_trait::async_trait;
use redis::ScriptInvocation;

use super::codec::{self, Answer, Entry, Fields, SESSION, SESSIONS, unreadable};
use super::standing::vouching_of;
use super::store::RedisTokenStore;
use super::time::span;
use super::{listing, scripts};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::journal::EntryId;
use crate::domain::session::{NewSession, Session, SessionLifetimes, Timeout};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::tokens::{Generation, RefreshClaims};
use crate::domain::user::SecurityVersion;
use crate::store::sessions::{
    Eviction, OnReuse, OpenOutcome, Opening, Presented, RefreshOutcome, SessionBackend,
};
use crate::store::vouching::{BackendResult, Vouched};

#[async_trait]
impl SessionBackend for RedisTokenStore {
    async fn open_session(
        &self,
        by: &Vouched,
        session: &NewSession,
        lifetimes: &SessionLifetimes,
    ) -> BackendResult<Opening> {
        let keys = self.keys.of_user(session.user);
        let key = keys.session(session.id);
        let entry = Entry { place: SESSION, key: &key };
        let mut script = scripts::OPEN_SESSION.prepare_invoke();
        script
            .key(&key)
            .key(keys.sessions())
            .key(keys.cutoff())
            .key(keys.partition().state())
            .arg(self.time.argument())
            .arg(session.id.to_string())
            .arg(session.user.get())
            .arg(session.security_version.get())
            .arg(Generation::FIRST.get())
            .arg(span(lifetimes.idle))
            .arg(span(lifetimes.absolute))
            .arg(vouching_of(by, session.user))
            .arg(codec::CARRIED_FORMAT);
        let carried = session.carried.encode().map_err(|error| entry.corrupt(error.to_string()))?;
        for piece in codec::pieces(&carried) {
            script.arg(piece);
        }
        let mut answer = self.call(by, keys.partition().partition(), entry, script).await?;
        match answer.verdict.as_str() {
            "opened" => {
                let session = codec::answered_session(entry, session.id, &mut answer)?;
                Ok(Opening::Settled(OpenOutcome::Opened(session)))
            }
            "superseded" => {
                let first = SecurityVersion::new(entry.read("version", answer.field(0))?);
                Ok(Opening::Settled(OpenOutcome::Superseded { first }))
            }
            "older" => Ok(Opening::OlderStand),
            _ => Err(unreadable(entry, &keys, &answer).into()),
        }
    }

    async fn has_sessions(&self, by: &Vouched, user: UserId) -> BackendResult<bool> {
        let keys = self.keys.of_user(user);
        let key = keys.sessions();
        let entry = Entry { place: SESSIONS, key: &key };
        let exists = redis::cmd("EXISTS").arg(&key).to_owned();
        let (exists, _) = self.ask_standing(by, entry, keys.partition(), exists).await?;
        Ok(entry.convert(exists)?)
    }

    async fn rotate(
        &self,
        by: &Vouched,
        token: &RefreshClaims,
        alarm: EntryId,
        lifetimes: &SessionLifetimes,
    ) -> BackendResult<Presented> {
        let judging = |seen: Seen| {
            let mut script = scripts::ROTATE_SESSION.prepare_invoke();
            self.add_refresh_token(&mut script, token);
            script
                .arg(span(lifetimes.idle))
                .arg(span(lifetimes.rotation_grace_period))
                .arg(span(lifetimes.revocation()))
                .arg(vouching_of(by, token.user))
                .arg(alarm.get())
                .arg(seen.word())
                .arg(codec::CARRIED_FORMAT);
            script
        };
        self.refresh(by, token, judging).await
    }

    async fn check_refresh(
        &self,
        by: &Vouched,
        token: &RefreshClaims,
        alarm: EntryId,
        lifetimes: &SessionLifetimes,
        on_reuse: OnReuse,
    ) -> BackendResult<Presented> {
        let judging = |seen: Seen| {
            let mut script = scripts::CHECK_SESSION.prepare_invoke();
            self.add_refresh_token(&mut script, token);
            script
                .arg(match on_reuse {
                    OnReuse::Revoke => "revoke",
                    OnReuse::Refuse => "refuse",
                })
                .arg(span(lifetimes.rotation_grace_period))
                .arg(span(lifetimes.revocation()))
                .arg(vouching_of(by, token.user))
                .arg(alarm.get())
                .arg(seen.word())
                .arg(codec::CARRIED_FORMAT);
            script
        };
        self.refresh(by, token, judging).await
    }

    async fn session_end(
        &self,
        by: &Vouched,
        user: UserId,
        session: SessionId,
    ) -> BackendResult<Option<Timestamp>> {
        let keys = self.keys.of_user(user);
        let key = keys.session(session);
        let entry = Entry { place: SESSION, key: &key };
        let mut command = redis::cmd("HMGET");
        command.arg(&key).arg("u").arg("i");
        let (stored, _) = self.ask_standing(by, entry, keys.partition(), command).await?;
        let stored: Fields = entry.convert(stored)?;
        let [owner, end] = stored.as_slice() else { return Ok(None) };
        let is_own = owner.as_deref() == Some(user.to_string().as_str());
        match end.as_deref().filter(|_| is_own) {
            Some(end) => Ok(Some(Timestamp::from_millis(entry.read("i", Some(end))?))),
            None => Ok(None),
        }
    }

    async fn evict_session(
        &self,
        by: &Vouched,
        eviction: &Eviction,
        entry: EntryId,
        denial: Duration,
    ) -> BackendResult<Option<Timestamp>> {
        self.evict(by, eviction, entry, denial).await
    }

    async fn newest_access_tokens(
        &self,
        by: &Vouched,
        users: &[UserId],
    ) -> BackendResult<Vec<Option<Timestamp>>> {
        listing::newest_access_tokens(&self.lists(by), users).await
    }

    async fn count_sessions(&self, by: &Vouched, users: &[UserId], now: Timestamp) -> BackendResult<u64> {
        listing::count(&self.lists(by), users, now).await
    }

    async fn list_sessions(
        &self,
        by: &Vouched,
        user: UserId,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> BackendResult<Vec<Session>> {
        listing::page(&self.lists(by), user, after, limit).await
    }

    async fn session_uses(&self, by: &Vouched, user: UserId) -> BackendResult<Vec<SessionUse>> {
        listing::uses(&self.lists(by), user).await
    }

    async fn find_session(
        &self,
        by: &Vouched,
        user: UserId,
        session: SessionId,
    ) -> BackendResult<Option<Session>> {
        listing::find(&self.lists(by), user, session).await
    }
}

impl RedisTokenStore {
    /// What the two scripts that judge a refresh token begin with.
    fn add_refresh_token(&self, script: &mut ScriptInvocation<'static>, token: &RefreshClaims) {
        self.add_session(script, token.user, token.session);
        script.arg(token.generation.get());
    }

    /// What each script begins with that may end a session by itself: all keys that this takes, the time, and which session.
    pub(super) fn add_session(
        &self,
        script: &mut ScriptInvocation<'static>,
        user: UserId,
        session: SessionId,
    ) {
        let keys = self.keys.of_user(user);
        script
            .key(keys.session(session))
            .key(keys.sessions())
            .key(keys.denied())
            .key(keys.cutoff())
            .key(keys.partition().state())
            .key(keys.revocations())
            .key(keys.partition().owed())
            .key(keys.evictions())
            .arg(self.time.argument())
            .arg(session.to_string())
            .arg(user.get());
    }

    /// Runs one of the two scripts that judge a refresh token. A session that is not as a build wrote it that can be
    /// read here is read before: the scripts do not know what it carries, and would redeem a token for an answer that
    /// nobody can read. What it carries stays the same as long as it lives, and whatever else has changed meanwhile
    /// the script judges.
    async fn refresh(
        &self,
        by: &Vouched,
        token: &RefreshClaims,
        judging: impl Fn(Seen) -> ScriptInvocation<'static>,
    ) -> BackendResult<Presented> {
        let keys = self.keys.of_user(token.user);
        let partition = keys.partition().partition();
        let key = keys.session(token.session);
        let entry = Entry { place: SESSION, key: &key };
        let mut unreadable_by = None;
        let mut answer = self.call(by, partition, entry, judging(Seen::No)).await?;
        if answer.verdict == "unseen" {
            note_brought_back(token.session, answer.field(codec::AHEAD));
            let stored =
                self.ask_vouched(by, partition, entry, redis::cmd("HGETALL").arg(&key).to_owned()).await?;
            unreadable_by = codec::check_readable(entry, token.session, stored).err();
            let seen = if unreadable_by.is_none() { Seen::Readable } else { Seen::Unreadable };
            answer = self.call(by, partition, entry, judging(seen)).await?;
        }
        let session = |answer: &mut Answer| {
            note_brought_back(token.session, answer.field(codec::AHEAD));
            codec::answered_session(entry, token.session, answer)
        };
        let mut ended_until = None;
        let outcome = match answer.verdict.as_str() {
            "current" => RefreshOutcome::Current(session(&mut answer)?),
            "previous" => RefreshOutcome::Previous(session(&mut answer)?),
            "recovered" => RefreshOutcome::Recovered(session(&mut answer)?),
            "reused" => {
                if let Some(until) = answer.field(0) {
                    ended_until = Some(Timestamp::from_millis(entry.read("until", Some(until))?));
                    self.pass_on(by).await?;
                }
                RefreshOutcome::Reused
            }
            "expired" => match answer.field(0) {
                Some("idle") => RefreshOutcome::Expired(Timeout::Idle),
                Some("absolute") => RefreshOutcome::Expired(Timeout::Absolute),
                _ => return Err(unreadable(entry, &keys, &answer).into()),
            },
            "evicted" => RefreshOutcome::Evicted,
            "unknown" | "foreign" => RefreshOutcome::Unknown,
            "unreadable" => {
                return Err(unreadable_by.unwrap_or_else(|| unreadable(entry, &keys, &answer)).into());
            }
            _ => return Err(unreadable(entry, &keys, &answer).into()),
        };
        Ok(Presented { outcome, ended_until })
    }
}

/// Whether whoever runs a script has seen what a session carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    No,
    Readable,
    Unreadable,
}

impl Seen {
    /// As the scripts take it.
    fn word(self) -> &'static str {
        match self {
            Self::No => "unseen",
            Self::Readable => "readable",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What a session had noted lay ahead of the clock.
fn note_brought_back(session: SessionId, ahead_ms: Option<&str>) {
    if let Some(ahead_ms) = ahead_ms.filter(|ms| !ms.is_empty()) {
        tracing::warn!(%session, ahead_ms, "the token store's clock was put back: a session counts from now on");
    }
}
