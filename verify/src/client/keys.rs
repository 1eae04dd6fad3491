//! The issuer's keys, fetched again before they are out of date.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use url::Url;

use super::backoff::Backoff;
use super::error::RequestError;
use super::http::{self, SHORT_ANSWER};
use super::issuer::Issuer;
use crate::cache::CachedVerifier;
use crate::keys::KeySet;
use crate::verifier::Verifier;

/// For an issuer that does not say how long its keys are good.
const UNTOLD_MAX_AGE: Duration = Duration::from_secs(300);
/// Keys are asked for once a day at least, whatever the issuer says.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(86_400);

/// The keys in use, and who wants newer ones.
pub(crate) struct Keys {
    current: ArcSwapOption<CachedVerifier>,
    wanted: Notify,
    fetches: watch::Sender<Fetches>,
    cool_down: Duration,
}

/// How the fetches went.
#[derive(Clone, Copy, Debug, Default)]
struct Fetches {
    /// Whether the last one failed.
    failing: bool,
    /// The end of the last one that brought the keys because somebody wanted them.
    wanted_at: Option<Instant>,
}

/// What can be said of a key id that is in no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownKid {
    /// The issuer was asked just now and does not have it.
    Settled,
    /// The issuer cannot be asked.
    Failing,
    /// It is time to ask.
    Due,
}

impl Keys {
    /// None yet. `cool_down` is the least time between two fetches that unknown key ids may cause.
    pub(crate) fn new(cool_down: Duration) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            wanted: Notify::new(),
            fetches: watch::Sender::new(Fetches::default()),
            cool_down,
        }
    }

    pub(crate) fn current(&self) -> arc_swap::Guard<Option<Arc<CachedVerifier>>> {
        self.current.load()
    }

    /// How many keys are in use.
    pub(crate) fn len(&self) -> usize {
        self.current().as_ref().map_or(0, |ring| ring.verifier().key_count())
    }

    /// Asks for a fetch as soon as the cool-down allows one.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    /// What a token with an unknown key id means right now.
    pub(crate) fn on_unknown_kid(&self) -> UnknownKid {
        let Fetches { failing, wanted_at } = *self.fetches.borrow();
        match wanted_at {
            _ if failing => UnknownKid::Failing,
            Some(at) if at.elapsed() < self.cool_down => UnknownKid::Settled,
            _ => UnknownKid::Due,
        }
    }

    /// Waits until the issuer has been asked for its keys, where that is due; whether it answered.
    pub(crate) async fn settle(&self, patience: Duration) -> bool {
        // Before the look, or a fetch that ends in between would go unnoticed.
        let mut fetches = self.fetches.subscribe();
        match self.on_unknown_kid() {
            UnknownKid::Settled => true,
            UnknownKid::Failing => false,
            UnknownKid::Due => {
                self.want();
                let ended = tokio::time::timeout(patience, fetches.changed()).await;
                matches!(ended, Ok(Ok(()))) && !fetches.borrow().failing
            }
        }
    }
}

/// Fetches the keys; there is one a validator, so no two fetches are ever under way at once.
pub(crate) struct KeyKeeper {
    issuer: Arc<Issuer>,
    keys: Arc<Keys>,
    jwks: Url,
    /// Issuer, audience and whatever else holds for all keys.
    rules: Verifier,
    cached_tokens: usize,
    /// The set in use as it came.
    known: Option<Known>,
}

struct Known {
    etag: Option<HeaderValue>,
    body: Bytes,
}

impl KeyKeeper {
    pub(crate) fn new(
        issuer: Arc<Issuer>,
        keys: Arc<Keys>,
        jwks: Url,
        rules: Verifier,
        cached_tokens: usize,
    ) -> Self {
        Self { issuer, keys, jwks, rules, cached_tokens, known: None }
    }

    /// Keeps the keys up to date for ever; those that are known are good for `good_for`.
    pub(crate) async fn run(mut self, mut good_for: Duration) {
        let mut backoff = Backoff::default();
        loop {
            let wanted = self.rest(good_for).await;
            good_for = loop {
                match self.fetch(wanted).await {
                    Ok(max_age) => break max_age,
                    Err(error) => self.sit_out(&error, &mut backoff).await,
                }
            };
            backoff.reset();
        }
    }

    /// Waits until the keys are out of date, or until somebody wants newer ones and the cool-down
    /// allows it; whether it was the latter.
    async fn rest(&self, good_for: Duration) -> bool {
        let last_wanted = self.keys.fetches.borrow().wanted_at;
        let wanted = async {
            if let Some(at) = last_wanted {
                tokio::time::sleep_until(at + self.keys.cool_down).await;
            }
            self.keys.wanted.notified().await;
        };
        tokio::select! {
            () = tokio::time::sleep(good_for) => false,
            () = wanted => true,
        }
    }

    /// Without any keys it is worth asking often; with some, no more than otherwise.
    async fn sit_out(&self, error: &RequestError, backoff: &mut Backoff) {
        tracing::warn!(error = error as &dyn std::error::Error, "the issuer's keys cannot be fetched");
        let least = if self.known.is_some() { self.keys.cool_down } else { Duration::ZERO };
        tokio::time::sleep(backoff.next_after(error.retry_after()).max(least)).await;
    }

    /// Fetches the keys once; the answer is how long they are good. `wanted`: because of a key id
    /// that was not known.
    pub(crate) async fn fetch(&mut self, wanted: bool) -> Result<Duration, RequestError> {
        let outcome = self.try_fetch().await;
        self.ended(outcome.is_ok(), wanted);
        outcome
    }

    fn ended(&self, well: bool, wanted: bool) {
        self.keys.fetches.send_modify(|fetches| {
            fetches.failing = !well;
            if wanted && well {
                fetches.wanted_at = Some(Instant::now());
            }
        });
    }

    /// The end of a fetch that was wanted: the set that came, or `None` where none did.
    pub(crate) fn fetched(&mut self, body: Option<Bytes>) {
        let well = body.is_some_and(|body| self.take_in(Known { etag: None, body }).is_ok());
        self.ended(well, true);
    }

    async fn try_fetch(&mut self) -> Result<Duration, RequestError> {
        let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
        let etag = self.known.as_ref().and_then(|known| known.etag.clone());
        let headers =
            [(header::ACCEPT, accept)].into_iter().chain(etag.map(|etag| (header::IF_NONE_MATCH, etag)));
        let answer = self.issuer.send(http::get(&self.jwks, headers)?, SHORT_ANSWER).await?;
        if answer.status == StatusCode::NOT_MODIFIED && self.known.is_some() {
            return Ok(max_age(&answer.headers));
        }
        let answer = answer.ok()?;
        let good_for = max_age(&answer.headers);
        self.take_in(Known { etag: answer.etag(), body: answer.body })?;
        Ok(good_for)
    }

    /// Puts a new set in use. A set that is broken or has no key of use is none: the last good one
    /// stays.
    fn take_in(&mut self, new: Known) -> Result<(), RequestError> {
        if self.known.as_ref().is_none_or(|known| known.body != new.body) {
            let json = str::from_utf8(&new.body).map_err(RequestError::unreadable)?;
            let set = KeySet::from_jwks(json).map_err(RequestError::unreadable)?;
            if set.is_empty() {
                return Err(RequestError::unreadable("the issuer publishes no key that verifies its tokens"));
            }
            tracing::info!(keys = ?set, "the issuer's keys have been fetched");
            let verifier = self.rules.clone().with_keys(set);
            let verifier = CachedVerifier::new(verifier, self.cached_tokens);
            self.keys.current.store(Some(Arc::new(verifier)));
        }
        self.known = Some(new);
        Ok(())
    }
}

/// How long an answer is good (RFC 9111 5.2.2.1), within bounds.
fn max_age(headers: &HeaderMap) -> Duration {
    let directives = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    directives
        .flat_map(|value| value.split(','))
        .find_map(|directive| {
            let (name, value) = directive.trim().split_once('=')?;
            let seconds = value.trim_matches('"').parse().ok()?;
            name.eq_ignore_ascii_case("max-age").then_some(Duration::from_secs(seconds))
        })
        .unwrap_or(UNTOLD_MAX_AGE)
        .clamp(Duration::from_secs(1), LONGEST_MAX_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_that_the_issuer_allows_is_read_within_bounds() {
        for (written, seconds) in [
            ("max-age=60", 60),
            ("public, max-age=60, must-revalidate", 60),
            ("Max-Age=\"60\"", 60),
            ("s-maxage=5, max-age=60", 60),
            ("max-age=0", 1),
            ("max-age=99999999", 86_400),
            ("max-age=-1", 300),
            ("max-age=99999999999999999999999", 300),
            ("no-store", 300),
            ("", 300),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(written));
            assert_eq!(max_age(&headers), Duration::from_secs(seconds), "{written:?}");
        }
        assert_eq!(max_age(&HeaderMap::new()), UNTOLD_MAX_AGE);
    }
}
