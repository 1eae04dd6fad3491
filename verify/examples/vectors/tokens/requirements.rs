//! What a service asks for beside a right token, and how requests bring one.

use serde_json::{Value, json};

use crate::cases::*;
use crate::keys::Signers;

pub(super) fn requirements(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn requests(lines: &mut Lines, signers: &Signers) {
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
