//! The ring as it is at one moment, and what others work out from it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hallpass_verify::KeySet;
use jsonwebtoken::jwk::JwkSet;

use super::{KeyRing, KeyRingError};
use crate::crypto::keys::SigningKey;
use crate::domain::clock::Timestamp;
use crate::domain::ids::KeyId;
use crate::domain::signing_key::{KeyState, RingKey};

/// The ring as it is at one moment. It never changes: another generation takes its place.
#[derive(Debug)]
pub struct Generation {
    signing: SigningKey,
    jwks: JwkSet,
    key_set: KeySet,
    revoked: KeySet,
    next_change: Option<Timestamp>,
    pub(super) ring: Vec<RingKey>,
    pub(super) opened: HashMap<KeyId, SigningKey>,
}

impl Generation {
    /// Out of the ring as it is stored, with its keys opened, revoked ones too. Those that are not in
    /// `opened` are left out.
    ///
    /// # Errors
    /// [`KeyRingError::NothingSigns`], [`KeyRingError::Publish`].
    pub(super) fn new(
        ring: Vec<RingKey>,
        opened: HashMap<KeyId, SigningKey>,
        next_change: Option<Timestamp>,
    ) -> Result<Self, KeyRingError> {
        let mut known: Vec<(&RingKey, &SigningKey)> = ring
            .iter()
            .filter(|key| key.state.is_trusted())
            .filter_map(|key| Some((key, opened.get(&key.key.id)?)))
            .collect();
        // Whoever takes the first key of the set gets the one that signs.
        known.sort_by_key(|(key, _)| !matches!(key.state, KeyState::Active { .. }));
        let signing = match known.first() {
            Some((RingKey { state: KeyState::Active { .. }, .. }, signing)) => (*signing).clone(),
            _ => return Err(KeyRingError::NothingSigns),
        };
        let public = |key: &SigningKey| key.public().clone();
        let published = known.iter().filter(|(key, _)| key.state.is_published());
        let jwks = JwkSet { keys: published.map(|(_, key)| public(key)).collect() };
        let all = JwkSet { keys: known.iter().map(|(_, key)| public(key)).collect() };
        let key_set = KeySet::from_jwk_set(&all)?;
        let revoked = ring.iter().filter(|key| matches!(key.state, KeyState::Revoked { .. }));
        let revoked = revoked.filter_map(|key| opened.get(&key.key.id)).map(public).collect();
        let revoked = KeySet::from_jwk_set(&JwkSet { keys: revoked })?;
        Ok(Self { signing, jwks, key_set, revoked, next_change, ring, opened })
    }

    /// A ring of one key that never changes.
    ///
    /// # Errors
    /// [`KeyRingError::Publish`].
    pub(super) fn fixed(signing: SigningKey) -> Result<Self, KeyRingError> {
        let jwks = JwkSet { keys: vec![signing.public().clone()] };
        let key_set = KeySet::from_jwk_set(&jwks)?;
        let revoked = KeySet::from_jwk_set(&JwkSet { keys: Vec::new() })?;
        let (ring, opened) = (Vec::new(), HashMap::new());
        Ok(Self { signing, jwks, key_set, revoked, next_change: None, ring, opened })
    }

    /// The key that signs.
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// The public keys for everybody (RFC 7517 5), the one that signs before the others.
    pub fn jwks(&self) -> &JwkSet {
        &self.jwks
    }

    /// The public keys that this service itself takes: the published ones, and those by which it still
    /// knows expired tokens.
    pub fn key_set(&self) -> &KeySet {
        &self.key_set
    }

    /// The public keys of those that were revoked. Nothing that they have signed counts; it is only told
    /// from what nobody here has ever signed.
    pub fn revoked_keys(&self) -> &KeySet {
        &self.revoked
    }

    /// By state, when the oldest key was made that is in it.
    pub fn oldest_by_state(&self) -> BTreeMap<&'static str, Timestamp> {
        let mut oldest = BTreeMap::new();
        for RingKey { key, state } in &self.ring {
            let made = oldest.entry(state.as_str()).or_insert(key.created_at);
            *made = key.created_at.min(*made);
        }
        oldest
    }

    /// When the published keys change next, as far as that is planned. It can be overdue.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.next_change
    }
}

/// Something that is worked out from the ring, once for each of its generations.
pub struct PerGeneration<T> {
    ring: Arc<KeyRing>,
    work_out: Box<dyn Fn(&Generation) -> T + Send + Sync>,
    latest: ArcSwap<(Arc<Generation>, Arc<T>)>,
}

impl<T> PerGeneration<T> {
    /// Worked out by `work_out`, now and whenever the ring has changed.
    pub fn new(ring: Arc<KeyRing>, work_out: impl Fn(&Generation) -> T + Send + Sync + 'static) -> Self {
        let generation = ring.current();
        let latest = ArcSwap::from_pointee((generation.clone(), Arc::new(work_out(&generation))));
        Self { ring, work_out: Box::new(work_out), latest }
    }

    /// That of the ring as it is now.
    pub fn get(&self) -> Arc<T> {
        let generation = self.ring.current();
        let latest = self.latest.load();
        if Arc::ptr_eq(&latest.0, &generation) {
            return latest.1.clone();
        }
        // Two who come here at once both work it out, and either result is right.
        let value = Arc::new((self.work_out)(&generation));
        self.latest.store(Arc::new((generation, value.clone())));
        value
    }
}
