//! What the cases are told with.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hallpass::domain::client::ClientId;
use hallpass::domain::clock::{Clock, ManualClock, Timestamp};
use hallpass::domain::deployment::DeploymentMark;
use hallpass::domain::email::Email;
use hallpass::domain::ids::{Jti, SessionId, UserId};
use hallpass::domain::journal::{EntryId, Journaled, NewEntry};
use hallpass::domain::partition::Partition;
use hallpass::domain::rate_limit::PlaceMark;
use hallpass::domain::session::{NewSession, Session, SessionLifetimes};
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::tokens::{Generation, RefreshClaims, ResetClaims, ResetTokenHash};
use hallpass::domain::user::{Role, SecurityVersion};
use hallpass::store::journal::RevocationJournal;
use hallpass::store::redis::StoreTime;
use hallpass::store::{
    AccessStatus, AccessSubject, ClientEnd, DenylistStore, OnReuse, OpenOutcome, RefreshOutcome, ResetGrant,
    ResetPlace, SessionStore, StoreResult,
};
pub use hallpass::store::{OnUnknown, TokenStore};

use uuid::Uuid;

use crate::journaled::TestStore;

/// The store under test, to be shared among tasks.
pub type SharedStore = Arc<TestStore>;

/// The deployment that stores in a Redis of their own belong to.
pub fn mark() -> DeploymentMark {
    DeploymentMark::parse("test").expect("a mark")
}

/// A deployment of its own, for a store that shares a Redis with others.
pub fn fresh_mark() -> DeploymentMark {
    DeploymentMark::parse(&format!("test-{}", fresh_number())).expect("a mark")
}

/// When every case begins: not a whole second, and ahead of the clocks of the machine and of Redis: the
/// test's is laid over them.
pub const START: Timestamp = Timestamp::from_millis(2_000_000_000_250);

/// The lifetimes of the defaults.
pub const LIFETIMES: SessionLifetimes = SessionLifetimes {
    idle: DAY.saturating_mul(7),
    absolute: DAY.saturating_mul(30),
    rotation_grace_period: Duration::from_secs(30),
    access_token: Duration::from_secs(15 * 60),
    leeway: Duration::from_secs(5),
};

pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub const SECOND: Duration = Duration::from_secs(1);
pub const MILLISECOND: Duration = Duration::from_millis(1);

/// How many callers a race has.
pub const RACERS: usize = 50;

/// The test's clock in place of that of Redis.
pub fn laid_over(clock: &Arc<ManualClock>) -> StoreTime {
    StoreTime { keeper: None, laid_over: Some(clock.clone()) }
}

/// Makes a store, runs one case against it on two threads, and tidies up.
pub fn run<Opening, Guard>(
    open: impl FnOnce(Arc<ManualClock>) -> Opening,
    case: impl AsyncFnOnce(&SharedStore, &ManualClock),
) where
    Opening: Future<Output = (SharedStore, Guard)>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let clock = Arc::new(ManualClock::at(START));
        let (store, _guard) = open(Arc::clone(&clock)).await;
        case(&store, &clock).await;
    });
}

/// A number that no other case and no other run of the suite (nearly) uses.
fn fresh_number() -> u64 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    (u64::from(std::process::id()) << 24) | u64::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A user id of its own.
pub fn fresh_user() -> UserId {
    i64::try_from(fresh_number()).ok().and_then(|id| UserId::try_from(id).ok()).expect("a user id")
}

/// A session id of its own.
pub fn fresh_session_id() -> SessionId {
    SessionId::from(Uuid::from_u128(u128::from(fresh_number())))
}

/// Revocations last as long as with the default lifetimes.
pub fn denial() -> Duration {
    LIFETIMES.revocation()
}

/// Where sessions are opened that are opened no matter where.
pub fn origin() -> SessionOrigin {
    SessionOrigin::new("192.0.2.7".parse().ok(), Some("curl/8.5.0"), "hallpass")
}

/// Somebody with an account, at some version of it.
#[derive(Clone, Copy)]
pub struct Person {
    pub user: UserId,
    pub version: SecurityVersion,
}

impl Person {
    /// Somebody nobody else has met, at the first version.
    pub fn new() -> Self {
        Self { user: fresh_user(), version: SecurityVersion::FIRST }
    }

    /// Somebody else, whose data are in another partition.
    pub fn elsewhere(&self) -> Self {
        let is_elsewhere = |other: &Self| Partition::of(other.user) != Partition::of(self.user);
        std::iter::repeat_with(Self::new).find(is_elsewhere).expect("somebody")
    }

    /// The same person after one more security event.
    pub fn after_a_security_event(self) -> Self {
        Self { version: self.version.next(Timestamp::from_millis(0)), ..self }
    }

    /// What a session of theirs carries.
    pub fn carried(&self) -> Carried {
        let email = Email::parse("ada.lovelace@example.com").expect("an address");
        Carried::new(email, Role::Member, origin())
    }

    /// A session as a login would ask for it; not stored.
    pub fn session(&self) -> NewSession {
        let carried = self.carried();
        NewSession { id: fresh_session_id(), user: self.user, security_version: self.version, carried }
    }

    /// Logs in.
    pub async fn log_in(&self, store: &SharedStore, clock: &ManualClock) -> Session {
        let session = self.session();
        let outcome = store.open_session(&session, &LIFETIMES).await.expect("open_session");
        let OpenOutcome::Opened(opened) = outcome else { panic!("{outcome:?}") };
        assert_eq!(opened, session.at(clock.now(), opened.incarnation, &LIFETIMES));
        opened
    }

    /// A reset token of this person at this version, new each time.
    pub fn reset_token(&self) -> ResetClaims {
        let mut digest = [0xa5; 32];
        digest[..8].copy_from_slice(&fresh_number().to_le_bytes());
        ResetClaims { user: self.user, hash: ResetTokenHash::new(digest) }
    }

    /// What a reset token of this person stands for that is kept now for the first place, and lives for
    /// `ttl`.
    pub fn reset_grant(&self, clock: &ManualClock, ttl: Duration) -> ResetGrant {
        ResetGrant { version: self.version, deadline: clock.now().after(ttl), place: reset_place(1).mark }
    }

    /// A security event: from now on only this version counts.
    pub async fn cut_off(&self, store: &SharedStore, clock: &ManualClock) -> Vec<SessionId> {
        let mut ended = store.end_below(self.user, self.version, clock).await.expect("cut_off");
        ended.sort();
        ended
    }
}

/// The end of a client, written down and not carried out.
pub async fn deleted_client(store: &SharedStore, until: Timestamp) -> ClientEnd {
    let client: ClientId = "orders".parse().expect("a client id");
    let id = EntryId::generate(&hallpass::app::SystemRandom);
    let entry = NewEntry { id, revoked: Journaled::Client(client.clone()), until };
    let link = store.journal.store.append_entry(&entry).await.expect("append_entry");
    ClientEnd { client, link, until }
}

/// Texts that no session carries: cut off, of another kind, or with a member that means nothing.
pub const BROKEN_CARRIED: [&str; 7] = [
    "{",
    "[]",
    "{}",
    r#"{"e":"nobody"}"#,
    r#"{"e":"ada@example.com","r":"root"}"#,
    r#"{"e":"ada@example.com","a":"300.0.2.7"}"#,
    r#"{"e":"ada@example.com","c":"a\n"}"#,
];

/// One of the places that reset tokens are asked for at, of which four have room at once.
pub const fn reset_place(number: u8) -> ResetPlace {
    ResetPlace { mark: PlaceMark::new([number; 16]), room: 4 }
}

/// What one does with a session's tokens, whether or not it was opened.
pub trait SessionExt {
    /// Whose it is.
    fn user(&self) -> UserId;

    /// Which one.
    fn session_id(&self) -> SessionId;

    /// In which incarnation it was opened; 0 where it was not.
    fn opened_in(&self) -> i64;

    /// The refresh token of that generation.
    fn token(&self, generation: u32) -> RefreshClaims {
        let (user, session) = (self.user(), self.session_id());
        RefreshClaims { user, session, generation: Generation::new(generation) }
    }

    /// An access token of this session, another each time.
    fn access_token(&self) -> AccessSubject {
        AccessSubject {
            user: self.user(),
            session: self.session_id(),
            token: Jti::from(Uuid::from_u128(u128::from(fresh_number()))),
            incarnation: self.opened_in(),
        }
    }
}

impl SessionExt for Session {
    fn user(&self) -> UserId {
        self.user
    }

    fn session_id(&self) -> SessionId {
        self.id
    }

    fn opened_in(&self) -> i64 {
        self.incarnation
    }
}

impl SessionExt for NewSession {
    fn user(&self) -> UserId {
        self.user
    }

    fn session_id(&self) -> SessionId {
        self.id
    }

    fn opened_in(&self) -> i64 {
        0
    }
}

/// The ids in the order of [`Person::cut_off`]'s answer.
pub fn sorted_ids(sessions: &[impl SessionExt]) -> Vec<SessionId> {
    let mut ids: Vec<_> = sessions.iter().map(SessionExt::session_id).collect();
    ids.sort();
    ids
}

/// Redeems a refresh token.
pub async fn rotate(store: &SharedStore, token: RefreshClaims) -> RefreshOutcome {
    store.rotate(&token, &LIFETIMES).await.expect("rotate")
}

/// Judges a refresh token, revoking on reuse.
pub async fn check(store: &SharedStore, token: RefreshClaims) -> RefreshOutcome {
    store.check_refresh(&token, &LIFETIMES, OnReuse::Revoke).await.expect("check_refresh")
}

/// Judges a refresh token, changing nothing on reuse.
pub async fn check_only(store: &SharedStore, token: RefreshClaims) -> RefreshOutcome {
    store.check_refresh(&token, &LIFETIMES, OnReuse::Refuse).await.expect("check_refresh")
}

/// Whether an access token stands now.
pub async fn status(store: &SharedStore, token: &AccessSubject) -> AccessStatus {
    store.access_status(token).await.expect("access_status")
}

/// When the newest access token of each was minted.
pub async fn newest_access_tokens(store: &SharedStore, people: &[Person]) -> Vec<Option<Timestamp>> {
    let users: Vec<_> = people.iter().map(|person| person.user).collect();
    store.newest_access_tokens(&users).await.expect("newest_access_tokens")
}

/// When the newest access token of one was minted.
pub async fn newest_access_token(store: &SharedStore, person: &Person) -> Option<Timestamp> {
    let answers = newest_access_tokens(store, &[*person]).await;
    assert_eq!(answers.len(), 1);
    answers[0]
}

/// Asserts that nothing of the session is accepted any more: neither refresh tokens up to the
/// second generation nor an access token.
pub async fn assert_dead(store: &SharedStore, session: &impl SessionExt) {
    let standing = status(store, &session.access_token()).await;
    assert!(matches!(standing, AccessStatus::Revoked | AccessStatus::StoreLost), "{standing:?}");
    for generation in 0..=2 {
        assert_eq!(check_only(store, session.token(generation)).await, RefreshOutcome::Unknown);
        assert_eq!(rotate(store, session.token(generation)).await, RefreshOutcome::Unknown);
    }
}

/// Asserts that the session goes on at that generation. Changes nothing but its `issued_at`.
pub async fn assert_live(store: &SharedStore, session: &Session, generation: u32) {
    assert_eq!(status(store, &session.access_token()).await, AccessStatus::Live);
    let outcome = check_only(store, session.token(generation)).await;
    assert!(matches!(outcome, RefreshOutcome::Current(_)), "{outcome:?}");
}

/// Starts one task per call at once and collects the answers, in no order.
pub async fn race<T, Call>(calls: impl IntoIterator<Item = Call>) -> Vec<T>
where
    T: Send + 'static,
    Call: Future<Output = StoreResult<T>> + Send + 'static,
{
    let tasks: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.push(task.await.expect("a task that does not panic").expect("an answer"));
    }
    answers
}
