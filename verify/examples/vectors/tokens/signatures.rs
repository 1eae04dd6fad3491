//! Who signed a token, and by what algorithm.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::cases::*;
use crate::keys::{Signers, SigningKey, encode};

pub(super) fn right(lines: &mut Lines, signers: &Signers) {
    for key in signers.published() {
        lines.token("right", key.alg, &key.token(&key.header(), &claims()), OK);
        let typ = with(key.header(), "typ", "JWT");
        let rules = json!({"typ": "JWT"});
        lines.token_by(&rules, "right", &format!("{} as JWT", key.alg), &key.token(&typ, &claims()), OK);
        lines.token("right", &format!("{} of a machine", key.alg), &key.token(&key.header(), &machine()), OK);
    }
    let (header, es) = (signers.es.header(), &signers.es);
    let login = [("auth_time", json!(NOW)), ("amr", json!(["pwd"])), ("acr", json!("urn:hallpass:acr:1"))];
    let of_a_login = login.into_iter().fold(claims(), |all, (claim, value)| with(all, claim, value));
    lines.token("right", "with what it says of its login", &es.token(&header, &of_a_login), OK);
    for claim in ["email", "email_verified", "scope"] {
        lines.token("right", &format!("without {claim}"), &es.token(&header, &without(claims(), claim)), OK);
    }
    let mut more = claims();
    for (claim, value) in [("tenant", json!(7)), ("plan", json!("x")), ("nonce", json!(null))] {
        more[claim] = value;
    }
    more["https://example.com/tenant"] = json!({"id": [1, 2.5, 3e300, {"deep": [[[[[[[[[[]]]]]]]]]]}]});
    lines.token("right", "with claims that are not known", &es.token(&header, &more), OK);
    let mut more = header.clone();
    for (parameter, value) in [("cty", json!("JWT")), ("x5t", json!("AA")), ("b64", json!(false))] {
        more[parameter] = value;
    }
    lines.token("right", "with parameters that are not known", &es.token(&more, &claims()), OK);
}

pub(super) fn algorithms(lines: &mut Lines, signers: &Signers) {
    let named = [
        "none", "None", "nOnE", "NONE", "none ", "", "HS256", "HS384", "HS512", "ES256", "ES384", "ES512",
        "ES256K", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519", "es256",
        "ES256 ", "ES", "ECDSA", "rs256", "eddsa", "EDDSA",
    ];
    for key in signers.published() {
        for alg in named.into_iter().filter(|alg| *alg != key.alg) {
            let about = format!("{} as {alg:?}", key.alg);
            let signed = key.token(&with(key.header(), "alg", alg), &claims());
            lines.token("algorithms", &about, &signed, INVALID);
            if alg.eq_ignore_ascii_case("none") {
                let (message, _) = split(&signed);
                for tail in [".", ".AA", ""] {
                    lines.token("algorithms", &about, &format!("{message}{tail}"), INVALID);
                }
            }
        }
        let header = with(key.header(), "alg", "HS256");
        let message = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
        let jwk = key.jwk();
        let published = ["x", "n"].iter().find_map(|member| jwk[member].as_str()).expect("a public key");
        let jwk = jwk.to_string();
        for secret in [key.public_bytes(), published.as_bytes(), jwk.as_bytes(), b""] {
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            let about = format!("{} as the secret of an HMAC", key.alg);
            lines.token("algorithms", &about, &format!("{message}.{}", encode(mac)), INVALID);
        }
        for named in signers.published().into_iter().filter(|named| named.kid != key.kid) {
            let own = key.token(&with(key.header(), "kid", named.kid), &claims());
            lines.token("algorithms", &format!("{} by the key of {}", key.alg, named.alg), &own, INVALID);
            let theirs = key.token(&named.header(), &claims());
            lines.token("algorithms", &format!("{} for {}", key.alg, named.alg), &theirs, INVALID);
        }
    }
    let no_names = [
        json!(null),
        json!(256),
        json!(true),
        json!(["ES256"]),
        json!({"ES256": null}),
        json!({"alg": "ES256"}),
    ];
    for alg in no_names {
        let token = signers.es.token(&with(signers.es.header(), "alg", alg.clone()), &claims());
        lines.token("algorithms", &alg.to_string(), &token, INVALID);
    }
    let token = signers.es.token(&without(signers.es.header(), "alg"), &claims());
    lines.token("algorithms", "none named", &token, INVALID);
}

/// The order of P-256 (SEC 2 2.4.2), most significant byte first.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of Ed25519's group (RFC 8032 5.1), least significant byte first.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(super) fn signatures(lines: &mut Lines, signers: &Signers) {
    let stranger = &signers.stranger;
    lines.token("signatures", "a stranger's", &stranger.token(&stranger.header(), &claims()), INVALID);
    for key in signers.published() {
        let token = key.token(&key.header(), &claims());
        let (message, signature) = split(&token);
        let admin = key.token(&key.header(), &with(claims(), "sub", "1"));
        lines.token("signatures", &format!("{}, of another token", key.alg), &admin, OK);
        let mut add = |about: &str, signature: &[u8], code: &str| {
            let token = format!("{message}.{}", encode(signature));
            lines.token("signatures", &format!("{}, {about}", key.alg), &token, code);
        };
        for bit in [0, 7, 8 * (signature.len() / 2), 8 * signature.len() - 1] {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            add(&format!("bit {bit} flipped"), &flipped, INVALID);
        }
        let (half, double) = (&signature[..signature.len() / 2], [&signature[..], &signature].concat());
        let (longer, before) = ([&signature[..], &[0]].concat(), [&[0], &signature[..]].concat());
        for wrong in
            [&[][..], half, &signature[1..], &signature[..signature.len() - 1], &double, &longer, &before]
        {
            add(&format!("{} bytes", wrong.len()), wrong, INVALID);
        }
        let mut one = vec![0; signature.len()];
        one[signature.len() - 1] = 1;
        for fill in [vec![0; signature.len()], vec![0xff; signature.len()], one] {
            add(&format!("{}…", fill[0]), &fill, INVALID);
        }
        let of_another = split(&admin).1;
        add("another token's", &of_another, INVALID);
    }
    ecdsa(lines, &signers.es);
    ed25519(lines, &signers.ed);
}

fn ecdsa(lines: &mut Lines, key: &SigningKey) {
    let token = key.token(&key.header(), &claims());
    let (message, signature) = split(&token);
    let mut add = |about: &str, signature: &[u8], code: &str| {
        lines.token("signatures", about, &format!("{message}.{}", encode(signature)), code);
    };
    let (r, s) = signature.split_at(32);
    let zero = &[0; 32][..];
    let outside = [(zero, s), (r, zero), (&P256_ORDER[..], s), (r, &P256_ORDER), (zero, zero), (s, r)];
    for (number, (r, s)) in outside.into_iter().enumerate() {
        add(&format!("ES256, numbers outside the group or swapped ({number})"), &[r, s].concat(), INVALID);
    }
    // Of each signature there are two: ECDSA does not say which (SEC 1 4.1.3), and JWS takes both.
    add("ES256, the other one of the two", &[r, &minus(&P256_ORDER, s)].concat(), OK);
    let integer = |bytes: &[u8]| {
        let mut number: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        if number.first().is_some_and(|byte| byte & 0x80 != 0) {
            number.insert(0, 0);
        }
        [&[2, u8::try_from(number.len()).expect("short")][..], &number].concat()
    };
    let numbers = [integer(r), integer(s)].concat();
    let der = [&[0x30, u8::try_from(numbers.len()).expect("short")][..], &numbers].concat();
    add("ES256, in DER", &der, INVALID);
}

fn ed25519(lines: &mut Lines, key: &SigningKey) {
    let token = key.token(&key.header(), &claims());
    let (message, signature) = split(&token);
    let mut add = |about: &str, signature: &[u8]| {
        lines.token("signatures", about, &format!("{message}.{}", encode(signature)), INVALID);
    };
    let mut added = signature.clone();
    let mut carry = 0;
    for (byte, order) in added[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    add("EdDSA, the order added", &added);
    let neutral = [&[1][..], &[0; 31]].concat();
    let order_two = [&[0xec][..], &[0xff; 30], &[0x7f]].concat();
    let neutral_again = [&[0xee][..], &[0xff; 30], &[0x7f]].concat();
    for point in [neutral, order_two, vec![0; 32], neutral_again] {
        for scalar in [&[0; 32][..], &signature[32..]] {
            add("EdDSA, a point of small order", &[&point[..], scalar].concat());
        }
    }
}

/// `from` less `number`, most significant byte first.
fn minus(from: &[u8; 32], number: &[u8]) -> Vec<u8> {
    let (mut difference, mut borrow) = (vec![0; 32], 0);
    for index in (0..32).rev() {
        let value = i16::from(from[index]) - i16::from(number[index]) - borrow;
        borrow = i16::from(value < 0);
        difference[index] = value.rem_euclid(256).to_le_bytes()[0];
    }
    difference
}

/// What is signed, and the signature in bytes.
fn split(token: &str) -> (&str, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').expect("a signature");
    (message, URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
}
