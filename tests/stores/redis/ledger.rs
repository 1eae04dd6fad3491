//! A ledger of what was acknowledged while servers failed, to be compared with what stands afterwards.
//!
//! *Undone*: what was acknowledged as ended is accepted. *Wrong*: an answer that is neither right nor that the store
//! cannot tell. *Lost*: a session that was acknowledged is not there; replication is asynchronous, and what a replica
//! had not got is lost with its master.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hallpass::domain::session::Session;
use hallpass::store::{
    AccessStatus, DenylistStore, OpenOutcome, RefreshOutcome, SessionStore, StoreError, StoreResult,
};
use tokio::time::Instant;

use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// How many do something at once.
const WORKERS: usize = 6;

/// The longest that anybody waits for an answer, on a machine that is busy with other tests.
const BOUND: Duration = Duration::from_secs(3);

/// What is known of a session.
#[derive(Clone)]
struct Entry {
    session: Session,
    /// The newest generation that was handed out, and whether one more may have been.
    generation: u32,
    state: State,
    opened_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live,
    /// Its end was acknowledged.
    Ended,
    /// Its end was asked for, and nobody said that it is so.
    Unclear,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    pub acknowledged: u64,
    pub refused: u64,
    pub undone: u64,
    pub wrong: u64,
    pub lost: u64,
    /// When the last of these was opened.
    pub newest_lost: Option<Instant>,
    pub slowest: Duration,
}

/// The ledger, and those who write into it.
pub struct Ledger {
    store: SharedStore,
    /// Whoever comes next.
    people: Box<dyn Fn() -> Person + Send + Sync>,
    entries: Mutex<BTreeMap<u128, Entry>>,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    wrong: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
    is_over: AtomicBool,
}

impl Ledger {
    /// Begins a load of logins, refreshes, logouts and checks.
    pub fn begin(store: &SharedStore) -> Running {
        Self::begin_of(store, Person::new)
    }

    /// The same, of these people alone.
    pub fn begin_of(store: &SharedStore, people: impl Fn() -> Person + Send + Sync + 'static) -> Running {
        let ledger = Arc::new(Self {
            store: store.clone(),
            people: Box::new(people),
            entries: Mutex::default(),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            wrong: Mutex::default(),
            slowest: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let mut tasks: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(ledger.clone().work())).collect();
        tasks.push(tokio::spawn(ledger.clone().keep()));
        Running { ledger, tasks }
    }

    /// As the service does once a second.
    async fn keep(self: Arc<Self>) {
        let mut seconds = tokio::time::interval(SECOND);
        while !self.is_over.load(Ordering::Relaxed) {
            seconds.tick().await;
            drop(self.store.keep().await);
        }
    }

    async fn work(self: Arc<Self>) {
        let mut round = 0_u32;
        while !self.is_over.load(Ordering::Relaxed) {
            let person = (self.people)();
            let Some(session) = self.open(&person).await else { continue };
            let key = session.id.as_uuid().as_u128();
            for _ in 0..round % 3 {
                self.rotate(key).await;
            }
            self.check(key).await;
            if !round.is_multiple_of(3) {
                self.end(key).await;
                self.check(key).await;
            }
            round += 1;
        }
    }

    async fn open(&self, person: &Person) -> Option<Session> {
        let asked = person.session();
        match self.answered(self.store.open_session(&asked, &LIFETIMES)).await? {
            OpenOutcome::Opened(session) => {
                let (state, opened_at) = (State::Live, Instant::now());
                let entry = Entry { session: session.clone(), generation: 0, state, opened_at };
                self.entries().insert(session.id.as_uuid().as_u128(), entry);
                Some(session)
            }
            other => {
                self.is_wrong(format!("{other:?} to a login"));
                None
            }
        }
    }

    async fn rotate(&self, key: u128) {
        let Some(entry) = self.entry(key).filter(|entry| entry.state == State::Live) else { return };
        let token = entry.session.token(entry.generation);
        let Some(outcome) = self.answered(self.store.rotate(&token, &LIFETIMES)).await else { return };
        match outcome {
            RefreshOutcome::Current(_) | RefreshOutcome::Previous(_) | RefreshOutcome::Recovered(_) => {
                self.change(key, |entry| entry.generation += 1);
            }
            // It was opened moments before its server was lost.
            RefreshOutcome::Unknown => {}
            other => self.is_wrong(format!("{other:?} to a refresh")),
        }
    }

    async fn end(&self, key: u128) {
        let Some(entry) = self.entry(key) else { return };
        self.change(key, |entry| entry.state = State::Unclear);
        let ending = self.store.revoke_session(entry.session.user, entry.session.id, OnUnknown::Deny);
        if self.answered(ending).await.is_some() {
            self.change(key, |entry| entry.state = State::Ended);
        }
    }

    /// What stands must be what was acknowledged.
    async fn check(&self, key: u128) {
        let Some(entry) = self.entry(key) else { return };
        let token = entry.session.access_token();
        let Some(status) = self.answered(self.store.access_status(&token)).await else { return };
        if entry.state == State::Ended && status == AccessStatus::Live {
            self.is_wrong("live, after its end was acknowledged".to_owned());
        }
    }

    /// The answer, unless it is that the store cannot tell.
    async fn answered<T>(&self, asking: impl Future<Output = StoreResult<T>>) -> Option<T> {
        let asked_at = Instant::now();
        let answer = asking.await;
        self.took(asked_at.elapsed());
        match answer {
            Ok(answer) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                return Some(answer);
            }
            Err(StoreError::Unavailable { .. } | StoreError::RevocationPending(_)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(other) => self.is_wrong(format!("{other:?}")),
        }
        // Who is refused comes again, and not at once.
        tokio::task::yield_now().await;
        None
    }

    fn took(&self, span: Duration) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        *slowest = span.max(*slowest);
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<u128, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, key: u128) -> Option<Entry> {
        self.entries().get(&key).cloned()
    }

    fn change(&self, key: u128, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries().get_mut(&key) {
            change(entry);
        }
    }

    fn is_wrong(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

/// A ledger that is being written.
pub struct Running {
    ledger: Arc<Ledger>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// How much was acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.ledger.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so much more was acknowledged.
    pub async fn acknowledges(&self, more: u64) {
        let enough = self.acknowledged() + more;
        while self.acknowledged() < enough {
            tokio::task::yield_now().await;
        }
    }

    /// How much was refused so far.
    pub fn refused(&self) -> u64 {
        self.ledger.refused.load(Ordering::Relaxed)
    }

    /// Waits until so much more was refused.
    pub async fn refuses(&self, more: u64) {
        let enough = self.refused() + more;
        while self.refused() < enough {
            tokio::task::yield_now().await;
        }
    }

    /// Ends the load and compares. Sessions that were opened after `since` may be lost, and no others.
    pub async fn settle(self, since: Instant) -> Sum {
        let Self { ledger, tasks } = self;
        ledger.is_over.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.expect("a worker");
        }
        let mut sum = Sum {
            acknowledged: ledger.acknowledged.load(Ordering::Relaxed),
            refused: ledger.refused.load(Ordering::Relaxed),
            slowest: *ledger.slowest.lock().unwrap_or_else(PoisonError::into_inner),
            ..Sum::default()
        };
        let entries: Vec<Entry> = ledger.entries().values().cloned().collect();
        for Entry { session, generation, state, opened_at } in entries {
            let standing = status(&ledger.store, &session.access_token()).await;
            let refresh = check_only(&ledger.store, session.token(generation)).await;
            match state {
                State::Ended if standing == AccessStatus::Live || refresh != RefreshOutcome::Unknown => {
                    sum.undone += 1;
                }
                State::Ended | State::Unclear => {}
                State::Live => match (standing, refresh) {
                    (AccessStatus::Live, RefreshOutcome::Current(_) | RefreshOutcome::Previous(_)) => {}
                    (_, RefreshOutcome::Unknown) if opened_at >= since => {
                        sum.lost += 1;
                        sum.newest_lost = sum.newest_lost.max(Some(opened_at));
                    }
                    other => ledger.is_wrong(format!("{other:?} of a session that was acknowledged before")),
                },
            }
        }
        let wrong = ledger.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(wrong.is_empty(), "{} wrong: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        sum.wrong = wrong.len() as u64;
        let Sum { acknowledged, refused, lost, slowest, .. } = sum;
        eprintln!(
            "{acknowledged} acknowledged, {refused} refused, {lost} lost; the slowest answer took {slowest:?}"
        );
        assert!(slowest < BOUND, "an answer took {slowest:?}");
        sum
    }
}
