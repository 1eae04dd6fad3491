//! A token store that cannot be reached.

use std::error::Error;
use std::sync::Arc;

use super::error::StoreError;

/// Stands in for a token store that another process has: every call says so. What it should have
/// ended stands in the journal then, and the process that has the store carries it out.
#[derive(Clone, Debug)]
pub struct UnreachableTokenStore {
    reason: Arc<dyn Error + Send + Sync>,
}

impl UnreachableTokenStore {
    /// A store that cannot be reached for `reason`.
    pub fn new(reason: Box<dyn Error + Send + Sync>) -> Self {
        Self { reason: reason.into() }
    }

    pub(super) fn unavailable(&self) -> StoreError {
        StoreError::Unavailable { store: "token store", source: self.reason.clone().into() }
    }
}

/// Declares a trait of the engines, each method of which [`UnreachableTokenStore`] answers with its error: a
/// method is written down once.
macro_rules! engine_trait {
    (
        $(#[$of_trait:meta])*
        pub trait $name:ident {
            $(
                $(#[$of_method:meta])*
                async fn $method:ident(&self $(, $argument:ident: $type:ty)* $(,)?) -> $answer:ty;
            )*
        }
    ) => {
        $(#[$of_trait])*
        #[async_trait::async_trait]
        pub trait $name: Send + Sync + 'static {
            $(
                $(#[$of_method])*
                async fn $method(&self $(, $argument: $type)*) -> $answer;
            )*
        }

        #[async_trait::async_trait]
        impl $name for $crate::store::unreachable::UnreachableTokenStore {
            $(
                async fn $method(&self $(, _: $type)*) -> $answer {
                    Err(self.unavailable().into())
                }
            )*
        }
    };
}

pub(super) use engine_trait;
