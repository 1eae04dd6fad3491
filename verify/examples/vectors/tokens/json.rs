//! JSON that two readers could read in two ways, and JSON that is none.

use serde_json::{Value, json};

use crate::cases::*;
use crate::keys::Signers;

/// Two readers of one token must not see two things (RFC 7519 4).
pub(super) fn doubled(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn json_texts(lines: &mut Lines, signers: &Signers) {
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
