//! `sessions.max_per_account`: how many sessions an account may have, and which end when there are more.

use std::time::Duration;

use hallpass::domain::audit::Reason;
use hallpass::domain::session_cap::SessionCursor;
use hallpass::service::caller::Administrator;
use hallpass::service::explain::{TokenOrId, Verdict};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Actor, Admin, LoggedIn, MINUTE, PASSWORD, TestApp, on_both_flavours};

on_both_flavours! {
    a_login_beyond_the_cap_ends_the_session_that_is_missed_least,
    whoever_presents_a_token_of_it_is_told_that_there_were_too_many,
    logins_at_once_leave_as_many_as_may_be,
    an_account_far_above_the_cap_comes_down_at_its_next_login,
    a_list_of_sessions_comes_in_pages,
}

/// The same service, where accounts may have that many sessions.
async fn capped(app: &TestApp, max: u32) -> TestApp {
    app.another_instance(|settings| settings.sessions.max_per_account = max).await
}

async fn ids(person: &LoggedIn) -> Vec<String> {
    let sessions = person.get("/auth/sessions").send().await.json(200);
    let sessions = sessions.as_array().expect("a list").iter();
    sessions.map(|session| session["id"].as_str().expect("an id").to_owned()).collect()
}

async fn a_login_beyond_the_cap_ends_the_session_that_is_missed_least(app: TestApp) {
    let app = capped(&app, 3).await;
    let mut refreshed = app.member("ada").await;
    app.advance(MINUTE);
    let mut later = refreshed.on_another_device().await;
    app.advance(MINUTE);
    let unused = refreshed.on_another_device().await;
    app.advance(MINUTE);
    later.refresh().await;
    app.advance(MINUTE);
    refreshed.refresh().await;

    // One that was never refreshed ends before older ones that were.
    let fourth = refreshed.on_another_device().await;
    app.refresh(&unused.tokens.refresh).await.assert_refused(401, "session_evicted");
    app.me(&unused.tokens.access).await.assert_refused(401, "token_revoked");
    app.advance(MINUTE);
    // Never the one that was just opened, be it the only one that was never refreshed.
    let fifth = refreshed.on_another_device().await;
    app.refresh(&fourth.tokens.refresh).await.assert_refused(401, "session_evicted");
    let mut fifth = fifth;
    fifth.refresh().await;
    app.advance(MINUTE);
    // Then the longest unused.
    let sixth = refreshed.on_another_device().await;
    app.refresh(&later.tokens.refresh).await.assert_refused(401, "session_evicted");
    for live in [&refreshed, &fifth, &sixth] {
        live.assert_lives().await;
    }
    assert_eq!(ids(&refreshed).await.len(), 3);
}

async fn whoever_presents_a_token_of_it_is_told_that_there_were_too_many(app: TestApp) {
    let app = capped(&app, 1).await;
    let ada = app.member("ada").await;
    let session = ids(&ada).await.remove(0);
    let eve = app.member("eve").await;
    ada.on_another_device().await;
    eve.assert_lives().await;
    app.auth_me_by_refresh_token(&ada.tokens.refresh).await.assert_refused(401, "session_evicted");
    let nest = app.anonymous().post("/auth/refresh").access(&ada.tokens.refresh);
    nest.send().await.assert_refused(401, "session_evicted");

    let admin = app.admin().await;
    let entries = entries(&admin, &format!("session={session}&action=session_ended")).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["reason"], "too_many_sessions");
    assert_eq!(entries[0]["actor"], "service");
    let refresh = TokenOrId::of(&ada.tokens.refresh).expect("a token");
    let explanation =
        app.services().inspector.explain(Administrator::Operator, &refresh).await.expect("an explanation");
    let Verdict::Invalid(invalidation) = explanation.verdict else { panic!("it is over") };
    assert_eq!(invalidation.reason, Reason::TooManySessions);
}

async fn logins_at_once_leave_as_many_as_may_be(app: TestApp) {
    let app = capped(&app, 4).await;
    let ada = app.member("ada").await;
    let logins = (0..6).map(|_| {
        let app = app.clone();
        tokio::spawn(async move { LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await })
    });
    let logins: Vec<_> = logins.collect();
    let mut opened = vec![ada];
    for login in logins {
        opened.push(login.await.expect("a login"));
    }
    // The last one to come sees all of the others.
    let last = opened[0].on_another_device().await;
    assert_eq!(ids(&last).await.len(), 4);
    let mut live = 0;
    for person in &opened {
        live += usize::from(app.refresh(&person.tokens.refresh).await.status == 200);
    }
    assert_eq!(live, 3);
}

async fn an_account_far_above_the_cap_comes_down_at_its_next_login(app: TestApp) {
    let ada = app.member("ada").await;
    let mut others = Vec::new();
    for _ in 0..24 {
        others.push(ada.on_another_device().await);
        app.advance(MINUTE / 60);
    }
    let lowered = capped(&app, 2).await;
    let last = LoggedIn::log_in(&lowered, "ada@example.com", PASSWORD).await;
    // Most end beside the login.
    let all_have_ended = async {
        while ids(&last).await.len() > 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), all_have_ended).await.expect("they end");
    last.assert_lives().await;
    others.pop().expect("the newest of the others").assert_lives().await;
    for over in others {
        lowered.refresh(&over.tokens.refresh).await.assert_refused(401, "session_evicted");
    }
}

async fn a_list_of_sessions_comes_in_pages(app: TestApp) {
    let ada = app.member("ada").await;
    for _ in 0..4 {
        app.advance(MINUTE);
        ada.on_another_device().await;
    }
    let admin = app.admin().await;
    let all = ids(&ada).await;
    assert_eq!(all.len(), 5);
    for limit in [1, 2, 5, 6] {
        for administrator in [false, true] {
            let (mut seen, mut path) = (Vec::new(), Some(format!("/auth/sessions?limit={limit}")));
            if administrator {
                path = Some(format!("/users/{}/sessions?limit={limit}", ada.id));
            }
            while let Some(page) = path {
                let answer = match administrator {
                    true => admin.get(&page).send().await,
                    false => ada.get(&page).send().await,
                };
                let sessions = answer.json(200).as_array().expect("a list").clone();
                assert!(!sessions.is_empty() && sessions.len() <= limit, "{answer:?}");
                seen.extend(sessions.iter().map(|session| session["id"].as_str().expect("an id").to_owned()));
                path = answer.header("link").map(|link| {
                    let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
                    target.unwrap_or_else(|| panic!("{link}")).to_owned()
                });
            }
            assert_eq!(seen, all, "{limit} a page");
        }
    }
}

#[tokio::test]
async fn a_page_of_sessions_that_cannot_be_is_400() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let admin = app.admin().await;
    let uuid = "00000000-0000-0000-0000-000000000abc";
    for query in
        ["limit=0", "limit=201", "limit=x", "after=x", "after=1", &format!("after={uuid}"), "after=1.x"]
    {
        ada.get(&format!("/auth/sessions?{query}")).send().await.assert_refused(400, "invalid_request");
        let path = format!("/users/{}/sessions?{query}", ada.id);
        admin.get(&path).send().await.assert_refused(400, "invalid_request");
    }
    let from_the_end: SessionCursor = format!("0.{uuid}").parse().expect("a place");
    let answer = ada.get(&format!("/auth/sessions?after={from_the_end}")).send().await;
    assert_eq!(answer.json(200), json!([]));
}

async fn entries(admin: &Admin, query: &str) -> Vec<Value> {
    admin.get(&format!("/audit?{query}")).send().await.json(200).as_array().expect("a list").clone()
}
