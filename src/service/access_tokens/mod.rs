//! Access tokens: minting them, checking them, and knowing the caller by one.

mod authentication;
mod checking;
mod claims;
mod judged;
mod known_revocations;
mod minting;
mod refresh_verdict;

use std::sync::Arc;

use hallpass_verify::{AccessTokenCheck, CachedVerifier, Verifier};

pub(super) use self::claims::{incarnation_of, session_of};
pub use self::judged::{Judged, Look, OpenQuestion};
use self::known_revocations::KnownRevocations;
pub(super) use self::refresh_verdict::refresh_verdict;
use super::clock_watch::ClockWatch;
use super::key_ring::{KeyRing, PerGeneration};
use super::profiles::Profiles;
use super::revocations::Revocations;
use super::trail::AuditTrail;
use crate::config::{RoleScopes, TokenSettings};
use crate::crypto::secret::DerivedKeys;
use crate::domain::clock::Clock;
use crate::domain::mapped_claims::MappedClaims;
use crate::domain::random::Random;
use crate::store::clients::ClientStore;
use crate::store::{TokenStore, UserStore};

pub use crate::domain::client::FIRST_PARTY_CLIENT_ID;

/// How many tokens are remembered at most whose signature was right: each takes about a KiB.
const KNOWN_TOKENS: usize = 16_384;

/// Minting and checking access tokens. Cheap to clone.
#[derive(Clone)]
pub struct AccessTokens {
    parts: Parts,
    /// One for each generation of the ring, with its keys.
    checks: Arc<PerGeneration<Checks>>,
    /// The same with the keys that were revoked.
    of_revoked_keys: Arc<PerGeneration<Verifier>>,
}

/// What tokens are checked by while the ring is as it is.
struct Checks {
    /// Remembers what was found right, and forgets it with the generation: a token whose key was taken back is
    /// looked at anew.
    tokens: CachedVerifier,
    /// Asked on every use, also of a token that is remembered.
    revocations: AccessTokenCheck<KnownRevocations>,
}

/// What minting and checking takes.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) profiles: Profiles,
    pub(super) clients: Arc<dyn ClientStore>,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) clocks: ClockWatch,
    pub(super) random: Arc<dyn Random>,
    pub(super) secrets: DerivedKeys,
    pub(super) trail: AuditTrail,
    pub(super) key_ring: Arc<KeyRing>,
    pub(super) revocations: Revocations,
    /// Claim `iss`: the service's public URL, exactly.
    pub(super) issuer: String,
    /// Claim `aud`.
    pub(super) audience: String,
    pub(super) settings: TokenSettings,
    /// Claim `scope` of people's tokens, by their roles.
    pub(super) role_scopes: RoleScopes,
    /// What tokens say besides.
    pub(super) claims: MappedClaims,
}

impl AccessTokens {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { key_ring, revocations, issuer, audience, settings, token_store, .. } = &parts;
        let verifier = Verifier::new(key_ring.current().key_set().clone(), issuer, audience)
            .with_token_type(settings.typ)
            .with_leeway(settings.lifetimes.leeway);
        let with_revoked_keys = verifier.clone();
        let of_revoked_keys = PerGeneration::new(key_ring.clone(), move |generation| {
            with_revoked_keys.clone().with_keys(generation.revoked_keys().clone())
        });
        let (copy, token_store) = (revocations.clone(), token_store.clone());
        let checks = PerGeneration::new(key_ring.clone(), move |generation| {
            let verifier = verifier.clone().with_keys(generation.key_set().clone());
            let source = KnownRevocations { copy: copy.clone(), token_store: token_store.clone() };
            let tokens = CachedVerifier::new(verifier.clone(), KNOWN_TOKENS);
            Checks { tokens, revocations: AccessTokenCheck::new(verifier, source) }
        });
        let of_revoked_keys = Arc::new(of_revoked_keys);
        Self { checks: Arc::new(checks), of_revoked_keys, parts }
    }
}
