//! Sessions, the denylist, reset tokens and rate limits in Redis (6.2 or later).
//!
//! Each operation is one Lua script, and so atomic; [`keys`] says what is kept where. The rule for
//! refresh tokens is [`Presented::judge`](crate::domain::session::Presented::judge), which the
//! scripts repeat. `access_status` needs no script: it reads in one round trip, and in an order in
//! which a revocation that comes in between is seen.

mod access;
mod acl;
mod codec;
mod connection;
mod cut_off;
mod eviction;
mod feed;
mod inspection;
mod inspector;
pub mod keys;
mod listing;
mod mirrors;
mod orders;
mod owner;
mod rate_limits;
mod replay;
mod replicas;
mod reset_tokens;
mod scripts;
mod time;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{ErrorKind, ScriptInvocation, ServerErrorKind, Value};

use self::access::AccessFacts;
pub use self::acl::{RedisLack, needed_commands};
use self::codec::{Answer, Entry, Fields};
use self::connection::{CallError, Connection};
pub use self::connection::{RedisOptions, RedisUrlError};
pub use self::inspection::is_unfit;
pub use self::inspection::{EvictionPolicy, Persistence, RedisInspection};
use self::inspector::Inspector;
use self::keys::{Keys, PartitionKeys, UserKeys};
use self::mirrors::Mirrors;
use self::orders::Order;
pub use self::owner::Others;
use self::replicas::Replicas;
pub use self::time::StoreTime;
pub use self::wire::RedisTls;
use crate::domain::clock::{Timestamp, millis_of};
use crate::domain::deployment::DeploymentMark;
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::domain::session::{NewSession, Session, SessionLifetimes, Timeout};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::tokens::{Generation, RefreshClaims, ResetClaims};
use crate::domain::user::SecurityVersion;
use crate::store::backend::TokenBackend;
use crate::store::denylist::{AccessStatus, AccessSubject, DenylistBackend};
use crate::store::error::{StoreError, StoreResult};
use crate::store::examination::Examination;
use crate::store::reset_tokens::{ResetGrant, ResetInsertion, ResetPlace, ResetTokenBackend};
use crate::store::revocations::{BackendReader, CarriedOut, Known, Placement, ReaderRole, RevocationBackend};
use crate::store::sessions::{
    Eviction, OnReuse, OpenOutcome, Opening, Presented, RefreshOutcome, SessionBackend,
};
use crate::store::token_store::Probe;
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// A [`TokenBackend`] in one Redis, over one multiplexed connection.
#[derive(Debug)]
pub struct RedisTokenStore {
    connection: Arc<Connection>,
    keys: Keys,
    mirrors: Mirrors,
    /// What revocations wait for, where the settings say so.
    replicas: Option<Replicas>,
    time: StoreTime,
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
    /// that the service starts without Redis and recovers when Redis comes. Nothing is sent yet. All
    /// its keys begin with `mark`; those that begin with another are another deployment's.
    ///
    /// # Errors
    /// [`RedisUrlError`] when `url` is not the address of one Redis
    /// (`redis[s]://[[user]:password@]host[:port][/database]`, or `unix://` and a path).
    pub fn connect_lazy(
        url: &str,
        mark: &DeploymentMark,
        options: RedisOptions,
    ) -> Result<Self, RedisUrlError> {
        let wait_replicas = options.wait_replicas;
        let connection = Arc::new(Connection::lazy(url, options)?);
        let keys = Keys::new(mark);
        let replicas = match wait_replicas {
            0 => None,
            wanted => Some(Replicas::new(&connection, keys.everybody(), wanted)?),
        };
        Ok(Self {
            mirrors: Mirrors::new(connection.clone(), keys.everybody()),
            replicas,
            connection,
            keys,
            time: StoreTime::default(),
        })
    }

    /// The same store, that decides by what is known of its clock.
    #[must_use]
    pub fn with_time(self, time: StoreTime) -> Self {
        Self { time, ..self }
    }

    /// The same, and sees that Redis answers, within [`RedisOptions::operation_timeout`].
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(
        url: &str,
        mark: &DeploymentMark,
        options: RedisOptions,
    ) -> Result<Self, ConnectError> {
        let store = Self::connect_lazy(url, mark, options)?;
        store.ping().await.map_err(ConnectError::Unreachable)?;
        Ok(store)
    }

    /// What this Redis says about itself: whether it may forget keys (`maxmemory-policy`), what it
    /// keeps on disk, and its version. Managed services that forbid `INFO` leave all unknown, and those
    /// that forbid `CONFIG` whether it keeps snapshots.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn inspect(&self) -> StoreResult<RedisInspection> {
        let info: Option<String> = self.ask_if_allowed("INFO", redis::cmd("INFO")).await?;
        let get = redis::cmd("CONFIG").arg("GET").arg("save").to_owned();
        // A name and a value, or nothing where there is no such setting.
        let save: Option<Vec<String>> = self.ask_if_allowed("CONFIG GET", get).await?;
        let save_points = save.as_ref().and_then(|pair| pair.get(1)).map(String::as_str);
        Ok(RedisInspection::read(info.as_deref(), save_points))
    }

    /// What time it is by the clock of Redis.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn time(&self) -> StoreResult<Timestamp> {
        let time = self
            .connection
            .run(None, |mut redis| async move { redis::cmd("TIME").query_async(&mut redis).await })
            .await
            .map_err(|error| store_error(Entry { place: "server", key: "TIME" }, error))?;
        Ok(self.time.shown(time))
    }

    /// Runs a script on the server that was vouched for (model: SealIsTheServer), which compares the vouching
    /// (model: VouchingIsPassed).
    async fn call(
        &self,
        by: &Vouched,
        entry: Entry<'_>,
        script: ScriptInvocation<'static>,
    ) -> BackendResult<Answer> {
        let answer = self.connection.call(Some(&by.server), entry, script).await?;
        match answer.verdict.as_str() {
            "unvouched" => Err(BackendError::Unvouched),
            "implausible" => {
                self.time.has_jumped();
                Err(BackendError::Unvouched)
            }
            _ => Ok(answer),
        }
    }

    /// What Redis answers; `None` where it may not be asked that.
    async fn ask_if_allowed<T>(&self, name: &'static str, command: redis::Cmd) -> StoreResult<Option<T>>
    where
        T: redis::FromRedisValue + Send + 'static,
    {
        let asking = self.connection.run(None, |mut redis| async move {
            match command.query_async::<T>(&mut redis).await {
                Err(error) if is_forbidden(error.kind()) => Ok(None),
                answer => answer.map(Some),
            }
        });
        asking.await.map_err(|error| store_error(Entry { place: "server", key: name }, error))
    }
}

#[async_trait]
impl SessionBackend for RedisTokenStore {
    async fn open_session(
        &self,
        by: &Vouched,
        session: &NewSession,
        lifetimes: &SessionLifetimes,
    ) -> BackendResult<Opening> {
        let keys = self.keys.of_user(session.subject.user);
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
            .arg(session.subject.user.get())
            .arg(session.subject.email.as_str())
            .arg(session.subject.role.as_str())
            .arg(session.subject.security_version.get())
            .arg(Generation::FIRST.get())
            .arg(span(lifetimes.idle))
            .arg(span(lifetimes.absolute))
            .arg(session.origin.address.map(|address| address.to_string()).unwrap_or_default())
            .arg(session.origin.user_agent.as_deref().unwrap_or_default())
            .arg(session.origin.client.as_str())
            .arg(vouching_of(by, session.subject.user))
            .arg(if session.subject.email_verified { "1" } else { "" });
        let answer = self.call(by, entry, script).await?;
        match answer.verdict.as_str() {
            "opened" => {
                let session = codec::session(entry, session.id, &answer.fields)?;
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
        let mut script = scripts::ROTATE_SESSION.prepare_invoke();
        add_refresh_keys(&mut script, &self.keys.of_user(token.user), token);
        script
            .arg(self.time.argument())
            .arg(token.session.to_string())
            .arg(token.user.get())
            .arg(token.generation.get())
            .arg(span(lifetimes.idle))
            .arg(span(lifetimes.rotation_grace_period))
            .arg(span(lifetimes.revocation()))
            .arg(vouching_of(by, token.user))
            .arg(alarm.get());
        self.refresh(by, token, script).await
    }

    async fn check_refresh(
        &self,
        by: &Vouched,
        token: &RefreshClaims,
        alarm: EntryId,
        lifetimes: &SessionLifetimes,
        on_reuse: OnReuse,
    ) -> BackendResult<Presented> {
        let mut script = scripts::CHECK_SESSION.prepare_invoke();
        add_refresh_keys(&mut script, &self.keys.of_user(token.user), token);
        script
            .arg(self.time.argument())
            .arg(token.session.to_string())
            .arg(token.user.get())
            .arg(token.generation.get())
            .arg(match on_reuse {
                OnReuse::Revoke => "revoke",
                OnReuse::Refuse => "refuse",
            })
            .arg(span(lifetimes.rotation_grace_period))
            .arg(span(lifetimes.revocation()))
            .arg(vouching_of(by, token.user))
            .arg(alarm.get());
        self.refresh(by, token, script).await
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

#[async_trait]
impl DenylistBackend for RedisTokenStore {
    async fn access_status(&self, by: &Vouched, token: &AccessSubject) -> BackendResult<AccessStatus> {
        let keys = self.keys.of_user(token.user);
        AccessFacts::read(&self.connection, &self.time, by, &keys, token).await?.judge(&keys, token)
    }

    async fn machine_status(
        &self,
        by: &Vouched,
        token: Jti,
        incarnation: i64,
    ) -> BackendResult<AccessStatus> {
        access::machine_status(&self.connection, &self.time, by, &self.keys.everybody(), token, incarnation)
            .await
    }
}

#[async_trait]
impl ResetTokenBackend for RedisTokenStore {
    async fn insert_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        place: ResetPlace,
        version: SecurityVersion,
        ttl: Duration,
    ) -> BackendResult<ResetInsertion> {
        self.insert_reset(by, token, place, version, ttl).await
    }

    async fn find_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        self.find_reset(by, token).await
    }

    async fn take_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        self.take_reset(by, token).await
    }

    async fn restore_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        grant: ResetGrant,
    ) -> BackendResult<()> {
        self.restore_reset(by, token, grant).await
    }
}

#[async_trait]
impl RevocationBackend for RedisTokenStore {
    async fn known_revocation(
        &self,
        by: &Vouched,
        revoked: &Journaled,
        until: Timestamp,
    ) -> BackendResult<Known> {
        access::known_revocation(&self.connection, by, &self.keys, revoked, until).await
    }

    /// The script announces it, and the barrier comes behind that (model: AnnouncedBeforeTheBarrier).
    async fn carry_out(
        &self,
        by: &Vouched,
        new: &NewEntry,
        placement: Placement,
        denial: Duration,
    ) -> BackendResult<CarriedOut> {
        let vouching = by.of(new.revoked.partition()).vouching.get().to_string();
        let (position, previous) = match placement {
            Placement::At(link) => (link.at.position, link.previous),
            Placement::Owed => (0, EntryId::NONE),
        };
        let order = Order { new: *new, vouching, position, previous };
        let (entry_key, script) = order.script(&self.keys, self.time.argument(), denial);
        let answer = self.call(by, entry_key.entry(), script).await?;
        let mut carried_out = order.carried_out(&entry_key, &self.keys, &answer)?;
        if let Journaled::User { user, below } = new.revoked {
            self.end_rest(by, user, below, denial, &mut carried_out.ended).await;
        }
        self.pass_on(by).await?;
        Ok(carried_out)
    }

    /// As above (model: AnnouncedBeforeTheBarrier).
    async fn cut_off_ahead(
        &self,
        by: &Vouched,
        user: UserId,
        id: EntryId,
        until: Timestamp,
        denial: Duration,
    ) -> BackendResult<(SecurityVersion, Vec<SessionId>)> {
        self.cut_off_now(by, user, id, until, denial).await
    }

    async fn passed_on(&self, by: &Vouched) -> BackendResult<()> {
        self.pass_on(by).await
    }

    async fn replicated(&self, by: &Vouched) -> BackendResult<()> {
        match &self.replicas {
            Some(replicas) => replicas.have_it(by).await,
            None => Ok(()),
        }
    }

    /// As above (model: AnnouncedBeforeTheBarrier).
    async fn announce_key(&self, by: &Vouched, key: &KeyId, remembered: Duration) -> BackendResult<()> {
        self.announce_revoked_key(by, key, remembered).await?;
        self.pass_on(by).await
    }
}

#[async_trait]
impl TokenBackend for RedisTokenStore {
    async fn examine(&self) -> StoreResult<Box<dyn Examination>> {
        Ok(Box::new(Inspector::open(self.connection.clone(), self.keys.clone(), self.time.clone())))
    }

    fn reader(&self, role: ReaderRole) -> Box<dyn BackendReader> {
        Box::new(feed::Reader::new(self.connection.clone(), self.time.clone(), &self.keys, role))
    }

    async fn probe(&self, side: Probe) -> StoreResult<()> {
        let key = self.keys.everybody().probe();
        let entry = Entry { place: "probe", key: &key };
        let command = match side {
            Probe::Read => redis::cmd("GET").arg(&key).to_owned(),
            // A write that Redis does not refuse for want of memory, as it does not refuse revocations.
            Probe::Revoke => redis::cmd("DEL").arg(&key).to_owned(),
            Probe::Write => redis::cmd("SET").arg(&key).arg("").arg("PX").arg(span(PROBE_KEPT)).to_owned(),
        };
        self.connection
            .run(None, |mut redis| async move { command.query_async::<Value>(&mut redis).await })
            .await
            .map(drop)
            .map_err(|error| store_error(entry, error))
    }

    async fn ping(&self) -> StoreResult<()> {
        self.connection
            .run(None, |mut redis| async move { redis::cmd("PING").query_async::<()>(&mut redis).await })
            .await
            .map_err(|error| store_error(Entry { place: "server", key: "PING" }, error))
    }
}

impl RedisTokenStore {
    /// Runs one command on the server that was vouched for.
    /// (model: SealIsTheServer)
    async fn ask_vouched(&self, by: &Vouched, entry: Entry<'_>, command: redis::Cmd) -> BackendResult<Value> {
        self.connection
            .run(Some(&by.server), |mut redis| async move { command.query_async(&mut redis).await })
            .await
            .map_err(|error| backend_error(entry, error))
    }

    /// The same, and sees that the data of a partition is what was vouched for. Asked afterwards: data that
    /// was vouched for anew, or lost, in between counts for nothing. Answers what the clock shows as well.
    /// (model: VouchingIsPassed)
    async fn ask_standing(
        &self,
        by: &Vouched,
        entry: Entry<'_>,
        partition: &PartitionKeys,
        command: redis::Cmd,
    ) -> BackendResult<(Value, Timestamp)> {
        let mut pipeline = redis::pipe();
        pipeline
            .add_command(command)
            .cmd("HMGET")
            .arg(partition.state())
            .arg(&access::STANDING_FIELDS)
            .cmd("TIME");
        let answers = self
            .connection
            .run(Some(&by.server), |mut redis| async move { pipeline.query_async::<Value>(&mut redis).await })
            .await
            .map_err(|error| backend_error(entry, error))?;
        let (answer, standing, shown): (Value, Fields, time::Time) = entry.convert(answers)?;
        access::standing_incarnation(entry, by.of(partition.partition()), &standing)?;
        Ok((answer, self.time.decisive(shown)?))
    }

    /// Returns once no replica of this Redis' mirrors can be without what was revoked before.
    /// (model: RevocationWaitsForMirrors)
    async fn pass_on(&self, by: &Vouched) -> BackendResult<()> {
        Ok(self.mirrors.have_caught_up(&by.server).await?)
    }

    /// Runs one of the two scripts that judge a refresh token.
    async fn refresh(
        &self,
        by: &Vouched,
        token: &RefreshClaims,
        script: ScriptInvocation<'static>,
    ) -> BackendResult<Presented> {
        let keys = self.keys.of_user(token.user);
        let key = keys.session(token.session);
        let entry = Entry { place: SESSION, key: &key };
        let answer = self.call(by, entry, script).await?;
        note_brought_back(token.session, answer.field(codec::AHEAD));
        let session = || codec::session(entry, token.session, &answer.fields);
        let mut ended_until = None;
        let outcome = match answer.verdict.as_str() {
            "current" => RefreshOutcome::Current(session()?),
            "previous" => RefreshOutcome::Previous(session()?),
            "recovered" => RefreshOutcome::Recovered(session()?),
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
            _ => return Err(unreadable(entry, &keys, &answer).into()),
        };
        Ok(Presented { outcome, ended_until })
    }

    /// What lists are read by.
    fn lists<'a>(&'a self, by: &'a Vouched) -> listing::Lists<'a> {
        listing::Lists { connection: &self.connection, time: &self.time, by, keys: &self.keys }
    }
}

/// What a session had noted lay ahead of the clock.
fn note_brought_back(session: SessionId, ahead_ms: Option<&str>) {
    if let Some(ahead_ms) = ahead_ms {
        tracing::warn!(%session, ahead_ms, "the token store's clock was put back: a session counts from now on");
    }
}

/// The vouching of a user's partition, as the scripts compare it.
/// (model: VouchingIsPassed)
fn vouching_of(by: &Vouched, user: UserId) -> String {
    by.of(Partition::of(user)).vouching.get().to_string()
}

const SESSION: &str = "session";
const SESSIONS: &str = "session set";
const DENYLIST: &str = "denylist";
const CUTOFF: &str = "cut-off";

/// How long what a probe has written stays.
const PROBE_KEPT: Duration = Duration::from_secs(60);

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

/// The keys of the two scripts that judge a refresh token.
fn add_refresh_keys(script: &mut ScriptInvocation<'static>, keys: &UserKeys, token: &RefreshClaims) {
    script
        .key(keys.session(token.session))
        .key(keys.sessions())
        .key(keys.denied())
        .key(keys.cutoff())
        .key(keys.partition().state())
        .key(keys.revocations())
        .key(keys.partition().owed())
        .key(keys.evictions());
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
fn backend_error(entry: Entry<'_>, error: CallError) -> BackendError {
    match error {
        CallError::Unvouched => BackendError::Unvouched,
        error => store_error(entry, error).into(),
    }
}

/// The same where it does not matter which server answers.
fn store_error(entry: Entry<'_>, error: CallError) -> StoreError {
    match error {
        CallError::Unavailable(error) => error,
        CallError::Unvouched => entry.corrupt("another server answers than was asked"),
        CallError::WrongType => entry.corrupt("it or a key beside it is of another type than ours"),
    }
}

/// Whether a command failed because this client or this service may not use it.
fn is_forbidden(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError))
}
