//! A copy of the issuer's denylist in this process.

mod ids;
mod revocation;

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

pub use revocation::{Revocation, RevocationTarget};

use crate::claims::AccessClaims;
use ids::{ExpiringIds, expiry};

/// What has been taken back, as far as this process knows.
///
/// Readers do not wait for one another, and a writer holds up a reader for as long as one entry
/// takes. An entry of a session or a token, which is what a denylist is full of, takes 16 bytes for
/// its id and 4 for its end, 48 at most with the room that a hash table leaves.
///
/// Entries are kept until [`prune`](Self::prune); an entry that is over can only speak against tokens
/// that are over as well.
#[derive(Default)]
pub struct Denylist {
    tokens: ExpiringIds,
    sessions: ExpiringIds,
    rest: RwLock<Rest>,
}

/// What there is little of.
#[derive(Default)]
struct Rest {
    /// Subjects that are a number, as users' are.
    users: HashMap<u64, CutOff>,
    /// Other subjects.
    clients: HashMap<Box<str>, CutOff>,
    /// By `kid`, to the end.
    keys: HashMap<Box<str>, u32>,
    all: Option<CutOff>,
}

/// Tokens from before a second do not stand.
#[derive(Clone, Copy)]
struct CutOff {
    not_before: i64,
    exp: u32,
}

impl CutOff {
    /// Of two cut-offs both hold, which is the later one for as long as either.
    fn join(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), exp: self.exp.max(other.exp) }
    }

    fn concerns(self, issued_at: i64) -> bool {
        issued_at < self.not_before
    }
}

impl Denylist {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a revocation. Twice the same is as good as once.
    pub fn insert(&self, revocation: &Revocation) {
        let exp = expiry(revocation.exp);
        match &revocation.target {
            RevocationTarget::Token(jti) => self.tokens.insert(*jti, exp),
            RevocationTarget::Session(sid) => self.sessions.insert(*sid, exp),
            RevocationTarget::User { sub, not_before } => {
                let cut_off = CutOff { not_before: *not_before, exp };
                self.write(|rest| match number(sub) {
                    Some(number) => join(rest.users.entry(number), cut_off),
                    None => join(rest.clients.entry(sub.as_str().into()), cut_off),
                });
            }
            RevocationTarget::Key(kid) => self.write(|rest| {
                let end = rest.keys.entry(kid.as_str().into()).or_default();
                *end = exp.max(*end);
            }),
            RevocationTarget::All { not_before } => self.write(|rest| {
                let cut_off = CutOff { not_before: *not_before, exp };
                rest.all = Some(rest.all.map_or(cut_off, |known| known.join(cut_off)));
            }),
        }
    }

    /// Whether anything here speaks against a token with these claims that the key `kid` signed.
    pub fn is_revoked(&self, claims: &AccessClaims, kid: &str) -> bool {
        self.tokens.contains(claims.jti)
            || claims.sid.is_some_and(|sid| self.sessions.contains(sid))
            || self.read(|rest| rest.speaks_against(claims, kid))
    }

    /// Forgets the entries that ended at `now`, seconds since the Unix epoch, or before.
    ///
    /// Whoever grants tokens a leeway must keep the entries that much longer.
    pub fn prune(&self, now: i64) {
        let now = expiry(now);
        self.tokens.prune(now);
        self.sessions.prune(now);
        self.write(|rest| {
            rest.users.retain(|_, cut_off| cut_off.exp > now);
            rest.clients.retain(|_, cut_off| cut_off.exp > now);
            rest.keys.retain(|_, exp| *exp > now);
            rest.all = rest.all.filter(|cut_off| cut_off.exp > now);
        });
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        let rest = self.read(|rest| {
            rest.users.len() + rest.clients.len() + rest.keys.len() + usize::from(rest.all.is_some())
        });
        self.tokens.len() + self.sessions.len() + rest
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read<T>(&self, look: impl FnOnce(&Rest) -> T) -> T {
        look(&self.rest.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut Rest)) {
        change(&mut self.rest.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Rest {
    fn speaks_against(&self, claims: &AccessClaims, kid: &str) -> bool {
        let of_subject = match number(&claims.sub) {
            Some(number) => self.users.get(&number),
            None => self.clients.get(claims.sub.as_str()),
        };
        of_subject.is_some_and(|cut_off| cut_off.concerns(claims.iat))
            || self.all.is_some_and(|cut_off| cut_off.concerns(claims.iat))
            || self.keys.contains_key(kid)
    }
}

/// A subject in digits, where no other text means the same number.
fn number(sub: &str) -> Option<u64> {
    let canonical = sub == "0" || !sub.starts_with(['0', '+']);
    sub.parse().ok().filter(|_| canonical)
}

fn join<K>(entry: std::collections::hash_map::Entry<'_, K, CutOff>, cut_off: CutOff) {
    entry.and_modify(|known| *known = known.join(cut_off)).or_insert(cut_off);
}

impl fmt::Debug for Denylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denylist").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Extend<Revocation> for Denylist {
    fn extend<T: IntoIterator<Item = Revocation>>(&mut self, revocations: T) {
        revocations.into_iter().for_each(|revocation| self.insert(&revocation));
    }
}

impl FromIterator<Revocation> for Denylist {
    fn from_iter<T: IntoIterator<Item = Revocation>>(revocations: T) -> Self {
        let mut denylist = Self::new();
        denylist.extend(revocations);
        denylist
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    const END: i64 = 2_000_000_900;

    fn claims() -> AccessClaims {
        serde_json::from_value(json!({
            "iss": "i", "aud": "a", "sub": "42", "exp": END, "iat": 2_000_000_000, "nbf": 2_000_000_000,
            "jti": Uuid::from_u128(1), "sid": Uuid::from_u128(2), "client_id": "c", "roles": [],
        }))
        .expect("claims")
    }

    fn list(entries: &[Value]) -> Denylist {
        entries
            .iter()
            .map(|entry| serde_json::from_value::<Revocation>(entry.clone()).expect("an entry"))
            .collect()
    }

    fn revoked(entry: Value) -> bool {
        list(&[entry]).is_revoked(&claims(), "k")
    }

    #[test]
    fn an_empty_list_speaks_against_nothing() {
        assert!(!Denylist::new().is_revoked(&claims(), "k"));
        assert!(Denylist::new().is_empty());
    }

    #[test]
    fn each_kind_of_entry_concerns_its_own_tokens_and_no_others() {
        let (own_token, own_session) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(revoked(json!({"jti": own_token, "exp": END})));
        assert!(revoked(json!({"sid": own_session, "exp": END})));
        assert!(revoked(json!({"kid": "k", "exp": END})));
        assert!(!revoked(json!({"jti": own_session, "exp": END})), "a token is no session");
        assert!(!revoked(json!({"sid": own_token, "exp": END})), "a session is no token");
        assert!(!revoked(json!({"kid": "K", "exp": END})));
    }

    #[test]
    fn a_cut_off_concerns_what_was_issued_before_its_second_and_not_in_it() {
        for (not_before, expected) in [(1_999_999_999, false), (2_000_000_000, false), (2_000_000_001, true)]
        {
            assert_eq!(revoked(json!({"sub": "42", "not_before": not_before, "exp": END})), expected);
            assert_eq!(revoked(json!({"all": true, "not_before": not_before, "exp": END})), expected);
        }
        assert!(!revoked(json!({"sub": "43", "not_before": 2_000_000_001, "exp": END})));
    }

    #[test]
    fn a_subject_is_its_text_and_not_a_number_that_reads_the_same() {
        let of = |sub: &str| json!({"sub": sub, "not_before": 2_000_000_001, "exp": END});
        for other in ["042", "+42", "42 ", "٤٢", ""] {
            assert!(!revoked(of(other)), "{other:?}");
            let listed = AccessClaims { sub: other.to_owned(), ..claims() };
            assert!(list(&[of(other)]).is_revoked(&listed, "k"), "{other:?}");
            assert!(!list(&[of("42")]).is_revoked(&listed, "k"), "{other:?}");
        }
    }

    #[test]
    fn of_two_cut_offs_the_later_holds_whichever_came_last() {
        let cut_off = |not_before: i64| json!({"sub": "42", "not_before": not_before, "exp": END});
        for order in [[2_000_000_001, 5], [5, 2_000_000_001]] {
            assert!(list(&order.map(cut_off)).is_revoked(&claims(), "k"));
        }
    }

    #[test]
    fn the_longer_of_two_ends_holds() {
        let entries =
            |exp: i64| [json!({"jti": Uuid::from_u128(1), "exp": exp}), json!({"kid": "k", "exp": exp})];
        for entry in 0..2 {
            for order in [[END, 5], [5, END]] {
                let list = list(&order.map(|exp| entries(exp)[entry].clone()));
                list.prune(END - 1);
                assert!(list.is_revoked(&claims(), "k"));
            }
        }
    }

    #[test]
    fn an_entry_is_kept_to_its_end_and_forgotten_at_it() {
        for entry in [
            json!({"jti": Uuid::from_u128(1), "exp": END}),
            json!({"sid": Uuid::from_u128(2), "exp": END}),
            json!({"kid": "k", "exp": END}),
            json!({"sub": "42", "not_before": END, "exp": END}),
            json!({"sub": "orders", "not_before": END, "exp": END}),
            json!({"all": true, "not_before": END, "exp": END}),
        ] {
            let list = list(std::slice::from_ref(&entry));
            list.prune(END - 1);
            assert_eq!(list.len(), 1, "{entry}");
            list.prune(END);
            assert!(list.is_empty(), "{entry}");
        }
    }

    #[test]
    fn ends_that_no_clock_will_see_do_not_wrap() {
        let list = list(&[
            json!({"jti": Uuid::from_u128(1), "exp": i64::MAX}),
            json!({"jti": Uuid::from_u128(2), "exp": -1}),
        ]);
        list.prune(0);
        assert_eq!(list.len(), 1);
        list.prune(END);
        assert!(list.is_revoked(&claims(), "k"));
    }

    #[test]
    fn many_entries_are_all_found_and_all_forgotten() {
        let list = Denylist::new();
        for id in 0..5_000_u128 {
            // Ids that differ in high or in low bytes alone.
            let id = if id % 2 == 0 { id } else { id << 100 };
            let exp = END + i64::try_from(id % 2).expect("a bit");
            list.insert(&Revocation { target: RevocationTarget::Session(Uuid::from_u128(id)), exp });
        }
        assert_eq!(list.len(), 5_000);
        let with_session = |id: u128| AccessClaims { sid: Some(Uuid::from_u128(id)), ..claims() };
        assert!((0..5_000).step_by(2).all(|id| list.is_revoked(&with_session(id), "k")));
        assert!((1..5_000).step_by(2).all(|id| list.is_revoked(&with_session(id << 100), "k")));
        assert!((1..5_000).step_by(2).all(|id| !list.is_revoked(&with_session(id), "k")));
        list.prune(END + 1);
        assert!(list.is_empty());
    }

    #[test]
    fn debug_shows_how_many_and_not_who() {
        let shown = format!("{:?}", list(&[json!({"sub": "someone", "not_before": 5, "exp": 9})]));
        assert_eq!(shown, "Denylist { len: 1, .. }");
    }
}
