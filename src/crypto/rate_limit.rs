//! What buckets, accounts and places are known by in a store: keyed hashes of what they stand for.
//!
//! There are few enough IPv4 addresses to hash them all, so a hash without a key would hide none.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;

use super::secret::Keys;
use crate::domain::email::Email;
use crate::domain::place::Place;
use crate::domain::random::Random;
use crate::domain::rate_limit::{AccountMark, Bucket, BucketId, PlaceMark, Rate};

const KEY_BYTES: usize = 32;

/// What the marks are keyed by: a value that all replicas share, and that outlives every server secret.
/// Cheap to clone.
#[derive(Clone)]
pub struct MarkKey(Arc<hmac::Key>);

impl MarkKey {
    /// Out of the bytes that [`Self::make`] or [`Self::of_before`] gave; `None` for a wrong number of them.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == KEY_BYTES).then(|| Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, bytes))))
    }

    /// The bytes of a new one, that nobody has had before.
    pub fn make(random: &dyn Random) -> [u8; KEY_BYTES] {
        let mut bytes = [0; KEY_BYTES];
        random.fill(&mut bytes);
        bytes
    }

    /// The bytes of the one that builds had which derived it from the secret: what they have counted and
    /// remembered is found by it.
    pub fn of_before(keys: &Keys) -> [u8; KEY_BYTES] {
        keys.limit_marks
    }
}

impl fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkKey(…)")
    }
}

/// For whom a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// For everybody who comes from a place.
    Place(Place),
    /// For an account, from wherever.
    Account(AccountMark),
    /// For an account, from one place.
    AccountAt(AccountMark, PlaceMark),
}

/// What the account of an address is known by.
pub fn account_mark(key: &MarkKey, email: &Email) -> AccountMark {
    AccountMark::new(hash(key, &[b"account", email.mailbox().as_bytes()]))
}

/// What a place is known by to an account.
pub fn place_mark(key: &MarkKey, account: AccountMark, place: Place) -> PlaceMark {
    PlaceMark::new(hash(key, &[b"place", account.as_bytes(), &place.to_bytes()]))
}

/// What stands in for a place to an account where an administrator acts for it, from wherever.
pub fn administrators_mark(key: &MarkKey, account: AccountMark) -> PlaceMark {
    PlaceMark::new(hash(key, &[b"administrator", account.as_bytes()]))
}

/// The bucket of a limit, known by its name, at that rate.
pub fn bucket(key: &MarkKey, limit: &str, rate: Rate, whose: Whose) -> Bucket {
    let (burst, period) = (rate.burst().to_be_bytes(), rate.period().as_secs().to_be_bytes());
    let limit: [&[u8]; 4] = [b"bucket", limit.as_bytes(), &burst, &period];
    let place;
    let whose: [&[u8]; 3] = match &whose {
        Whose::Place(at) => {
            place = at.to_bytes();
            [b"place", &place, &[]]
        }
        Whose::Account(account) => [b"account", account.as_bytes(), &[]],
        Whose::AccountAt(account, place) => [b"account at", account.as_bytes(), place.as_bytes()],
    };
    Bucket { id: BucketId::new(hash(key, &[limit.as_slice(), &whose].concat())), rate }
}

/// The first half of an HMAC over parts that are told apart by their lengths.
fn hash(key: &MarkKey, parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = hmac::Context::with_key(&key.0);
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&mac.sign().as_ref()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn key(byte: u8) -> MarkKey {
        MarkKey::new(&[byte; 32]).expect("32 bytes")
    }

    fn place(address: &str) -> Place {
        Place::of(address.parse().ok())
    }

    #[test]
    fn every_difference_makes_another_bucket() {
        let key = key(1);
        let rate = |burst, seconds| Rate::new(burst, Duration::from_secs(seconds)).expect("a rate");
        let [ada, eve] = ["ada@example.com", "eve@example.com"]
            .map(|email| account_mark(&key, &Email::parse(email).expect("an address")));
        let [home, office] = ["192.0.2.1", "192.0.2.2"].map(place);
        let at = |account, place| Whose::AccountAt(account, place_mark(&key, account, place));
        let mut seen = BTreeSet::new();
        for limit in ["login.per_ip", "login.per_account"] {
            for rate in [rate(60, 900), rate(61, 900), rate(60, 901)] {
                for whose in [
                    Whose::Place(home),
                    Whose::Place(office),
                    Whose::Place(Place::Unknown),
                    Whose::Account(ada),
                    Whose::Account(eve),
                    at(ada, home),
                    at(ada, office),
                    at(eve, home),
                ] {
                    assert!(seen.insert(bucket(&key, limit, rate, whose).id), "{limit} {rate:?} {whose:?}");
                }
            }
        }
    }

    #[test]
    fn a_place_looks_different_to_each_account() {
        let key = key(1);
        let mark = |email| {
            let account = account_mark(&key, &Email::parse(email).expect("an address"));
            place_mark(&key, account, place("192.0.2.1"))
        };
        assert_eq!(mark("ada@example.com"), mark("Ada@Example.com"));
        assert_ne!(mark("ada@example.com"), mark("eve@example.com"));
    }

    #[test]
    fn an_administrator_is_at_no_place_of_the_account() {
        let key = key(1);
        let [ada, eve] = ["ada@example.com", "eve@example.com"]
            .map(|email| account_mark(&key, &Email::parse(email).expect("an address")));
        for place in [Place::Unknown, place("192.0.2.1")] {
            assert_ne!(administrators_mark(&key, ada), place_mark(&key, ada, place));
        }
        assert_ne!(administrators_mark(&key, ada), administrators_mark(&key, eve));
    }

    #[test]
    fn another_key_hides_the_same_address_in_another_way() {
        let email = Email::parse("ada@example.com").expect("an address");
        assert_ne!(account_mark(&key(1), &email), account_mark(&key(2), &email));
    }

    /// Builds before kept their limits and places by a key that they derived from the secret.
    #[test]
    fn marks_of_before_are_found_again() {
        let keys = crate::crypto::secret::DerivedKeys::derive(&[1; 32]).expect("long enough");
        let key = MarkKey::new(&MarkKey::of_before(&keys)).expect("32 bytes");
        let mark = account_mark(&key, &Email::parse("ada@example.com").expect("an address"));
        assert_eq!(mark.to_string(), "93ddef857173ffd3531296472d5d8677");
        assert!(MarkKey::new(&[1; 31]).is_none() && MarkKey::new(&[]).is_none());
    }
}
