//! Streams: how they begin, are cut, written and refused.

use serde_json::{Value, json};

use super::feed::*;
use crate::cases::*;
use crate::keys::Signers;

pub(super) fn beginnings(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn streams(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn spellings(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn interruptions(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn statuses(lines: &mut Lines, signers: &Signers) {
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
