//! How a token is put together and spelled, whatever it says.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::cases::*;
use crate::keys::{Signers, SigningKey, encode};

pub(super) fn shapes(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn encodings(lines: &mut Lines, signers: &Signers) {
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
