//! The algorithm is the key's; what a header says can only be wrong.

use aws_lc_rs::hmac;
use hallpass_verify::Rejection;
use serde_json::json;

use crate::support::*;

#[test]
fn a_right_token_of_each_algorithm_is_accepted() {
    for key in KEYS.iter() {
        let claims = verdict(&key.token()).unwrap_or_else(|rejection| panic!("{}: {rejection}", key.alg));
        assert_eq!(claims.sub, "42");
        assert_eq!(claims.aud, [AUDIENCE]);
        assert_eq!(claims.exp, NOW + LIFETIME);
        assert_eq!(claims.email.as_deref(), Some("ada@example.com"));
        assert_eq!(claims.roles, ["member"]);
    }
}

#[test]
fn no_spelling_of_none_is_accepted_with_or_without_a_signature() {
    for none in ["none", "None", "nOnE", "NONE", "none ", ""] {
        let header = with(es256().header(), "alg", none);
        let signed = es256().token_of(&header, &claims());
        let (message, _) = split(&signed);
        for token in [format!("{message}."), format!("{message}.AA"), signed.clone()] {
            assert_eq!(verdict(&token), Err(Rejection::WrongAlgorithm), "{none:?}");
        }
        assert_eq!(verdict(message), Err(Rejection::Malformed), "{none:?}");
    }
}

#[test]
fn an_algorithm_is_a_name_to_the_letter() {
    for alg in ["es256", "ES256K", "ES512", "ES256 ", "ES", "ECDSA", "EC"] {
        let verdict = verdict_on_header(&with(es256().header(), "alg", alg));
        assert_eq!(verdict, Err(Rejection::WrongAlgorithm), "{alg}");
    }
    let no_names = [json!(null), json!(256), json!(true), json!(["ES256"]), json!({"ES256": null})];
    for alg in no_names {
        let verdict = verdict_on_header(&with(es256().header(), "alg", alg.clone()));
        assert_eq!(verdict, Err(Rejection::Malformed), "{alg}");
    }
    assert_eq!(verdict_on_header(&without(es256().header(), "alg")), Err(Rejection::Malformed));
}

#[test]
fn no_key_verifies_under_another_algorithm_than_its_own() {
    let named = ["HS256", "HS384", "HS512", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "PS384"];
    for key in KEYS.iter() {
        for alg in named.into_iter().chain(["PS512", "EdDSA"]).filter(|alg| *alg != key.alg) {
            let token = key.token_of(&with(key.header(), "alg", alg), &claims());
            assert_eq!(verdict(&token), Err(Rejection::WrongAlgorithm), "{} as {alg}", key.alg);
        }
    }
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    for key in KEYS.iter() {
        let header = with(key.header(), "alg", "HS256");
        let message = format!("{}.{}", encode(header.to_string()), encode(claims().to_string()));
        let jwk = key.jwk();
        let published = ["x", "n"].iter().find_map(|member| jwk[member].as_str()).expect("a public key");
        let jwk = jwk.to_string();
        for secret in [key.public_bytes(), published.as_bytes(), jwk.as_bytes(), b""] {
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            let token = format!("{message}.{}", encode(mac));
            assert_eq!(verdict(&token), Err(Rejection::WrongAlgorithm), "{}", key.alg);
        }
    }
}

#[test]
fn a_key_does_not_vouch_for_what_another_one_signed() {
    let stranger = TestKey::es256("es");
    assert_eq!(verdict(&stranger.token()), Err(Rejection::BadSignature));
    for signer in KEYS.iter() {
        for named in KEYS.iter().filter(|named| named.kid != signer.kid) {
            // With the signer's algorithm, and with the named key's.
            let token = signer.token_of(&with(signer.header(), "kid", named.kid), &claims());
            assert_eq!(verdict(&token), Err(Rejection::WrongAlgorithm), "{} as {}", signer.alg, named.alg);
            let token = signer.token_of(&named.header(), &claims());
            assert_eq!(verdict(&token), Err(Rejection::BadSignature), "{} as {}", signer.alg, named.alg);
        }
    }
}
