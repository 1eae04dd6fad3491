use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::intake::{Intake, Interruption, Stream};
use super::snapshot::Snapshot;
use crate::client::backoff::Backoff;
use crate::client::error::RequestError;
use crate::client::http::{self, next_piece};
use crate::client::issuer::Issuer;
use crate::client::own_token::OwnToken;

/// More than a million entries.
const SNAPSHOT_MAX_BYTES: usize = 256 * 1024 * 1024;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Follows the feed; there is one a validator.
pub(crate) struct Follower {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) intake: Intake,
    pub(crate) own_token: OwnToken,
    pub(crate) token_endpoint: Url,
    pub(crate) revocations: Url,
    /// Without it, the snapshot is fetched again and again.
    pub(crate) stream: Option<Url>,
    /// How long a stream may say nothing.
    pub(crate) silence: Duration,
    /// How often the snapshot is fetched where there is no stream.
    pub(crate) poll_every: Duration,
}

impl Follower {
    /// Follows the feed for ever.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let Err(interruption) = self.go_on(&mut backoff).await else { continue };
            interruption.log();
            self.intake.interrupted(&interruption);
            let pause = match interruption {
                Interruption::Moved => backoff.soon(),
                _ => backoff.next_after(interruption.retry_after()),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Does whatever comes next: begins with a snapshot, then reads the stream to its end.
    async fn go_on(&mut self, backoff: &mut Backoff) -> Result<(), Interruption> {
        let Some(cursor) = self.intake.progress.cursor.clone() else {
            return Ok(self.fetch_snapshot().await?);
        };
        if let Some(url) = self.stream.clone() {
            let (body, stream) = self.open(&url, cursor).await?;
            return self.read(body, stream, backoff).await;
        }
        tokio::time::sleep(self.poll_every).await;
        self.fetch_snapshot().await?;
        backoff.reset();
        Ok(())
    }

    /// Fetches all revocations and puts them in the place of those that are known.
    pub(crate) async fn fetch_snapshot(&mut self) -> Result<(), RequestError> {
        let condition = self.intake.etag().map(|etag| (header::IF_NONE_MATCH, etag));
        let url = self.revocations.clone();
        let request = http::get(&url, condition.into_iter().chain([self.authorization().await?]))?;
        let asked_at = self.intake.feed.now();
        let answer = self.issuer.send(request, SNAPSHOT_MAX_BYTES).await?;
        if self.intake.unchanged(&answer, asked_at)? {
            return Ok(());
        }
        let answer = self.unless_refused(answer.ok())?;
        let (clock, etag) = (self.intake.clock_of(asked_at, &answer.headers)?, answer.etag());
        // A long list takes its time to read, and a runtime's thread has other things to do.
        let snapshot = tokio::task::spawn_blocking(move || answer.json::<Snapshot>());
        let snapshot = snapshot.await.map_err(RequestError::unreadable)??;
        self.intake.replace(snapshot, etag, &clock)
    }

    async fn open(&mut self, url: &Url, cursor: HeaderValue) -> Result<(Incoming, Stream), RequestError> {
        let accept = (header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let headers = [accept, (LAST_EVENT_ID, cursor), self.authorization().await?];
        let request = http::get(url, headers)?;
        let asked_at = self.intake.feed.now();
        let response = self.issuer.open(request).await?;
        if response.status() == StatusCode::OK {
            let stream = self.intake.opened(asked_at, response.headers())?;
            return Ok((response.into_body(), stream));
        }
        self.unless_refused(Err(http::refusal(response.status(), response.headers())))
    }

    /// Takes in events until there are no more, or until the clock should be measured again.
    async fn read(
        &mut self,
        mut body: Incoming,
        mut stream: Stream,
        backoff: &mut Backoff,
    ) -> Result<(), Interruption> {
        let mut silent_at = Instant::now() + self.silence;
        while !self.intake.is_over(&stream) {
            let piece = timeout_at(silent_at, next_piece(&mut body)).await;
            let piece = piece.map_err(|_| Interruption::Silent)??.ok_or(Interruption::Closed)?;
            let heard = self.intake.read(&mut stream, &piece)?;
            if heard.any {
                silent_at = Instant::now() + self.silence;
            }
            if heard.fresh {
                backoff.reset();
            }
        }
        Ok(())
    }

    async fn authorization(&mut self) -> Result<(HeaderName, HeaderValue), RequestError> {
        let bearer = self.own_token.bearer(&self.issuer, &self.token_endpoint).await?;
        Ok((header::AUTHORIZATION, bearer))
    }

    /// Lets go of a token that the issuer does not take.
    fn unless_refused<T>(&mut self, answer: Result<T, RequestError>) -> Result<T, RequestError> {
        if let Err(error) = &answer
            && error.status() == Some(StatusCode::UNAUTHORIZED.as_u16())
        {
            self.own_token.forget();
        }
        answer
    }
}
