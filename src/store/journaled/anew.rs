//! Beginning all of it anew, since both stores may have gone back and neither could tell.

use std::sync::Arc;

use super::shared::{NotVouched, Shared};
use super::store::JournaledTokenStore;
use crate::domain::clock::Clock as _;
use crate::store::error::StoreResult;

impl JournaledTokenStore {
    /// Begins another incarnation of every partition: whatever was opened or minted before counts for
    /// nothing any more, whoever has what of it.
    ///
    /// The database hears of it first. Cut off there, the next look at the token store does the rest: it is of an
    /// earlier incarnation than the database knows. Done twice, it has begun two incarnations.
    ///
    /// # Errors
    /// A store does not answer.
    pub async fn begin_anew(&self) -> StoreResult<()> {
        self.0.begin_anew().await
    }
}

impl Shared {
    /// The number is above all that the database, the token store and this process know, and not below the time
    /// (model: IncarnationsAreNew). A partition that another replica begins meanwhile is begun by that.
    async fn begin_anew(self: &Arc<Self>) -> StoreResult<()> {
        let view = self.backend.examine().await?.view().await?;
        if !view.is_complete() {
            // What nobody answers for may know a greater number.
            return Err(NotVouched.error());
        }
        let heads = self.journal.journal_heads().await?;
        let stored = view.states.iter().flatten().map(|state| state.incarnation);
        let known =
            heads.iter().map(|head| head.incarnation.max(self.found.known_incarnation(head.partition)));
        let greatest = known.chain(stored).max().unwrap_or_default();
        let number = greatest.saturating_add(1).max(self.keeper.now().as_millis());
        let partitions: Vec<_> = heads.iter().map(|head| (head.partition, head.incarnation)).collect();
        self.journal.begin_incarnation(&partitions, number).await?;
        // What was found whole is of an incarnation before.
        self.found.doubt_all();
        self.looked().await.map(drop)
    }
}
