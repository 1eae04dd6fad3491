//! Who acknowledged what, and what stands afterwards.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::client::{Answer, Call, Client, PASSWORD, Tokens, get, login, post};
use crate::process::PATIENCE;

/// How many do something at once, each with an account of its own.
const WORKERS: usize = 4;

/// The slowest answer on a machine that is busy with other tests; by itself each is there within a second.
const SLOWEST: Duration = Duration::from_secs(5);

/// How soon a client that is refused comes again.
const PAUSE: Duration = Duration::from_millis(5);

/// Which sessions a fault may cost.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// None.
    Nothing,
    /// Those that were opened after that.
    Since(Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live,
    /// It was refused though nobody ended it.
    Lost,
    /// Its end was acknowledged.
    Ended,
    /// Its end was asked for, and nobody said that it is so.
    Unclear,
}

#[derive(Clone)]
struct Entry {
    tokens: Tokens,
    state: State,
    opened_at: Instant,
}

/// The ledger.
struct Ledger {
    /// Of each replica of the service: they are asked in turn, about the same sessions.
    clients: Vec<Client>,
    turn: AtomicUsize,
    entries: Mutex<BTreeMap<u64, Entry>>,
    next: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    wrong: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
    is_over: AtomicBool,
}

/// A load of logins, refreshes, checks and logouts, and its ledger.
pub struct Load {
    ledger: Arc<Ledger>,
    workers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Makes the accounts and begins, at these replicas.
    pub async fn begin(clients: Vec<Client>) -> Self {
        let ledger = Arc::new(Ledger {
            clients,
            turn: AtomicUsize::new(0),
            entries: Mutex::default(),
            next: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            wrong: Mutex::default(),
            slowest: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let mut workers = Vec::new();
        for number in 0..WORKERS {
            let email = format!("worker{number}@example.com");
            let answer = ledger.client().register(&email).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            workers.push(tokio::spawn(ledger.clone().work(email)));
        }
        Self { ledger, workers }
    }

    /// Waits until so much more was acknowledged.
    pub async fn acknowledges(&self, more: u64) {
        self.counts(&self.ledger.acknowledged, more, "acknowledged").await;
    }

    /// Waits until so much more was refused.
    pub async fn refuses(&self, more: u64) {
        self.counts(&self.ledger.refused, more, "refused").await;
    }

    async fn counts(&self, counter: &AtomicU64, more: u64, what: &str) {
        let (enough, began) = (counter.load(Ordering::Relaxed) + more, Instant::now());
        while counter.load(Ordering::Relaxed) < enough {
            assert!(began.elapsed() < PATIENCE, "{more} more are not {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the load and compares.
    ///
    /// # Panics
    /// Something was undone, wrong, or lost that is not to be.
    pub async fn settle(self, fault: &str, loss: Loss) {
        let Self { ledger, workers } = self;
        ledger.is_over.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.await.expect("a worker");
        }
        let entries: Vec<Entry> = ledger.entries().values().cloned().collect();
        let (mut undone, mut lost) = (0, 0);
        for Entry { tokens, state, opened_at } in &entries {
            let is_live = ledger.is_live(&tokens.access).await;
            match state {
                State::Ended => {
                    let again = ledger.certain(refresh(&tokens.refresh)).await;
                    undone += u64::from(is_live || again.status == StatusCode::OK);
                }
                State::Unclear => {}
                State::Live | State::Lost if is_live && *state == State::Live => {}
                State::Live | State::Lost => {
                    let may_be = matches!(loss, Loss::Since(since) if *opened_at >= since);
                    if !may_be {
                        ledger.is_wrong(format!("a session is lost that was to stay ({state:?})"));
                    }
                    lost += 1;
                }
            }
        }
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let slowest = *ledger.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        let (acknowledged, refused) = (counted(&ledger.acknowledged), counted(&ledger.refused));
        eprintln!(
            "{fault}: {acknowledged} acknowledged, {refused} refused, {lost} lost, {undone} undone, slowest {slowest:?}"
        );
        let wrong = ledger.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(
            wrong.is_empty(),
            "{fault}: {} wrong, such as {:?}",
            wrong.len(),
            &wrong[..wrong.len().min(3)]
        );
        assert_eq!(undone, 0, "{fault}");
        assert!(entries.len() > WORKERS, "{fault}: hardly a session");
        assert!(slowest < SLOWEST, "{fault}: {slowest:?}");
    }
}

fn refresh(token: &str) -> Call {
    post("/auth/refresh-token").header("x-refresh-token", token)
}

impl Ledger {
    async fn work(self: Arc<Self>, email: String) {
        let mut round = 0_u32;
        while !self.is_over.load(Ordering::Relaxed) {
            let Some(answer) = self.ask(login(&email, PASSWORD), &[StatusCode::OK]).await else { continue };
            let key = self.next.fetch_add(1, Ordering::Relaxed);
            let entry = Entry { tokens: Tokens::of(&answer), state: State::Live, opened_at: Instant::now() };
            self.entries().insert(key, entry);
            self.check(key).await;
            for _ in 0..2 {
                self.rotate(key).await;
                self.check(key).await;
            }
            if !round.is_multiple_of(3) {
                self.end(key).await;
                self.check(key).await;
            }
            round += 1;
        }
    }

    fn client(&self) -> Client {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        *self.clients.get(turn % self.clients.len()).expect("one of them")
    }

    async fn rotate(&self, key: u64) {
        let Some(Entry { tokens, state: State::Live, .. }) = self.entry(key) else { return };
        match self.ask(refresh(&tokens.refresh), &[StatusCode::OK, StatusCode::UNAUTHORIZED]).await {
            Some(answer) if answer.status == StatusCode::OK => {
                self.change(key, |entry| entry.tokens = Tokens::of(&answer));
            }
            Some(_) => self.change(key, |entry| entry.state = State::Lost),
            None => {}
        }
    }

    async fn end(&self, key: u64) {
        let Some(Entry { tokens, state: State::Live, .. }) = self.entry(key) else { return };
        self.change(key, |entry| entry.state = State::Unclear);
        let ending = post("/auth/logout").bearer(&tokens.access);
        match self.ask(ending, &[StatusCode::OK, StatusCode::UNAUTHORIZED]).await {
            Some(answer) if answer.status == StatusCode::OK => {
                self.change(key, |entry| entry.state = State::Ended);
            }
            Some(_) => self.change(key, |entry| entry.state = State::Lost),
            None => {}
        }
    }

    async fn check(&self, key: u64) {
        let Some(Entry { tokens, state, .. }) = self.entry(key) else { return };
        let asking = get("/auth/auth-me").bearer(&tokens.access);
        let Some(answer) = self.ask(asking, &[StatusCode::OK, StatusCode::UNAUTHORIZED]).await else {
            return;
        };
        match (state, answer.status) {
            (State::Live, StatusCode::UNAUTHORIZED) => self.change(key, |entry| entry.state = State::Lost),
            (State::Ended, StatusCode::OK) => self.is_wrong("200 after a logout".to_owned()),
            _ => {}
        }
    }

    /// The answer, unless it is that the service cannot tell.
    async fn ask(&self, call: Call, right: &[StatusCode]) -> Option<Answer> {
        let asked_at = Instant::now();
        let answer = self.client().try_send(call).await;
        self.took(asked_at.elapsed());
        match answer {
            Ok(answer) if right.contains(&answer.status) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                Some(answer)
            }
            Ok(answer)
                if answer.status == StatusCode::SERVICE_UNAVAILABLE
                    && answer.header("retry-after").parse::<u32>().is_ok() =>
            {
                self.refused.fetch_add(1, Ordering::Relaxed);
                // Who is refused comes again, and not at once.
                tokio::time::sleep(PAUSE).await;
                None
            }
            Ok(answer) => {
                self.is_wrong(format!("{} {}", answer.status, answer.text()));
                None
            }
            Err(error) => {
                self.is_wrong(format!("no answer: {error}"));
                None
            }
        }
    }

    fn took(&self, span: Duration) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        *slowest = span.max(*slowest);
    }

    /// Asks until there is an answer.
    async fn certain(&self, call: Call) -> Answer {
        let began = Instant::now();
        loop {
            let answer = self.client().send(call.clone()).await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "it stays so: {answer:?}");
        }
    }

    async fn is_live(&self, access: &str) -> bool {
        self.certain(get("/auth/auth-me").bearer(access)).await.status == StatusCode::OK
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, key: u64) -> Option<Entry> {
        self.entries().get(&key).cloned()
    }

    fn change(&self, key: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries().get_mut(&key) {
            change(entry);
        }
    }

    fn is_wrong(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}
