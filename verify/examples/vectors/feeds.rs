//! Feeds: what a validator hears from its issuer and when, and what it says of tokens meanwhile.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cases::*;
use crate::keys::{Signers, jwks};

/// What the issuer's clock shows when the other one shows nothing, milliseconds since 1970.
const ISSUER_CLOCK: i64 = NOW * 1_000;
/// For which entries count, seconds since 1970.
const END: i64 = NOW + LIFETIME;
const JTI: &str = "00000000-0000-4000-8000-000000000001";
const SID: &str = "00000000-0000-4000-8000-000000000002";
const OTHER: &str = "00000000-0000-4000-8000-0000000000ff";

/// All lines of `feeds.jsonl`.
pub fn lines(signers: &Signers) -> Lines {
    let mut lines = Lines::default();
    lines.keys("published", &signers.jwks());
    lines.keys("ed alone", &jwks(&[signers.ed.jwk()]));
    lines.keys(
        "broken",
        r#"{"keys": [{"kid": "es", "kty": "EC", "crv": "P-256", "alg": "ES256", "x": "!", "y": "AA"}]}"#,
    );
    lines.keys("empty", r#"{"keys": []}"#);
    for group in [
        beginnings,
        kinds,
        clients,
        cut_offs,
        not_understood,
        staleness,
        lateness,
        clocks,
        streams,
        spellings,
        interruptions,
        statuses,
        lists,
        polling,
        keys,
        policies,
        forgetting,
        orders,
    ] {
        group(&mut lines, signers);
    }
    lines
}

/// The next step of a client.
fn read() -> Value {
    json!({"next": "read"})
}

fn list() -> Value {
    json!({"next": "list"})
}

fn open(last_event_id: &str) -> Value {
    json!({"next": "open", "last_event_id": last_event_id})
}

/// A list of steps with their answers.
struct Feed {
    rules: Value,
    steps: Vec<Value>,
    expected: Vec<Value>,
    /// The clock that ages are counted by, milliseconds.
    at: i64,
    /// What the time of day is set forward by against that, milliseconds.
    ahead: i64,
    /// The same of the issuer's clock.
    issuer_ahead: i64,
}

impl Feed {
    fn new() -> Self {
        Self {
            rules: json!({}),
            steps: Vec::new(),
            expected: Vec::new(),
            at: 10_000,
            ahead: 0,
            issuer_ahead: 0,
        }
    }

    /// Keys, an empty list and an open stream, heard at once.
    fn following() -> Self {
        let mut feed = Self::new();
        feed.keys(Some("published")).list(&[]).open();
        feed
    }

    fn by(mut self, rules: Value) -> Self {
        merge(&mut self.rules, &rules);
        self
    }

    fn issuer_shows(&self) -> i64 {
        ISSUER_CLOCK + self.at + self.issuer_ahead
    }

    fn step(&mut self, mut step: Value, expected: Value) -> &mut Self {
        step["at_ms"] = self.at.into();
        step["now_ms"] = (ISSUER_CLOCK + self.at + self.ahead).into();
        self.steps.push(step);
        self.expected.push(expected);
        self
    }

    fn wait(&mut self, millis: i64) -> &mut Self {
        self.at += millis;
        self
    }

    fn keys(&mut self, name: Option<&str>) -> &mut Self {
        self.step(json!({"do": "keys", "keys": name}), json!({}))
    }

    fn list(&mut self, entries: &[Value]) -> &mut Self {
        let body = self.body(entries);
        self.list_of(200, &body.to_string(), open("c0"))
    }

    fn body(&self, entries: &[Value]) -> Value {
        json!({"cursor": "c0", "server_time": self.issuer_shows() / 1_000, "server_time_ms": self.issuer_shows(), "entries": entries})
    }

    fn list_of(&mut self, status: u16, body: &str, expected: Value) -> &mut Self {
        let headers = json!({"hallpass-clock": self.issuer_shows().to_string()});
        self.answer("list", status, headers, body, expected)
    }

    fn answer(&mut self, what: &str, status: u16, headers: Value, body: &str, expected: Value) -> &mut Self {
        let asked = self.at;
        self.answer_late(what, asked, status, headers, body, expected)
    }

    fn answer_late(
        &mut self,
        what: &str,
        asked: i64,
        status: u16,
        headers: Value,
        body: &str,
        expected: Value,
    ) -> &mut Self {
        let mut step = json!({"do": what, "asked_ms": asked, "status": status, "headers": headers});
        if what == "list" {
            step["body"] = body.into();
        }
        self.step(step, expected)
    }

    fn open(&mut self) -> &mut Self {
        let headers = json!({"hallpass-clock": self.issuer_shows().to_string()});
        self.answer("open", 200, headers, "", read())
    }

    fn text(&mut self, text: &str, expected: Value) -> &mut Self {
        self.step(json!({"do": "bytes", "text": text}), expected)
    }

    fn bytes(&mut self, bytes: &[u8], expected: Value) -> &mut Self {
        self.step(json!({"do": "bytes", "base64": STANDARD.encode(bytes)}), expected)
    }

    fn event(&mut self, name: &str, id: &str, data: &Value, expected: Value) -> &mut Self {
        self.text(&event(name, id, data), expected)
    }

    fn revocation(&mut self, entry: &Value) -> &mut Self {
        self.event("revocation", "c1", entry, read())
    }

    /// What was true so many milliseconds before, by the issuer's clock.
    fn beat_of(&mut self, before: i64, expected: Value) -> &mut Self {
        let stated = self.issuer_shows() - before;
        self.event(
            "heartbeat",
            "c2",
            &json!({"server_time": stated / 1_000, "server_time_ms": stated}),
            expected,
        )
    }

    fn beat(&mut self) -> &mut Self {
        self.beat_of(0, read())
    }

    fn end(&mut self, expected: Value) -> &mut Self {
        self.step(json!({"do": "end"}), expected)
    }

    fn check(&mut self, token: &str, code: &str) -> &mut Self {
        self.step(json!({"do": "check", "token": token}), outcome(code))
    }

    fn add_to(&self, lines: &mut Lines, group: &str, about: &str) {
        let mut line = json!({
            "kind": "feed", "id": "", "issuer": ISSUER, "audience": AUDIENCE, "typ": "at+jwt", "leeway_ms": 5_000,
            "max_staleness_ms": 2_000, "policy": "reject", "stream": true, "steps": self.steps,
        });
        merge(&mut line, &self.rules);
        lines.add(group, about, line, &json!({"steps": self.expected}));
    }
}

fn event(name: &str, id: &str, data: &Value) -> String {
    format!("event: {name}\nid: {id}\ndata: {data}\n\n")
}

/// A right token with one claim set.
fn token_with(signers: &Signers, claim: &str, value: impl Into<Value>) -> String {
    signers.es.token(&signers.es.header(), &with(claims(), claim, value))
}

fn token(signers: &Signers) -> String {
    signers.es.token(&signers.es.header(), &claims())
}

fn beginnings(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    let mut feed = Feed::new();
    feed.check(&token, UNAVAILABLE).check("no token", UNAVAILABLE);
    feed.keys(Some("published")).check(&token, UNAVAILABLE).check("no token", INVALID);
    feed.list(&[]).check(&token, OK).open().check(&token, OK).beat().check(&token, OK);
    feed.add_to(lines, "beginning", "keys first");
    let mut feed = Feed::new();
    feed.list(&[]).check(&token, UNAVAILABLE).keys(Some("published")).check(&token, OK);
    feed.add_to(lines, "beginning", "the list first");
    let mut feed = Feed::new();
    feed.keys(None).check(&token, UNAVAILABLE).list(&[]).check(&token, UNAVAILABLE);
    feed.add_to(lines, "beginning", "no keys");
    for set in ["broken", "empty"] {
        let mut feed = Feed::new();
        feed.keys(Some(set)).list(&[]).check(&token, UNAVAILABLE);
        feed.keys(Some("published")).check(&token, OK);
        feed.add_to(lines, "beginning", &format!("with keys that are {set}"));
    }
    let mut feed = Feed::new();
    feed.keys(Some("published")).list(&[json!({"sid": SID, "exp": END})]).check(&token, REVOKED);
    feed.wait(60_000).check(&token, REVOKED);
    feed.add_to(lines, "beginning", "what is revoked is refused however old the list");
}

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

fn kinds(lines: &mut Lines, signers: &Signers) {
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
fn clients(lines: &mut Lines, signers: &Signers) {
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

fn cut_offs(lines: &mut Lines, signers: &Signers) {
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

fn not_understood(lines: &mut Lines, signers: &Signers) {
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

fn staleness(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    // What was stated is one millisecond older than it seems: the clock showed a part of one more.
    for max in [2_000, 500, 10_000] {
        let mut feed = Feed::following().by(json!({"max_staleness_ms": max}));
        feed.beat().wait(max - 1).check(&token, OK).wait(1).check(&token, UNAVAILABLE);
        feed.add_to(lines, "staleness", &format!("{max} after a heartbeat"));
        let mut feed = Feed::new().by(json!({"max_staleness_ms": max}));
        feed.keys(Some("published"))
            .list(&[])
            .wait(max - 1)
            .check(&token, OK)
            .wait(1)
            .check(&token, UNAVAILABLE);
        feed.add_to(lines, "staleness", &format!("{max} after the list"));
    }
    let mut feed = Feed::following();
    feed.beat();
    for _ in 0..5 {
        feed.wait(1_000).beat().check(&token, OK);
    }
    feed.wait(2_000).check(&token, UNAVAILABLE).beat().check(&token, OK);
    feed.add_to(lines, "staleness", "heartbeats keep it young, and one makes it young again");
    let mut feed = Feed::following();
    feed.wait(1_500)
        .revocation(&json!({"jti": OTHER, "exp": END}))
        .check(&token, OK)
        .wait(600)
        .check(&token, UNAVAILABLE);
    feed.add_to(lines, "staleness", "an entry is no heartbeat");
    let mut feed = Feed::following();
    feed.wait(1_500)
        .text(": still here\n\n", read())
        .event("news", "c3", &json!({}), read())
        .wait(600)
        .check(&token, UNAVAILABLE);
    feed.add_to(lines, "staleness", "a comment is no heartbeat, nor is another event");
    let mut feed = Feed::following();
    feed.wait(1_500).end(open("c0")).open().wait(600).check(&token, UNAVAILABLE).beat().check(&token, OK);
    feed.add_to(lines, "staleness", "a stream that opens is no heartbeat");
    for (about, ahead) in [("ahead", 3_600_000), ("back", -3_600_000), ("a year ahead", 31_536_000_000)] {
        let mut feed = Feed::following();
        feed.issuer_ahead = ahead;
        feed.end(open("c0"))
            .open()
            .beat()
            .check(&token, OK)
            .wait(1_999)
            .check(&token, OK)
            .wait(1)
            .check(&token, UNAVAILABLE);
        feed.add_to(lines, "staleness", &format!("an issuer whose clock is {about}"));
    }
    let mut feed = Feed::following();
    feed.beat();
    feed.ahead = 4_000;
    feed.check(&token, OK);
    feed.ahead = -4_000;
    feed.check(&token, OK).wait(2_000).check(&token, UNAVAILABLE);
    feed.add_to(lines, "staleness", "the time of day that is set makes nothing younger or older");
}

fn lateness(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    for (late, code) in
        [(0, OK), (1_000, OK), (1_998, OK), (1_999, OK), (2_000, UNAVAILABLE), (5_000, UNAVAILABLE)]
    {
        let mut feed = Feed::following();
        feed.wait(5_000).beat_of(late, read()).check(&token, code);
        feed.add_to(lines, "lateness", &format!("a heartbeat that is {late} late"));
    }
    for slow in [0, 500, 1_999, 2_000, 15_000] {
        // The answer was asked for long ago: that is how old what it says may be.
        let code = if slow < 2_000 { OK } else { UNAVAILABLE };
        let mut feed = Feed::new();
        feed.keys(Some("published"));
        let (asked, body) = (feed.at, feed.body(&[]).to_string());
        let headers = json!({"hallpass-clock": feed.issuer_shows().to_string()});
        feed.wait(slow).answer_late("list", asked, 200, headers, &body, open("c0")).check(&token, code);
        feed.add_to(lines, "lateness", &format!("a list that took {slow}"));
        let mut feed = Feed::following();
        let asked = feed.at;
        feed.wait(slow);
        let headers = json!({"hallpass-clock": feed.issuer_shows().to_string()});
        feed.end(open("c0")).answer_late("open", asked, 200, headers, "", read()).wait(3_000);
        let late = if slow >= 2_000 { UNAVAILABLE } else { OK };
        feed.beat_of(0, read()).check(&token, late);
        feed.add_to(lines, "lateness", &format!("a stream that took {slow} to open"));
    }
    // The clock was measured less than ten seconds ago: measuring it again may not help.
    let mut feed = Feed::following();
    feed.wait(9_999).beat_of(3_000, read()).wait(1).beat_of(3_000, open("c2")).check(&token, UNAVAILABLE);
    feed.open().beat().check(&token, OK);
    feed.add_to(lines, "lateness", "after ten seconds a late stream is opened anew");
    let mut feed = Feed::new();
    feed.keys(Some("published"));
    let mut body = feed.body(&[]);
    body["server_time_ms"] = (feed.issuer_shows() - 1_500).into();
    feed.list_of(200, &body.to_string(), open("c0")).check(&token, OK).wait(500).check(&token, UNAVAILABLE);
    feed.add_to(lines, "lateness", "a list that is true of a moment before");
}

fn clocks(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    for (ahead, expected) in [(250, read()), (251, read()), (252, open("c0")), (15_000, open("c0"))] {
        let mut feed = Feed::following();
        feed.wait(1_000).beat_of(-ahead, expected).check(&token, OK);
        feed.add_to(lines, "clocks", &format!("a heartbeat of {ahead} after now"));
    }
    for (younger, expected) in [(1_000, read()), (1_001, open("c2"))] {
        let mut feed = Feed::following();
        feed.wait(3_000).beat_of(1_001, read()).wait(1_000).beat_of(1_001 - younger, expected);
        feed.add_to(lines, "clocks", &format!("a heartbeat that is less late by {younger}"));
    }
    let mut feed = Feed::following();
    feed.wait(20_000).beat_of(900, read()).wait(1_000).beat();
    feed.wait(1_000).beat_of(-14_000, open("c2")).wait(1_999).check(&token, UNAVAILABLE);
    feed.add_to(lines, "clocks", "the issuer's clock was set forward");
    let mut feed = Feed::following();
    feed.wait(1_000).beat();
    feed.issuer_ahead = -10_000;
    feed.wait(1_000).beat().check(&token, OK).wait(1_000).check(&token, UNAVAILABLE);
    feed.wait(8_000).beat_of(0, open("c2")).open().beat().check(&token, OK);
    feed.add_to(lines, "clocks", "the issuer's clock was set back");
    let mut feed = Feed::following();
    let beats = 299;
    for _ in 0..beats {
        feed.wait(1_000).beat();
    }
    feed.wait(999).beat().wait(1).beat_of(0, open("c2")).check(&token, OK).open().beat().check(&token, OK);
    feed.add_to(lines, "clocks", "after five minutes the stream is opened anew");
    for clock in
        [None, Some(""), Some("soon"), Some("1.5"), Some("1e3"), Some("0x1"), Some("99999999999999999999")]
    {
        let headers = clock.map_or(json!({}), |clock| json!({"hallpass-clock": clock}));
        let mut feed = Feed::new();
        feed.keys(Some("published"));
        let body = feed.body(&[]).to_string();
        feed.answer("list", 200, headers.clone(), &body, list()).check(&token, UNAVAILABLE);
        feed.list(&[]).answer("open", 200, headers, "", open("c0")).check(&token, OK);
        feed.add_to(lines, "clocks", &format!("an answer whose clock is {clock:?}"));
    }
    let mut feed = Feed::new();
    feed.keys(Some("published"));
    let mut body = feed.body(&[]);
    body["server_time_ms"] = (feed.issuer_shows() + 1).into();
    feed.list_of(200, &body.to_string(), open("c0"))
        .check(&token, UNAVAILABLE)
        .open()
        .beat()
        .check(&token, OK);
    feed.add_to(lines, "clocks", "a list of a moment after its answer says nothing of its age");
    let mut feed = Feed::new();
    feed.keys(Some("published"));
    let body = feed.body(&[]).to_string();
    let headers = json!({"hallpass-clock": format!(" {} ", feed.issuer_shows())});
    feed.answer("list", 200, headers, &body, open("c0")).check(&token, OK);
    feed.add_to(lines, "clocks", "space around the clock");
}

fn streams(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    let entry = json!({"sid": SID, "exp": END});
    let mut feed = Feed::following();
    feed.event("revocation", "c7", &entry, read()).check(&token, REVOKED).end(open("c7"));
    let shows = feed.issuer_shows();
    feed.open()
        .event("heartbeat", "c8", &json!({"server_time": NOW, "server_time_ms": shows}), read())
        .end(open("c8"));
    feed.add_to(lines, "streams", "a stream goes on behind the last event");
    let mut feed = Feed::following();
    feed.event("reconnect", "c9", &json!({}), open("c0"));
    feed.add_to(lines, "streams", "reconnect at once");
    let mut feed = Feed::following();
    feed.beat().event("reconnect", "c9", &json!({}), open("c2")).check(&token, OK).open().beat();
    feed.add_to(lines, "streams", "reconnect after a heartbeat");
    let mut feed = Feed::following();
    feed.beat().revocation(&entry).event("reset", "c9", &json!({}), list()).check(&token, REVOKED);
    feed.list(&[]).check(&token, OK).open().beat().check(&token, OK);
    feed.add_to(lines, "streams", "reset keeps what is known until the list has come");
    let mut feed = Feed::following();
    feed.text("event: reset\n\n", list()).wait(2_000).check(&token, UNAVAILABLE);
    feed.add_to(lines, "streams", "reset without data");
    let mut feed = Feed::following();
    feed.event("news", "c5", &json!({"anything": 1}), read()).check(&token, OK).end(open("c5"));
    feed.add_to(lines, "streams", "an event that is not known is passed over, but for its id");
    let mut feed = Feed::following();
    feed.text(&format!("id: c5\ndata: {entry}\n\n"), read()).check(&token, OK).end(open("c5"));
    feed.add_to(lines, "streams", "an event without a name is none that is known");
    let mut feed = Feed::following();
    feed.text("event: revocation\nid: c5\ndata: {}", read()).end(open("c0")).check(&token, OK);
    feed.add_to(lines, "streams", "an event that has not ended is none");
    let mut feed = Feed::following();
    feed.text(&format!("event: revocation\ndata: {entry}\n\n"), read())
        .check(&token, REVOKED)
        .end(open("c0"));
    feed.add_to(lines, "streams", "an event without an id leaves the last one");
    let mut feed = Feed::following();
    let both = event("revocation", "c5", &entry) + &event("reset", "", &json!({}));
    feed.text(&both, list()).check(&token, REVOKED);
    feed.add_to(lines, "streams", "what stands before a reset counts");
    let mut feed = Feed::following();
    let both = event("reset", "", &json!({})) + &event("revocation", "c5", &entry);
    feed.text(&both, list()).check(&token, OK);
    feed.add_to(lines, "streams", "what stands behind a reset is not looked at");
    for (about, id, expected) in [
        ("empty", "", open("")),
        ("with a zero byte", "a\0b", open("c0")),
        ("with a space", "a b", open("a b")),
        ("with a control character", "a\u{1}b", list()),
    ] {
        let mut feed = Feed::following();
        let next = if expected == list() { list() } else { read() };
        feed.event("news", id, &json!({}), next);
        if expected != list() {
            feed.end(expected);
        }
        feed.add_to(lines, "streams", &format!("an id that is {about}"));
    }
}

fn spellings(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    let entry = json!({"sid": SID, "exp": END}).to_string();
    let (half, rest) = entry.split_at(entry.find(',').expect("a comma") + 1);
    for (about, text, code) in [
        ("no spaces", format!("event:revocation\nid:c5\ndata:{entry}\n\n"), REVOKED),
        ("two spaces", format!("event: revocation\nid: c5\ndata:  {entry}\n\n"), REVOKED),
        ("a name with a space before it", format!("event:  revocation\nid: c5\ndata: {entry}\n\n"), OK),
        ("another order", format!("data: {entry}\nid: c5\nevent: revocation\n\n"), REVOKED),
        ("data on two lines", format!("event: revocation\nid: c5\ndata: {half}\ndata: {rest}\n\n"), REVOKED),
        (
            "fields of its own",
            format!("event: revocation\nretry: 5\ncolour: red\nid: c5\ndata: {entry}\n\n"),
            REVOKED,
        ),
        ("comments within", format!("event: revocation\n: a\n:b\nid: c5\n:\ndata: {entry}\n\n"), REVOKED),
        ("the name twice", format!("event: news\nevent: revocation\nid: c5\ndata: {entry}\n\n"), REVOKED),
        ("a name in capitals", format!("event: Revocation\nid: c5\ndata: {entry}\n\n"), OK),
        ("a field in capitals", format!("Event: revocation\nid: c5\ndata: {entry}\n\n"), OK),
        ("many empty lines", format!("\n\n\n\nevent: revocation\nid: c5\ndata: {entry}\n\n\n\n"), REVOKED),
        ("with CR and LF", format!("event: revocation\r\nid: c5\r\ndata: {entry}\r\n\r\n"), REVOKED),
        ("with CR alone", format!("event: revocation\rid: c5\rdata: {entry}\r\r"), REVOKED),
        ("with all ends of line", format!("event: revocation\rid: c5\r\ndata: {entry}\n\r"), REVOKED),
    ] {
        let mut feed = Feed::following();
        feed.text(&text, read()).check(&token, code).end(open("c5"));
        feed.add_to(lines, "spellings", about);
        let mut feed = Feed::following();
        for piece in text.as_bytes().chunks(7) {
            feed.bytes(piece, read());
        }
        feed.check(&token, code).end(open("c5"));
        feed.add_to(lines, "spellings", &format!("{about}, in pieces"));
    }
    let two = [
        event("revocation", "c5", &json!({"kid": "\u{e4}", "exp": END})),
        event("revocation", "c6", &json!({"sid": SID, "exp": END})),
    ]
    .concat();
    for cut in [1, 20, 41, two.len() - 1] {
        let mut feed = Feed::following();
        feed.bytes(&two.as_bytes()[..cut], read())
            .bytes(&two.as_bytes()[cut..], read())
            .check(&token, REVOKED)
            .end(open("c6"));
        feed.add_to(lines, "spellings", &format!("two events, cut at {cut}"));
    }
    let mut feed = Feed::following();
    feed.bytes(b"event: revocation\ndata: \xff\n\n", list());
    feed.add_to(lines, "spellings", "no text");
    let mut feed = Feed::following();
    feed.text(&format!("data: {}", "x".repeat(64 * 1024 - 6)), read()).text("x", list());
    feed.add_to(lines, "spellings", "an event without an end");
    let mut feed = Feed::following();
    let comments = format!(": {}\n", "x".repeat(30 * 1024));
    feed.text(&comments, read()).text(&comments, read()).text(&comments, read()).beat().check(&token, OK);
    feed.add_to(lines, "spellings", "comments without an end");
}

fn interruptions(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    let entry = json!({"sid": SID, "exp": END});
    let mut feed = Feed::following();
    feed.beat()
        .end(open("c2"))
        .wait(1_000)
        .open()
        .revocation(&entry)
        .check(&token, REVOKED)
        .beat()
        .check(&token, REVOKED);
    feed.add_to(lines, "interruptions", "a logout while nobody listened");
    let mut feed = Feed::following();
    feed.beat().end(open("c2")).wait(1_500).check(&token, OK).wait(500).check(&token, UNAVAILABLE);
    feed.open()
        .check(&token, UNAVAILABLE)
        .revocation(&json!({"jti": OTHER, "exp": END}))
        .check(&token, UNAVAILABLE)
        .beat()
        .check(&token, OK);
    feed.add_to(lines, "interruptions", "an entry does not say that nothing is missing");
    let mut feed = Feed::following();
    feed.beat().end(open("c2"));
    for _ in 0..3 {
        feed.wait(100).answer("open", 503, json!({}), "", open("c2"));
    }
    feed.check(&token, OK).wait(2_000).check(&token, UNAVAILABLE).open().beat().check(&token, OK);
    feed.add_to(lines, "interruptions", "an issuer that is gone for a while");
}

fn statuses(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    for status in [400, 401, 403, 404, 408, 409, 410, 416, 429, 500, 502, 503, 504, 204, 302] {
        let mut feed = Feed::following();
        let expected = if matches!(status, 400 | 404 | 409 | 410 | 416) { list() } else { open("c0") };
        feed.end(open("c0"))
            .answer("open", status, json!({}), "", expected)
            .check(&token, OK)
            .wait(2_000)
            .check(&token, UNAVAILABLE);
        feed.add_to(lines, "statuses", &format!("a stream is answered {status}"));
        let mut feed = Feed::new();
        feed.keys(Some("published")).list_of(status, "", list()).check(&token, UNAVAILABLE);
        feed.add_to(lines, "statuses", &format!("a list is answered {status}"));
    }
    for (wait, millis) in [
        ("7", Some(7_000)),
        (" 7 ", Some(7_000)),
        ("0", Some(0)),
        ("30", Some(30_000)),
        ("86400", Some(30_000)),
        ("x", None),
        ("-1", None),
        ("1.5", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("", None),
    ] {
        let headers = json!({"retry-after": wait});
        let with_wait = |mut next: Value| {
            if let Some(millis) = millis {
                next["wait_ms"] = millis.into();
            }
            next
        };
        let mut feed = Feed::following();
        feed.end(open("c0")).answer("open", 503, headers.clone(), "", with_wait(open("c0")));
        feed.add_to(lines, "statuses", &format!("a stream is to wait for {wait:?}"));
        let mut feed = Feed::new();
        feed.answer("list", 429, headers, "", with_wait(list()));
        feed.add_to(lines, "statuses", &format!("a list is to wait for {wait:?}"));
    }
}

fn lists(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    let other = token_with(signers, "sid", OTHER);
    let right = Feed::new().body(&[json!({"sid": SID, "exp": END})]).to_string();
    for (about, body, fine) in [
        ("right", right.clone(), true),
        ("with members of its own", right.replacen('{', r#"{"more": [1],"#, 1), true),
        ("without a cursor", right.replacen("cursor", "position", 1), false),
        ("without entries", right.replacen("entries", "revocations", 1), false),
        ("without its time in seconds", right.replacen("\"server_time\"", "\"time\"", 1), false),
        ("without its time", right.replacen("server_time_ms", "server_time_us", 1), false),
        (
            "with entries that are no array",
            right.replacen("\"entries\":[", "\"entries\":{\"a\":[", 1).replace("}]}", "}]}}"),
            false,
        ),
        ("with a cursor that is no text", right.replacen("\"c0\"", "7", 1), false),
        ("with a cursor that no header takes", right.replacen("c0", "c\\n0", 1), false),
        ("with more behind it", format!("{right} x"), false),
        ("with space around", format!("\n {right} \n"), true),
        ("twice", format!("{right}{right}"), false),
        ("cut off", right[..right.len() - 2].to_owned(), false),
        ("with two cursors", right.replacen('{', r#"{"cursor":"c9","#, 1), false),
        ("nothing", String::new(), false),
        ("a page", "<html></html>".to_owned(), false),
    ] {
        let mut feed = Feed::new();
        feed.keys(Some("published"));
        let (next, revoked, live) =
            if fine { (open("c0"), REVOKED, OK) } else { (list(), UNAVAILABLE, UNAVAILABLE) };
        feed.list_of(200, &body, next).check(&token, revoked).check(&other, live);
        feed.add_to(lines, "lists", about);
    }
    let mut feed = Feed::following();
    feed.revocation(&json!({"sid": SID, "exp": END})).event("reset", "", &json!({}), list());
    feed.list_of(200, "{}", list())
        .check(&token, REVOKED)
        .check(&other, OK)
        .wait(2_000)
        .check(&other, UNAVAILABLE);
    feed.list(&[json!({"sid": OTHER, "exp": END})]).check(&token, OK).check(&other, REVOKED);
    feed.add_to(
        lines,
        "lists",
        "one that cannot be read leaves what is known, and one that can takes its place",
    );
}

fn polling(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    let polling = || {
        let mut feed = Feed::new().by(json!({"stream": false}));
        feed.keys(Some("published"));
        let body = feed.body(&[]).to_string();
        feed.list_of(200, &body, list()).check(&token, OK);
        feed
    };
    let unchanged = |feed: &Feed, until: i64| json!({"hallpass-clock": feed.issuer_shows().to_string(), "hallpass-complete-until": (feed.issuer_shows() - until).to_string()});
    let mut feed = polling();
    let body = feed.body(&[json!({"sid": SID, "exp": END})]).to_string();
    feed.wait(600).list_of(200, &body, list()).check(&token, REVOKED);
    feed.add_to(lines, "polling", "a list that has changed");
    for (until, code) in [(0, OK), (1_998, OK), (1_999, OK), (2_000, UNAVAILABLE)] {
        let mut feed = polling();
        feed.wait(5_000).check(&token, UNAVAILABLE);
        let headers = unchanged(&feed, until);
        feed.answer("list", 304, headers, "", list()).check(&token, code);
        feed.add_to(lines, "polling", &format!("a list that has not changed until {until} ago"));
    }
    for left_out in ["hallpass-clock", "hallpass-complete-until"] {
        let mut feed = polling();
        feed.wait(5_000);
        let headers = without(unchanged(&feed, 0), left_out);
        feed.answer("list", 304, headers, "", list()).check(&token, UNAVAILABLE);
        feed.add_to(lines, "polling", &format!("a list that has not changed, without {left_out}"));
    }
    let mut feed = Feed::new();
    feed.keys(Some("published"));
    let headers = unchanged(&feed, 0);
    feed.answer("list", 304, headers, "", list()).check(&token, UNAVAILABLE);
    feed.add_to(lines, "polling", "where there is a stream nobody asks whether a list has changed");
}

fn keys(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    let ed = signers.ed.token(&signers.ed.header(), &claims());
    let unknown = signers.es.token(&with(signers.es.header(), "kid", "other"), &claims());
    let mut feed = Feed::following();
    feed.check(&unknown, INVALID)
        .keys(None)
        .check(&unknown, UNAVAILABLE)
        .check(&token, OK)
        .check("no token", INVALID);
    feed.keys(Some("published")).check(&unknown, INVALID);
    feed.add_to(lines, "keys", "a key that is not known while the issuer cannot be asked");
    for set in ["broken", "empty"] {
        let mut feed = Feed::following();
        feed.keys(Some(set)).check(&token, OK).check(&ed, OK).check(&unknown, UNAVAILABLE);
        feed.add_to(lines, "keys", &format!("the last good set is used while the new one is {set}"));
    }
    let mut feed = Feed::following();
    feed.check(&token, OK)
        .keys(Some("ed alone"))
        .check(&token, INVALID)
        .check(&ed, OK)
        .keys(Some("published"))
        .check(&token, OK);
    feed.add_to(lines, "keys", "a key that is published no longer");
    let mut feed = Feed::following();
    feed.check(&token, OK)
        .revocation(&json!({"kid": "es", "exp": END}))
        .check(&token, REVOKED)
        .check(&ed, OK);
    feed.keys(Some("published"))
        .check(&token, REVOKED)
        .keys(Some("ed alone"))
        .check(&token, INVALID)
        .check(&ed, OK);
    feed.add_to(lines, "keys", "a key that is revoked, whatever is published");
}

fn policies(lines: &mut Lines, signers: &Signers) {
    let token = token(signers);
    let other = token_with(signers, "sid", OTHER);
    let mut feed = Feed::new().by(json!({"policy": "allow"}));
    feed.check(&token, UNAVAILABLE)
        .keys(Some("published"))
        .check(&token, OK)
        .list(&[json!({"sid": SID, "exp": END})]);
    feed.check(&token, REVOKED)
        .check(&other, OK)
        .wait(60_000)
        .check(&token, REVOKED)
        .check(&other, OK)
        .check("no token", INVALID);
    feed.add_to(
        lines,
        "policies",
        "who goes on without its issuer still refuses what it knows to be revoked",
    );
    let mut feed = Feed::following().by(json!({"audience": [AUDIENCE, ISSUER]}));
    feed.check(&token, OK)
        .check(&token_with(signers, "aud", ISSUER), OK)
        .check(&token_with(signers, "aud", "https://old.example.com"), INVALID);
    feed.add_to(lines, "policies", "who goes by two names takes tokens for either");
}

fn forgetting(lines: &mut Lines, signers: &Signers) {
    let long = signers.es.token(&signers.es.header(), &with(claims(), "exp", NOW + 1_000_000));
    let entry = json!({"sid": SID, "exp": NOW + 100});
    let beats = |feed: &mut Feed, seconds: i64| {
        for _ in 0..seconds {
            feed.wait(1_000).beat();
        }
    };
    let mut feed = Feed::following();
    feed.revocation(&entry).check(&long, REVOKED);
    beats(&mut feed, 60);
    feed.check(&long, REVOKED);
    feed.add_to(lines, "forgetting", "an entry stands until its end");
    // A clock that jumps ahead and back must not bring a revoked token to life.
    let mut feed = Feed::following();
    feed.revocation(&entry).beat();
    feed.ahead = 500_000;
    beats(&mut feed, 40);
    feed.ahead = 0;
    feed.check(&long, REVOKED);
    feed.add_to(lines, "forgetting", "the time of day jumps ahead and back");
}

fn orders(lines: &mut Lines, signers: &Signers) {
    let es = &signers.es;
    let entry = json!({"sid": SID, "exp": END});
    let over = es.token(&es.header(), &with(claims(), "exp", NOW - 100));
    let foreign = es.token(&es.header(), &with(claims(), "iss", "https://other.example.com"));
    let forged = signers.stranger.token(&signers.stranger.header(), &claims());
    let mut feed = Feed::following();
    feed.revocation(&entry)
        .check(&over, EXPIRED)
        .check(&foreign, INVALID)
        .check(&forged, INVALID)
        .check(&token(signers), REVOKED);
    feed.wait(5_000)
        .check(&over, EXPIRED)
        .check(&foreign, INVALID)
        .check(&forged, INVALID)
        .check(&token(signers), REVOKED);
    feed.add_to(lines, "orders", "what is wrong of itself is that, revoked or not, stale or not");
    let mut feed = Feed::following();
    feed.check(&token(signers), OK).wait(1_000).beat();
    let mut at_end = Feed::following();
    at_end.check(&token(signers), OK);
    at_end.ahead = (LIFETIME + 4) * 1_000 - at_end.at;
    at_end.check(&token(signers), OK);
    at_end.ahead += 1_000;
    at_end.check(&token(signers), EXPIRED).revocation(&entry).check(&token(signers), EXPIRED);
    at_end.add_to(lines, "orders", "times are looked at each time");
    feed.add_to(lines, "orders", "the same token twice");
}
