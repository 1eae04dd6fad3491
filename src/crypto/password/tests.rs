//! Our own hashes; those of other systems are in `kinds/vectors.rs`.

use super::*;

struct Fixed(u8);

impl Random for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

fn hasher(memory_kib: u32) -> PasswordHasher {
    let cost = Argon2Cost { memory_kib, iterations: 1, parallelism: 1 };
    PasswordHasher::new(cost, &Fixed(9)).expect("argon2 takes it")
}

/// Memory that no hash was computed in before.
fn fresh() -> HashMemory {
    HashMemory::default()
}

fn password(text: &str) -> Password {
    Password::parse(text).expect("short enough")
}

#[test]
fn a_hash_is_a_phc_string_that_knows_its_password() {
    let hasher = hasher(64);
    let new = NewPassword::exempt(password("żółw🐢"));
    let hash = hasher.hash(&new, &Fixed(1), &mut fresh()).expect("hashes");
    assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.expose());
    assert!(hasher.verify(&password("żółw🐢"), Some(&hash), &mut fresh()).expect("reads"));
    assert!(!hasher.verify(&password("żółw"), Some(&hash), &mut fresh()).expect("reads"));
}

#[test]
fn a_password_is_the_same_however_its_letters_are_sent() {
    let hasher = hasher(64);
    let (composed, decomposed) = ("m\u{f6}rderische Gr\u{fc}\u{df}e", "mo\u{308}rderische Gru\u{308}\u{df}e");
    let verify = |typed: &str, hash: &PasswordHash| {
        hasher.verify(&password(typed), Some(hash), &mut fresh()).expect("reads")
    };
    for chosen in [composed, decomposed] {
        let hash =
            hasher.hash(&NewPassword::exempt(password(chosen)), &Fixed(1), &mut fresh()).expect("hashes");
        assert!(verify(composed, &hash) && verify(decomposed, &hash), "{chosen:?}");
        assert!(!verify("morderische Grusse", &hash), "{chosen:?}");
    }
    // One that was brought along, or made before passwords were composed.
    let kept = hash(&hasher.argon2, decomposed.as_bytes(), &Fixed(1), &mut fresh()).expect("hashes");
    assert!(verify(decomposed, &kept));
    // What is no letter apart stays apart (NFKC would fold it).
    let wide =
        hasher.hash(&NewPassword::exempt(password("ｐａｓｓ")), &Fixed(1), &mut fresh()).expect("hashes");
    assert!(!verify("pass", &wide));
}

#[test]
fn an_unknown_account_costs_as_many_hashes_as_a_wrong_password() {
    let hasher = hasher(64);
    let hash = hasher.hash(&NewPassword::exempt(password("x")), &Fixed(1), &mut fresh()).expect("hashes");
    for (typed, hashes) in [("plain", 1), ("gr\u{fc}n", 1), ("gru\u{308}n", 2)] {
        for known in [Some(&hash), None] {
            let mut memory = fresh();
            assert!(!hasher.verify(&password(typed), known, &mut memory).expect("reads"));
            assert_eq!(memory.hashes, hashes, "{typed:?} {}", known.is_some());
        }
    }
}

#[test]
fn an_unknown_account_is_never_let_in_and_a_broken_hash_is_no_verdict() {
    let hasher = hasher(64);
    assert!(!hasher.verify(&password("anything"), None, &mut fresh()).expect("reads"));
    let without = PasswordHash::unusable();
    for tried in ["anything", "", PasswordHash::UNUSABLE] {
        assert!(!hasher.verify(&password(tried), Some(&without), &mut fresh()).expect("reads"), "{tried}");
    }
    let mut memory = fresh();
    hasher.verify(&password("anything"), Some(&without), &mut memory).expect("reads");
    assert!(memory.held_kib() >= 64, "the work of an unknown account");
    let broken = PasswordHash::from_phc("$argon2id$nonsense");
    assert!(hasher.verify(&password("anything"), Some(&broken), &mut fresh()).is_err());
}

#[test]
fn a_cheaper_hash_is_outdated_and_a_dearer_one_is_not() {
    let cheap =
        hasher(64).hash(&NewPassword::exempt(password("x")), &Fixed(1), &mut fresh()).expect("hashes");
    assert!(hasher(128).is_outdated(&cheap));
    assert!(!hasher(64).is_outdated(&cheap));
    assert!(!hasher(32).is_outdated(&cheap));
}

#[test]
fn a_hash_by_another_algorithm_or_version_is_outdated() {
    let hasher = hasher(64);
    let hash = hasher.hash(&NewPassword::exempt(password("x")), &Fixed(1), &mut fresh()).expect("hashes");
    for (ours, other) in [("$argon2id$", "$argon2i$"), ("$argon2id$", "$argon2d$"), ("v=19", "v=16")] {
        let other = PasswordHash::from_phc(hash.expose().replacen(ours, other, 1));
        assert!(hasher.is_outdated(&other), "{}", other.expose());
    }
    assert!(hasher.is_outdated(&PasswordHash::from_phc("$2b$12$nonsense")));
    assert!(hasher.is_outdated(&PasswordHash::from_phc("")));
}

#[test]
fn the_whole_password_counts_down_to_none_at_all() {
    let hasher = hasher(64);
    let long = "x".repeat(1024);
    let hash = hasher.hash(&NewPassword::exempt(password(&long)), &Fixed(1), &mut fresh()).expect("hashes");
    assert!(hasher.verify(&password(&long), Some(&hash), &mut fresh()).expect("reads"));
    for other in ["", &long[1..], "x"] {
        assert!(
            !hasher.verify(&password(other), Some(&hash), &mut fresh()).expect("reads"),
            "{}",
            other.len()
        );
    }
    assert!(!hasher.verify(&password(""), None, &mut fresh()).expect("reads"));
}

#[test]
fn what_an_earlier_hash_left_in_the_memory_changes_nothing() {
    let hasher = hasher(64);
    let mut memory = fresh();
    let chosen = NewPassword::exempt(password("x"));
    let first = hasher.hash(&chosen, &Fixed(1), &mut memory).expect("hashes");
    let other = NewPassword::exempt(password("another"));
    hasher.hash(&other, &Fixed(2), &mut memory).expect("hashes");
    assert_eq!(hasher.hash(&chosen, &Fixed(1), &mut memory).expect("hashes"), first);
}

#[test]
fn the_memory_of_our_own_hashes_is_kept_and_that_of_dearer_ones_is_not() {
    let hash =
        |kib| hasher(kib).hash(&NewPassword::exempt(password("x")), &Fixed(1), &mut fresh()).expect("hashes");
    let mut memory = fresh();
    let hasher = hasher(64);
    hasher.verify(&password("x"), Some(&hash(64)), &mut memory).expect("reads");
    assert_eq!(memory.held_kib(), 64);
    hasher.verify(&password("x"), Some(&hash(4096)), &mut memory).expect("reads");
    assert_eq!(memory.held_kib(), 0);
}

#[test]
fn own_hashes_may_cost_more_than_foreign_ones() {
    let cost = Argon2Cost { memory_kib: LEGACY_MEMORY_MAX_KIB + 8, iterations: 1, parallelism: 1 };
    assert!(ParsedHash::parse(&costing(cost), &bounds(cost)).is_ok());
    assert!(ParsedHash::parse(&costing(cost), &Bounds::default()).is_err());
    let cost = Argon2Cost { memory_kib: 1024, iterations: 4096 + 1, parallelism: 1 };
    assert!(ParsedHash::parse(&costing(cost), &bounds(cost)).is_ok());
    assert!(ParsedHash::parse(&costing(cost), &Bounds::default()).is_err());
}

/// A PHC string that claims this cost.
fn costing(Argon2Cost { memory_kib, iterations, parallelism }: Argon2Cost) -> String {
    let (salt, output) = ("A".repeat(22), "A".repeat(43));
    format!("$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${salt}${output}")
}
