//! The access token that was renewed while a request was served.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::tokens::AccessToken;

/// A new access token that the answer must carry; the root puts it into `X-Access-Token`. Clones share
/// it.
#[derive(Clone, Default)]
pub(crate) struct RenewedToken(Arc<Mutex<Option<AccessToken>>>);

impl RenewedToken {
    /// The caller was given this token, since the presented one had expired.
    pub(super) fn record(&self, token: &AccessToken) {
        *self.slot() = Some(token.clone());
    }

    /// The token, if there is one.
    pub(crate) fn get(&self) -> Option<AccessToken> {
        self.slot().clone()
    }

    /// The operation has ended the session of the renewed token, if there is one: the answer must
    /// carry this one instead.
    pub(crate) fn supersede(&self, token: &AccessToken) {
        if let Some(renewed) = self.slot().as_mut() {
            *renewed = token.clone();
        }
    }

    /// The operation has ended the session of the renewed token: the answer carries none.
    pub(crate) fn withdraw(&self) {
        *self.slot() = None;
    }

    fn slot(&self) -> MutexGuard<'_, Option<AccessToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
