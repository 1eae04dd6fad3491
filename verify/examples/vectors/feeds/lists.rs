//! Lists, asked once or again and again, and keys that come and go.

use serde_json::json;

use super::feed::*;
use crate::cases::*;
use crate::keys::Signers;

pub(super) fn lists(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn polling(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn keys(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn orders(lines: &mut Lines, signers: &Signers) {
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
