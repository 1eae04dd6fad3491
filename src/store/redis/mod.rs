//! Sessions, the denylist, reset tokens and rate limits in Redis (6.2 or later).
//!
//! Each operation is one Lua script, and so atomic; [`keys`] says what is kept where. The rule for
//! refresh tokens is [`Presented::judge`](crate::domain::session::Presented::judge), which the
//! scripts repeat. `access_status` needs no script: it reads in one round trip, and in an order in
//! which a revocation that comes in between is seen.

mod access;
mod breaker;
mod codec;
mod connection;
mod feed;
mod inspection;
pub mod keys;
mod listing;
mod mirrors;
mod rate_limits;
mod scripts;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{ErrorKind, ScriptInvocation, ServerErrorKind, Value};

use self::access::AccessFacts;
use self::codec::{Answer, Entry, Fields};
use self::connection::{CallError, Connection};
pub use self::connection::{RedisOptions, RedisUrlError};
pub use self::inspection::{EvictionPolicy, RedisInspection};
use self::keys::UserKeys;
use self::mirrors::Mirrors;
use crate::domain::clock::{Timestamp, millis_of};
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::session::{Session, SessionLifetimes, Timeout};
use crate::domain::tokens::{RefreshClaims, ResetClaims, ResetTokenHash};
use crate::domain::user::SecurityVersion;
use crate::store::{
    AccessStatus, AccessSubject, OnReuse, OpenOutcome, RefreshOutcome, ResetGrant, StoreError, StoreResult,
    TokenStore,
};

/// A [`TokenStore`] in one Redis, over one multiplexed connection.
#[derive(Debug)]
pub struct RedisTokenStore {
    connection: Arc<Connection>,
    mirrors: Mirrors,
}

/// Why a store could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be used.
    #[error(transparent)]
    Url(#[from] RedisUrlError),
    /// Redis did not answer.
    #[error("Redis does not answer")]
    Unreachable(#[source] StoreError),
}

impl RedisTokenStore {
    /// A store that connects on its first operation and again whenever the connection is lost, so
    /// that the service starts without Redis and recovers when Redis comes. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RedisUrlError`] when `url` is not the address of one Redis
    /// (`redis[s]://[[user]:password@]host[:port][/database]`, or `unix://` and a path).
    pub fn connect_lazy(url: &str, options: RedisOptions) -> Result<Self, RedisUrlError> {
        let connection = Arc::new(Connection::lazy(url, options)?);
        Ok(Self { mirrors: Mirrors::new(connection.clone()), connection })
    }

    /// The same, and sees that Redis answers, within [`RedisOptions::operation_timeout`].
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(url: &str, options: RedisOptions) -> Result<Self, ConnectError> {
        let store = Self::connect_lazy(url, options)?;
        store.ping().await.map_err(ConnectError::Unreachable)?;
        Ok(store)
    }

    /// What this Redis says about itself: whether it may forget keys (`maxmemory-policy`), whether
    /// it logs to disk, and its version. Managed services that forbid `INFO` leave all unknown.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn inspect(&self) -> StoreResult<RedisInspection> {
        let info = self
            .connection
            .run(|mut redis| async move {
                match redis::cmd("INFO").query_async::<String>(&mut redis).await {
                    Err(error) if is_forbidden(error.kind()) => Ok(None),
                    answer => answer.map(Some),
                }
            })
            .await
            .map_err(|error| store_error(Entry { place: "server", key: "INFO" }, error))?;
        Ok(info.map_or(RedisInspection::UNKNOWN, |info| RedisInspection::parse(&info)))
    }

    /// What time it is by the clock of Redis. Nothing is decided by that; it is for telling how far
    /// the clocks are apart.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn time(&self) -> StoreResult<Timestamp> {
        let (seconds, micros): (i64, i64) = self
            .connection
            .run(|mut redis| async move { redis::cmd("TIME").query_async(&mut redis).await })
            .await
            .map_err(|error| store_error(Entry { place: "server", key: "TIME" }, error))?;
        Ok(Timestamp::from_millis(seconds.saturating_mul(1_000).saturating_add(micros / 1_000)))
    }

    async fn call(&self, entry: Entry<'_>, script: ScriptInvocation<'static>) -> StoreResult<Answer> {
        self.connection.call(entry, script).await
    }
}

#[async_trait]
impl TokenStore for RedisTokenStore {
    async fn open_session(&self, session: &Session, now: Timestamp) -> StoreResult<OpenOutcome> {
        let keys = UserKeys::of(session.subject.user);
        let key = keys.session(session.id);
        let entry = Entry { place: SESSION, key: &key };
        let mut script = scripts::OPEN_SESSION.prepare_invoke();
        script
            .key(&key)
            .key(keys.sessions())
            .key(keys.cutoff())
            .key(keys.incarnation())
            .arg(time(now))
            .arg(session.id.to_string())
            .arg(session.subject.user.get())
            .arg(session.subject.email.as_str())
            .arg(session.subject.role.as_str())
            .arg(session.subject.security_version.get())
            .arg(session.generation.get())
            .arg(time(session.created_at))
            .arg(time(session.rotated_at))
            .arg(time(session.issued_at))
            .arg(time(session.idle_deadline))
            .arg(time(session.absolute_deadline))
            .arg(session.origin.address.map(|address| address.to_string()).unwrap_or_default())
            .arg(session.origin.user_agent.as_deref().unwrap_or_default())
            .arg(session.origin.client.as_str());
        let answer = self.call(entry, script).await?;
        match answer.verdict.as_str() {
            "opened" => Ok(OpenOutcome::Opened),
            "superseded" => Ok(OpenOutcome::Superseded),
            _ => Err(unreadable(entry, &keys, &answer)),
        }
    }

    async fn rotate(
        &self,
        token: &RefreshClaims,
        now: Timestamp,
        lifetimes: &SessionLifetimes,
    ) -> StoreResult<RefreshOutcome> {
        let mut script = scripts::ROTATE_SESSION.prepare_invoke();
        add_refresh_keys(&mut script, token);
        script
            .arg(time(now))
            .arg(token.session.to_string())
            .arg(token.user.get())
            .arg(token.generation.get())
            .arg(span(lifetimes.idle))
            .arg(span(lifetimes.rotation_grace_period))
            .arg(span(lifetimes.revocation()));
        self.refresh(token, now, script).await
    }

    async fn check_refresh(
        &self,
        token: &RefreshClaims,
        now: Timestamp,
        lifetimes: &SessionLifetimes,
        on_reuse: OnReuse,
    ) -> StoreResult<RefreshOutcome> {
        let mut script = scripts::CHECK_SESSION.prepare_invoke();
        add_refresh_keys(&mut script, token);
        script
            .arg(time(now))
            .arg(token.session.to_string())
            .arg(token.user.get())
            .arg(token.generation.get())
            .arg(match on_reuse {
                OnReuse::Revoke => "revoke",
                OnReuse::Refuse => "refuse",
            })
            .arg(span(lifetimes.rotation_grace_period))
            .arg(span(lifetimes.revocation()));
        self.refresh(token, now, script).await
    }

    async fn revoke_session(
        &self,
        user: UserId,
        session: SessionId,
        now: Timestamp,
        denial: Duration,
    ) -> StoreResult<bool> {
        let keys = UserKeys::of(user);
        let key = keys.session(session);
        let entry = Entry { place: SESSION, key: &key };
        let mut script = scripts::REVOKE_SESSION.prepare_invoke();
        script
            .key(&key)
            .key(keys.sessions())
            .key(keys.denied())
            .key(keys.cutoff())
            .key(keys.revocations())
            .arg(time(now))
            .arg(session.to_string())
            .arg(user.get())
            .arg(span(denial));
        let answer = self.call(entry, script).await?;
        let was_live = match answer.verdict.as_str() {
            "live" => true,
            // Perhaps by an earlier call, which could not wait for the mirrors.
            "gone" => false,
            "foreign" => return Ok(false),
            _ => return Err(unreadable(entry, &keys, &answer)),
        };
        self.mirrors.have_caught_up(now).await?;
        Ok(was_live)
    }

    async fn revoke_access_token(
        &self,
        user: UserId,
        token: Jti,
        now: Timestamp,
        denial: Duration,
    ) -> StoreResult<()> {
        let keys = UserKeys::of(user);
        let key = keys.denied();
        let entry = Entry { place: DENYLIST, key: &key };
        let mut script = scripts::REVOKE_ACCESS_TOKEN.prepare_invoke();
        script
            .key(&key)
            .key(keys.revocations())
            .arg(time(now))
            .arg(token.to_string())
            .arg(user.get())
            .arg(span(denial));
        let answer = self.call(entry, script).await?;
        match answer.verdict.as_str() {
            "denied" => self.mirrors.have_caught_up(now).await,
            _ => Err(unreadable(entry, &keys, &answer)),
        }
    }

    async fn cut_off(
        &self,
        user: UserId,
        version: SecurityVersion,
        now: Timestamp,
        denial: Duration,
    ) -> StoreResult<Vec<SessionId>> {
        let keys = UserKeys::of(user);
        let key = keys.cutoff();
        let entry = Entry { place: CUTOFF, key: &key };
        let mut script = scripts::CUT_OFF_USER.prepare_invoke();
        script
            .key(&key)
            .key(keys.sessions())
            .key(keys.denied())
            .key(keys.reset())
            .key(keys.revocations())
            .arg(time(now))
            .arg(version.get())
            .arg(span(denial))
            .arg(user.get());
        let answer = self.call(entry, script).await?;
        if answer.verdict != "ended" {
            return Err(unreadable(entry, &keys, &answer));
        }
        let ended = session_ids(Entry { place: SESSIONS, key: &keys.sessions() }, &answer.fields)?;
        self.remove_ended(&keys, &ended).await;
        self.mirrors.have_caught_up(now).await?;
        Ok(ended)
    }

    async fn access_status(&self, token: &AccessSubject, now: Timestamp) -> StoreResult<AccessStatus> {
        let keys = UserKeys::of(token.user);
        AccessFacts::read(&self.connection, &keys, token).await?.judge(&keys, token, now)
    }

    async fn newest_access_tokens(
        &self,
        users: &[UserId],
        now: Timestamp,
    ) -> StoreResult<Vec<Option<Timestamp>>> {
        listing::newest_access_tokens(&self.connection, users, now).await
    }

    async fn list_sessions(&self, user: UserId, now: Timestamp) -> StoreResult<Vec<Session>> {
        listing::live_sessions(&self.connection, user, now).await
    }

    async fn insert_reset_token(
        &self,
        token: &ResetClaims,
        grant: ResetGrant,
        now: Timestamp,
    ) -> StoreResult<()> {
        self.keep_reset_token(scripts::INSERT_RESET_TOKEN.prepare_invoke(), token, grant, now).await
    }

    async fn find_reset_token(&self, token: &ResetClaims, now: Timestamp) -> StoreResult<Option<ResetGrant>> {
        let key = UserKeys::of(token.user).reset();
        let entry = Entry { place: RESET, key: &key };
        let mut command = redis::cmd("HMGET");
        command.arg(&key).arg("hash").arg("version").arg("deadline");
        let stored: Value = self
            .connection
            .run(|mut redis| async move { command.query_async(&mut redis).await })
            .await
            .map_err(|error| store_error(entry, error))?;
        let stored: Fields = entry.convert(stored)?;
        let [hash, version, deadline] = stored.as_slice() else {
            return Err(entry.corrupt("is not what was stored"));
        };
        if hash.is_none() && version.is_none() && deadline.is_none() {
            return Ok(None);
        }
        let stored_hash: String = entry.read("hash", hash.as_deref())?;
        let deadline = Timestamp::from_millis(entry.read("deadline", deadline.as_deref())?);
        let version = SecurityVersion::new(entry.read("version", version.as_deref())?);
        let good = stored_hash == hex(&token.hash) && now < deadline;
        Ok(good.then_some(ResetGrant { version, deadline }))
    }

    async fn take_reset_token(&self, token: &ResetClaims, now: Timestamp) -> StoreResult<Option<ResetGrant>> {
        let keys = UserKeys::of(token.user);
        let key = keys.reset();
        let entry = Entry { place: RESET, key: &key };
        let mut script = scripts::TAKE_RESET_TOKEN.prepare_invoke();
        script.key(&key).arg(time(now)).arg(hex(&token.hash));
        let answer = self.call(entry, script).await?;
        match answer.verdict.as_str() {
            "taken" => {
                let field = |position: usize| answer.fields.get(position).and_then(Option::as_deref);
                let version = SecurityVersion::new(entry.read("version", field(0))?);
                let deadline = Timestamp::from_millis(entry.read("deadline", field(1))?);
                Ok(Some(ResetGrant { version, deadline }))
            }
            "unknown" => Ok(None),
            _ => Err(unreadable(entry, &keys, &answer)),
        }
    }

    async fn restore_reset_token(
        &self,
        token: &ResetClaims,
        grant: ResetGrant,
        now: Timestamp,
    ) -> StoreResult<()> {
        self.keep_reset_token(scripts::RESTORE_RESET_TOKEN.prepare_invoke(), token, grant, now).await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.connection
            .run(|mut redis| async move { redis::cmd("PING").query_async::<()>(&mut redis).await })
            .await
            .map_err(|error| store_error(Entry { place: "server", key: "PING" }, error))
    }
}

impl RedisTokenStore {
    /// Runs one of the two scripts that judge a refresh token.
    async fn refresh(
        &self,
        token: &RefreshClaims,
        now: Timestamp,
        script: ScriptInvocation<'static>,
    ) -> StoreResult<RefreshOutcome> {
        let keys = UserKeys::of(token.user);
        let key = keys.session(token.session);
        let entry = Entry { place: SESSION, key: &key };
        let answer = self.call(entry, script).await?;
        let session = || codec::session(entry, token.session, &answer.fields);
        match answer.verdict.as_str() {
            "current" => session().map(RefreshOutcome::Current),
            "previous" => session().map(RefreshOutcome::Previous),
            "recovered" => session().map(RefreshOutcome::Recovered),
            "reused" => {
                self.mirrors.have_caught_up(now).await?;
                Ok(RefreshOutcome::Reused)
            }
            "expired" => match answer.fields.first().and_then(Option::as_deref) {
                Some("idle") => Ok(RefreshOutcome::Expired(Timeout::Idle)),
                Some("absolute") => Ok(RefreshOutcome::Expired(Timeout::Absolute)),
                _ => Err(unreadable(entry, &keys, &answer)),
            },
            "unknown" | "foreign" => Ok(RefreshOutcome::Unknown),
            _ => Err(unreadable(entry, &keys, &answer)),
        }
    }

    /// Runs one of the two scripts that write a reset token. One that a security event has voided
    /// meanwhile is not written, and so simply never found.
    async fn keep_reset_token(
        &self,
        mut script: ScriptInvocation<'static>,
        token: &ResetClaims,
        grant: ResetGrant,
        now: Timestamp,
    ) -> StoreResult<()> {
        let keys = UserKeys::of(token.user);
        let key = keys.reset();
        let entry = Entry { place: RESET, key: &key };
        script
            .key(&key)
            .key(keys.cutoff())
            .arg(time(now))
            .arg(hex(&token.hash))
            .arg(grant.version.get())
            .arg(time(grant.deadline));
        let answer = self.call(entry, script).await?;
        match answer.verdict.as_str() {
            "kept" | "superseded" => Ok(()),
            _ => Err(unreadable(entry, &keys, &answer)),
        }
    }

    /// Frees the memory of sessions that a cut-off has ended. They are dead without that, so a
    /// failure changes nothing: their TTL removes them later.
    async fn remove_ended(&self, keys: &UserKeys, ended: &[SessionId]) {
        if ended.is_empty() {
            return;
        }
        let mut command = redis::cmd("UNLINK");
        for session in ended {
            command.arg(keys.session(*session));
        }
        let removal =
            self.connection.run(|mut redis| async move { command.query_async::<()>(&mut redis).await });
        if let Err(error) = removal.await {
            tracing::debug!(?error, "ended sessions stay in Redis until their TTL removes them");
        }
    }
}

const SESSION: &str = "session";
const SESSIONS: &str = "session set";
const DENYLIST: &str = "denylist";
const CUTOFF: &str = "cut-off";
const RESET: &str = "reset token";

/// Lua counts in doubles: beyond 2^53 they are not exact, and that is 285,000 years from now.
const LUA_INTEGER_MAX: i64 = (1 << 53) - 1;

/// A moment as the scripts take it.
fn time(moment: Timestamp) -> i64 {
    moment.as_millis().clamp(-LUA_INTEGER_MAX, LUA_INTEGER_MAX)
}

/// A duration as the scripts take it, in milliseconds. At most a tenth of the largest number, so
/// that a sum of a few is one as well.
fn span(duration: Duration) -> i64 {
    millis_of(duration).min(LUA_INTEGER_MAX / 10)
}

fn hex(hash: &ResetTokenHash) -> String {
    hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The keys of the two scripts that judge a refresh token.
fn add_refresh_keys(script: &mut ScriptInvocation<'static>, token: &RefreshClaims) {
    let keys = UserKeys::of(token.user);
    script
        .key(keys.session(token.session))
        .key(keys.sessions())
        .key(keys.denied())
        .key(keys.cutoff())
        .key(keys.incarnation())
        .key(keys.revocations());
}

fn session_ids(entry: Entry<'_>, fields: &Fields) -> StoreResult<Vec<SessionId>> {
    let id = |field: &Option<String>| entry.read("sid", field.as_deref()).map(uuid::Uuid::into);
    fields.iter().map(id).collect()
}

/// What is wrong when a script's verdict is none of its results: it says what it could not read.
fn unreadable(entry: Entry<'_>, keys: &UserKeys, answer: &Answer) -> StoreError {
    let word = |position: usize| answer.fields.get(position).and_then(|word| word.as_deref());
    let problem = format!("`{}` is missing or malformed", word(1).unwrap_or("a field"));
    match (answer.verdict.as_str(), word(0)) {
        ("corrupt", Some("cutoff")) => Entry { place: CUTOFF, key: &keys.cutoff() }.corrupt(problem),
        ("corrupt", _) => entry.corrupt(problem),
        (verdict, _) => entry.corrupt(format!("unexpected verdict `{verdict}`")),
    }
}

/// What a failed call is to the caller; `entry` is what it was about.
fn store_error(entry: Entry<'_>, error: CallError) -> StoreError {
    match error {
        CallError::Unavailable(error) => error,
        CallError::WrongType => entry.corrupt("it or a key beside it is of another type than ours"),
    }
}

/// Whether a command failed because this client or this service may not use it.
fn is_forbidden(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError))
}
