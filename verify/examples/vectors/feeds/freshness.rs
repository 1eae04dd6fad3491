//! How old what was heard may be, by whose clock, and what is said of tokens beyond that.

use serde_json::json;

use super::feed::*;
use crate::cases::*;
use crate::keys::Signers;

pub(super) fn staleness(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn lateness(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn clocks(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn policies(lines: &mut Lines, signers: &Signers) {
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

pub(super) fn forgetting(lines: &mut Lines, signers: &Signers) {
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
