//! What an issuer publishes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::cases::*;
use crate::keys::{Signers, SigningKey, encode, jwks};

pub(super) fn key_sets(lines: &mut Lines, signers: &Signers) {
    let mut number = 0;
    let mut add = |about: &str, jwks: &str, token: &str, code: &str| {
        number += 1;
        let name = format!("set {number}");
        lines.keys(&name, jwks);
        lines.token_by(&json!({"keys": name}), "key sets", about, token, code);
    };
    let tokens = signers.published().map(|key| key.token(&key.header(), &claims()));
    let [es, rs, ed] = signers.published().map(SigningKey::jwk);
    for text in [
        "",
        "{}",
        "[]",
        "null",
        "7",
        r#"{"keys": {}}"#,
        r#"{"keys": [7]}"#,
        r#"{"keys": null}"#,
        r#"{"keys": []}"#,
        r#"{"keys": []} x"#,
        "\u{feff}{\"keys\": []}",
        "<html>",
    ] {
        add(&format!("{text:?}"), text, &tokens[0], UNAVAILABLE);
    }
    let other = with(ed.clone(), "kid", "other");
    // Passed over: the set has nothing for the token, and another key of use.
    for (about, jwk) in [
        ("no kid", without(es.clone(), "kid")),
        ("no alg", without(es.clone(), "alg")),
        ("RS256 of an EC key", with(es.clone(), "alg", "RS256")),
        ("ES384", with(es.clone(), "alg", "ES384")),
        ("HS256 of an EC key", with(es.clone(), "alg", "HS256")),
        ("none", with(es.clone(), "alg", "none")),
        ("P-384", with(es.clone(), "crv", "P-384")),
        ("secp256k1", with(es.clone(), "crv", "secp256k1")),
        ("for encryption", with(es.clone(), "use", "enc")),
        ("for another use", with(es.clone(), "use", "tls")),
        ("for signing alone", with(es.clone(), "key_ops", json!(["sign"]))),
        ("for no operation", with(es.clone(), "key_ops", json!([]))),
        ("a secret", json!({"kid": "es", "kty": "oct", "k": "c2VjcmV0"})),
        ("a secret for ES256", json!({"kid": "es", "kty": "oct", "k": "c2VjcmV0", "alg": "ES256"})),
        ("a kind of later years", json!({"kid": "es", "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"})),
    ] {
        add(&format!("{about}, beside another"), &jwks(&[jwk.clone(), other.clone()]), &tokens[0], INVALID);
        add(&format!("{about}, alone"), &jwks(&[jwk]), &tokens[0], UNAVAILABLE);
    }
    for (about, jwk, token) in [
        ("PS256", with(rs.clone(), "alg", "PS256"), &tokens[1]),
        ("RS512", with(rs.clone(), "alg", "RS512"), &tokens[1]),
        ("RSA-OAEP", with(rs.clone(), "alg", "RSA-OAEP"), &tokens[1]),
        ("RSA without alg", without(rs.clone(), "alg"), &tokens[1]),
        ("Ed25519 by that name", with(ed.clone(), "alg", "Ed25519"), &tokens[2]),
        ("X25519", with(ed.clone(), "crv", "X25519"), &tokens[2]),
        ("ES256 of an OKP key", with(ed.clone(), "alg", "ES256"), &tokens[2]),
    ] {
        add(&format!("{about}, beside another"), &jwks(&[jwk, other.clone()]), token, INVALID);
    }
    for (about, jwk) in [
        ("silent about its use", without(es.clone(), "use")),
        ("for verifying", with(es.clone(), "key_ops", json!(["verify"]))),
        ("for both", with(es.clone(), "key_ops", json!(["sign", "verify"]))),
        ("with members of its own", with(es.clone(), "nbf", 7)),
    ] {
        add(about, &jwks(&[jwk]), &tokens[0], OK);
    }
    broken_keys(&mut add, [&es, &rs, &ed], &other, &tokens);
    let off_curve = with(es.clone(), "y", es["x"].clone());
    add("a point that is not on the curve", &jwks(&[off_curve, other.clone()]), &tokens[0], INVALID);
    let stranger = signers.stranger.jwk();
    add("another key of that name", &jwks(std::slice::from_ref(&stranger)), &tokens[0], INVALID);
    add(
        "of two keys of one name the last one counts",
        &jwks(&[stranger.clone(), es.clone()]),
        &tokens[0],
        OK,
    );
    add(
        "of two keys of one name the first one does not count",
        &jwks(&[es.clone(), stranger]),
        &tokens[0],
        INVALID,
    );
    let set = json!({"keys": [es], "more": {"a": 1}}).to_string();
    add("a set with members of its own", &set, &tokens[0], OK);
}

/// A set with a broken key in it is none at all, whatever else is in it.
fn broken_keys(
    add: &mut impl FnMut(&str, &str, &str, &str),
    [es, rs, ed]: [&Value; 3],
    other: &Value,
    tokens: &[String; 3],
) {
    let modulus = |bytes: usize| "____".repeat(bytes / 3) + ["", "_w", "__8"][bytes % 3];
    for (about, jwk) in [
        ("x is no base64", with(es.clone(), "x", "!")),
        ("x is empty", with(es.clone(), "x", "")),
        ("y is short", with(es.clone(), "y", "AQAB")),
        ("Ed25519 is short", with(ed.clone(), "x", "AQAB")),
        ("Ed25519 is padded", with(ed.clone(), "x", format!("{}=", ed["x"].as_str().unwrap_or_default()))),
        ("an empty modulus", with(rs.clone(), "n", "")),
        ("1024 bits", with(rs.clone(), "n", modulus(128))),
        ("2040 bits", with(rs.clone(), "n", modulus(255))),
        ("8200 bits", with(rs.clone(), "n", modulus(1025))),
        ("zeros in front of 2024 bits", with(rs.clone(), "n", format!("AAAA{}", "____".repeat(84)))),
        ("no exponent", with(rs.clone(), "e", "")),
        ("exponent 0", with(rs.clone(), "e", "AA")),
        ("exponent 1", with(rs.clone(), "e", "AQ")),
        ("exponent 01", with(rs.clone(), "e", "AAE")),
        ("exponent 2", with(rs.clone(), "e", "Ag")),
        ("exponent 65536", with(rs.clone(), "e", "AQAA")),
        ("kid is a number", with(es.clone(), "kid", 7)),
        ("alg is a number", with(es.clone(), "alg", 7)),
        ("no x", without(es.clone(), "x")),
        ("no n", without(rs.clone(), "n")),
    ] {
        // Which of these are errors and which are passed over is said by the crate.
        let set = jwks(&[jwk, other.clone()]);
        let usable = hallpass_verify::KeySet::from_jwks(&set).is_ok();
        let [_, _, ed_token] = tokens;
        let code = if usable { INVALID } else { UNAVAILABLE };
        add(&format!("broken: {about}"), &set, ed_token, code);
    }
    for point in [
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "7P_______________________________________38",
        "xxdqcD1N2E-6PAt2DRBnDyogUyzE_TnEkj3_f4JsB3o",
    ] {
        let set = jwks(&[with(ed.clone(), "x", point), es.clone()]);
        let code = if hallpass_verify::KeySet::from_jwks(&set).is_ok() { OK } else { UNAVAILABLE };
        add(&format!("a point of small order: {point}"), &set, &tokens[0], code);
    }
    let led = URL_SAFE_NO_PAD.decode(rs["n"].as_str().unwrap_or_default()).expect("base64url");
    let led = encode([&[0][..], &led].concat());
    add("a zero in front of the modulus", &jwks(&[with(rs.clone(), "n", led)]), &tokens[1], OK);
}
