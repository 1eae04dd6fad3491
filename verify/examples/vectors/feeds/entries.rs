//! Entries: what each kind says of which tokens, and those that nobody knows how to read.

use serde_json::{Value, json};

use super::feed::*;
use crate::cases::*;
use crate::keys::Signers;

/// An entry, a token that it concerns and one that it does not.
fn entries(signers: &Signers) -> Vec<(Value, String, String)> {
    let right = token(signers);
    let of = |claim: &str, value: Value| token_with(signers, claim, value);
    let es = &signers.es;
    let machine_token = es.token(&es.header(), &machine());
    let ed = signers.ed.token(&signers.ed.header(), &claims());
    let numbered = |sub: &str| of("sub", sub.into());
    vec![
        (json!({"jti": JTI, "exp": END}), right.clone(), of("jti", OTHER.into())),
        (json!({"jti": JTI.to_uppercase(), "exp": END}), right.clone(), of("jti", OTHER.into())),
        (json!({"jti": JTI.replace('-', ""), "exp": END}), right.clone(), of("jti", OTHER.into())),
        (json!({"jti": JTI, "exp": END}), of("jti", format!("urn:uuid:{JTI}").into()), of("jti", SID.into())),
        (json!({"sid": SID, "exp": END}), right.clone(), of("sid", OTHER.into())),
        (json!({"sid": SID, "exp": END}), of("sid", SID.replace('-', "").into()), of("sid", JTI.into())),
        (json!({"sid": SID, "exp": END, "reason": "logout"}), right.clone(), machine_token.clone()),
        (
            json!({"sid": SID, "exp": END, "kid": null, "partition": null}),
            right.clone(),
            machine_token.clone(),
        ),
        (json!({"sub": "42", "sv": 4, "exp": END}), right.clone(), of("sv", 4.into())),
        (json!({"sub": "42", "sv": 4, "exp": END}), of("sv", i64::MIN.into()), numbered("43")),
        (
            json!({"sub": "42", "sv": i64::MAX, "exp": END}),
            of("sv", (i64::MAX - 1).into()),
            of("sv", i64::MAX.into()),
        ),
        (
            json!({"sub": "42", "sv": 9_007_199_254_740_993_i64, "exp": END}),
            of("sv", 9_007_199_254_740_992_i64.into()),
            of("sv", 9_007_199_254_740_993_i64.into()),
        ),
        (json!({"sub": "42", "sv": 4, "exp": END}), right.clone(), numbered("042")),
        (json!({"sub": "042", "sv": 4, "exp": END}), numbered("042"), right.clone()),
        (json!({"sub": "", "sv": 4, "exp": END}), numbered(""), right.clone()),
        (json!({"sub": "orders", "sv": i64::MIN, "exp": END}), machine_token.clone(), right.clone()),
        (json!({"kid": "es", "exp": END}), right.clone(), ed.clone()),
        (json!({"kid": "ed", "exp": END}), ed, right.clone()),
        (json!({"all": true, "inc": 8, "exp": END}), right.clone(), of("inc", 8.into())),
        (
            json!({"all": true, "inc": u64::MAX, "exp": END}),
            of("inc", (u64::MAX - 1).into()),
            of("inc", u64::MAX.into()),
        ),
        (json!({"all": true, "inc": 8, "exp": END}), machine_token.clone(), of("inc", 9.into())),
        (json!({"all": true, "inc": 8, "partition": 42, "exp": END}), right.clone(), numbered("43")),
        (json!({"all": true, "inc": 8, "partition": 42, "exp": END}), numbered("106"), machine_token.clone()),
        (json!({"all": true, "inc": 8, "partition": 0, "exp": END}), numbered("64"), numbered("064")),
        (json!({"all": true, "inc": 8, "partition": 0, "exp": END}), numbered("0"), numbered("00")),
        (json!({"all": true, "inc": 8, "partition": 64, "exp": END}), machine_token, numbered("64")),
        (json!({"all": true, "inc": 8, "partition": 64, "exp": END}), numbered("042"), numbered("42")),
        (
            json!({"all": true, "inc": 8, "partition": 63, "exp": END}),
            numbered("18446744073709551615"),
            numbered("18446744073709551616"),
        ),
        (
            json!({"all": true, "inc": 8, "partition": 64, "exp": END}),
            numbered("18446744073709551616"),
            numbered("18446744073709551615"),
        ),
        (
            json!({"all": true, "inc": 8, "partition": 63, "exp": END}),
            numbered("9007199254740991"),
            numbered("9007199254740992"),
        ),
        (json!({"all": true, "inc": 8, "partition": 64, "exp": END}), numbered("-1"), numbered("1")),
        (json!({"all": true, "inc": 8, "partition": 64, "exp": END}), numbered("+42"), numbered("42")),
        (json!({"all": true, "inc": 8, "partition": 64, "exp": END}), numbered("٤٢"), numbered("42")),
    ]
}

pub(super) fn kinds(lines: &mut Lines, signers: &Signers) {
    for (entry, concerned, other) in entries(signers) {
        let mut feed = Feed::new();
        feed.keys(Some("published"))
            .list(std::slice::from_ref(&entry))
            .check(&concerned, REVOKED)
            .check(&other, OK);
        feed.add_to(lines, "kinds", &format!("{entry} in the list"));
        let mut feed = Feed::following();
        feed.check(&concerned, OK)
            .check(&other, OK)
            .revocation(&entry)
            .check(&concerned, REVOKED)
            .check(&other, OK);
        feed.wait(1_000).beat().check(&concerned, REVOKED).check(&other, OK);
        feed.add_to(lines, "kinds", &format!("{entry} in the stream"));
    }
}

/// A client that was deleted: tokens that name it, and such as only seem to.
pub(super) fn clients(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let issued_to = |id: &str| with(claims(), "client_id", id);
    let acted_by = |act: Value| with(issued_to("billing"), "act", act);
    let by = |id: &str| json!({"sub": id});
    let entry = |id: &str| json!({"sub": id, "sv": 1, "exp": END});
    let concerned = [
        with(machine(), "client_id", "orders"),
        machine(),
        issued_to("orders"),
        with(issued_to("orders"), "sv", i64::MAX),
        with(issued_to("orders"), "act", by("orders")),
        acted_by(by("orders")),
        acted_by(json!({"sub": "billing", "act": by("orders")})),
        acted_by(json!({"sub": "orders", "act": by("gateway")})),
        acted_by(json!({"act": {"act": by("orders"), "sub": "gateway"}, "sub": "billing"})),
        with(acted_by(by("orders")), "sub", "gateway"),
    ];
    let others = [
        claims(),
        issued_to("order"),
        issued_to("orders2"),
        issued_to("orders-eu"),
        issued_to("Orders"),
        issued_to("orders "),
        acted_by(by("gateway")),
        acted_by(json!({"sub": "gateway", "act": by("orders.eu")})),
        acted_by(json!({"sub": "gateway", "client_id": "orders", "acts": by("orders")})),
        with(acted_by(by("gateway")), "may_act", by("orders")),
        with(claims(), "orders", "orders"),
        with(claims(), "email", "orders"),
        with(with(machine(), "sub", "order"), "client_id", "order"),
    ];
    for (claims, code) in concerned.iter().map(|one| (one, REVOKED)).chain(others.iter().map(|one| (one, OK)))
    {
        let token = es.token(&es.header(), claims);
        let mut feed = Feed::following();
        feed.check(&token, OK).revocation(&entry("orders")).check(&token, code);
        feed.add_to(lines, "clients", &format!("orders is deleted: {claims}"));
    }
    // Digits are an account, of which nothing is told but by the subject.
    for (id, code) in
        [("43", OK), ("0", OK), ("18446744073709551615", OK), ("043", REVOKED), ("+43", REVOKED)]
    {
        for claims in [issued_to(id), acted_by(by(id)), acted_by(json!({"sub": "gateway", "act": by(id)}))] {
            let token = es.token(&es.header(), &claims);
            let mut feed = Feed::following();
            feed.revocation(&entry(id)).check(&token, code);
            feed.add_to(lines, "clients", &format!("{id} is none in digits: {claims}"));
        }
    }
    let token = es.token(&es.header(), &issued_to("orders"));
    let mut feed = Feed::new();
    feed.keys(Some("published")).list(&[entry("orders")]).check(&token, REVOKED);
    feed.add_to(lines, "clients", "orders is deleted, in the list");
}

pub(super) fn cut_offs(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    let event = |sv: i64| json!({"sub": "42", "sv": sv, "exp": END});
    let loss = |inc: i64| json!({"all": true, "inc": inc, "exp": END});
    let part = |inc: i64| json!({"all": true, "inc": inc, "partition": 42, "exp": END});
    for (about, entries) in [
        ("versions", [event(9), event(1)]),
        ("incarnations", [loss(9), loss(1)]),
        ("a partition's", [part(9), part(1)]),
        ("all and a partition's", [loss(9), part(1)]),
        ("a partition's and all", [part(9), loss(1)]),
    ] {
        let mut reversed = entries.clone();
        reversed.reverse();
        for entries in [entries, reversed] {
            let mut feed = Feed::following();
            feed.revocation(&entries[0]).revocation(&entries[1]).check(&token, REVOKED);
            feed.add_to(lines, "cut-offs", about);
        }
    }
    for (entry, code) in [
        (event(3), OK),
        (event(4), REVOKED),
        (event(i64::MIN), OK),
        (loss(7), OK),
        (loss(8), REVOKED),
        (loss(0), OK),
        (part(7), OK),
        (part(8), REVOKED),
    ] {
        let mut feed = Feed::following();
        feed.revocation(&entry).check(&token, code);
        feed.add_to(lines, "cut-offs", &entry.to_string());
    }
    for iat in [0, NOW, i64::MIN] {
        let old = token_with(signers, "iat", iat);
        let mut feed = Feed::following();
        feed.revocation(&event(3)).check(&old, OK).revocation(&event(4)).check(&old, REVOKED);
        feed.add_to(lines, "cut-offs", &format!("no time is looked at: iat {iat}"));
    }
}

pub(super) fn not_understood(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    for entry in [
        "{}",
        r#"{"exp":2000000900}"#,
        r#"{"jti":"ID"}"#,
        r#"{"jti":"ID","exp":"9"}"#,
        r#"{"jti":"ID","exp":9.0}"#,
        r#"{"jti":"1","exp":9}"#,
        r#"{"jti":"ID","sid":"ID","exp":9}"#,
        r#"{"jti":"ID","sv":5,"exp":9}"#,
        r#"{"jti":"ID","inc":5,"exp":9}"#,
        r#"{"kid":"k","partition":5,"exp":9}"#,
        r#"{"sub":42,"sv":5,"exp":9}"#,
        r#"{"sub":"42","exp":9}"#,
        r#"{"sub":"42","sv":5.0,"exp":9}"#,
        r#"{"sub":"42","sv":"5","exp":9}"#,
        r#"{"sub":"42","inc":5,"exp":9}"#,
        r#"{"sub":"42","sv":5,"inc":5,"exp":9}"#,
        r#"{"sub":"42","sv":5,"partition":42,"exp":9}"#,
        r#"{"sub":"42","not_before":5,"exp":9}"#,
        r#"{"all":false,"inc":5,"exp":9}"#,
        r#"{"all":true,"exp":9}"#,
        r#"{"all":"true","inc":5,"exp":9}"#,
        r#"{"all":true,"sv":5,"exp":9}"#,
        r#"{"all":true,"inc":-1,"exp":9}"#,
        r#"{"all":true,"inc":5.5,"exp":9}"#,
        r#"{"all":true,"inc":18446744073709551616,"exp":9}"#,
        r#"{"all":true,"inc":5,"partition":65,"exp":9}"#,
        r#"{"all":true,"inc":5,"partition":-1,"exp":9}"#,
        r#"{"all":true,"inc":5,"partition":"5","exp":9}"#,
        r#"{"all":true,"inc":5,"partition":5.0,"exp":9}"#,
        r#"{"all":true,"partition":5,"exp":9}"#,
        r#"{"inc":5,"exp":9}"#,
        r#"{"client":"orders","exp":9}"#,
        r#""jti""#,
        "[]",
        "null",
        "7",
        "",
        "x",
        r#"{"jti":"ID","exp":9} x"#,
        r#"{"jti":"ID","jti":"ID","exp":9}"#,
        r#"{"jti":"ID","exp":9,"exp":9}"#,
    ] {
        let entry = entry.replace("ID", JTI);
        let mut feed = Feed::following();
        feed.beat().text(&format!("event: revocation\nid: c3\ndata: {entry}\n\n"), list()).check(&token, OK);
        feed.wait(2_001).check(&token, UNAVAILABLE).list(&[]).check(&token, OK);
        feed.add_to(lines, "not understood", &format!("{entry} in the stream"));
        if !entry.is_empty() {
            let mut feed = Feed::new();
            feed.keys(Some("published"));
            let body = feed.body(&[]).to_string().replacen("[]", &format!("[{entry}]"), 1);
            feed.list_of(200, &body, list()).check(&token, UNAVAILABLE);
            feed.add_to(lines, "not understood", &format!("{entry} in the list"));
        }
    }
    for heartbeat in [
        "{}",
        "",
        "null",
        r#"{"server_time":2000000000}"#,
        r#"{"server_time_ms":2000000000000}"#,
        r#"{"server_time":2000000000,"server_time_ms":2000000000000.5}"#,
        r#"{"server_time":"2000000000","server_time_ms":2000000000000}"#,
    ] {
        let mut feed = Feed::following();
        feed.text(&format!("event: heartbeat\nid: c3\ndata: {heartbeat}\n\n"), list());
        feed.add_to(lines, "not understood", &format!("a heartbeat of {heartbeat}"));
    }
}
