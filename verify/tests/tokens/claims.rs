//! Every claim is there, once, with its one JSON type, and says what is expected.

use hallpass_verify::Rejection;
use serde_json::{Value, json};

use crate::support::*;

const TIMES: [&str; 3] = ["exp", "iat", "nbf"];
const TEXTS: [&str; 8] = ["iss", "sub", "jti", "sid", "client_id", "email", "acr", "scope"];
/// What a machine's token does not have.
const OPTIONAL: [&str; 8] = ["sid", "sv", "email", "email_verified", "auth_time", "amr", "acr", "scope"];

#[test]
fn a_token_without_one_of_its_claims_is_malformed() {
    let all = claims();
    for claim in all.as_object().expect("claims").keys().filter(|claim| !OPTIONAL.contains(&claim.as_str())) {
        assert_eq!(verdict_on_claims(&without(claims(), claim)), Err(Rejection::Malformed), "{claim}");
    }
    assert_eq!(verdict_on_claims(&json!({})), Err(Rejection::Malformed));
}

/// A token of `client_credentials` has no user and no session (RFC 9068 2.2), and says so by silence.
#[test]
fn a_machines_token_has_neither_session_nor_email_address() {
    let machine =
        OPTIONAL.iter().fold(with(claims(), "sub", "orders"), |claims, claim| without(claims, claim));
    let read = verdict_on_claims(&machine).expect("accepted");
    assert_eq!((read.sid, read.sv, read.email, read.scope), (None, None, None, None));
    assert_eq!(read.email_verified, None);
    assert_eq!((read.auth_time, read.amr, read.acr), (None, None, None));
    assert_eq!((read.sub.as_str(), read.inc), ("orders", 7));
}

/// Tokens of before have no such claim. They are right, and say of the address that nothing is known.
#[test]
fn an_address_is_verified_where_the_token_says_so_and_nowhere_else() {
    for (claim, verified) in [(Some(true), Some("ada@example.com")), (Some(false), None), (None, None)] {
        let claims = match claim {
            Some(claim) => with(claims(), "email_verified", claim),
            None => without(claims(), "email_verified"),
        };
        let read = verdict_on_claims(&claims).expect("accepted");
        assert_eq!((read.email_verified, read.verified_email()), (claim, verified));
        assert_eq!(read.email.as_deref(), Some("ada@example.com"));
    }
    for value in [json!("true"), json!("false"), json!(1), json!(0), json!(null), json!([true]), json!({})] {
        let verdict = verdict_on_claims(&with(claims(), "email_verified", value.clone()));
        assert_eq!(verdict, Err(Rejection::Malformed), "{value}");
    }
}

/// Nothing that ends the account's sessions could take it back.
#[test]
fn a_persons_token_without_a_version_is_refused() {
    assert_eq!(verdict_on_claims(&without(claims(), "sv")), Err(Rejection::Unversioned));
    // Only what is authentic is said to be so.
    let stranger = TestKey::es256("es").token_of(&es256().header(), &without(claims(), "sv"));
    assert_eq!(verdict(&stranger), Err(Rejection::BadSignature));
}

#[test]
fn the_numbers_are_read_as_they_are_written() {
    for (sv, inc) in [(1, 1), (i64::MAX, u64::MAX), (i64::MIN, 0)] {
        let read = verdict_on_claims(&with(with(claims(), "sv", sv), "inc", inc)).expect("accepted");
        assert_eq!((read.sv, read.inc), (Some(sv), inc));
    }
}

#[test]
fn a_number_that_is_no_whole_number_is_malformed() {
    for claim in ["sv", "inc"] {
        let value = claims()[claim].to_string();
        for number in [
            "-0",
            "1e0",
            "3.0",
            "3.5",
            "null",
            "true",
            "\"3\"",
            "[3]",
            "{}",
            "18446744073709551616",
            "0x7",
            "NaN",
        ] {
            let text = claims().to_string();
            let text = text.replacen(&format!(r#""{claim}":{value}"#), &format!(r#""{claim}":{number}"#), 1);
            assert!(text.contains(number), "{text}");
            let token = es256().token_of_text(&es256().header().to_string(), &text);
            assert_eq!(verdict(&token), Err(Rejection::Malformed), "{claim}: {number}");
        }
    }
    assert_eq!(verdict_on_claims(&with(claims(), "inc", -1)), Err(Rejection::Malformed));
}

/// hallpass writes no `nbf`; one that is there counts.
#[test]
fn a_token_has_its_beginning_by_being_issued() {
    assert_eq!(verdict_on_claims(&claims()).expect("accepted").nbf, None);
    assert_eq!(verdict_on_claims(&with(claims(), "nbf", NOW)).expect("accepted").nbf, Some(NOW));
}

#[test]
fn a_scope_is_read_as_it_is_written() {
    let read = verdict_on_claims(&with(claims(), "scope", "orders:read orders:write")).expect("accepted");
    assert_eq!(read.scopes().collect::<Vec<_>>(), ["orders:read", "orders:write"]);
}

/// CVE-2026-25537: a time of the wrong type must not count as absent.
#[test]
fn a_time_that_is_no_whole_number_is_malformed() {
    let wrong = [
        json!("2000000900"),
        json!("never"),
        json!(2_000_000_900.0),
        json!(2_000_000_900.5),
        json!(true),
        json!(null),
        json!([2_000_000_900]),
        json!({"seconds": 2_000_000_900}),
        json!(u64::MAX),
        json!(1e300),
    ];
    for claim in TIMES {
        for value in &wrong {
            let verdict = verdict_on_claims(&with(claims(), claim, value.clone()));
            assert_eq!(verdict, Err(Rejection::Malformed), "{claim}: {value}");
        }
        for number in
            ["-0", "2e9", "18446744073709551616", "99999999999999999999999999", "0x77", "Infinity", "NaN"]
        {
            let claims = with(claims(), claim, NOW + 1);
            let (text, value) = (claims.to_string(), NOW + 1);
            let text = text.replacen(&format!(r#""{claim}":{value}"#), &format!(r#""{claim}":{number}"#), 1);
            assert!(text.contains(number), "{text}");
            let token = es256().token_of_text(&es256().header().to_string(), &text);
            assert_eq!(verdict(&token), Err(Rejection::Malformed), "{claim}: {number}");
        }
    }
}

#[test]
fn extreme_times_neither_wrap_nor_pass() {
    for exp in [-1, 0, i64::MIN] {
        assert!(
            matches!(verdict_on_claims(&with(claims(), "exp", exp)), Err(Rejection::Expired(_))),
            "{exp}"
        );
    }
    for claim in ["iat", "nbf"] {
        assert_eq!(
            verdict_on_claims(&with(claims(), claim, i64::MAX)),
            Err(Rejection::NotYetValid),
            "{claim}"
        );
        assert!(verdict_on_claims(&with(claims(), claim, i64::MIN)).is_ok(), "{claim}");
    }
    assert!(verdict_on_claims(&with(claims(), "exp", i64::MAX)).is_ok());
}

#[test]
fn a_text_that_is_no_string_is_malformed() {
    for claim in TEXTS {
        for value in [json!(42), json!(4.2), json!(true), json!(null), json!(["42"]), json!({"id": "42"})] {
            let verdict = verdict_on_claims(&with(claims(), claim, value.clone()));
            assert_eq!(verdict, Err(Rejection::Malformed), "{claim}: {value}");
        }
    }
}

#[test]
fn an_id_that_is_no_uuid_is_malformed() {
    for claim in ["jti", "sid"] {
        for value in ["", "1", "00000000-0000-4000-8000-00000000000", "00000000-0000-4000-8000-00000000000g"]
        {
            let verdict = verdict_on_claims(&with(claims(), claim, value));
            assert_eq!(verdict, Err(Rejection::Malformed), "{claim}: {value}");
        }
    }
}

#[test]
fn roles_are_an_array_of_strings() {
    for value in
        [json!("admin"), json!(null), json!(true), json!(7), json!([7]), json!(["admin", null]), json!({})]
    {
        let verdict = verdict_on_claims(&with(claims(), "roles", value.clone()));
        assert_eq!(verdict, Err(Rejection::Malformed), "{value}");
    }
    assert!(verdict_on_claims(&with(claims(), "roles", json!([]))).is_ok());
}

#[test]
fn the_issuer_is_compared_to_the_letter() {
    let others = [
        "https://id.example.com/",
        "https://ID.example.com",
        "http://id.example.com",
        "https://id.example.com:443",
        "https://id.example.com.evil.example",
        " https://id.example.com",
        "id.example.com",
        "",
    ];
    for iss in others {
        assert_eq!(verdict_on_claims(&with(claims(), "iss", iss)), Err(Rejection::WrongIssuer), "{iss:?}");
    }
}

#[test]
fn the_audience_is_compared_to_the_letter() {
    let others = [
        json!(ISSUER),
        json!("https://api.example.com/"),
        json!("https://API.example.com"),
        json!("*"),
        json!(""),
        json!([]),
        json!([""]),
        json!([ISSUER, "https://api.example.com/"]),
    ];
    for aud in others {
        let verdict = verdict_on_claims(&with(claims(), "aud", aud.clone()));
        assert_eq!(verdict, Err(Rejection::WrongAudience), "{aud}");
    }
}

#[test]
fn one_audience_of_several_is_enough() {
    for aud in [json!([AUDIENCE]), json!([ISSUER, AUDIENCE]), json!([AUDIENCE, "other"])] {
        assert!(verdict_on_claims(&with(claims(), "aud", aud.clone())).is_ok(), "{aud}");
    }
}

#[test]
fn a_token_for_any_of_several_audiences_will_do() {
    let (verifier, other) =
        (verifier().with_another_audience("https://b.example.com"), "https://b.example.com");
    let verdict = |aud: Value| {
        verifier.verify(&es256().token_of(&es256().header(), &with(claims(), "aud", aud)), at(NOW))
    };
    for aud in [json!(AUDIENCE), json!(other), json!([ISSUER, other]), json!([other, AUDIENCE])] {
        assert!(verdict(aud.clone()).is_ok(), "{aud}");
    }
    for aud in [json!(ISSUER), json!("https://b.example.com/"), json!([]), json!([ISSUER, "*"])] {
        assert_eq!(verdict(aud.clone()), Err(Rejection::WrongAudience), "{aud}");
    }
    let only = verifier.clone().with_audience(ISSUER);
    let token = es256().token_of(&es256().header(), &with(claims(), "aud", other));
    assert_eq!(only.verify(&token, at(NOW)), Err(Rejection::WrongAudience), "another one takes their place");
}

#[test]
fn an_audience_of_another_type_is_malformed() {
    for aud in [json!(7), json!(null), json!(true), json!([7]), json!([AUDIENCE, 7]), json!({"0": AUDIENCE})]
    {
        let verdict = verdict_on_claims(&with(claims(), "aud", aud.clone()));
        assert_eq!(verdict, Err(Rejection::Malformed), "{aud}");
    }
    assert_eq!(verdict_on_claims(&with(claims(), "aud", json!([[AUDIENCE]]))), Err(Rejection::Malformed));
}

/// Two readers of one token must not see two things (RFC 7519 4).
#[test]
fn a_claim_that_is_there_twice_is_malformed() {
    let claims = with(claims(), "nbf", NOW);
    let text = claims.to_string();
    for (claim, value) in claims.as_object().expect("claims") {
        for value in [value.clone(), json!(null), json!("admin")] {
            let again = format!("{}:{value}", Value::from(claim.as_str()));
            for doubled in [
                text.replacen('{', &format!("{{{again},"), 1),
                format!("{},{again}}}", &text[..text.len() - 1]),
            ] {
                let token = es256().token_of_text(&es256().header().to_string(), &doubled);
                assert_eq!(verdict(&token), Err(Rejection::Malformed), "{claim}: {value}");
            }
        }
    }
}

#[test]
fn claims_that_are_not_known_are_passed_over() {
    let mut more = claims();
    more["tenant"] = json!(7);
    more["https://example.com/tenant"] = json!({"id": [1, 2, 3]});
    let read = verdict_on_claims(&more).expect("accepted");
    assert_eq!((read.claim("tenant"), read.extra.len()), (Some(&json!(7)), 2));
    assert_eq!(read.claim("https://example.com/tenant"), Some(&json!({"id": [1, 2, 3]})));
}

/// RFC 7519 7.2 wants an object. Values in the order of the claims are not one.
#[test]
fn claims_that_are_no_object_are_malformed() {
    let in_order: Vec<Value> = claims().as_object().expect("claims").values().cloned().collect();
    for payload in [json!(in_order), json!([claims()]), json!("{}"), json!(7), json!(null)] {
        assert_eq!(verdict_on_claims(&payload), Err(Rejection::Malformed), "{payload}");
    }
}
