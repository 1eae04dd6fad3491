//! Who acknowledged what, and what stands afterwards.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hallpass_model::replay::Asked;
use hyper::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::book::{Session, State};
use crate::client::{Answer, Call, Client, get, post};
use crate::process::PATIENCE;
use crate::replicas::{Chosen, Replicas};

/// How much longer a load goes on than in the short form, by `HALLPASS_FAULTS_SCALE`. Who says so lets one test run at a
/// time, on a machine that does nothing else.
pub static SCALE: LazyLock<u64> = LazyLock::new(|| {
    std::env::var("HALLPASS_FAULTS_SCALE").map_or(1, |scale| scale.parse().expect("a whole number"))
});

/// What an answer may take at most, what one may that ends something, and how soon after the engine is back nobody is
/// refused any more. Whoever ends something waits until the mirrors have it, or until the copy of one that is silent is
/// too old, which is two seconds.
fn bounds() -> [Duration; 3] {
    let is_alone = *SCALE > 1;
    (if is_alone { [1, 3, 2] } else { [5, 7, 6] }).map(Duration::from_secs)
}

/// How soon every replica signs with another key, on a machine that is busy with other tests; by itself in a second.
const PULLED: Duration = Duration::from_secs(5);

/// How soon a client that is refused comes again.
const PAUSE: Duration = Duration::from_millis(5);

/// Which sessions a fault may cost.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// None.
    Nothing,
    /// Those that were opened after that, refreshes that were made after it, and accounts.
    Since(Instant),
}

impl Loss {
    fn since(self) -> Option<Instant> {
        match self {
            Self::Nothing => None,
            Self::Since(since) => Some(since),
        }
    }
}

/// The ledger.
pub struct Ledger {
    pub replicas: Replicas,
    began: Instant,
    sessions: Mutex<BTreeMap<u64, Session>>,
    next: AtomicU64,
    pub acknowledged: AtomicU64,
    pub refused: AtomicU64,
    cut: AtomicU64,
    wrong: Mutex<Vec<String>>,
    /// When accounts were made that are gone.
    accounts_lost: Mutex<Vec<Instant>>,
    /// But for those that wait for a password to be hashed, which is a matter of cores.
    slowest: Mutex<Duration>,
    /// Of those that end something.
    slowest_end: Mutex<Duration>,
    back_at: Mutex<Option<Instant>>,
    /// When the last one asked who was refused.
    refused_at: Mutex<Option<Instant>>,
    /// What the last refusal said.
    refused_last: Mutex<String>,
    pulled_at: Mutex<Option<Instant>>,
    /// Whether replicas of an earlier release are among those that answer.
    has_earlier: AtomicBool,
}

/// What it came to.
#[derive(Debug, Default)]
struct Sum {
    sessions: usize,
    calls: u64,
    lost: u64,
    undone: u64,
}

impl Ledger {
    /// Of these replicas, among which there are some of an earlier release or not.
    pub fn new(clients: Vec<Client>, has_earlier: bool) -> Self {
        Self {
            replicas: Replicas::new(clients),
            began: Instant::now(),
            sessions: Mutex::default(),
            next: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            wrong: Mutex::default(),
            accounts_lost: Mutex::default(),
            slowest: Mutex::default(),
            slowest_end: Mutex::default(),
            back_at: Mutex::default(),
            refused_at: Mutex::default(),
            refused_last: Mutex::default(),
            pulled_at: Mutex::default(),
            has_earlier: AtomicBool::new(has_earlier),
        }
    }

    /// From now on the engine is there again: refusals are to end.
    pub fn is_back(&self) {
        *lock(&self.back_at) = Some(Instant::now());
    }

    /// The replicas of an earlier release have gone.
    pub fn earlier_are_gone(&self) {
        self.has_earlier.store(false, Ordering::Relaxed);
    }

    /// Whether an answer says nothing: 0.2.0 refuses a logout as that of a revoked token where a look has carried it out
    /// before its writer.
    pub fn is_of_an_earlier_mistake(&self, asked: Asked, answer: &Answer) -> bool {
        let is_refused = answer.status == StatusCode::UNAUTHORIZED;
        is_refused && matches!(asked, Asked::LogOut) && self.has_earlier.load(Ordering::Relaxed)
    }

    /// What the key that signs has signed is refused from now on.
    pub fn signing_key_is_pulled(&self) {
        *lock(&self.pulled_at) = Some(Instant::now());
    }

    /// Whether a session's access token may be of a key that was pulled.
    pub fn is_of_a_pulled_key(&self, session: &Session) -> bool {
        lock(&self.pulled_at).is_some_and(|pulled_at| session.minted_at < pulled_at + PULLED)
    }

    pub fn enter(&self, session: Session) -> u64 {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.sessions).insert(key, session);
        key
    }

    pub fn session(&self, key: u64) -> Session {
        lock(&self.sessions).get(&key).cloned().expect("a session that was entered")
    }

    pub fn change(&self, key: u64, change: impl FnOnce(&mut Session)) {
        change(lock(&self.sessions).get_mut(&key).expect("a session that was entered"));
    }

    pub fn is_wrong(&self, what: &str) {
        let what = format!("{:?} after the load began, {what}", self.began.elapsed());
        eprintln!("wrong: {what}");
        lock(&self.wrong).push(what);
    }

    /// A login is refused of an account that was made then.
    pub fn account_is_lost(&self, made_at: Instant) {
        lock(&self.accounts_lost).push(made_at);
    }

    /// The answer, unless it is that the service cannot tell, or that it was killed meanwhile.
    pub async fn ask_at(
        &self,
        chosen: &Chosen,
        place: Ipv4Addr,
        call: Call,
        right: &[StatusCode],
    ) -> Option<Answer> {
        let (asked_at, of) = (Instant::now(), format!("{} of {}", call.path(), chosen.process));
        let is_hashed = matches!(call.path(), "/auth/login" | "/auth/register");
        let is_logout = call.path().starts_with("/auth/logout");
        let answer = chosen.client.at(place).try_send(call).await;
        match answer {
            Err(_) if self.replicas.is_gone(chosen.process) => {
                self.cut.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
                None
            }
            Err(error) => {
                self.is_wrong(&format!("{of}: no answer in {:?}: {error:?}", asked_at.elapsed()));
                None
            }
            Ok(answer) => {
                if !is_hashed {
                    let ends = is_logout || answer.text().contains("refresh_token_reused");
                    took(if ends { &self.slowest_end } else { &self.slowest }, asked_at.elapsed());
                }
                self.judged(asked_at, &of, answer, right).await
            }
        }
    }

    async fn judged(
        &self,
        asked_at: Instant,
        of: &str,
        answer: Answer,
        right: &[StatusCode],
    ) -> Option<Answer> {
        if right.contains(&answer.status) {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            return Some(answer);
        }
        let says_when = answer.header("retry-after").parse::<u32>().is_ok();
        if answer.status == StatusCode::SERVICE_UNAVAILABLE && says_when {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.note_refusal(asked_at, answer.text());
            // Who is refused comes again, and not at once.
            tokio::time::sleep(PAUSE).await;
        } else {
            self.is_wrong(&format!("{of}: {} {}", answer.status, answer.text()));
        }
        None
    }

    fn note_refusal(&self, asked_at: Instant, said: &str) {
        let mut last = lock(&self.refused_at);
        *last = (*last).max(Some(asked_at));
        *lock(&self.refused_last) = said.to_owned();
    }

    /// Asks until there is an answer.
    async fn certain(&self, call: Call) -> Answer {
        let began = Instant::now();
        loop {
            let answer = self.replicas.next().client.send(call.clone()).await;
            if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "it stays so: {answer:?}");
        }
    }

    /// Compares, and says what came of it.
    ///
    /// # Panics
    /// Something was undone, wrong, answered as the model does not, late, or lost that is not to be.
    pub async fn settle(&self, fault: &str, loss: Loss) {
        let sessions: Vec<Session> = lock(&self.sessions).values().cloned().collect();
        let mut sum = Sum { sessions: sessions.len(), ..Sum::default() };
        for session in &sessions {
            self.compare(session, loss, &mut sum).await;
        }
        let may_be = |made_at: &Instant| loss.since().is_some_and(|since| *made_at >= since);
        for made_at in lock(&self.accounts_lost).iter().filter(|made_at| !may_be(made_at)) {
            self.is_wrong(&format!("an account is lost that was made {:?} ago", made_at.elapsed()));
        }
        self.write_down(fault, &sum);
        let wrong = lock(&self.wrong).clone();
        assert!(
            wrong.is_empty(),
            "{fault}: {} wrong, such as {:?}",
            wrong.len(),
            &wrong[..wrong.len().min(3)]
        );
        assert_eq!(sum.undone, 0, "{fault}");
        assert!(sum.sessions > 4, "{fault}: hardly a session");
        let [slowest, slowest_end] = [&self.slowest, &self.slowest_end].map(|slowest| *lock(slowest));
        let [longest, longest_end, soon] = bounds();
        assert!(slowest < longest, "{fault}: {slowest:?}");
        assert!(slowest_end < longest_end, "{fault}: {slowest_end:?} until something was ended");
        let recovered = self.recovered();
        let last = lock(&self.refused_last).clone();
        assert!(recovered < soon, "{fault}: refused for {recovered:?} after it was back: {last}");
    }

    async fn compare(&self, session: &Session, loss: Loss, sum: &mut Sum) {
        let is_live = self.is_live(session).await;
        match &session.state {
            State::Ended => {
                let again = self.certain(refresh(&session.tokens.refresh)).await;
                sum.undone += u64::from(is_live || again.status == StatusCode::OK);
            }
            State::Unclear => {}
            State::Live if is_live => {}
            State::Live | State::Lost(_) => {
                let may_be = loss.since().is_some_and(|since| session.opened_at >= since);
                if !may_be {
                    self.is_wrong(&format!("a session is lost that was to stay: {}", session.history()));
                }
                sum.lost += 1;
            }
        }
        sum.calls += session.calls();
        if let Err(divergence) = session.replay(loss.since()) {
            let history = session.history();
            self.is_wrong(&format!("the model answers {:?} otherwise: {history}", divergence.observation));
        }
    }

    /// Whether its access token holds, or, where that is of a key that was pulled, it can be refreshed.
    async fn is_live(&self, session: &Session) -> bool {
        let call = match self.is_of_a_pulled_key(session) {
            true => refresh(&session.tokens.refresh),
            false => get("/auth/auth-me").bearer(&session.tokens.access),
        };
        self.certain(call).await.status == StatusCode::OK
    }

    /// How long after the engine was back somebody asked who was refused.
    fn recovered(&self) -> Duration {
        match (*lock(&self.back_at), *lock(&self.refused_at)) {
            (Some(back), Some(refused)) => refused.saturating_duration_since(back),
            _ => Duration::ZERO,
        }
    }

    /// A line on standard error, and one in the file that `HALLPASS_FAULTS_LEDGER` names.
    fn write_down(&self, fault: &str, sum: &Sum) {
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let millis = |span: Duration| span.as_millis();
        let line = json!({
            "fault": fault,
            "sessions": sum.sessions,
            "acknowledged": counted(&self.acknowledged),
            "refused": counted(&self.refused),
            "cut": counted(&self.cut),
            "wrong": lock(&self.wrong).len(),
            "undone": sum.undone,
            "lost": sum.lost,
            "slowest_ms": millis(*lock(&self.slowest)) as u64,
            "slowest_end_ms": millis(*lock(&self.slowest_end)) as u64,
            "recovered_ms": millis(self.recovered()) as u64,
            "replayed": sum.calls,
        });
        eprintln!("{line}");
        if let Some(path) = std::env::var_os("HALLPASS_FAULTS_LEDGER") {
            let mut file =
                std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the ledger's file");
            writeln!(file, "{line}").expect("room for a line");
        }
    }
}

fn took(slowest: &Mutex<Duration>, span: Duration) {
    let mut slowest = lock(slowest);
    *slowest = span.max(*slowest);
}

/// A refresh.
pub fn refresh(token: &str) -> Call {
    post("/auth/refresh-token").header("x-refresh-token", token)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
