//! The token store as the service knows it: a backend that the revocation journal keeps whole.
//!
//! Every revocation is written into the journal, in SQL, before it is acknowledged, and moves a mark on
//! in the store when it is carried out. A store that went back in time (a snapshot was restored, a
//! replica that lags was promoted) is told by its mark, by the server that it was vouched for on, or by
//! being empty. Nothing is answered by such data until what it has forgotten was carried out again; a
//! store without data begins another incarnation, in which nothing of before counts.
//!
//! A noun has a file: `sessions`, `denylist`, `reset_tokens`, `cut_offs`, `revocations`. What they have in common
//! is in `store` and `revoke`; what keeps the store whole is in `look`, `watch`, `replay` and `again`, and decided
//! in `decision`. What was found whole so far is in `found`.

mod again;
mod anew;
mod carry_out;
mod cut_offs;
mod decision;
mod denylist;
mod evictions;
mod found;
mod look;
mod owed;
mod passing_on;
mod repeated;
mod replay;
mod reset_tokens;
mod revocations;
mod revoke;
mod sessions;
mod shared;
mod store;
mod watch;

use async_trait::async_trait;

use crate::store::error::StoreResult;
use crate::store::token_store::{Probe, TokenStore};

pub use self::shared::Spans;
pub use self::store::{JournaledTokenStore, PRUNED_AT_ONCE, Parts, Pruned};

#[async_trait]
impl TokenStore for JournaledTokenStore {
    async fn probe(&self, side: Probe) -> StoreResult<()> {
        self.0.backend.probe(side).await
    }

    async fn ping(&self) -> StoreResult<()> {
        self.0.backend.ping().await?;
        self.0.stands_anywhere().await
    }
}
