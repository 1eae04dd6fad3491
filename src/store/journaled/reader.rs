//! Following the feed of a store that is kept whole.

use std::time::Duration;

use async_trait::async_trait;

use super::{JournaledTokenStore, TRIES};
use crate::store::error::StoreResult;
use crate::store::revocations::{BackendReader, FeedBatch, ReaderRole, RevocationReader, Standing};
use crate::store::vouching::BackendError;

use super::look::NotVouched;

/// Reads only what is vouched for.
/// (model: ReadsWhatIsVouchedFor)
pub(super) struct Reader {
    store: JournaledTokenStore,
    inner: Box<dyn BackendReader>,
    /// For how long a mirror answers, until that is noted where every replica finds it.
    unnoted: Option<Duration>,
}

impl Reader {
    pub(super) fn new(store: JournaledTokenStore, role: ReaderRole) -> Self {
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
            let by = self.store.0.vouched().await?;
            match self.inner.read(&by, wait).await {
                Ok(batch) => return Ok(batch),
                Err(BackendError::Store(error)) => return Err(error),
                Err(BackendError::Unvouched) => self.store.0.doubt(&by),
            }
        }
        Err(NotVouched.error())
    }

    async fn confirm(&mut self) -> StoreResult<Standing> {
        let by = self.store.0.vouched().await?;
        // Not once more: what stands there now was not read.
        match self.inner.confirm(&by).await {
            Ok(standing) => Ok(standing),
            Err(BackendError::Store(error)) => Err(error),
            Err(BackendError::Unvouched) => {
                self.store.0.doubt(&by);
                Err(NotVouched.error())
            }
        }
    }

    async fn step_back(&mut self) -> StoreResult<()> {
        self.inner.step_back().await
    }
}
