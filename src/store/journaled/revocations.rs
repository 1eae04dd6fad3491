//! The feed of a store that is kept whole.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::found::Scope;
use super::shared::{NotVouched, TRIES};
use super::store::JournaledTokenStore;
use crate::domain::ids::KeyId;
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::revocations::{
    BackendReader, FeedBatch, ReaderRole, RevocationReader, RevocationStore, Standing,
};
use crate::store::vouching::{BackendError, Vouched};

#[async_trait]
impl RevocationStore for JournaledTokenStore {
    fn reader(&self, role: ReaderRole) -> Box<dyn RevocationReader> {
        Box::new(Reader::new(self.clone(), role))
    }

    async fn announce_key(&self, key: &KeyId, remembered: Duration) -> StoreResult<()> {
        let announce =
            |by: Arc<Vouched>| async move { self.0.backend.announce_key(&by, key, remembered).await };
        self.on_vouched(Partition::EVERYBODY, announce).await?;
        self.0.quiet().await;
        Ok(())
    }
}

/// Reads only what is vouched for.
/// (model: ReadsWhatIsVouchedFor)
struct Reader {
    store: JournaledTokenStore,
    inner: Box<dyn BackendReader>,
    /// For how long a mirror answers, until that is noted where every replica finds it.
    unnoted: Option<Duration>,
}

impl Reader {
    fn new(store: JournaledTokenStore, role: ReaderRole) -> Self {
        let unnoted = match role {
            ReaderRole::Observer => None,
            ReaderRole::Mirror { max_staleness, .. } => Some(max_staleness),
        };
        let inner = store.0.backend.reader(role);
        Self { store, inner, unnoted }
    }

    /// Before others can have to wait for this copy.
    async fn note_staleness(&mut self) -> StoreResult<()> {
        if let Some(staleness) = self.unnoted {
            self.store.0.journal.note_mirror_staleness(staleness).await?;
            self.unnoted = None;
        }
        Ok(())
    }
}

#[async_trait]
impl RevocationReader for Reader {
    async fn read(&mut self, wait: Duration) -> StoreResult<FeedBatch> {
        self.note_staleness().await?;
        for _ in 0..TRIES {
            let by = self.store.0.vouched(Scope::All).await?;
            match self.inner.read(&by, wait).await {
                Ok(batch) => return Ok(batch),
                Err(BackendError::Store(error)) => return Err(error),
                Err(BackendError::Unvouched) => self.store.0.look_again(&by).await?,
            }
        }
        Err(NotVouched.error())
    }

    async fn confirm(&mut self) -> StoreResult<Standing> {
        let by = self.store.0.vouched(Scope::All).await?;
        // Not once more: what stands there now was not read.
        match self.inner.confirm(&by).await {
            Ok(standing) => Ok(standing),
            Err(BackendError::Store(error)) => Err(error),
            Err(BackendError::Unvouched) => {
                self.store.0.look_again(&by).await?;
                Err(NotVouched.error())
            }
        }
    }

    async fn step_back(&mut self) -> StoreResult<()> {
        self.inner.step_back().await
    }
}
