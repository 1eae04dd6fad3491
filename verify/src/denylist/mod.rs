//! A copy of the issuer's denylist in this process.

mod ids;
mod revocation;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{PoisonError, RwLock};

pub use revocation::{Partition, PartitionError, Revocation, RevocationTarget};

use crate::claims::AccessClaims;
use ids::{ExpiringIds, expiry};
use revocation::number;

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
    /// Subjects that are a number, as users' are, with the least version that stands.
    users: HashMap<u64, CutOff<i64>>,
    /// Other subjects: clients.
    clients: HashMap<Box<str>, CutOff<i64>>,
    /// By `kid`, to the end.
    keys: HashMap<Box<str>, u32>,
    /// The least incarnation that stands, of all tokens.
    all: Option<CutOff<u64>>,
    /// The same of the tokens of one partition, by its number.
    parts: HashMap<Partition, CutOff<u64>>,
}

/// Tokens that bear a number below this one do not stand.
#[derive(Clone, Copy)]
struct CutOff<N> {
    below: N,
    exp: u32,
}

impl<N: Ord> CutOff<N> {
    /// Of two cut-offs both hold, which is the greater one for as long as either.
    /// (model: CutOffNeverGoesDown)
    fn join(self, other: Self) -> Self {
        Self { below: self.below.max(other.below), exp: self.exp.max(other.exp) }
    }

    fn concerns(&self, number: N) -> bool {
        number < self.below
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
            RevocationTarget::User { sub, sv } => {
                let cut_off = CutOff { below: *sv, exp };
                self.write(|rest| match number(sub) {
                    Some(number) => join(rest.users.entry(number), cut_off),
                    None => join(rest.clients.entry(sub.as_str().into()), cut_off),
                });
            }
            RevocationTarget::Key(kid) => self.write(|rest| {
                let end = rest.keys.entry(kid.as_str().into()).or_default();
                *end = exp.max(*end);
            }),
            RevocationTarget::All { inc, partition } => self.write(|rest| {
                let cut_off = CutOff { below: *inc, exp };
                match partition {
                    Some(partition) => join(rest.parts.entry(*partition), cut_off),
                    None => rest.all = Some(rest.all.map_or(cut_off, |known| known.join(cut_off))),
                }
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
            rest.parts.retain(|_, cut_off| cut_off.exp > now);
        });
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        let rest = self.read(|rest| {
            let cut_offs = rest.users.len() + rest.clients.len() + rest.parts.len();
            cut_offs + rest.keys.len() + usize::from(rest.all.is_some())
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
    /// By the numbers that tokens bear, and no time (model: VersionsNotTimes).
    fn speaks_against(&self, claims: &AccessClaims, kid: &str) -> bool {
        let of_subject = match number(&claims.sub) {
            Some(number) => self.users.get(&number),
            None => self.clients.get(claims.sub.as_str()),
        };
        // A token without a version is older than any.
        of_subject.is_some_and(|cut_off| claims.sv.is_none_or(|version| cut_off.concerns(version)))
            || self.speaks_against_client(claims)
            || self.all.is_some_and(|cut_off| cut_off.concerns(claims.inc))
            || self.parts.get(&Partition::of(&claims.sub)).is_some_and(|cut_off| cut_off.concerns(claims.inc))
            || self.keys.contains_key(kid)
    }

    /// Whether a client was deleted that the token was issued to, or that acts by it or did: whoever its subject is,
    /// whose version says nothing about a client.
    fn speaks_against_client(&self, claims: &AccessClaims) -> bool {
        let mut named = claims.actors().chain([claims.client_id.as_str()]);
        !self.clients.is_empty() && named.any(|id| self.clients.contains_key(id))
    }
}

fn join<K, N: Copy + Ord>(entry: Entry<'_, K, CutOff<N>>, cut_off: CutOff<N>) {
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
            "iss": "i", "aud": "a", "sub": "42", "exp": END, "iat": 2_000_000_000, "sv": 5, "inc": 8,
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
    fn a_security_event_concerns_the_versions_below_its_own() {
        for (sv, expected) in [(i64::MIN, false), (4, false), (5, false), (6, true), (i64::MAX, true)] {
            assert_eq!(revoked(json!({"sub": "42", "sv": sv, "exp": END})), expected, "{sv}");
        }
        assert!(!revoked(json!({"sub": "43", "sv": 6, "exp": END})));
    }

    /// However the clocks of those who issue and those who revoke stand.
    #[test]
    fn a_cut_off_does_not_look_at_when_a_token_was_issued() {
        let entries = [json!({"sub": "42", "sv": 6, "exp": END}), json!({"all": true, "inc": 8, "exp": END})];
        let list = list(&entries);
        for iat in [0, 2_000_000_000, END, i64::MAX] {
            let new = AccessClaims { iat, sv: Some(6), ..claims() };
            assert!(!list.is_revoked(&new, "k"), "{iat}");
            assert!(list.is_revoked(&AccessClaims { sv: Some(5), ..new.clone() }, "k"), "{iat}");
            assert!(list.is_revoked(&AccessClaims { inc: 7, ..new }, "k"), "{iat}");
        }
    }

    #[test]
    fn a_token_without_a_version_is_below_all_of_its_subject() {
        let machine = AccessClaims { sub: "orders".to_owned(), sid: None, sv: None, ..claims() };
        assert!(list(&[json!({"sub": "orders", "sv": i64::MIN, "exp": END})]).is_revoked(&machine, "k"));
        assert!(!list(&[json!({"sub": "others", "sv": i64::MAX, "exp": END})]).is_revoked(&machine, "k"));
    }

    #[test]
    fn a_client_that_is_gone_concerns_what_was_issued_to_it_and_what_it_acts_by() {
        let entry = |id: &str| json!({"sub": id, "sv": 1, "exp": END});
        let gone = list(&[entry("orders")]);
        let issued_to = |id: &str| AccessClaims { client_id: id.to_owned(), ..claims() };
        let acted_by = |act: Value| AccessClaims {
            act: Some(serde_json::from_value(act).expect("actors")),
            client_id: "billing".to_owned(),
            ..claims()
        };
        for token in [
            issued_to("orders"),
            acted_by(json!({"sub": "orders"})),
            acted_by(json!({"sub": "billing", "act": {"sub": "orders"}})),
            acted_by(json!({"sub": "billing", "act": {"sub": "gateway", "act": {"sub": "orders"}}})),
        ] {
            assert!(gone.is_revoked(&token, "k"), "{token:?}");
        }
        for token in [
            issued_to("order"),
            issued_to("orders2"),
            issued_to("Orders"),
            acted_by(json!({"sub": "gateway", "act": {"sub": "orders.eu"}})),
        ] {
            assert!(!gone.is_revoked(&token, "k"), "{token:?}");
        }
        // What is told of an account is not about clients, whatever they are called, nor about whom it acts for.
        let person = list(&[entry("43")]);
        for token in [issued_to("43"), acted_by(json!({"sub": "43"}))] {
            assert!(!person.is_revoked(&token, "k"), "{token:?}");
        }
        gone.prune(END);
        assert!(!gone.is_revoked(&issued_to("orders"), "k"));
    }

    #[test]
    fn a_loss_concerns_the_incarnations_below_its_own() {
        for (inc, expected) in [(0, false), (8, false), (9, true), (u64::MAX, true)] {
            assert_eq!(revoked(json!({"all": true, "inc": inc, "exp": END})), expected, "{inc}");
            assert_eq!(
                revoked(json!({"all": true, "inc": inc, "partition": 42, "exp": END})),
                expected,
                "{inc}"
            );
        }
    }

    #[test]
    fn a_loss_of_one_partition_concerns_that_alone() {
        let of = |sub: &str| AccessClaims { sub: sub.to_owned(), ..claims() };
        for (partition, within, outside) in [
            (42, ["42", "106"], ["43", "orders"]),
            (0, ["64", "128"], ["1", "064"]),
            (64, ["orders", "042"], ["42", "64"]),
        ] {
            let list = list(&[json!({"all": true, "inc": 9, "partition": partition, "exp": END})]);
            assert!(within.iter().all(|sub| list.is_revoked(&of(sub), "k")), "{partition}");
            assert!(!outside.iter().any(|sub| list.is_revoked(&of(sub), "k")), "{partition}");
        }
    }

    #[test]
    fn a_subject_is_its_text_and_not_a_number_that_reads_the_same() {
        let of = |sub: &str| json!({"sub": sub, "sv": 6, "exp": END});
        for other in ["042", "+42", "42 ", "٤٢", ""] {
            assert!(!revoked(of(other)), "{other:?}");
            let listed = AccessClaims { sub: other.to_owned(), ..claims() };
            assert!(list(&[of(other)]).is_revoked(&listed, "k"), "{other:?}");
            assert!(!list(&[of("42")]).is_revoked(&listed, "k"), "{other:?}");
        }
    }

    #[test]
    fn of_two_cut_offs_the_greater_holds_whichever_came_last() {
        let event = |sv: i64| json!({"sub": "42", "sv": sv, "exp": END});
        let loss = |inc: i64| json!({"all": true, "inc": inc, "exp": END});
        let part = |inc: i64| json!({"all": true, "inc": inc, "partition": 42, "exp": END});
        for order in [[9, 1], [1, 9]] {
            assert!(list(&order.map(event)).is_revoked(&claims(), "k"));
            assert!(list(&order.map(loss)).is_revoked(&claims(), "k"));
            assert!(list(&order.map(part)).is_revoked(&claims(), "k"));
        }
        assert!(list(&[loss(1), part(9)]).is_revoked(&claims(), "k"));
        assert!(list(&[loss(9), part(1)]).is_revoked(&claims(), "k"));
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
            json!({"sub": "42", "sv": 6, "exp": END}),
            json!({"sub": "orders", "sv": 6, "exp": END}),
            json!({"all": true, "inc": 9, "exp": END}),
            json!({"all": true, "inc": 9, "partition": 42, "exp": END}),
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
        let shown = format!("{:?}", list(&[json!({"sub": "someone", "sv": 5, "exp": 9})]));
        assert_eq!(shown, "Denylist { len: 1, .. }");
    }
}
