//! Tokens that were found right before: the signature is what a check costs.

use std::array;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use crate::claims::AccessClaims;

const SHARDS: usize = 16;

/// What is known about a token whose signature, type, issuer and audience are right. Its times and
/// its revocation are checked on every use.
#[derive(Debug)]
pub(crate) struct KnownToken {
    pub(crate) claims: AccessClaims,
    pub(crate) kid: String,
}

/// SHA-256 of a whole token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(crate) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

/// A bounded number of known tokens. Only right tokens get in, so nobody without a key can push
/// others out.
pub(crate) struct TokenCache {
    shards: [Mutex<Generations>; SHARDS],
    per_generation: usize,
}

/// Two halves: what was used lately, and what was used before that. When the first is full it
/// becomes the second, and whatever is still in the second is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<Fingerprint, Arc<KnownToken>>,
    old: HashMap<Fingerprint, Arc<KnownToken>>,
}

impl TokenCache {
    /// A cache for at most about that many tokens; 0 keeps none.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { shards: array::from_fn(|_| Mutex::default()), per_generation: capacity.div_ceil(2 * SHARDS) }
    }

    pub(crate) fn find(&self, token: &Fingerprint) -> Option<Arc<KnownToken>> {
        self.with_shard(token, |shard| match shard.young.get(token) {
            Some(known) => Some(known.clone()),
            None => {
                let known = shard.old.remove(token)?;
                shard.insert(*token, known.clone(), self.per_generation);
                Some(known)
            }
        })
    }

    pub(crate) fn insert(&self, token: Fingerprint, known: Arc<KnownToken>) {
        if self.per_generation > 0 {
            self.with_shard(&token, |shard| shard.insert(token, known, self.per_generation));
        }
    }

    pub(crate) fn remove(&self, token: &Fingerprint) {
        self.with_shard(token, |shard| {
            shard.young.remove(token);
            shard.old.remove(token);
        });
    }

    fn with_shard<T>(&self, token: &Fingerprint, act: impl FnOnce(&mut Generations) -> T) -> T {
        let shard = &self.shards[usize::from(token.0[0]) % SHARDS];
        act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn insert(&mut self, token: Fingerprint, known: Arc<KnownToken>, most: usize) {
        if self.young.len() >= most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, known);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known() -> Arc<KnownToken> {
        let claims = serde_json::from_value(json!({
            "iss": "i", "aud": "a", "sub": "42", "exp": 2, "iat": 1, "inc": 1, "client_id": "c", "roles": [],
            "jti": "00000000-0000-4000-8000-000000000001",
        }));
        Arc::new(KnownToken { claims: claims.expect("claims"), kid: "k".to_owned() })
    }

    fn held(cache: &TokenCache) -> usize {
        cache
            .shards
            .iter()
            .map(|shard| shard.lock().expect("a lock"))
            .map(|s| s.young.len() + s.old.len())
            .sum()
    }

    #[test]
    fn what_was_put_in_is_found_until_it_is_taken_out() {
        let cache = TokenCache::new(100);
        let (one, other) = (Fingerprint::of("one"), Fingerprint::of("other"));
        cache.insert(one, known());
        assert!(cache.find(&one).is_some());
        assert!(cache.find(&other).is_none());
        cache.remove(&one);
        assert!(cache.find(&one).is_none());
    }

    #[test]
    fn it_never_holds_more_than_about_its_capacity() {
        let cache = TokenCache::new(320);
        for number in 0..10_000 {
            cache.insert(Fingerprint::of(&number.to_string()), known());
        }
        assert!(held(&cache) <= 320, "{}", held(&cache));
        assert!(held(&cache) > 160);
    }

    #[test]
    fn what_is_used_stays_while_others_pass_through() {
        let cache = TokenCache::new(320);
        let used = Fingerprint::of("used");
        cache.insert(used, known());
        for number in 0..10_000 {
            cache.insert(Fingerprint::of(&number.to_string()), known());
            assert!(cache.find(&used).is_some(), "{number}");
        }
    }

    #[test]
    fn a_cache_for_none_keeps_none() {
        let cache = TokenCache::new(0);
        cache.insert(Fingerprint::of("one"), known());
        assert_eq!(held(&cache), 0);
    }
}
