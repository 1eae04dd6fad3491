//! Tokens that were altered by chance: most of them in what is signed, so that they get past the signature.

use serde_json::{Value, json};

use crate::cases::{AUDIENCE, ISSUER, NOW, claims, machine, with};
use crate::keys::{Signers, SigningKey, encode};
use crate::probe::Probe;

/// SplitMix64: the same numbers from the same seed, everywhere.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Bytes that mean something to somebody who reads JSON, base64 or numbers.
const PIECES: [&[u8]; 48] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"'",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"\\u0061",
    b"\\x41",
    b"\0",
    b"\t",
    b"\n",
    b"\x0c",
    b"\x7f",
    b"\xc2\xa0",
    b"\xff",
    b"\xe2\x82",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80",
    b"null",
    b"true",
    b"false",
    b"0",
    b"-",
    b"-0",
    b"1",
    b".0",
    b"e0",
    b"E+1",
    b"9223372036854775808",
    b"18446744073709551616",
    b"NaN",
    b"Infinity",
    b"//",
    b"/**/",
    b" ",
    b"\"sub\":\"1\",",
    b"\"alg\":\"none\",",
    b"\"crit\":[],",
    b"\"exp\":1,",
    b"\"\":0,",
    b"__proto__",
    b"A",
];

/// Values in place of another.
fn value(chance: &mut Chance) -> Value {
    let id = "00000000-0000-4000-8000-000000000001";
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1),
        json!(7),
        json!(3.5),
        json!(1e300),
        json!(NOW),
        json!(NOW + 5),
        json!(NOW + 6),
        json!(NOW - 5),
        json!(NOW - 6),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("x"),
        json!("42"),
        json!("member"),
        json!("at+jwt"),
        json!("JWT"),
        json!("ES256"),
        json!("es"),
        json!("rs"),
        json!(ISSUER),
        json!(AUDIENCE),
        json!([AUDIENCE]),
        json!([AUDIENCE, 7]),
        json!([]),
        json!({}),
        json!(["member"]),
        json!(id),
        json!(id.to_uppercase()),
        json!(id.replace('-', "")),
        json!([[]]),
    ];
    chance.of(&values).clone()
}

/// An altered object, as bytes.
fn altered(chance: &mut Chance, object: &Value) -> Vec<u8> {
    let names: Vec<String> = object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let name = chance.of(&names).clone();
    let mut object = object.clone();
    match chance.below(10) {
        0 => drop(object.as_object_mut().and_then(|members| members.shift_remove(&name))),
        1 | 2 => object[&name] = value(chance),
        3 => {
            let new = ["jku", "crit", "nbf", "sid", "sv", "note", "Sub", "kid", "typ"];
            object[*chance.of(&new)] = value(chance);
        }
        4 => {
            let text = object.to_string();
            let again = format!("{}:{},", Value::from(name.as_str()), value(chance));
            return text.replacen('{', &format!("{{{again}"), 1).into_bytes();
        }
        _ => {}
    }
    let mut bytes = object.to_string().into_bytes();
    for _ in 0..chance.below(3) {
        scratch(chance, &mut bytes);
    }
    bytes
}

/// Alters bytes in one place.
fn scratch(chance: &mut Chance, bytes: &mut Vec<u8>) {
    let at = chance.below(bytes.len() + 1);
    match chance.below(5) {
        0 => drop(bytes.splice(at..at, chance.of(&PIECES).iter().copied())),
        1 => {
            let end = (at + chance.below(6)).min(bytes.len());
            drop(bytes.splice(at..end, chance.of(&PIECES).iter().copied()));
        }
        2 => drop(bytes.drain(at..(at + chance.below(4)).min(bytes.len()))),
        3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
        _ => {
            let end = (at + chance.below(30)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = chance.below(bytes.len() + 1);
            drop(bytes.splice(to..to, copy));
        }
    }
}

fn token(chance: &mut Chance, signers: &Signers) -> String {
    let keys: [&SigningKey; 5] = [&signers.es, &signers.ed, &signers.es, &signers.ed, &signers.rs];
    let key = *chance.of(&keys);
    let base = if chance.below(4) == 0 { machine() } else { with(claims(), "nbf", NOW) };
    let (mut header, mut payload) = (key.header().to_string().into_bytes(), base.to_string().into_bytes());
    match chance.below(8) {
        0 | 1 => header = altered(chance, &key.header()),
        2 => {
            header = altered(chance, &key.header());
            payload = altered(chance, &base);
        }
        3 => {}
        _ => payload = altered(chance, &base),
    }
    let mut message = format!("{}.{}", encode(header), encode(payload)).into_bytes();
    if chance.below(10) == 0 {
        scratch(chance, &mut message);
    }
    // A line of JSON carries text.
    let message = String::from_utf8_lossy(&message).into_owned();
    let mut token = key.signed(&message).into_bytes();
    if chance.below(8) == 0 {
        scratch(chance, &mut token);
    }
    String::from_utf8_lossy(&token).into_owned()
}

/// That many lines, after one that has the keys.
pub fn lines(seed: u64, count: usize, mut take: impl FnMut(&Value)) {
    let (mut chance, mut probe, signers) = (Chance::new(seed), Probe::default(), Signers::load(""));
    let keys =
        json!({"kind": "keys", "name": "published", "jwks": signers.jwks(), "expect": {"verdict": "ok"}});
    probe.answer(&keys);
    take(&keys);
    for number in 0..count {
        let token = token(&mut chance, &signers);
        let mut line = json!({
            "kind": "token", "id": format!("seed {seed}, {number}"), "keys": "published", "issuer": ISSUER, "audience": AUDIENCE,
            "typ": "at+jwt", "leeway_ms": 5_000, "now_ms": NOW * 1_000, "token": token,
        });
        line["expect"] = probe.answer(&line);
        take(&line);
    }
}
