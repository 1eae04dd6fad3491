//! What buckets, accounts and places are known by in a store: keyed hashes of what they stand for.
//!
//! There are few enough IPv4 addresses to hash them all, so a hash without a key would hide none.

use aws_lc_rs::hmac;

use super::secret::DerivedKeys;
use crate::domain::email::Email;
use crate::domain::place::Place;
use crate::domain::rate_limit::{AccountMark, Bucket, BucketId, PlaceMark, Rate};

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
pub fn account_mark(keys: &DerivedKeys, email: &Email) -> AccountMark {
    AccountMark::new(hash(keys, &[b"account", email.mailbox().as_bytes()]))
}

/// What a place is known by to an account.
pub fn place_mark(keys: &DerivedKeys, account: AccountMark, place: Place) -> PlaceMark {
    PlaceMark::new(hash(keys, &[b"place", account.as_bytes(), &place.to_bytes()]))
}

/// What stands in for a place to an account where an administrator acts for it, from wherever.
pub fn administrators_mark(keys: &DerivedKeys, account: AccountMark) -> PlaceMark {
    PlaceMark::new(hash(keys, &[b"administrator", account.as_bytes()]))
}

/// The bucket of a limit, known by its name, at that rate.
pub fn bucket(keys: &DerivedKeys, limit: &str, rate: Rate, whose: Whose) -> Bucket {
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
    Bucket { id: BucketId::new(hash(keys, &[limit.as_slice(), &whose].concat())), rate }
}

/// The first half of an HMAC over parts that are told apart by their lengths.
fn hash(keys: &DerivedKeys, parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = hmac::Context::with_key(&keys.rate_limit);
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

    fn keys(secret: u8) -> DerivedKeys {
        DerivedKeys::derive(&[secret; 32]).expect("long enough")
    }

    fn place(address: &str) -> Place {
        Place::of(address.parse().ok())
    }

    #[test]
    fn every_difference_makes_another_bucket() {
        let keys = keys(1);
        let rate = |burst, seconds| Rate::new(burst, Duration::from_secs(seconds)).expect("a rate");
        let [ada, eve] = ["ada@example.com", "eve@example.com"]
            .map(|email| account_mark(&keys, &Email::parse(email).expect("an address")));
        let [home, office] = ["192.0.2.1", "192.0.2.2"].map(place);
        let at = |account, place| Whose::AccountAt(account, place_mark(&keys, account, place));
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
                    assert!(seen.insert(bucket(&keys, limit, rate, whose).id), "{limit} {rate:?} {whose:?}");
                }
            }
        }
    }

    #[test]
    fn a_place_looks_different_to_each_account() {
        let keys = keys(1);
        let mark = |email| {
            let account = account_mark(&keys, &Email::parse(email).expect("an address"));
            place_mark(&keys, account, place("192.0.2.1"))
        };
        assert_eq!(mark("ada@example.com"), mark("Ada@Example.com"));
        assert_ne!(mark("ada@example.com"), mark("eve@example.com"));
    }

    #[test]
    fn an_administrator_is_at_no_place_of_the_account() {
        let keys = keys(1);
        let [ada, eve] = ["ada@example.com", "eve@example.com"]
            .map(|email| account_mark(&keys, &Email::parse(email).expect("an address")));
        for place in [Place::Unknown, place("192.0.2.1")] {
            assert_ne!(administrators_mark(&keys, ada), place_mark(&keys, ada, place));
        }
        assert_ne!(administrators_mark(&keys, ada), administrators_mark(&keys, eve));
    }

    #[test]
    fn another_secret_hides_the_same_address_in_another_way() {
        let email = Email::parse("ada@example.com").expect("an address");
        assert_ne!(account_mark(&keys(1), &email), account_mark(&keys(2), &email));
    }
}
