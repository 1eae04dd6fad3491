//! What the copy of a denylist costs.

use hallpass_verify::{Denylist, Revocation, RevocationTarget};
use uuid::Uuid;

/// Bytes a revoked session or token may take, all told.
const MOST: u64 = 64;

/// A list of that many revocations, half of them of sessions and half of tokens.
fn list(entries: u128) -> Denylist {
    (0..entries)
        .map(|number| {
            // Spread as random ids are.
            let id = Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            let target =
                if number % 2 == 0 { RevocationTarget::Session(id) } else { RevocationTarget::Token(id) };
            Revocation { target, exp: 2_000_000_900 }
        })
        .collect()
}

#[test]
fn an_entry_takes_no_more_than_64_bytes_however_many_there_are() {
    // Hash tables are emptiest just after they have grown: several sizes within a doubling.
    for entries in [50_000, 58_000, 60_000, 70_000, 80_000, 100_000] {
        let mut kept = None;
        let usage = allocation_counter::measure(|| kept = Some(list(entries)));
        let entries = u64::try_from(entries).expect("a small number");
        let bytes = u64::try_from(usage.bytes_current).expect("more than nothing");
        assert!(bytes / entries <= MOST, "{} bytes for each of {entries}", bytes / entries);
        let peak = usage.bytes_max / entries;
        assert!(peak <= MOST, "{peak} bytes at the most, for each of {entries}");
        drop(kept);
    }
}

#[test]
fn what_is_forgotten_gives_its_memory_back() {
    let list = list(50_000);
    let usage = allocation_counter::measure(|| list.prune(2_000_000_900));
    assert!(list.is_empty());
    assert!(usage.bytes_current < -1_000_000, "{}", usage.bytes_current);
}

/// The hot path of every request.
#[test]
fn looking_for_a_token_allocates_nothing() {
    let list = list(1_000);
    let claims = serde_json::from_value(serde_json::json!({
        "iss": "i", "aud": "a", "sub": "42", "exp": 2, "iat": 1, "sv": 1, "inc": 1, "client_id": "c", "roles": [],
        "jti": Uuid::from_u128(1), "sid": Uuid::from_u128(2),
    }))
    .expect("claims");
    let usage = allocation_counter::measure(|| assert!(!list.is_revoked(&claims, "k")));
    assert_eq!(usage.count_total, 0);
}
