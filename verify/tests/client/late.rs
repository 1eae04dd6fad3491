//! A feed that is late, and clocks that are wrong: knowledge is as old as what it says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hallpass_verify::client::{CannotTell, ValidationError, Validator};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::issuer::*;
use crate::support::*;
use crate::tokens::*;

const MAX_STALENESS: Duration = Duration::from_secs(2);

/// A way to the issuer on which all that it says arrives late.
struct LateLine {
    url: String,
    lag_ms: Arc<AtomicU64>,
}

impl LateLine {
    async fn to(issuer: &Issuer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (behind, lag_ms) = (issuer.url().replace("http://", ""), Arc::new(AtomicU64::new(0)));
        let lag = lag_ms.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(pass_on(connection, behind.clone(), lag.clone()));
            }
        });
        Self { url, lag_ms }
    }

    fn set_lag(&self, lag: Duration) {
        self.lag_ms.store(lag.as_millis().try_into().expect("a short while"), Ordering::Relaxed);
    }
}

/// Ends when either side does.
async fn pass_on(near: TcpStream, behind: String, lag_ms: Arc<AtomicU64>) -> std::io::Result<()> {
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = TcpStream::connect(behind).await?.into_split();
    let (sender, mut pieces) = mpsc::unbounded_channel();
    let reading = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from_far.read(&mut buffer).await?;
            let due = Instant::now() + Duration::from_millis(lag_ms.load(Ordering::Relaxed));
            if length == 0 || sender.send((due, buffer[..length].to_vec())).is_err() {
                return Ok(());
            }
        }
    };
    let writing = async {
        while let Some((due, piece)) = pieces.recv().await {
            if due > Instant::now() {
                sleep_until(due).await;
            }
            to_near.write_all(&piece).await?;
        }
        Ok(())
    };
    tokio::select! {
        done = copy(&mut from_near, &mut to_far) => done.map(|_| ()),
        done = reading => done,
        done = writing => done,
    }
}

fn is_stale(validator: &Validator, token: &str) -> bool {
    matches!(validator.check(token), Err(ValidationError::CannotTell(CannotTell::Stale { .. })))
}

fn is_revoked(validator: &Validator, token: &str) -> bool {
    matches!(validator.check(token), Err(ValidationError::Revoked))
}

/// A validator at the end of a late line, which is in time so far.
async fn at_the_end_of_a_line() -> (Issuer, LateLine, Validator) {
    let issuer = Issuer::start(&[es256()]);
    let line = LateLine::to(&issuer).await;
    let validator = builder(&issuer)
        .reach_at(&line.url)
        .max_staleness(MAX_STALENESS)
        .silence_timeout(Duration::from_secs(3_600))
        .connect()
        .await
        .expect("connected");
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    assert!(validator.status().is_fresh);
    (issuer, line, validator)
}

/// Lets the line become later by 0.8 seconds a second, up to 15: no heartbeat is missing, and each comes a
/// little later than the one before.
async fn grow_late(line: &LateLine) {
    for step in 1..=19_u32 {
        line.set_lag((Duration::from_millis(800) * step).min(Duration::from_secs(15)));
        elapse(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn a_feed_that_runs_fifteen_seconds_late_is_stale_though_its_heartbeats_arrive_each_second() {
    let _clock = StoppedClock::new();
    let (issuer, line, validator) = at_the_end_of_a_line().await;
    let token = token_of_session(&issuer, es256(), 7);
    grow_late(&line).await;
    assert!(is_stale(&validator, &token));

    issuer.revoke(session(7));
    let revoked_at = Instant::now();
    let mut was_late = false;
    in_time("the revocation arrives", || {
        was_late |= revoked_at.elapsed() > MAX_STALENESS;
        assert!(validator.check(&token).is_err(), "{:?} after its revocation", revoked_at.elapsed());
        is_revoked(&validator, &token)
    })
    .await;
    assert!(was_late, "the line is no late one");

    line.set_lag(Duration::ZERO);
    let other = token_of_session(&issuer, es256(), 8);
    in_time("the feed is in time again", || validator.check(&other).is_ok()).await;
}

/// The same from the beginning: no token is accepted for longer than `max_staleness` after its revocation.
#[tokio::test]
async fn no_lag_lets_a_revoked_token_in_for_longer_than_knowledge_is_trusted() {
    let _clock = StoppedClock::new();
    for lag in [500, 1_500, 1_900, 2_500] {
        let (issuer, line, validator) = at_the_end_of_a_line().await;
        line.set_lag(Duration::from_millis(lag));
        elapse(Duration::from_secs(4)).await;
        let token = token_of_session(&issuer, es256(), 7);
        issuer.revoke(session(7));
        let revoked_at = Instant::now();
        in_time("the revocation arrives", || {
            let accepted = validator.check(&token).is_ok();
            assert!(!accepted || revoked_at.elapsed() <= MAX_STALENESS, "{lag} {:?}", revoked_at.elapsed());
            is_revoked(&validator, &token)
        })
        .await;
    }
}

#[tokio::test]
async fn an_issuers_clock_that_is_set_forward_makes_a_late_feed_no_younger() {
    let _clock = StoppedClock::new();
    const LAG: Duration = Duration::from_secs(5);
    // By less than the feed is late, by more and by much more.
    for forward in [4_500, 6_000, 3_600_000] {
        let (issuer, line, validator) = at_the_end_of_a_line().await;
        line.set_lag(LAG);
        elapse(Duration::from_secs(1)).await;
        issuer.set_clock_forward(forward);
        // What it says from here on is on its way for as long as the line is late.
        elapse(LAG + Duration::from_millis(500)).await;
        let token = token_of_session(&issuer, es256(), 7);
        issuer.revoke(session(7));
        in_time("the revocation arrives", || {
            assert!(validator.check(&token).is_err(), "{forward}");
            is_revoked(&validator, &token)
        })
        .await;
    }
}

/// A clock that is wrong is no reason to refuse for ever: it is measured again.
#[tokio::test]
async fn after_the_issuers_clock_was_set_the_feed_is_soon_of_use_again() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    let validator = builder(&issuer).connect().await.expect("connected");
    let right = token(&issuer, es256());
    for step in [3_600_000, -3_600_000, 5_000, -5_000] {
        eventually("the stream is open", || issuer.open_streams() == 1).await;
        issuer.set_clock_forward(step);
        let set_at = Instant::now();
        elapse(Duration::from_secs(3)).await;
        in_time("the feed is of use again", || validator.check(&right).is_ok()).await;
        assert!(set_at.elapsed() < Duration::from_secs(20), "{step}: {:?}", set_at.elapsed());
    }
}

#[tokio::test]
async fn where_the_issuers_clock_stands_is_measured_anew_every_five_minutes() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    issuer.set_beating(false);
    let validator = builder(&issuer).silence_timeout(Duration::from_secs(3_600)).connect().await;
    let validator = validator.expect("connected");
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    for (minutes, streams) in [(3, 1), (3, 2), (3, 2), (3, 3)] {
        tokio::time::advance(Duration::from_secs(60 * minutes)).await;
        issuer.beat();
        eventually("the heartbeat arrives", || validator.status().is_fresh).await;
        eventually("the stream is asked for", || issuer.requests(STREAM) == streams).await;
    }
    assert_eq!(issuer.requests(REVOCATIONS), 1, "nothing is fetched again for it");
}

/// What the issuer knows can be old when it says so.
#[tokio::test]
async fn knowledge_is_as_old_as_the_issuers_own() {
    let _clock = StoppedClock::new();
    for with_stream in [true, false] {
        let issuer = Issuer::start(&[es256()]);
        if !with_stream {
            issuer.set_metadata("hallpass_revocations_stream_endpoint", Value::Null);
        }
        issuer.set_statement_age(900);
        let validator = builder(&issuer).connect().await.expect("connected");
        let age = || validator.status().feed_age.expect("an age");
        assert!(age() >= Duration::from_millis(900), "a snapshot: {:?}", age());
        issuer.set_statement_age(2_500);
        in_time("it is too old", || {
            assert!(age() >= Duration::from_millis(900), "{:?}", age());
            !validator.status().is_fresh
        })
        .await;
        elapse(Duration::from_secs(3)).await;
        assert!(!validator.status().is_fresh && age() >= Duration::from_millis(2_500), "{:?}", age());
        issuer.set_statement_age(0);
        in_time("it is young again", || validator.status().is_fresh).await;
    }
}

/// A machine that sleeps hears nothing, and its runtime does not notice.
#[tokio::test]
async fn time_in_which_the_machine_slept_counts() {
    let _clock = StoppedClock::new();
    let issuer = Issuer::start(&[es256()]);
    issuer.set_beating(false);
    let slept_ms = Arc::new(AtomicU64::new(0));
    let (slept, started_at) = (slept_ms.clone(), Instant::now());
    let validator = builder(&issuer)
        .silence_timeout(Duration::from_secs(3_600))
        .monotonic_clock(move || started_at.elapsed() + Duration::from_millis(slept.load(Ordering::Relaxed)))
        .connect()
        .await
        .expect("connected");
    eventually("the stream is open", || issuer.open_streams() == 1).await;
    assert!(validator.status().is_fresh);
    slept_ms.store(30_000, Ordering::Relaxed);
    issuer.set_clock_forward(30_000);
    assert!(is_stale(&validator, &token(&issuer, es256())));
    issuer.beat();
    eventually("the heartbeat arrives", || validator.status().is_fresh).await;
}
