//! Carrying out once more all that matters, since the token store may have ended it too early.

use super::look::end_lease;
use super::replay::Replay;
use super::shared::{LEASE, NotVouched, Shared, Watch};
use crate::domain::journal::VouchingId;
use crate::store::error::StoreResult;
use crate::store::examination::{Examination, View};

impl Shared {
    /// The store's clock was set ahead, and may have ended too early what it was to remember: all that
    /// still matters is carried out once more, and lives a whole access token's lifetime from now on. What was
    /// vouched for on this server is so anew, so that whoever follows the feed begins anew; what was not
    /// may have gone back as well, which is decided as ever. Answers whether it did: not while another replica
    /// makes the store whole.
    /// (model: StoresClockDecides, ReplayBeforeVouching, SealIsTheServer)
    pub(super) async fn revoke_again(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        view: &View,
    ) -> StoreResult<bool> {
        if !examination.lease(watch.holder, LEASE).await? {
            return Ok(false);
        }
        tracing::warn!(
            "the token store's clock was set ahead: what it may have forgotten too early is revoked again"
        );
        let revoked = self.revoke_again_alone(watch, examination, view).await;
        end_lease(watch, examination, revoked).await.map(|()| true)
    }

    async fn revoke_again_alone(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        view: &View,
    ) -> StoreResult<()> {
        let (mut replays, mut whole) = (Vec::new(), Vec::new());
        for head in self.journal.journal_heads().await? {
            let state = view.states.get(head.partition.index()).and_then(Option::as_ref);
            let Some(state) = state.filter(|state| state.vouching != VouchingId::NONE) else { continue };
            replays.push(Replay::of_all(head.partition, state.mark, head.newest));
            if view.server(head.partition).is_some_and(|server| **server == *state.seal) {
                whole.push((head.partition, state.clone()));
            }
        }
        if !self.carry_out_again(watch, examination, replays).await?.is_empty() {
            return Err(NotVouched.error());
        }
        examination.seal(&whole, VouchingId::generate(&*self.random)).await
    }
}
