//! People who log in, refresh, are checked and log out, in two tabs and with a thief among them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hallpass_model::replay::Asked;
use hyper::StatusCode;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::book::{Session, State, generation};
use crate::client::{Answer, Call, Client, PASSWORD, Tokens, get, login, post};
use crate::ledger::{Ledger, Loss, SCALE, refresh};
use crate::process::PATIENCE;

/// How many do something at once, each with an account of its own.
pub const WORKERS: usize = 4;

/// How many sessions an account opens before another one takes its place.
const SESSIONS: u32 = 30;

/// How often it is refused in a row before another one takes its place: what has this one may stay away, and others go on.
const REFUSALS: u32 = 200;

const VERDICTS: [StatusCode; 2] = [StatusCode::OK, StatusCode::UNAUTHORIZED];

/// A load, and its ledger.
pub struct Load {
    ledger: Arc<Ledger>,
    is_over: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Makes the accounts and begins, at these replicas.
    pub async fn begin(clients: Vec<Client>) -> Self {
        Self::of(WORKERS, clients, false).await
    }

    /// The same, with so many who do something at once, at replicas among which there are some of an earlier release or
    /// not.
    pub async fn of(workers: usize, clients: Vec<Client>, has_earlier: bool) -> Self {
        let (ledger, is_over) =
            (Arc::new(Ledger::new(clients, has_earlier)), Arc::new(AtomicBool::new(false)));
        let mut running = Vec::new();
        for number in 0..workers {
            let place = Ipv4Addr::new(127, 0, 1, u8::try_from(number + 1).expect("at most 255 of them"));
            let worker = Worker { number, place, ledger: ledger.clone(), is_over: is_over.clone() };
            let account = worker.register(0).await.expect("an account, before anything fails");
            running.push(tokio::spawn(worker.work(account)));
        }
        Self { ledger, is_over, workers: running }
    }

    /// Waits until so much more was acknowledged; in the long form so many times that.
    pub async fn acknowledges(&self, more: u64) {
        self.counts(&self.ledger.acknowledged, more * *SCALE, "acknowledged").await;
    }

    /// Waits until so much more was refused.
    pub async fn refuses(&self, more: u64) {
        self.counts(&self.ledger.refused, more, "refused").await;
    }

    async fn counts(&self, counter: &AtomicU64, more: u64, what: &str) {
        let (enough, began) = (counter.load(Ordering::Relaxed) + more, Instant::now());
        while counter.load(Ordering::Relaxed) < enough {
            assert!(began.elapsed() < PATIENCE * *SCALE as u32, "{more} more are not {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// From now on the engine is there again: refusals are to end.
    pub fn is_back(&self) {
        self.ledger.is_back();
    }

    /// Whom the load asks, for those who take replicas out and put others in.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Ends the load and compares.
    ///
    /// # Panics
    /// As [`Ledger::settle`].
    pub async fn settle(self, fault: &str, loss: Loss) {
        self.is_over.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.expect("a worker");
        }
        self.ledger.settle(fault, loss).await;
    }
}

struct Worker {
    number: usize,
    /// The address that it comes from.
    place: Ipv4Addr,
    ledger: Arc<Ledger>,
    is_over: Arc<AtomicBool>,
}

/// What a worker logs in to.
struct Account {
    number: u32,
    email: String,
    made_at: Instant,
}

impl Worker {
    /// Makes its account of that number.
    async fn register(&self, number: u32) -> Option<Account> {
        let email = format!("worker{}.{number}@example.com", self.number);
        let body = serde_json::json!({ "email": email, "password": PASSWORD });
        // Who had no answer may have made it, and finds it taken.
        let right = [StatusCode::CREATED, StatusCode::CONFLICT];
        let answer = self.ask(post("/auth/register").json(&body), &right).await;
        answer.map(|_| Account { number, email, made_at: Instant::now() })
    }

    /// Asks the replica whose turn it is.
    async fn ask(&self, call: Call, right: &[StatusCode]) -> Option<Answer> {
        self.ledger.ask_at(&self.ledger.replicas.next(), self.place, call, right).await
    }

    async fn work(self, mut account: Account) {
        let (mut sessions, mut refused, mut is_used_up) = (0, 0, false);
        while !self.is_over.load(Ordering::Relaxed) {
            if is_used_up {
                let Some(another) = self.register(account.number + 1).await else { continue };
                account = another;
            }
            let asked_at = Instant::now();
            let login = login(&account.email, PASSWORD);
            let Some(answer) = self.ask(login, &VERDICTS).await else {
                refused += 1;
                is_used_up = refused % REFUSALS == 0;
                continue;
            };
            refused = 0;
            if answer.status == StatusCode::UNAUTHORIZED {
                self.ledger.account_is_lost(account.made_at);
                is_used_up = true;
                continue;
            }
            let key = self.ledger.enter(Session::opened(Tokens::of(&answer), asked_at));
            self.live(key, sessions).await;
            sessions += 1;
            is_used_up = sessions % SESSIONS == 0;
        }
    }

    /// What happens to a session, by turns.
    async fn live(&self, key: u64, turn: u32) {
        self.check(key).await;
        for _ in 0..2 {
            if turn % 6 == 3 {
                tokio::join!(self.rotate(key), self.rotate(key));
            } else {
                self.rotate(key).await;
            }
            self.check(key).await;
        }
        match turn % 6 {
            0 => return,
            4 => return self.come_late(key).await,
            5 => self.steal(key).await,
            _ => self.end(key).await,
        }
        self.check(key).await;
    }

    /// The token that is the newest.
    async fn rotate(&self, key: u64) {
        let Session { tokens, state: State::Live, .. } = self.ledger.session(key) else { return };
        self.present(key, &tokens.refresh).await;
    }

    /// Another tab has the token before, within its grace: unless a refresh by the newest one was not answered, which
    /// has ended that if it was done.
    async fn come_late(&self, key: u64) {
        let session = self.ledger.session(key);
        let Session { used, state: State::Live, .. } = &session else { return };
        let Some(last) = used.last().filter(|_| !session.may_be_behind()) else { return };
        self.present(key, last).await;
    }

    async fn present(&self, key: u64, token: &str) {
        let asked_at = Instant::now();
        match self.observe(key, Asked::Present(generation(token)), token).await {
            Some(answer) if answer.status == StatusCode::OK => {
                let renewed = Tokens::of(&answer);
                self.ledger.change(key, |session| session.renew(asked_at, renewed));
            }
            Some(answer) => self.is_lost(key, "refreshed", &answer),
            None => {}
        }
    }

    /// It is refused, though nobody ended it.
    fn is_lost(&self, key: u64, when: &str, answer: &Answer) {
        let how = format!(
            "{when} {:?} after its login: {}",
            self.ledger.session(key).opened_at.elapsed(),
            answer.text()
        );
        self.ledger.change(key, |session| session.state = State::Lost(how));
    }

    /// A thief has a token that was used long ago: the alarm ends the session.
    async fn steal(&self, key: u64) {
        let Session { used, tokens, state: State::Live, .. } = self.ledger.session(key) else { return };
        let Some(first) = used.first().filter(|token| generation(token) + 2 <= generation(&tokens.refresh))
        else {
            return;
        };
        self.ledger.change(key, |session| session.state = State::Unclear);
        self.observe(key, Asked::Present(generation(first)), first).await;
    }

    async fn end(&self, key: u64) {
        let Session { tokens, state: State::Live, .. } = self.ledger.session(key) else { return };
        self.ledger.change(key, |session| session.state = State::Unclear);
        match self.observe(key, Asked::LogOut, &tokens.access).await {
            Some(answer) if answer.status == StatusCode::OK => {
                self.ledger.change(key, |session| session.state = State::Ended);
            }
            Some(_) if self.ledger.is_of_a_pulled_key(&self.ledger.session(key)) => {}
            Some(answer) if self.ledger.is_of_an_earlier_mistake(Asked::LogOut, &answer) => {}
            Some(answer) => self.is_lost(key, "logged out", &answer),
            None => {}
        }
    }

    async fn check(&self, key: u64) {
        let session = self.ledger.session(key);
        let Some(answer) = self.observe(key, Asked::Check, &session.tokens.access).await else { return };
        match (&session.state, answer.status) {
            // Of a key that was pulled: the next refresh buys another one.
            (_, StatusCode::UNAUTHORIZED) if self.ledger.is_of_a_pulled_key(&session) => {}
            (State::Live, StatusCode::UNAUTHORIZED) => self.is_lost(key, "checked", &answer),
            (State::Ended, StatusCode::OK) => {
                let history = self.ledger.session(key).history();
                self.ledger.is_wrong(&format!("200 after a logout: {history}"));
            }
            _ => {}
        }
    }

    /// Asks, and writes down what was seen.
    async fn observe(&self, key: u64, asked: Asked, token: &str) -> Option<Answer> {
        let call = match asked {
            Asked::Present(_) => refresh(token),
            Asked::Check => get("/auth/auth-me").bearer(token),
            Asked::LogOut => post("/auth/logout").bearer(token),
        };
        let (asked_at, chosen) = (Instant::now(), self.ledger.replicas.next());
        let answer = self.ledger.ask_at(&chosen, self.place, call, &VERDICTS).await;
        let is_pulled =
            !matches!(asked, Asked::Present(_)) && self.ledger.is_of_a_pulled_key(&self.ledger.session(key));
        // A token of such a key says nothing of its session.
        let seen = answer.as_ref().filter(|_| !is_pulled);
        let seen = seen.filter(|answer| !self.ledger.is_of_an_earlier_mistake(asked, answer));
        self.ledger.change(key, |session| session.saw(asked_at, chosen.process, asked, seen));
        answer
    }
}
