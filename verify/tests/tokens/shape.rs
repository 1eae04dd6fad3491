//! What a token looks like from outside, before anything it says matters.

use hallpass_verify::Rejection;

use crate::support::*;

const TOKEN_MAX_BYTES: usize = 8 * 1024;

/// A right token of exactly that many bytes.
fn token_of_length(bytes: usize) -> String {
    let es = es256();
    let filled = |filling: usize, note: usize| {
        let header = with(es.header(), "note", "x".repeat(note));
        es.token_of(&header, &with(claims(), "filling", "x".repeat(filling)))
    };
    // Base64 skips one length in four, so both parts must give a little.
    let roomy = (bytes - filled(0, 0).len()) * 3 / 4;
    (roomy - 8..=roomy)
        .flat_map(|filling| (0..3).map(move |note| (filling, note)))
        .map(|(filling, note)| filled(filling, note))
        .find(|token| token.len() == bytes)
        .unwrap_or_else(|| panic!("no token has {bytes} bytes"))
}

#[test]
fn a_token_of_8_kib_is_looked_at_and_one_byte_more_is_not() {
    assert!(verdict(&token_of_length(TOKEN_MAX_BYTES)).is_ok());
    assert_eq!(verdict(&token_of_length(TOKEN_MAX_BYTES + 1)), Err(Rejection::TooLong));
    assert_eq!(verdict(&"a".repeat(10_000_000)), Err(Rejection::TooLong));
}

#[test]
fn what_is_no_token_at_all_is_malformed() {
    let es = es256().token();
    let no_tokens = ["", ".", "..", "...", "a", "a.b", "a.b.c", "null", "{}", "Bearer", "ż.ó.ł", "\0.\0.\0"];
    for text in no_tokens.iter().copied().chain([es.replace('.', "").as_str(), &es.replace('.', "..")]) {
        assert_eq!(verdict(text), Err(Rejection::Malformed), "{text:?}");
    }
}

#[test]
fn a_part_that_is_missing_or_too_many_is_malformed() {
    let token = es256().token();
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    for text in [
        format!("{header}.{payload}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!(".{header}.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{header}.{payload}.{signature}"),
        format!("{payload}.{header}.{signature}"),
    ] {
        assert_eq!(verdict(&text), Err(Rejection::Malformed), "{text}");
    }
    for text in [format!("{header}.{payload}."), format!("{header}..{signature}")] {
        assert_eq!(verdict(&text), Err(Rejection::BadSignature), "{text}");
    }
    let empty = es256().signed(&format!("{header}."));
    assert_eq!(verdict(&empty), Err(Rejection::Malformed));
}

#[test]
fn nothing_may_stand_around_a_token_or_between_its_parts() {
    let token = es256().token();
    for extra in [" ", "\n", "\r\n", "\t", "\0", "=", "==", "\u{feff}", "%3D", "+", "/", ","] {
        assert!(verdict(&format!("{token}{extra}")).is_err(), "after: {extra:?}");
        assert!(verdict(&format!("{extra}{token}")).is_err(), "before: {extra:?}");
        assert!(
            verdict(&token.replacen('.', &format!("{extra}."), 1)).is_err(),
            "after the header: {extra:?}"
        );
        assert!(verdict(&token.replacen('.', &format!(".{extra}"), 2)).is_err(), "before a part: {extra:?}");
    }
}

/// The bits that the last character of a part does not need are zero (RFC 4648 3.5): else one
/// signature would have several spellings.
#[test]
fn a_second_spelling_of_the_same_bytes_is_refused() {
    // 64 bytes of signature leave four bits over: 16 spellings, of which one is right.
    for key in [es256(), ed_dsa()] {
        let token = key.token();
        let (rest, last) = token.split_at(token.len() - 1);
        let spellings: Vec<_> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            .chars()
            .filter(|character| verdict(&format!("{rest}{character}")).is_ok())
            .collect();
        assert_eq!(spellings.iter().collect::<String>(), last, "{}", key.alg);
    }
}

#[test]
fn rightly_signed_parts_in_another_encoding_are_malformed() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
    let es = es256();
    // Three bytes that differ between the alphabets, and a length that needs padding.
    let header = with(es.header(), "note", "\u{7ff}\u{7ff}\u{3ff}");
    let padded = (0..3)
        .map(|more| with(claims(), "email", format!("{}\u{ffff}???>>>", "x".repeat(more))).to_string())
        .find(|payload| payload.len() % 3 != 0)
        .expect("a length that needs padding");
    let right = es.signed(&format!("{}.{}", encode(header.to_string()), encode(&padded)));
    assert!(verdict(&right).is_ok());
    for (name, payload) in [
        ("padded", URL_SAFE.encode(&padded)),
        ("the standard alphabet", STANDARD_NO_PAD.encode(&padded)),
        ("both", STANDARD.encode(&padded)),
        ("plain", padded.clone()),
    ] {
        let token = es.signed(&format!("{}.{payload}", encode(header.to_string())));
        assert_eq!(verdict(&token), Err(Rejection::Malformed), "{name}");
    }
}

#[test]
fn parts_that_are_no_json_are_malformed() {
    let es = es256();
    let (header, claims) = (es.header().to_string(), claims().to_string());
    let header_in_order = r#"["ES256","es","at+jwt",null,null,null,null,null]"#;
    for broken in ["", "{", "x", "[]", "{}{}", "\u{feff}{}", header_in_order] {
        assert_eq!(verdict(&es.token_of_text(broken, &claims)), Err(Rejection::Malformed), "{broken:?}");
        assert_eq!(verdict(&es.token_of_text(&header, broken)), Err(Rejection::Malformed), "{broken:?}");
    }
    for (header, claims) in [
        (format!("{header} x"), claims.clone()),
        (format!("{header}{header}"), claims.clone()),
        (header.clone(), format!("{claims}\0")),
        (header.clone(), format!("{claims}{claims}")),
        (header.clone(), "[".repeat(2_000)),
        (header.clone(), format!(r#"{{"a":{}"#, r#"{"a":"#.repeat(700))),
    ] {
        assert_eq!(verdict(&es.token_of_text(&header, &claims)), Err(Rejection::Malformed));
    }
    let not_utf8 = es.signed(&format!("{}.{}", encode(&header), encode(b"{\"iss\":\"\xff\xfe\"}")));
    assert_eq!(verdict(&not_utf8), Err(Rejection::Malformed));
    let passed_over = [&claims.as_bytes()[..claims.len() - 1], b",\"note\":\"\xff\"}"].concat();
    let not_utf8 = es.signed(&format!("{}.{}", encode(&header), encode(passed_over)));
    assert_eq!(verdict(&not_utf8), Err(Rejection::Malformed), "also where nobody reads it");
}

/// A rejection's text may go out to the client: it must not carry the token's.
#[test]
fn a_rejection_quotes_nothing_of_the_token() {
    let marked = with(claims(), "iss", "marker-issuer");
    for token in [
        es256().token_of(&es256().header(), &marked),
        es256().token_of(&with(es256().header(), "kid", "marker-kid"), &claims()),
        es256().token_of(&with(es256().header(), "alg", "marker-alg"), &claims()),
        es256().token_of(&es256().header(), &with(claims(), "exp", "marker-exp")),
        "marker.marker.marker".to_owned(),
    ] {
        let rejection = verdict(&token).expect_err("refused");
        assert!(!format!("{rejection} {rejection:?}").contains("marker"), "{rejection:?}");
    }
}
