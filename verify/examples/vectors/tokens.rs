//! Tokens: what is right, and everything that is wrong in one place.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::cases::*;
use crate::keys::{Signers, SigningKey, encode, jwks};

/// What only some tokens have.
const OPTIONAL: [&str; 5] = ["sid", "sv", "email", "email_verified", "scope"];

/// All lines of `tokens.jsonl`.
pub fn lines(signers: &Signers) -> Lines {
    let mut lines = Lines::default();
    lines.keys("published", &signers.jwks());
    for group in [
        right,
        algorithms,
        signatures,
        shapes,
        encodings,
        headers,
        header_texts,
        claim_types,
        numbers,
        texts,
        ids,
        names,
        times,
        doubled,
        json_texts,
        requirements,
        requests,
        key_sets,
    ] {
        group(&mut lines, signers);
    }
    lines
}

fn right(lines: &mut Lines, signers: &Signers) {
    for key in signers.published() {
        lines.token("right", key.alg, &key.token(&key.header(), &claims()), OK);
        let typ = with(key.header(), "typ", "JWT");
        let rules = json!({"typ": "JWT"});
        lines.token_by(&rules, "right", &format!("{} as JWT", key.alg), &key.token(&typ, &claims()), OK);
        lines.token("right", &format!("{} of a machine", key.alg), &key.token(&key.header(), &machine()), OK);
    }
    let (header, es) = (signers.es.header(), &signers.es);
    for claim in ["email", "email_verified", "scope"] {
        lines.token("right", &format!("without {claim}"), &es.token(&header, &without(claims(), claim)), OK);
    }
    let mut more = claims();
    for (claim, value) in [("acr", json!(7)), ("auth_time", json!("x")), ("amr", json!(null))] {
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

fn algorithms(lines: &mut Lines, signers: &Signers) {
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

fn signatures(lines: &mut Lines, signers: &Signers) {
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

fn shapes(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let token = es.token(&es.header(), &claims());
    let no_tokens = [
        "",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c",
        "null",
        "{}",
        "Bearer",
        "ż.ó.ł",
        "\0.\0.\0",
        "e30.e30.e30",
        "e30.e30.",
        "e30..",
    ];
    for text in no_tokens.iter().copied().chain([token.replace('.', "").as_str(), &token.replace('.', "..")])
    {
        lines.token("shape", &format!("{text:?}"), text, INVALID);
    }
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    for (about, text) in [
        ("no signature", format!("{header}.{payload}")),
        ("an empty header", format!(".{payload}.{signature}")),
        ("a dot more", format!("{header}.{payload}.{signature}.")),
        ("a dot before", format!(".{header}.{payload}.{signature}")),
        ("the signature twice", format!("{header}.{payload}.{signature}.{signature}")),
        ("the header twice", format!("{header}.{header}.{payload}.{signature}")),
        ("claims first", format!("{payload}.{header}.{signature}")),
        ("an empty signature", format!("{header}.{payload}.")),
        ("no claims", format!("{header}..{signature}")),
        ("signed, without claims", es.signed(&format!("{header}."))),
        ("five parts", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
    ] {
        lines.token("shape", about, &text, INVALID);
    }
    for extra in [
        " ", "\n", "\r\n", "\t", "\0", "=", "==", "\u{feff}", "%3D", "+", "/", ",", ";", "\u{a0}", "_", "-",
        "A",
    ] {
        for (about, text) in [
            ("after", format!("{token}{extra}")),
            ("before", format!("{extra}{token}")),
            ("after the header", token.replacen('.', &format!("{extra}."), 1)),
            ("before the claims", token.replacen('.', &format!(".{extra}"), 1)),
            ("before the signature", format!("{header}.{payload}.{extra}{signature}")),
        ] {
            lines.token("shape", &format!("{extra:?} {about}"), &text, INVALID);
        }
    }
    lengths(lines, es);
}

/// The longest token that is looked at, in bytes.
const TOKEN_MAX_BYTES: usize = 8 * 1024;

fn lengths(lines: &mut Lines, es: &SigningKey) {
    for (bytes, code) in [
        (TOKEN_MAX_BYTES - 1, OK),
        (TOKEN_MAX_BYTES, OK),
        (TOKEN_MAX_BYTES + 1, INVALID),
        (3 * TOKEN_MAX_BYTES, INVALID),
    ] {
        lines.token("shape", &format!("{bytes} bytes"), &token_of_length(es, bytes), code);
    }
}

fn token_of_length(es: &SigningKey, bytes: usize) -> String {
    let parts = |filling: usize, note: usize| {
        let header = with(es.header(), "note", "x".repeat(note));
        format!(
            "{}.{}",
            encode(header.to_string()),
            encode(with(claims(), "filling", "x".repeat(filling)).to_string())
        )
    };
    let signature = 1 + encode([0; 64]).len();
    // Base64 skips one length in four, so both parts must give a little.
    let roomy = (bytes - signature - parts(0, 0).len()) * 3 / 4;
    (roomy - 8..=roomy)
        .flat_map(|filling| (0..3).map(move |note| parts(filling, note)))
        .find(|message| message.len() + signature == bytes)
        .map(|message| es.signed(&message))
        .unwrap_or_else(|| panic!("no token has {bytes} bytes"))
}

fn encodings(lines: &mut Lines, signers: &Signers) {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // The bits that the last character does not need are zero (RFC 4648 3.5).
    for key in [&signers.es, &signers.ed] {
        let token = key.token(&key.header(), &claims());
        let (rest, last) = token.split_at(token.len() - 1);
        let place = ALPHABET.find(last).expect("base64url");
        for spelling in ALPHABET[place / 16 * 16..place / 16 * 16 + 16].chars() {
            let code = if last.starts_with(spelling) { OK } else { INVALID };
            lines.token(
                "encoding",
                &format!("{} ends in {spelling}", key.alg),
                &format!("{rest}{spelling}"),
                code,
            );
        }
    }
    let es = &signers.es;
    let header = with(es.header(), "note", "\u{7ff}\u{7ff}\u{3ff}").to_string();
    let padded = (0..3)
        .map(|more| with(claims(), "email", format!("{}\u{ffff}???>>>", "x".repeat(more))).to_string())
        .find(|payload| payload.len() % 3 != 0)
        .expect("a length that needs padding");
    lines.token("encoding", "right", &es.token_of_text(&header, &padded), OK);
    for (about, payload) in [
        ("padded", URL_SAFE.encode(&padded)),
        ("the standard alphabet", STANDARD_NO_PAD.encode(&padded)),
        ("both", STANDARD.encode(&padded)),
        ("plain", padded.clone()),
        ("a line end within", broken_in_two(&encode(&padded))),
        ("bits left over", with_bits_left_over(&encode(&padded), ALPHABET)),
        (
            "one character too many",
            format!("{}A", encode(format!("{padded}{}", &"   "[..(3 - padded.len() % 3) % 3]))),
        ),
    ] {
        lines.token(
            "encoding",
            &format!("claims, {about}"),
            &es.signed(&format!("{}.{payload}", encode(&header))),
            INVALID,
        );
    }
    let spaced = header.clone() + &" "[..usize::from(header.len().is_multiple_of(3))];
    for (about, header) in [
        ("padded", URL_SAFE.encode(&spaced)),
        ("the standard alphabet", STANDARD_NO_PAD.encode(&header)),
        ("plain", header.clone()),
        ("bits left over", with_bits_left_over(&encode(&spaced), ALPHABET)),
    ] {
        let token = es.signed(&format!("{header}.{}", encode(claims().to_string())));
        lines.token("encoding", &format!("header, {about}"), &token, INVALID);
    }
    let utf8: [(&str, &[u8]); 4] = [
        ("a claim that is known", b"ada\xff@example.com"),
        ("an overlong form", b"\xc0\xafada"),
        ("half a character", b"ada\xe2\x82"),
        ("a surrogate", b"\xed\xa0\x80"),
    ];
    for (about, bytes) in utf8 {
        let text = claims().to_string();
        let (before, after) = text.split_once("ada@example.com").expect("the address");
        let token =
            es.token_of_text(es.header().to_string(), [before.as_bytes(), bytes, after.as_bytes()].concat());
        lines.token("encoding", &format!("no UTF-8: {about}"), &token, INVALID);
        let before = before.replacen("\"email\"", "\"note\"", 1);
        let token =
            es.token_of_text(es.header().to_string(), [before.as_bytes(), bytes, after.as_bytes()].concat());
        lines.token("encoding", &format!("no UTF-8 in what is passed over: {about}"), &token, INVALID);
    }
}

fn broken_in_two(text: &str) -> String {
    format!("{}\n{}", &text[..40], &text[40..])
}

/// Another spelling of the same bytes, which a careless decoder takes.
fn with_bits_left_over(text: &str, alphabet: &str) -> String {
    let (rest, last) = text.split_at(text.len() - 1);
    let place = alphabet.find(last).expect("base64url");
    let another = format!("{rest}{}", &alphabet[place + 1..place + 2]);
    assert!(URL_SAFE_NO_PAD.decode(&another).is_err(), "{another}");
    another
}

fn headers(lines: &mut Lines, signers: &Signers) {
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

fn header_texts(lines: &mut Lines, signers: &Signers) {
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

fn claim_types(lines: &mut Lines, signers: &Signers) {
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
    for claim in all.as_object().expect("claims").keys() {
        for value in &wrong {
            let fits = match claim.as_str() {
                "iss" | "aud" | "sub" | "client_id" | "email" | "scope" => value.is_string(),
                "jti" | "sid" => false,
                "exp" | "iat" | "sv" | "inc" => value.is_i64(),
                "email_verified" => value.is_boolean(),
                _ => value == &json!([]) || value == &json!(["x"]),
            };
            let code = match (fits, claim.as_str()) {
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

fn numbers(lines: &mut Lines, signers: &Signers) {
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

fn texts(lines: &mut Lines, signers: &Signers) {
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

fn ids(lines: &mut Lines, signers: &Signers) {
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

fn names(lines: &mut Lines, signers: &Signers) {
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

fn times(lines: &mut Lines, signers: &Signers) {
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

/// Two readers of one token must not see two things (RFC 7519 4).
fn doubled(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let claims = with(claims(), "nbf", NOW);
    let text = claims.to_string();
    for (claim, value) in claims.as_object().expect("claims") {
        for value in [value.clone(), json!(null), json!("admin")] {
            let again = format!("{}:{value}", Value::from(claim.as_str()));
            let (before, behind) = (
                text.replacen('{', &format!("{{{again},"), 1),
                format!("{},{again}}}", &text[..text.len() - 1]),
            );
            for (place, doubled) in [("before", before), ("behind", behind)] {
                let token = es.token_of_text(es.header().to_string(), doubled);
                lines.token("doubled", &format!("{again} {place}"), &token, INVALID);
            }
        }
    }
    for again in [r#""\u0073ub":"1""#, r#""ex\u0070":1"#] {
        let token = es.token_of_text(es.header().to_string(), text.replacen('{', &format!("{{{again},"), 1));
        lines.token("doubled", again, &token, INVALID);
    }
    for fine in [
        r#""note":1,"note":2"#,
        r#""Sub":"1""#,
        r#""SUB":"1","EXP":1"#,
        r#""deep":{"sub":"1","sub":"2"}"#,
        r#""":1"#,
    ] {
        let token = es.token_of_text(es.header().to_string(), text.replacen('{', &format!("{{{fine},"), 1));
        lines.token("doubled", &format!("not: {fine}"), &token, OK);
    }
}

fn json_texts(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let (header, claims) = (es.header().to_string(), claims().to_string());
    let in_order = r#"["ES256","es","at+jwt",null,null,null,null,null]"#;
    let comma = |text: &str| format!("{},}}", &text[..text.len() - 1]);
    for broken in ["", "{", "x", "[]", "{}", "{}{}", "\u{feff}{}", in_order, "null", "\"\"", "0"] {
        lines.token("json", &format!("header {broken:?}"), &es.token_of_text(broken, &claims), INVALID);
        lines.token("json", &format!("claims {broken:?}"), &es.token_of_text(&header, broken), INVALID);
    }
    for (about, header, claims, code) in [
        ("space around", format!(" \t\r\n{header}\n "), format!(" \t\r\n{claims}\n "), OK),
        ("a mark before the header", format!("\u{feff}{header}"), claims.clone(), INVALID),
        ("a mark before the claims", header.clone(), format!("\u{feff}{claims}"), INVALID),
        ("a form feed before", header.clone(), format!("\u{c}{claims}"), INVALID),
        ("a space of no width before", header.clone(), format!("\u{200b}{claims}"), INVALID),
        ("more behind the header", format!("{header} x"), claims.clone(), INVALID),
        ("the header twice", format!("{header}{header}"), claims.clone(), INVALID),
        ("a zero byte behind", header.clone(), format!("{claims}\0"), INVALID),
        ("the claims twice", header.clone(), format!("{claims}{claims}"), INVALID),
        ("claims on two lines", header.clone(), format!("{claims}\n{claims}"), INVALID),
        ("a comma at the header's end", comma(&header), claims.clone(), INVALID),
        ("a comma at the end", header.clone(), comma(&claims), INVALID),
        ("brackets without an end", header.clone(), "[".repeat(2_000), INVALID),
        ("braces without an end", header.clone(), format!(r#"{{"a":{}"#, r#"{"a":"#.repeat(700)), INVALID),
        (
            "100 brackets",
            header.clone(),
            claims.replacen('{', &format!(r#"{{"a":{}{},"#, "[".repeat(100), "]".repeat(100)), 1),
            OK,
        ),
        ("comments", header.clone(), claims.replacen('{', "{/* */", 1), INVALID),
        ("names without quotes", header.clone(), claims.replacen("\"sub\"", "sub", 1), INVALID),
        ("names in single quotes", header.clone(), claims.replacen("\"sub\"", "'sub'", 1), INVALID),
        ("NaN in what is passed over", header.clone(), claims.replacen('{', r#"{"a":NaN,"#, 1), INVALID),
        (
            "a huge number in what is passed over",
            header.clone(),
            claims.replacen('{', r#"{"a":1e9999,"#, 1),
            OK,
        ),
        (
            "a control character in what is passed over",
            header.clone(),
            claims.replacen('{', "{\"a\":\"\u{1}\",", 1),
            INVALID,
        ),
        (
            "a bad escape in what is passed over",
            header.clone(),
            claims.replacen('{', r#"{"a":"\x","#, 1),
            INVALID,
        ),
        (
            "__proto__",
            header.clone(),
            claims.replacen('{', r#"{"__proto__":{"sub":"1","roles":["admin"]},"#, 1),
            OK,
        ),
    ] {
        lines.token("json", about, &es.token_of_text(header, claims), code);
    }
}

fn requirements(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let person = es.token(
        &es.header(),
        &with(with(claims(), "roles", json!(["member", "ops"])), "scope", "orders:read orders:write"),
    );
    let of_machine = es.token(&es.header(), &machine());
    let over = es.token(&es.header(), &with(claims(), "exp", NOW - 1_000));
    for (token, require, code) in [
        (&person, json!({"person": true}), OK),
        (&of_machine, json!({"person": true}), FORBIDDEN),
        (&of_machine, json!({"person": false}), OK),
        (&of_machine, json!({}), OK),
        (&person, json!({"roles": []}), OK),
        (&person, json!({"roles": ["ops"]}), OK),
        (&person, json!({"roles": ["ops", "member"]}), OK),
        (&person, json!({"roles": ["ops", "admin"]}), FORBIDDEN),
        (&person, json!({"roles": ["admin"]}), FORBIDDEN),
        (&person, json!({"roles": ["OPS"]}), FORBIDDEN),
        (&person, json!({"roles": ["op"]}), FORBIDDEN),
        (&person, json!({"roles": ["ops "]}), FORBIDDEN),
        (&person, json!({"roles": [""]}), FORBIDDEN),
        (&person, json!({"roles": ["member ops"]}), FORBIDDEN),
        (&of_machine, json!({"roles": ["member"]}), FORBIDDEN),
        (&person, json!({"scopes": ["orders:read"]}), OK),
        (&person, json!({"scopes": ["orders:write", "orders:read"]}), OK),
        (&person, json!({"scopes": ["orders"]}), SCOPE),
        (&person, json!({"scopes": ["orders:read", "orders:delete"]}), SCOPE),
        (&person, json!({"scopes": ["rders:read"]}), SCOPE),
        (&person, json!({"scopes": ["Orders:Read"]}), SCOPE),
        (&person, json!({"scopes": ["orders:read orders:write"]}), SCOPE),
        (&person, json!({"scopes": [" "]}), SCOPE),
        (&person, json!({"scopes": [""]}), SCOPE),
        (&of_machine, json!({"scopes": ["orders:read"]}), OK),
        (&of_machine, json!({"person": true, "scopes": ["orders:read"]}), FORBIDDEN),
        (&of_machine, json!({"roles": ["admin"], "scopes": ["other"]}), FORBIDDEN),
        (&person, json!({"roles": ["ops"], "scopes": ["other"]}), SCOPE),
        (&over, json!({"roles": ["admin"]}), EXPIRED),
    ] {
        lines.token_by(&json!({"require": require}), "require", &require.to_string(), token, code);
    }
    for scope in [
        json!(""),
        json!(" "),
        json!("   "),
        json!("orders:read  "),
        json!(" orders:read"),
        json!("a\torders:read"),
        json!("a\u{a0}orders:read"),
        json!("a,orders:read"),
        json!("x  orders:read"),
    ] {
        let code = if scope.as_str().is_some_and(|scope| scope.split(' ').any(|word| word == "orders:read")) {
            OK
        } else {
            SCOPE
        };
        let token = es.token(&es.header(), &with(claims(), "scope", scope.clone()));
        lines.token_by(
            &json!({"require": {"scopes": ["orders:read"]}}),
            "require",
            &format!("a scope of {scope}"),
            &token,
            code,
        );
    }
    let none = es.token(&es.header(), &without(claims(), "scope"));
    lines.token_by(&json!({"require": {"scopes": ["orders:read"]}}), "require", "no scope", &none, SCOPE);
}

const BEARER: &str = "Bearer";
const INVALID_CHALLENGE: &str = r#"Bearer error="invalid_token""#;

fn refusal(code: &str, challenge: Value, retry_after: Value) -> Value {
    let mut refusal = match code {
        "authentication_required" => json!({"verdict": "refused", "code": code, "status": 401}),
        code => outcome(code),
    };
    refusal["challenge"] = challenge;
    refusal["retry_after"] = retry_after;
    refusal
}

fn requests(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let token = es.token(&es.header(), &claims());
    let none = refusal("authentication_required", BEARER.into(), json!(null));
    let invalid = refusal(INVALID, INVALID_CHALLENGE.into(), json!(null));
    let usual = json!({});
    for scheme in ["Bearer", "bearer", "BEARER", "BeArEr"] {
        for space in [" ", "   "] {
            lines.request(
                &usual,
                &format!("{scheme:?} {space:?}"),
                &[&format!("{scheme}{space}{token}")],
                &outcome(OK),
            );
        }
    }
    lines.request(&usual, "space around", &[&format!(" Bearer {token} ")], &outcome(OK));
    lines.request(&usual, "no header", &[], &none);
    for value in [
        "Basic YTpi",
        "Digest a",
        "BearerX a",
        "a.b.c",
        "",
        "DPoP a.b.c",
        "Token a.b.c",
        "Bearer:a.b.c",
        "Bearer\ta.b.c",
    ] {
        lines.request(&usual, &format!("{value:?}"), &[value], &none);
    }
    lines.request(&usual, "the token alone", &[&token], &none);
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer =",
        "Bearer a b",
        "Bearer a,b",
        "Bearer a, Bearer b",
        "Bearer a=b",
        "Bearer \"a\"",
        "Bearer \u{e4}",
        "Bearer a.b.c",
        "Bearer ===",
        "Bearer a%20b",
    ] {
        lines.request(&usual, &format!("{value:?}"), &[value], &invalid);
    }
    lines.request(&usual, "quoted", &[&format!("Bearer \"{token}\"")], &invalid);
    for (about, pair) in [
        ("twice the same", [format!("Bearer {token}"), format!("Bearer {token}")]),
        ("and another scheme", [format!("Bearer {token}"), "Basic YTpi".to_owned()]),
        ("behind another scheme", ["Basic YTpi".to_owned(), format!("Bearer {token}")]),
    ] {
        lines.request(&usual, about, &[&pair[0], &pair[1]], &invalid);
    }
    let over = es.token(&es.header(), &with(claims(), "exp", NOW - 1_000));
    lines.request(
        &usual,
        "expired",
        &[&format!("Bearer {over}")],
        &refusal(EXPIRED, INVALID_CHALLENGE.into(), json!(null)),
    );
    let machine = format!("Bearer {}", es.token(&es.header(), &machine()));
    let forbidden = refusal(FORBIDDEN, r#"Bearer error="insufficient_scope""#.into(), json!(null));
    lines.request(&usual, "a machine", &[&machine], &forbidden);
    lines.request(
        &json!({"require": {"person": false}}),
        "a machine that is let in",
        &[&machine],
        &outcome(OK),
    );
    let bearer = format!("Bearer {token}");
    lines.request(&json!({"require": {"roles": ["admin"]}}), "without the role", &[&bearer], &forbidden);
    lines.request(
        &json!({"require": {"roles": ["member"], "scopes": ["orders:read"]}}),
        "with role and scope",
        &[&bearer],
        &outcome(OK),
    );
    let scope =
        refusal(SCOPE, r#"Bearer error="insufficient_scope", scope="orders:write""#.into(), json!(null));
    lines.request(&json!({"require": {"scopes": ["orders:write"]}}), "without the scope", &[&bearer], &scope);
    let unquotable = refusal(SCOPE, r#"Bearer error="insufficient_scope""#.into(), json!(null));
    lines.request(
        &json!({"require": {"scopes": ["a\", evil=\"b"]}}),
        "a scope that would end the quoted string",
        &[&bearer],
        &unquotable,
    );
    lines.keys("nothing of use", r#"{"keys": []}"#);
    let unavailable = refusal(UNAVAILABLE, json!(null), json!(1));
    lines.request(&json!({"keys": "nothing of use"}), "no keys", &[&bearer], &unavailable);
    lines.request(&json!({"keys": "nothing of use"}), "no keys and no token", &[], &none);
}

fn key_sets(lines: &mut Lines, signers: &Signers) {
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

/// What is signed, and the signature in bytes.
fn split(token: &str) -> (&str, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').expect("a signature");
    (message, URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
}
