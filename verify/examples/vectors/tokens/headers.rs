//! What a header says.

use serde_json::{Value, json};

use crate::cases::*;
use crate::keys::Signers;

pub(super) fn headers(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let mut add = |about: String, header: &Value, code: &str| {
        lines.token("header", &about, &es.token(header, &claims()), code);
    };
    for kid in [
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
        "es ",
        "ES",
        "e",
        "",
        "__proto__",
        "constructor",
        "toString",
        "0",
        "null",
        "rs",
        "ed",
    ] {
        add(format!("kid {kid:?}"), &with(es.header(), "kid", kid), INVALID);
    }
    add("no kid".to_owned(), &without(es.header(), "kid"), INVALID);
    for kid in [json!(null), json!(7), json!(["es"]), json!({"kid": "es"}), json!(true)] {
        add(format!("kid {kid}"), &with(es.header(), "kid", kid.clone()), INVALID);
    }
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!("b64"), json!([7]), json!(null)] {
        add(format!("crit {crit}"), &with(with(es.header(), "crit", crit.clone()), "b64", false), INVALID);
    }
    for typ in ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/at+JWT"] {
        add(format!("typ {typ:?}"), &with(es.header(), "typ", typ), OK);
    }
    let others = [
        "JWT",
        "jwt",
        "application/jwt",
        "id+jwt",
        "logout+jwt",
        "dpop+jwt",
        "at+jwt ",
        " at+jwt",
        "at",
        "+jwt",
        "text/at+jwt",
        "application/application/at+jwt",
        "at+jwt;v=1",
        "",
        "/at+jwt",
        "at+\u{212a}wt",
        "at+jwt\0",
    ];
    for typ in others {
        add(format!("typ {typ:?}"), &with(es.header(), "typ", typ), INVALID);
    }
    for typ in [json!(7), json!(true), json!(["at+jwt"]), json!({"typ": "at+jwt"}), json!(null)] {
        add(format!("typ {typ}"), &with(es.header(), "typ", typ.clone()), INVALID);
    }
    add("no typ".to_owned(), &without(es.header(), "typ"), INVALID);
    own_keys(lines, signers);
    for (typ, code) in
        [("JWT", OK), ("jwt", OK), ("application/JWT", OK), ("at+jwt", INVALID), ("JWS", INVALID)]
    {
        let token = es.token(&with(es.header(), "typ", typ), &claims());
        lines.token_by(
            &json!({"typ": "JWT"}),
            "header",
            &format!("typ {typ} where JWT is wanted"),
            &token,
            code,
        );
    }
}

/// A key that comes with the token (CVE-2018-0114).
fn own_keys(lines: &mut Lines, signers: &Signers) {
    let own_keys: [(&str, Value); 9] = [
        ("jwk", signers.stranger.jwk()),
        ("jwk", signers.es.jwk()),
        ("jwk", json!("none")),
        ("jwk", json!(null)),
        ("jku", json!("https://evil.example.com/jwks.json")),
        ("jku", json!(7)),
        ("x5u", json!("https://evil.example.com/key.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5c", json!([])),
    ];
    for (parameter, value) in own_keys {
        for signer in [&signers.stranger, &signers.es] {
            let token = signer.token(&with(signer.header(), parameter, value.clone()), &claims());
            lines.token("header", &format!("{parameter}: {value}"), &token, INVALID);
        }
    }
}

pub(super) fn header_texts(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let header = es.header().to_string();
    for again in [
        r#""alg":"ES256""#,
        r#""alg":"none""#,
        r#""kid":"es""#,
        r#""kid":"rs""#,
        r#""typ":"at+jwt""#,
        r#""\u0061lg":"HS256""#,
        r#""k\u0069d":"es""#,
    ] {
        for doubled in
            [header.replacen('{', &format!("{{{again},"), 1), header.replacen('}', &format!(",{again}}}"), 1)]
        {
            lines.token("header", &doubled, &es.token_of_text(&doubled, claims().to_string()), INVALID);
        }
    }
    let escaped = header.replacen("alg", r"\u0061lg", 1);
    lines.token(
        "header",
        "alg is spelled with an escape",
        &es.token_of_text(escaped, claims().to_string()),
        OK,
    );
    let twice = header.replacen('}', r#","note":1,"note":2}"#, 1);
    lines.token(
        "header",
        "what is passed over is there twice",
        &es.token_of_text(twice, claims().to_string()),
        OK,
    );
}
