//! A client that is told what its issuer answers and when, without a network: for the vectors in
//! `verify/vectors`. No part of the interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::runtime::Runtime;
use url::Url;

use super::builder::{ValidatorBuilder, Work};
use super::error::{BuildError, RequestError, ValidationError};
use super::feed::{Interruption, Moment, Stream};
use super::http::{self, Answer};
use super::issuer::Endpoints;
use super::{Background, Validator};
use crate::claims::AccessClaims;

/// An answer of the issuer's.
#[derive(Debug)]
pub struct Answered {
    /// When it was asked for, milliseconds.
    pub asked_ms: i64,
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body; empty where it is a stream.
    pub body: String,
}

/// What a client does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Reads its stream on.
    Read,
    /// Opens a stream behind that event.
    Open {
        /// `Last-Event-ID`.
        last_event_id: String,
    },
    /// Fetches the list.
    List,
}

/// A client without a network.
pub struct Replay {
    validator: Validator,
    work: Work,
    stream: Option<Stream>,
    clocks: Arc<Clocks>,
    /// Some of the client's parts want one.
    _runtime: Runtime,
}

/// Milliseconds.
#[derive(Default)]
struct Clocks {
    at: AtomicU64,
    now: AtomicU64,
}

impl Replay {
    /// One with these settings, whose issuer has a stream or not.
    ///
    /// # Errors
    /// As [`ValidatorBuilder::connect_lazy`].
    ///
    /// # Panics
    /// Where there can be no runtime.
    pub fn new(builder: ValidatorBuilder, has_stream: bool) -> Result<Self, BuildError> {
        let clocks = Arc::new(Clocks::default());
        let (at, now) = (clocks.clone(), clocks.clone());
        let builder = builder
            .monotonic_clock(move || Duration::from_millis(at.at.load(Ordering::Relaxed)))
            .clock(move || UNIX_EPOCH + Duration::from_millis(now.now.load(Ordering::Relaxed)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| BuildError::NoRuntime)?;
        let entered = runtime.enter();
        let (shared, start) = builder.prepare()?;
        let work = start.work(&shared, endpoints(has_stream)?).map_err(|_| BuildError::NoCredentials)?;
        let background = Background(tokio::spawn(async {}).abort_handle());
        drop(entered);
        let validator = Validator::new(shared, background);
        Ok(Self { validator, work, stream: None, clocks, _runtime: runtime })
    }

    /// Sets the clocks: the one that ages are counted by, and the time of day; milliseconds.
    pub fn at(&self, at_ms: u64, now_ms: u64) {
        self.clocks.at.store(at_ms, Ordering::Relaxed);
        self.clocks.now.store(now_ms, Ordering::Relaxed);
    }

    /// The issuer's keys, or that it cannot be asked for them.
    pub fn keys(&mut self, jwks: Option<String>) {
        self.work.keeper.fetched(jwks.map(Bytes::from));
    }

    /// The answer to `GET /revocations`; the time for which the issuer wants to be left alone.
    pub fn list(&mut self, answer: Answered) -> Option<Duration> {
        self.stream = None;
        let outcome = self.take_in_list(answer);
        self.interrupted_by(outcome.map_err(Interruption::Failed))
    }

    fn take_in_list(&mut self, answered: Answered) -> Result<(), RequestError> {
        let Some(intake) = self.work.follower.as_mut().map(|follower| &mut follower.intake) else {
            return Ok(());
        };
        let (asked_at, answer) = answer(answered)?;
        if intake.unchanged(&answer, asked_at)? {
            return Ok(());
        }
        let answer = answer.ok()?;
        let (clock, etag) = (intake.clock_of(asked_at, &answer.headers)?, answer.etag());
        intake.replace(answer.json()?, etag, &clock)
    }

    /// The head of the answer to `GET /revocations/stream`; as [`list`](Self::list).
    pub fn open(&mut self, answered: Answered) -> Option<Duration> {
        let outcome = answer(answered).and_then(|(asked_at, answer)| match &self.work.follower {
            Some(follower) if answer.status == StatusCode::OK => {
                follower.intake.opened(asked_at, &answer.headers).map(Some)
            }
            Some(_) => Err(http::refusal(answer.status, &answer.headers)),
            None => Ok(None),
        });
        match outcome {
            Ok(stream) => {
                self.stream = stream;
                None
            }
            Err(error) => self.interrupted_by(Err(Interruption::Failed(error))),
        }
    }

    /// Bytes of the stream.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (Some(stream), Some(follower)) = (&mut self.stream, &mut self.work.follower) else { return };
        match follower.intake.read(stream, bytes) {
            Ok(_) if follower.intake.is_over(stream) => self.stream = None,
            Ok(_) => {}
            Err(interruption) => {
                self.interrupted_by(Err(interruption));
            }
        }
    }

    /// The stream ends.
    pub fn end(&mut self) {
        self.interrupted_by(Err(Interruption::Closed));
    }

    fn interrupted_by(&mut self, outcome: Result<(), Interruption>) -> Option<Duration> {
        let interruption = outcome.err()?;
        self.stream = None;
        if let Some(follower) = &mut self.work.follower {
            follower.intake.interrupted(&interruption);
        }
        interruption.retry_after()
    }

    /// What the client does next.
    pub fn next(&self) -> Next {
        let intake = self.work.follower.as_ref().map(|follower| &follower.intake);
        let cursor =
            intake.filter(|intake| intake.has_stream).and_then(|intake| intake.progress.cursor.as_ref());
        match (&self.stream, cursor.and_then(|cursor| cursor.to_str().ok())) {
            (Some(_), _) => Next::Read,
            (None, Some(cursor)) => Next::Open { last_event_id: cursor.to_owned() },
            (None, None) => Next::List,
        }
    }

    /// A token.
    ///
    /// # Errors
    /// As [`Validator::check`].
    pub fn check(&self, token: &str) -> Result<AccessClaims, ValidationError> {
        self.validator.check(token)
    }
}

/// Endpoints that nobody asks.
fn endpoints(has_stream: bool) -> Result<Endpoints, BuildError> {
    let url = Url::parse("http://127.0.0.1").map_err(|_| BuildError::NoRuntime)?;
    Ok(Endpoints {
        jwks: url.clone(),
        token: Some(url.clone()),
        introspection: None,
        revocations: Some(url.clone()),
        revocations_stream: has_stream.then_some(url),
    })
}

fn answer(answered: Answered) -> Result<(Moment, Answer), RequestError> {
    let mut headers = HeaderMap::new();
    for (name, value) in answered.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(RequestError::unreadable)?;
        headers.append(name, HeaderValue::from_str(&value).map_err(RequestError::unreadable)?);
    }
    let status = StatusCode::from_u16(answered.status).map_err(RequestError::unreadable)?;
    Ok((Moment::from_millis(answered.asked_ms), Answer { status, headers, body: answered.body.into() }))
}
