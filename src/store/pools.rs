//! Connections that a store shares out among those who need one.

use crate::metrics::PoolUse;

use super::unreachable::UnreachableTokenStore;

/// A store with connections that are shared out.
pub trait Pooled: Send + Sync + 'static {
    /// How they are used just now; nothing where one connection carries all calls.
    fn pools(&self) -> Vec<PoolUse>;
}

impl Pooled for UnreachableTokenStore {
    fn pools(&self) -> Vec<PoolUse> {
        Vec::new()
    }
}
