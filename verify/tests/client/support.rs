//! What the tests of validators share.

use std::sync::mpsc;
use std::time::Duration;

use hallpass_verify::client::{Validator, ValidatorBuilder};
use serde_json::Value;

use crate::issuer::{CLIENT, Issuer, SECRET, STREAM};
use crate::tokens::{AUDIENCE, LIFETIME, NOW, TestKey, at, claims, with, without};

/// Far more than anything here takes, even on a busy machine.
const PATIENCE: u32 = 20_000;

/// Settings for the issuer; the time of day stands still at [`NOW`], and ages are counted by the
/// runtime's clock, which a test can stop. Requests have so much time that a busy machine alone makes
/// none fail, not even while a test moves a stopped clock on.
pub fn builder(issuer: &Issuer) -> ValidatorBuilder {
    let started_at = tokio::time::Instant::now();
    Validator::builder(issuer.url(), AUDIENCE)
        .credentials(CLIENT, SECRET)
        .clock(|| at(NOW))
        .monotonic_clock(move || started_at.elapsed())
        .request_timeout(Duration::from_secs(600))
}

/// The time that requests have unless set otherwise.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// A validator whose knowledge does not grow old while a test looks at something else. All that it
/// does in the background has begun.
pub async fn patient(issuer: &Issuer) -> Validator {
    let streams = issuer.requests(STREAM);
    let validator = builder(issuer).max_staleness(Duration::from_secs(86_400)).connect().await;
    let validator = validator.expect("the issuer is there");
    eventually("the stream is asked for", || issuer.requests(STREAM) > streams).await;
    validator
}

/// A right token of the issuer.
pub fn token(issuer: &Issuer, key: &TestKey) -> String {
    token_with(issuer, key, "sub", "42")
}

/// One with another claim.
pub fn token_with(issuer: &Issuer, key: &TestKey, claim: &str, value: impl Into<Value>) -> String {
    key.token_of(&key.header(), &with(with(claims(), "iss", issuer.url()), claim, value))
}

/// A token that the client `orders` got for itself.
pub fn machine_token(issuer: &Issuer, key: &TestKey) -> String {
    let mut claims = with(with(claims(), "iss", issuer.url()), "sub", "orders");
    for claim in ["sid", "sv", "email", "email_verified", "auth_time", "amr", "acr"] {
        claims = without(claims, claim);
    }
    key.token_of(&key.header(), &with(claims, "roles", Vec::<Value>::new()))
}

/// A token of the session with that number.
pub fn token_of_session(issuer: &Issuer, key: &TestKey, number: u128) -> String {
    token_with(issuer, key, "sid", uuid(number))
}

pub fn uuid(number: u128) -> String {
    uuid::Uuid::from_u128(number).to_string()
}

/// The entry that revokes the session with that number.
pub fn session(number: u128) -> Value {
    serde_json::json!({"sid": uuid(number), "exp": NOW + LIFETIME})
}

/// Waits for a condition, in real time; the validator's clock may stand still.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if condition() {
            return;
        }
        pause().await;
    }
    panic!("it never came about: {what}");
}

/// Waits for a condition while the validator's stopped clock is moved on, ten milliseconds a look.
pub async fn in_time(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if condition() {
            return;
        }
        tokio::time::advance(Duration::from_millis(10)).await;
        pause().await;
    }
    panic!("it never came about: {what}");
}

/// Moves the validator's stopped clock on by that much, slowly enough for requests in between.
pub async fn elapse(time: Duration) {
    const STEP: Duration = Duration::from_millis(50);
    for _ in 0..time.as_millis() / STEP.as_millis() {
        tokio::time::advance(STEP).await;
        for _ in 0..3 {
            pause().await;
        }
    }
}

/// Lets others work for a millisecond of real time.
async fn pause() {
    tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await.expect("a thread");
}

/// Stops the validator's clock until it is dropped: it moves by `tokio::time::advance` alone.
///
/// A paused clock jumps ahead by itself when a runtime has nothing to do, which it has not while it
/// waits for the issuer; a blocking task that never ends keeps it from that.
pub struct StoppedClock {
    _end: mpsc::Sender<()>,
}

impl StoppedClock {
    pub fn new() -> Self {
        tokio::time::pause();
        let (end, on_end) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || on_end.recv().is_ok());
        Self { _end: end }
    }
}
