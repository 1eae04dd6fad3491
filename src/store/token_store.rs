//! The token store: what is short-lived and read on every request.

use async_trait::async_trait;

use super::cut_offs::CutOffStore;
use super::denylist::DenylistStore;
use super::error::StoreResult;
use super::reset_tokens::ResetTokenStore;
use super::sessions::SessionStore;

/// A side of the token store that can be there without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// What it holds can be read.
    Read,
    /// What it holds can be taken away and revoked: a full store still does that.
    Revoke,
    /// New things can be put in.
    Write,
}

/// Sessions, the denylist, reset tokens and cut-offs in one place. Whoever needs only one of them takes the
/// narrower trait.
#[async_trait]
pub trait TokenStore: SessionStore + DenylistStore + ResetTokenStore + CutOffStore {
    /// Does what that side of the store is there for, on something that nobody needs.
    async fn probe(&self, side: Probe) -> StoreResult<()>;

    /// Whether the store answers, with data that can be relied on.
    async fn ping(&self) -> StoreResult<()>;
}
