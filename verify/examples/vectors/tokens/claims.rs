//! What claims say, and when.

use serde_json::{Value, json};

use crate::cases::*;
use crate::keys::Signers;

/// What only some tokens have.
const OPTIONAL: [&str; 5] = ["sid", "sv", "email", "email_verified", "scope"];

/// How many may have acted one for the other.
const DEEPEST_CHAIN: usize = 126;

pub(super) fn claim_types(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let mut add = |about: String, claims: &Value, code: &str| {
        lines.token("claims", &about, &es.token(&es.header(), claims), code);
    };
    let all = claims();
    for claim in all.as_object().expect("claims").keys().filter(|claim| !OPTIONAL.contains(&claim.as_str())) {
        add(format!("no {claim}"), &without(claims(), claim), INVALID);
    }
    add("none".to_owned(), &json!({}), INVALID);
    add("a person's without sv".to_owned(), &without(claims(), "sv"), INVALID);
    add("a machine's with sv".to_owned(), &without(claims(), "sid"), OK);
    let wrong = [
        json!(null),
        json!(true),
        json!(false),
        json!(7),
        json!(4.5),
        json!("x"),
        json!([7]),
        json!(["x"]),
        json!([]),
        json!({}),
        json!([null]),
        json!([["x"]]),
    ];
    let of_the_login = ["auth_time", "amr", "acr"];
    for claim in all.as_object().expect("claims").keys().map(String::as_str).chain(of_the_login) {
        for value in &wrong {
            let fits = match claim {
                "iss" | "aud" | "sub" | "client_id" | "email" | "scope" | "acr" => value.is_string(),
                "jti" | "sid" => false,
                "exp" | "iat" | "sv" | "inc" | "auth_time" => value.is_i64(),
                "email_verified" => value.is_boolean(),
                _ => value == &json!([]) || value == &json!(["x"]),
            };
            let code = match (fits, claim) {
                (true, "iss" | "aud") => INVALID,
                (true, "exp") => EXPIRED,
                (true, _) => OK,
                _ => INVALID,
            };
            add(format!("{claim}: {value}"), &with(claims(), claim, value.clone()), code);
        }
    }
    let in_order: Vec<Value> = claims().as_object().expect("claims").values().cloned().collect();
    for payload in [json!(in_order), json!([claims()]), json!("{}"), json!(7), json!(null)] {
        add(format!("{payload} for all"), &payload, INVALID);
    }
    add("sub: empty".to_owned(), &with(claims(), "sub", ""), OK);
}

/// Who acts (RFC 8693 4.1), and who may.
pub(super) fn actors(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let mut add = |about: &str, act: &str, code: &str| {
        for claim in ["act", "may_act"] {
            let text = claims().to_string().replacen('{', &format!(r#"{{"{claim}":{act},"#), 1);
            // Of who may act nothing but the name is looked at.
            let code = if claim == "may_act" && about.starts_with("further") { OK } else { code };
            let token = es.token_of_text(es.header().to_string(), text);
            lines.token("actors", &format!("{claim}: {about}"), &token, code);
        }
    };
    for (act, code) in [
        (r#"{"sub":"orders"}"#, OK),
        (r#"{"sub":""}"#, OK),
        (r#"{"iss":"x","sub":"orders","deep":{"sub":1}}"#, OK),
        (r#"{"sub":"orders","x":1,"x":2}"#, OK),
        (r#"{"sub":"orders","x":1e999}"#, OK),
        (r#"{"sub":"orders","sub":"orders"}"#, INVALID),
        (r#"{"sub":"orders","s\u0075b":"orders"}"#, INVALID),
        (r#"{"sub":null}"#, INVALID),
        (r#"{"sub":1}"#, INVALID),
        (r#"{"sub":["orders"]}"#, INVALID),
        (r#"{"sub":"\ud83d"}"#, INVALID),
        (r#"{"Sub":"orders"}"#, INVALID),
        (r#"{"client_id":"orders"}"#, INVALID),
        ("{}", INVALID),
        ("null", INVALID),
        ("[]", INVALID),
        (r#"["orders"]"#, INVALID),
        (r#"[{"sub":"orders"}]"#, INVALID),
        (r#""orders""#, INVALID),
        ("true", INVALID),
        ("7", INVALID),
    ] {
        add(act, act, code);
    }
    for (act, code) in [
        (r#"{"sub":"gateway"}"#, OK),
        (r#"{"sub":"gateway","act":{"sub":"orders"}}"#, OK),
        ("null", INVALID),
        ("{}", INVALID),
        ("[]", INVALID),
        (r#"["gateway"]"#, INVALID),
        (r#""gateway""#, INVALID),
        (r#"{"act":{"sub":"orders"}}"#, INVALID),
        (r#"{"sub":"gateway","act":null}"#, INVALID),
        (r#"{"sub":"gateway","act":{"sub":7}}"#, INVALID),
        (r#"{"sub":"gateway","sub":"gateway"}"#, INVALID),
    ] {
        add(&format!("further: {act}"), &format!(r#"{{"sub":"billing","act":{act}}}"#), code);
    }
    add("further: twice", r#"{"sub":"billing","act":{"sub":"orders"},"act":{"sub":"orders"}}"#, INVALID);
    let chain = |length: usize| {
        let last = r#"{"sub":"a"}"#.to_owned();
        (1..length).fold(last, |act, _| format!(r#"{{"sub":"a","act":{act}}}"#))
    };
    for (length, code) in [(4, OK), (5, OK), (DEEPEST_CHAIN, OK), (DEEPEST_CHAIN + 1, INVALID)] {
        add(&format!("further: {length} of them"), &chain(length), code);
    }
}

pub(super) fn numbers(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let all = with(claims(), "nbf", NOW + 1);
    let text_with = |claim: &str, number: &str| {
        let text = all.to_string();
        let changed =
            text.replacen(&format!(r#""{claim}":{}"#, all[claim]), &format!(r#""{claim}":{number}"#), 1);
        assert_ne!(text, changed, "{claim} {number}");
        changed
    };
    let mut add = |claim: &str, number: &str, code: &str| {
        let token = es.token_of_text(es.header().to_string(), text_with(claim, number));
        lines.token("numbers", &format!("{claim}: {number}"), &token, code);
    };
    for claim in ["exp", "iat", "nbf", "sv", "inc"] {
        for number in [
            "-0",
            "3.0",
            "3.5",
            "3e0",
            "3E0",
            "2e9",
            "2000000001.0",
            "2000000901.5",
            "0x77",
            "0b1",
            "0o7",
            "Infinity",
            "-Infinity",
            "NaN",
            "+3",
            "03",
            "3.",
            ".3",
            "- 3",
            "3_000",
            "1e400",
            "18446744073709551616",
            "-9223372036854775809",
            "99999999999999999999999999",
            "\"3\"",
            "３",
            "",
        ] {
            add(claim, number, INVALID);
        }
    }
    for (claim, number, code) in [
        ("exp", "9223372036854775807", OK),
        ("exp", "9223372036854775808", INVALID),
        ("exp", "18446744073709551615", INVALID),
        ("exp", "9007199254740993", OK),
        ("exp", "0", EXPIRED),
        ("exp", "-1", EXPIRED),
        ("exp", "-9223372036854775808", EXPIRED),
        ("iat", "9223372036854775807", INVALID),
        ("iat", "9223372036854775808", INVALID),
        ("iat", "-9223372036854775808", OK),
        ("iat", "0", OK),
        ("nbf", "9223372036854775807", INVALID),
        ("nbf", "9223372036854775808", INVALID),
        ("nbf", "-9223372036854775808", OK),
        ("nbf", "0", OK),
        ("sv", "9223372036854775807", OK),
        ("sv", "9223372036854775808", INVALID),
        ("sv", "-9223372036854775808", OK),
        ("sv", "9007199254740993", OK),
        ("sv", "0", OK),
        ("inc", "18446744073709551615", OK),
        ("inc", "9007199254740993", OK),
        ("inc", "0", OK),
        ("inc", "-1", INVALID),
        ("sv", " 3", OK),
        ("sv", "\t\r\n 3 \n", OK),
        ("sv", "\u{a0}3", INVALID),
        ("sv", "\u{c}3", INVALID),
        ("sv", "/**/3", INVALID),
    ] {
        add(claim, number, code);
    }
}

pub(super) fn texts(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let mut add = |claim: &str, text: &str, code: &str| {
        let right = claims()[claim].to_string();
        let changed = claims().to_string().replacen(
            &format!(r#""{claim}":{right}"#),
            &format!(r#""{claim}":{text}"#),
            1,
        );
        lines.token(
            "texts",
            &format!("{claim}: {text}"),
            &es.token_of_text(es.header().to_string(), changed),
            code,
        );
    };
    for claim in ["sub", "client_id", "email", "scope"] {
        for (text, code) in [
            (r#""a\u0000b""#, OK),
            (r#""\ud83d\ude00""#, OK),
            ("\"\u{1f600}\"", OK),
            (r#""\ud83d""#, INVALID),
            (r#""\ude00\ud83d""#, INVALID),
            (r#""\x41""#, INVALID),
            (r#""\u00g0""#, INVALID),
            (r#""\u12""#, INVALID),
            ("\"a\nb\"", INVALID),
            ("\"a\tb\"", INVALID),
            ("\"a\u{7f}b\"", OK),
            ("'a'", INVALID),
            (r#""a"#, INVALID),
            (r#""\/\b\f\n\r\t\"\\""#, OK),
            ("\"\u{2028}\u{feff}\"", OK),
        ] {
            add(claim, text, code);
        }
    }
    add("iss", r#""https:\/\/id.example.com""#, OK);
    add("aud", r#""https:\/\/api.example.c\u006fm""#, OK);
    add("roles", r#"["member",]"#, INVALID);
    add("roles", r#"["member" "admin"]"#, INVALID);
    add("roles", r#"["\ud800"]"#, INVALID);
    add("email_verified", "True", INVALID);
    add("email_verified", "tru", INVALID);
    add("email_verified", "false", OK);
}

pub(super) fn ids(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    for claim in ["jti", "sid"] {
        for (id, code) in [
            ("00000000-0000-4000-8000-000000000001", OK),
            ("ABCDEF00-0000-4000-8000-00000000000A", OK),
            ("00000000000040008000000000000001", OK),
            ("{00000000-0000-4000-8000-000000000001}", OK),
            ("urn:uuid:00000000-0000-4000-8000-000000000001", OK),
            ("URN:UUID:00000000-0000-4000-8000-000000000001", OK),
            ("00000000-0000-0000-0000-000000000000", OK),
            ("ffffffff-ffff-ffff-ffff-ffffffffffff", OK),
            ("", INVALID),
            ("1", INVALID),
            ("00000000-0000-4000-8000-00000000000", INVALID),
            ("00000000-0000-4000-8000-0000000000011", INVALID),
            ("00000000-0000-4000-8000-00000000000g", INVALID),
            ("000000000000-4000-8000-0000-00000001", INVALID),
            ("{00000000000040008000000000000001}", INVALID),
            ("{00000000-0000-4000-8000-000000000001", INVALID),
            ("(00000000-0000-4000-8000-000000000001)", INVALID),
            ("uuid:00000000-0000-4000-8000-000000000001", INVALID),
            (" 00000000-0000-4000-8000-000000000001", INVALID),
            ("00000000-0000-4000-8000-000000000001\n", INVALID),
            ("0000000000004000800000000000000٤", INVALID),
        ] {
            lines.token(
                "ids",
                &format!("{claim} {id:?}"),
                &es.token(&es.header(), &with(claims(), claim, id)),
                code,
            );
        }
    }
}

pub(super) fn names(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let mut add = |claim: &str, value: Value, code: &str| {
        lines.token(
            "names",
            &format!("{claim} {value}"),
            &es.token(&es.header(), &with(claims(), claim, value)),
            code,
        );
    };
    for iss in [
        "https://id.example.com/",
        "https://ID.example.com",
        "http://id.example.com",
        "https://id.example.com:443",
        "https://id.example.com.evil.example",
        " https://id.example.com",
        "https://id.example.com ",
        "https://id.example.com\0",
        "id.example.com",
        "",
        "HTTPS://id.example.com",
        "https://id.example.com?",
        "https://id.example.com#",
        AUDIENCE,
    ] {
        add("iss", iss.into(), INVALID);
    }
    for aud in [
        json!(ISSUER),
        json!("https://api.example.com/"),
        json!("https://API.example.com"),
        json!("*"),
        json!(""),
        json!([]),
        json!([""]),
        json!([ISSUER, "https://api.example.com/"]),
        json!("https://api.example.com https://other.example.com"),
        json!("https://api.example.com,https://other.example.com"),
        json!([AUDIENCE, 7]),
        json!([7, AUDIENCE]),
        json!([AUDIENCE, null]),
        json!([[AUDIENCE]]),
        json!({"0": AUDIENCE}),
        json!({AUDIENCE: true}),
        json!([AUDIENCE, {}]),
    ] {
        add("aud", aud, INVALID);
    }
    for aud in [
        json!([AUDIENCE]),
        json!([ISSUER, AUDIENCE]),
        json!([AUDIENCE, "other"]),
        json!([AUDIENCE, AUDIENCE]),
        json!(["", AUDIENCE]),
    ] {
        add("aud", aud, OK);
    }
}

/// A service that goes by several names takes a token for any of them, and for nothing that lies between.
pub(super) fn audiences(lines: &mut Lines, signers: &Signers) {
    const OTHER: &str = "https://old.example.com";
    let es = &signers.es;
    let both = json!([AUDIENCE, OTHER]);
    for (own, aud, code) in [
        (json!([AUDIENCE]), json!(AUDIENCE), OK),
        (json!([AUDIENCE]), json!(OTHER), INVALID),
        (both.clone(), json!(AUDIENCE), OK),
        (both.clone(), json!(OTHER), OK),
        (both.clone(), json!([OTHER]), OK),
        (both.clone(), json!([OTHER, AUDIENCE]), OK),
        (both.clone(), json!([ISSUER, OTHER]), OK),
        (both.clone(), json!([ISSUER, "other"]), INVALID),
        (both.clone(), json!("https://OLD.example.com"), INVALID),
        (both.clone(), json!("https://old.example.com/"), INVALID),
        (both.clone(), json!("https://old"), INVALID),
        (both.clone(), json!(format!("{AUDIENCE} {OTHER}")), INVALID),
        (both.clone(), json!(format!("{AUDIENCE},{OTHER}")), INVALID),
        (both.clone(), json!(format!("{AUDIENCE}{OTHER}")), INVALID),
        (both.clone(), json!(""), INVALID),
        (both.clone(), json!([]), INVALID),
        (both.clone(), json!([OTHER, 7]), INVALID),
        (both.clone(), json!([both]), INVALID),
        (json!([OTHER, OTHER]), json!(AUDIENCE), INVALID),
        (json!([OTHER, ISSUER, AUDIENCE]), json!([AUDIENCE]), OK),
    ] {
        let token = es.token(&es.header(), &with(claims(), "aud", aud.clone()));
        lines.token_by(&json!({"audience": own}), "audiences", &format!("{aud} at {own}"), &token, code);
    }
}

pub(super) fn times(lines: &mut Lines, signers: &Signers) {
    let ends = NOW + LIFETIME;
    let es = &signers.es;
    let token = es.token(&es.header(), &claims());
    let mut at = |about: &str, token: &str, leeway_ms: i64, now_ms: i64, code: &str| {
        let rules = json!({"leeway_ms": leeway_ms, "now_ms": now_ms});
        lines.token_by(&rules, "times", &format!("{about}, leeway {leeway_ms}, at {now_ms}"), token, code);
    };
    for leeway in [0, 1, 5, 60] {
        for (now, code) in [(-1, INVALID), (0, OK), (1, OK)] {
            let now = (NOW - leeway + now) * 1_000;
            at("iat", &token, leeway * 1_000, now, code);
            at("iat", &token, leeway * 1_000, now + 999, code);
            let begins = es.token(&es.header(), &with(claims(), "nbf", NOW + 100));
            at("nbf", &begins, leeway * 1_000, now + 100_000, code);
            at("nbf", &begins, leeway * 1_000, now + 100_999, code);
        }
        for (now, code) in [(-1, OK), (0, EXPIRED), (1, EXPIRED), (100_000, EXPIRED)] {
            let now = (ends + leeway + now) * 1_000;
            at("exp", &token, leeway * 1_000, now, code);
            at("exp", &token, leeway * 1_000, now + 999, code);
        }
    }
    at("part of a second is no leeway", &token, 999, (ends) * 1_000, EXPIRED);
    at("1970", &token, 5_000, 0, INVALID);
    let over = with(claims(), "exp", NOW - 1_000);
    let stranger = &signers.stranger;
    for (about, token, code) in [
        ("over", es.token(&es.header(), &over), EXPIRED),
        ("over, a stranger's", stranger.token(&stranger.header(), &over), INVALID),
        ("over, without typ", es.token(&without(es.header(), "typ"), &over), INVALID),
        ("over, another issuer's", es.token(&es.header(), &with(over.clone(), "iss", "another")), INVALID),
        (
            "over, for another audience",
            es.token(&es.header(), &with(over.clone(), "aud", "another")),
            INVALID,
        ),
        ("over, without sv", es.token(&es.header(), &without(over.clone(), "sv")), INVALID),
        ("over before it begins", es.token(&es.header(), &with(over.clone(), "nbf", NOW + 1_000)), INVALID),
        ("over, of an unknown key", es.token(&with(es.header(), "kid", "other"), &over), INVALID),
    ] {
        at(about, &token, 5_000, NOW * 1_000, code);
    }
}
