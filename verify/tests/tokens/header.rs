//! What a header may say beside its algorithm.

use hallpass_verify::{Rejection, TokenType};
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn a_key_id_is_a_key_of_a_map_and_nothing_else() {
    let foreign = [
        "../../etc/passwd",
        "/dev/null",
        "' OR '1'='1' --",
        "es' UNION SELECT 'key",
        "https://evil.example.com/keys/es",
        "file:///dev/null",
        "es; rm -rf /",
        "$(id)",
        "es\0",
        " es",
        "ES",
        "e",
        "",
    ];
    for kid in foreign {
        assert_eq!(
            verdict_on_header(&with(es256().header(), "kid", kid)),
            Err(Rejection::UnknownKey),
            "{kid:?}"
        );
    }
}

#[test]
fn a_token_that_names_no_key_is_refused() {
    assert_eq!(verdict_on_header(&without(es256().header(), "kid")), Err(Rejection::UnknownKey));
    assert_eq!(verdict_on_header(&with(es256().header(), "kid", json!(null))), Err(Rejection::UnknownKey));
    for kid in [json!(7), json!(["es"]), json!({"kid": "es"}), json!(true)] {
        let verdict = verdict_on_header(&with(es256().header(), "kid", kid.clone()));
        assert_eq!(verdict, Err(Rejection::Malformed), "{kid}");
    }
}

/// CVE-2018-0114, and the URLs that would make a validator fetch something.
#[test]
fn a_key_that_comes_with_the_token_is_refused() {
    let stranger = TestKey::es256("es");
    let own_keys: [(&str, Value); 8] = [
        ("jwk", stranger.jwk()),
        ("jwk", es256().jwk()),
        ("jwk", json!("none")),
        ("jku", json!("https://evil.example.com/jwks.json")),
        ("jku", json!(7)),
        ("jwk", json!(null)),
        ("x5u", json!("https://evil.example.com/key.pem")),
        ("x5c", json!(["MIIB"])),
    ];
    for (parameter, value) in own_keys {
        for signer in [&stranger, es256()] {
            let token = signer.token_of(&with(signer.header(), parameter, value.clone()), &claims());
            assert_eq!(verdict(&token), Err(Rejection::Malformed), "{parameter}: {value}");
        }
    }
}

/// RFC 7515 4.1.11: a critical parameter that is not understood makes the token invalid, and
/// none is understood here.
#[test]
fn a_critical_parameter_is_refused() {
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!("b64"), json!([7]), json!(null)] {
        let header = with(with(es256().header(), "crit", crit.clone()), "b64", json!(false));
        assert_eq!(verdict_on_header(&header), Err(Rejection::Malformed), "{crit}");
    }
}

#[test]
fn other_parameters_are_passed_over() {
    let mut header = es256().header();
    for (parameter, value) in [("cty", json!("JWT")), ("x5t", json!("AA")), ("b64", json!(false))] {
        header[parameter] = value;
    }
    assert!(verdict_on_header(&header).is_ok());
}

#[test]
fn the_type_is_at_jwt_in_any_case_with_or_without_application() {
    for typ in ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/at+JWT"] {
        assert!(verdict_on_header(&with(es256().header(), "typ", typ)).is_ok(), "{typ}");
    }
}

#[test]
fn a_rightly_signed_token_of_another_type_is_refused() {
    let others = [
        "JWT",
        "jwt",
        "application/jwt",
        "id+jwt",
        "logout+jwt",
        "dpop+jwt",
        "at+jwt ",
        "at",
        "+jwt",
        "text/at+jwt",
        "application/application/at+jwt",
        "at+jwt;v=1",
        "",
    ];
    for typ in others {
        assert_eq!(
            verdict_on_header(&with(es256().header(), "typ", typ)),
            Err(Rejection::WrongType),
            "{typ:?}"
        );
    }
    assert_eq!(verdict_on_header(&without(es256().header(), "typ")), Err(Rejection::WrongType));
    assert_eq!(verdict_on_header(&with(es256().header(), "typ", json!(7))), Err(Rejection::Malformed));
}

#[test]
fn an_issuer_that_writes_jwt_is_taken_at_its_word_and_no_other() {
    let verifier = verifier().with_token_type(TokenType::Jwt);
    let verdict = |typ: &str| {
        let header = with(es256().header(), "typ", typ);
        verifier.verify(&es256().token_of(&header, &claims()), at(NOW))
    };
    assert!(verdict("JWT").is_ok());
    assert!(verdict("jwt").is_ok());
    assert_eq!(verdict("at+jwt"), Err(Rejection::WrongType));
    let untyped = es256().token_of(&without(es256().header(), "typ"), &claims());
    assert_eq!(verifier.verify(&untyped, at(NOW)), Err(Rejection::WrongType));
}

/// Two readers of one header must not see two things (RFC 7515 4).
#[test]
fn a_parameter_that_is_there_twice_is_refused() {
    let (es, claims) = (es256(), claims().to_string());
    let header = es.header().to_string();
    for again in
        [r#""alg":"ES256""#, r#""alg":"none""#, r#""kid":"es""#, r#""typ":"at+jwt""#, r#""\u0061lg":"HS256""#]
    {
        for doubled in
            [header.replacen('{', &format!("{{{again},"), 1), header.replacen('}', &format!(",{again}}}"), 1)]
        {
            assert_eq!(verdict(&es.token_of_text(&doubled, &claims)), Err(Rejection::Malformed), "{doubled}");
        }
    }
}
