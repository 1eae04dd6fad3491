//! Reset tokens: each is good for one change of a password.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreResult;
use super::unreachable::engine_trait;
use super::vouching::{BackendResult, Vouched};
use crate::domain::clock::Timestamp;
use crate::domain::rate_limit::PlaceMark;
use crate::domain::tokens::ResetClaims;
use crate::domain::user::SecurityVersion;

/// What a reset token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetGrant {
    /// The version of the account that it was issued under: it changes the password of that one.
    pub version: SecurityVersion,
    /// When it ends.
    pub deadline: Timestamp,
    /// Where it was asked for.
    pub place: PlaceMark,
}

/// Where a reset token is asked for. An account has one for each place, its newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetPlace {
    /// The place.
    pub mark: PlaceMark,
    /// How many places may have a token of the account at once for this one to get its first.
    pub room: u32,
}

/// What came of a reset token that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetInsertion {
    /// It is kept, unless a security event came between, which has voided it.
    Kept,
    /// As many places as there is room for have tokens that are live: nothing was changed.
    Full,
}

/// Reset tokens. Each method is atomic under any interleaving.
#[async_trait]
pub trait ResetTokenStore: Send + Sync + 'static {
    /// Keeps a reset token of that version of the account for `ttl`. An earlier one of the user that was
    /// asked for at the same place is void from then on; those of other places are not touched.
    async fn insert_reset_token(
        &self,
        token: &ResetClaims,
        place: ResetPlace,
        version: SecurityVersion,
        ttl: Duration,
    ) -> StoreResult<ResetInsertion>;

    /// The grant of a reset token, if it is the newest of its place and unused. Consumes nothing.
    async fn find_reset_token(&self, token: &ResetClaims) -> StoreResult<Option<ResetGrant>>;

    /// Consumes a reset token, and voids all others of the user. Of several concurrent calls exactly one
    /// gets the grant.
    async fn take_reset_token(&self, token: &ResetClaims) -> StoreResult<Option<ResetGrant>>;

    /// Puts back a reset token that was taken for a change which then could not be made, unless
    /// a newer one of its place stands there. Tokens of other places do not keep it out.
    async fn restore_reset_token(&self, token: &ResetClaims, grant: ResetGrant) -> StoreResult<()>;
}

engine_trait! {
    /// Reset tokens in one engine. Each operation is atomic under any interleaving.
    pub trait ResetTokenBackend {
        /// As [`ResetTokenStore::insert_reset_token`].
        async fn insert_reset_token(
            &self,
            by: &Vouched,
            token: &ResetClaims,
            place: ResetPlace,
            version: SecurityVersion,
            ttl: Duration,
        ) -> BackendResult<ResetInsertion>;

        /// As [`ResetTokenStore::find_reset_token`].
        async fn find_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>>;

        /// As [`ResetTokenStore::take_reset_token`].
        async fn take_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>>;

        /// As [`ResetTokenStore::restore_reset_token`].
        async fn restore_reset_token(
            &self,
            by: &Vouched,
            token: &ResetClaims,
            grant: ResetGrant,
        ) -> BackendResult<()>;
    }
}
