//! Those who follow the revocation feed: how many they are, and whether they still may.
//!
//! A stream lasts longer than a request, so its client may be deleted while it lasts. Where that happens
//! here it ends at once; for what happens elsewhere, each client that follows is asked about once a second,
//! however many streams it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::error::{Error, Result};
use crate::config::FeedSettings;
use crate::domain::causes::with_causes;
use crate::domain::client::{ClientId, REVOCATIONS_READ, Scopes};
use crate::store::StoreResult;
use crate::store::clients::ClientStore;

/// How often it is asked whether a client is still there.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The open streams. Cheap to clone.
#[derive(Clone)]
pub struct FeedReaders(Arc<Shared>);

struct Shared {
    clients: Arc<dyn ClientStore>,
    bounds: FeedSettings,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    clients: HashMap<ClientId, OfClient>,
}

/// The streams of one client.
struct OfClient {
    streams: usize,
    has_to_end: watch::Sender<bool>,
}

/// A stream that is open; dropping it makes room for another one.
pub struct FeedReader {
    readers: FeedReaders,
    client: ClientId,
    has_to_end: watch::Receiver<bool>,
}

impl FeedReader {
    /// Returns when the client may follow the feed no more.
    pub async fn has_to_end(&mut self) {
        // The end of the sender says the same.
        let _ = self.has_to_end.wait_for(|has_to_end| *has_to_end).await;
    }
}

impl Drop for FeedReader {
    fn drop(&mut self) {
        let mut open = self.readers.lock();
        open.all -= 1;
        // A client of the same name may have come in place of one that was ended.
        if let Some(of_client) = open.clients.get_mut(&self.client)
            && self.has_to_end.same_channel(&of_client.has_to_end.subscribe())
        {
            of_client.streams -= 1;
            if of_client.streams == 0 {
                open.clients.remove(&self.client);
            }
        }
    }
}

impl FeedReaders {
    pub(super) fn new(clients: Arc<dyn ClientStore>, bounds: FeedSettings) -> Self {
        Self(Arc::new(Shared { clients, bounds, open: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many streams are open.
    pub fn count(&self) -> usize {
        self.lock().all
    }

    /// Opens a stream for a client that may follow the feed.
    ///
    /// # Errors
    /// [`Error::TooManyStreams`].
    pub fn open(&self, client: &ClientId) -> Result<FeedReader> {
        let bounds = self.0.bounds;
        let mut open = self.lock();
        let of_client = open.clients.get(client).map_or(0, |of_client| of_client.streams);
        if open.all >= bounds.max_streams || of_client >= bounds.max_streams_per_client {
            return Err(Error::TooManyStreams);
        }
        open.all += 1;
        let of_client = open.clients.entry(client.clone()).or_insert_with(|| {
            let has_to_end = watch::Sender::new(false);
            tokio::spawn(self.clone().keep_asking(client.clone(), has_to_end.subscribe()));
            OfClient { streams: 0, has_to_end }
        });
        of_client.streams += 1;
        let has_to_end = of_client.has_to_end.subscribe();
        Ok(FeedReader { readers: self.clone(), client: client.clone(), has_to_end })
    }

    /// Ends all streams of a client.
    pub(super) fn end(&self, client: &ClientId) {
        if let Some(of_client) = self.lock().clients.remove(client) {
            of_client.has_to_end.send_replace(true);
        }
    }

    /// Asks about a client for as long as it has streams.
    async fn keep_asking(self, client: ClientId, mut ended: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval_at(Instant::now() + ASK_EVERY, ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // Also when the last stream was closed, and with it the sender dropped.
                _ = ended.changed() => return,
                _ = ticks.tick() => {}
            }
            match self.may_follow(&client).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::info!(%client, "a client that may follow the revocation feed no more is cut off");
                    return self.end(&client);
                }
                // That it cannot be told is no verdict.
                Err(error) => {
                    tracing::debug!(error = %with_causes(&error), "it cannot be asked about a client of the feed");
                }
            }
        }
    }

    async fn may_follow(&self, client: &ClientId) -> StoreResult<bool> {
        let found = self.0.clients.find_client(client).await?;
        let Ok(needed) = REVOCATIONS_READ.parse::<Scopes>() else { return Ok(false) };
        Ok(found.is_some_and(|client| client.scopes.include(&needed)))
    }
}
