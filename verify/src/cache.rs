//! Tokens that were found right before: the signature is what a check costs.

use std::array;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};

use crate::claims::AccessClaims;
use crate::rejection::Rejection;
use crate::verifier::{TOKEN_MAX_BYTES, Verifier};

const SHARDS: usize = 16;

/// What is known about a token whose signature, type, issuer and audience are right. Its times and
/// its revocation are checked on every use.
#[derive(Debug)]
pub struct KnownToken {
    /// What it claims.
    pub claims: AccessClaims,
    /// The id of the key that signed it.
    pub kid: String,
}

/// A [`Verifier`] that remembers the tokens that it found right, a bounded number of them. Other keys are for
/// another one, which remembers none: what a key that was taken back has signed is forgotten with it.
///
/// Whether a token was revoked is neither known nor remembered here.
pub struct CachedVerifier {
    verifier: Verifier,
    cache: TokenCache,
}

impl CachedVerifier {
    /// Remembers at most about so many tokens; 0 remembers none.
    pub fn new(verifier: Verifier, capacity: usize) -> Self {
        Self { verifier, cache: TokenCache::new(capacity) }
    }

    /// The rules that it goes by.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Checks a token at `now`: its signature and claims, unless they were found right before, and its times.
    ///
    /// # Errors
    /// As [`Verifier::verify`]; nothing is remembered of a token that is refused.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Arc<KnownToken>, Rejection> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(Rejection::TooLong);
        }
        let fingerprint = Fingerprint::of(token);
        if let Some(known) = self.cache.find(&fingerprint) {
            return match self.verifier.check_times(&known.claims, now) {
                Ok(()) => Ok(known),
                Err(rejection) => {
                    self.cache.remove(&fingerprint);
                    Err(rejection)
                }
            };
        }
        let verified = self.verifier.verify_keyed(token, now)?;
        let known = Arc::new(KnownToken { kid: verified.kid.to_owned(), claims: verified.claims });
        self.cache.insert(fingerprint, known.clone());
        Ok(known)
    }
}

impl fmt::Debug for CachedVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedVerifier").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// SHA-256 of a whole token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Fingerprint([u8; 32]);

impl Fingerprint {
    fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

/// A bounded number of known tokens. Only right tokens get in, so nobody without a key can push
/// others out.
struct TokenCache {
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
    fn new(capacity: usize) -> Self {
        Self { shards: array::from_fn(|_| Mutex::default()), per_generation: capacity.div_ceil(2 * SHARDS) }
    }

    fn find(&self, token: &Fingerprint) -> Option<Arc<KnownToken>> {
        self.with_shard(token, |shard| match shard.young.get(token) {
            Some(known) => Some(known.clone()),
            None => {
                let known = shard.old.remove(token)?;
                shard.insert(*token, known.clone(), self.per_generation);
                Some(known)
            }
        })
    }

    fn insert(&self, token: Fingerprint, known: Arc<KnownToken>) {
        if self.per_generation > 0 {
            self.with_shard(&token, |shard| shard.insert(token, known, self.per_generation));
        }
    }

    fn remove(&self, token: &Fingerprint) {
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
