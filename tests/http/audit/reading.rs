//! Reading the log, and what keeps it small and honest.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection, Executor, SqliteConnection};

use super::{page, session_of, text};
use crate::secrets_in_logs::live;
use crate::support::{Actor, DAY, PASSWORD, SECOND, TestApp, on_both_flavours};

on_both_flavours! {
    the_log_is_filtered_by_each_side_of_an_entry,
    following_the_link_header_shows_every_entry_once,
    no_secret_and_no_address_of_mail_is_in_the_log,
}

async fn the_log_is_filtered_by_each_side_of_an_entry(app: TestApp) {
    let ada = app.member("ada").await;
    app.advance(SECOND * 10);
    let start = app.now();
    app.log_out(&ada.tokens.access).await.json(200);
    app.advance(SECOND * 10);
    let admin = app.admin().await;
    let by = format!("actor=user:{}", ada.id);
    let session = format!("session={}", session_of(&ada));
    let logout = page(&admin, "action=session_ended").await;
    assert_eq!(logout.len(), 1);
    for query in [
        format!("{by}&reason=logged_out"),
        format!("{session}&action=session_ended"),
        format!("user={}&since={start}", ada.id),
        format!("since={start}&until={}", start + 1),
        format!("{session}&{by}&since={start}&until={}&action=session_ended&reason=logged_out", start + 1),
    ] {
        assert_eq!(page(&admin, &query).await, logout, "{query}");
    }
    for query in [
        format!("{session}&actor=operator"),
        format!("since={start}&until={start}"),
        "token=00000000-0000-0000-0000-000000000001".to_owned(),
        "before=0".to_owned(),
    ] {
        assert!(page(&admin, &query).await.is_empty(), "{query}");
    }
}

async fn following_the_link_header_shows_every_entry_once(app: TestApp) {
    let ada = app.member("ada").await;
    for _ in 0..5 {
        app.log_in("ada@example.com", "wrong").await;
    }
    let admin = app.admin().await;
    let filter = format!("user={}&until={}", ada.id, app.now() + 1);
    let all = page(&admin, &filter).await;
    assert_eq!(all.len(), 7);
    for limit in [1, 3, 7, 8] {
        let (mut seen, mut path) = (Vec::new(), Some(format!("/audit?limit={limit}&{filter}")));
        while let Some(page) = path {
            let answer = admin.get(&page).send().await;
            let entries = answer.json(200).as_array().expect("an array").clone();
            assert!(!entries.is_empty() && entries.len() <= limit, "{answer:?}");
            seen.extend(entries);
            path = answer.header("link").map(|link| {
                let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
                target.unwrap_or_else(|| panic!("{link}")).to_owned()
            });
        }
        assert_eq!(seen, all, "{limit} a page");
    }
}

async fn no_secret_and_no_address_of_mail_is_in_the_log(app: TestApp) {
    let mut secrets = live(&app).await;
    // What people type into the wrong field.
    let slip = "tqjzkvwm-in-the-wrong-field";
    app.log_in(&format!("{slip}@example.com"), "wrong").await.assert_refused(401, "invalid_credentials");
    app.request_reset(&format!("{slip}@example.com")).await.json(200);
    secrets.push(slip.to_owned());
    let admin = app.admin().await;
    let entries = page(&admin, "").await;
    let actions: BTreeSet<&str> = entries.iter().map(|entry| text(entry, "action")).collect();
    assert!(entries.len() > 15 && actions.len() > 8, "{actions:?}");
    let text = Value::Array(entries).to_string();
    for secret in &secrets {
        let tail = &secret[secret.len() - secret.len().min(32)..];
        assert!(!text.contains(secret) && !text.contains(tail), "{secret:?} is in the log");
    }
    assert!(!text.contains('@'), "an e-mail address is in the log: {text}");
}

#[tokio::test]
async fn only_administrators_read_the_log() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    ada.get("/audit").send().await.assert_refused(403, "forbidden");
    ada.get(&format!("/audit?user={}", ada.id)).send().await.assert_refused(403, "forbidden");
    app.anonymous().get("/audit").send().await.assert_refused(401, "authentication_required");
}

#[tokio::test]
async fn a_page_of_the_log_that_cannot_be_is_400() {
    let app = TestApp::spawn().await;
    let admin = app.admin().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("before=-1", "before"),
        ("user=0", "user"),
        ("user=+1", "user"),
        ("actor=ada", "actor"),
        ("actor=", "actor"),
        ("action=login", "action"),
        ("reason=because", "reason"),
        ("session=7", "session"),
        ("token=x", "token"),
        ("since=yesterday", "since"),
        ("until=1.5", "until"),
    ] {
        let answer = admin.get(&format!("/audit?{query}")).send().await;
        let problem = answer.assert_refused(400, "invalid_request");
        assert_eq!(problem["errors"][0]["field"], field, "{query}");
    }
}

/// The database refuses to be written and still lets read: logins go on, the log catches up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_waits_for_the_log_and_the_log_catches_up() {
    let app = TestApp::spawn().await.hashing_all_at_once().await;
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let before = page(&admin, "").await.len();

    let mut other = SqliteConnection::connect(&app.sqlite_url()).await.expect("a connection");
    other.execute("BEGIN IMMEDIATE").await.expect("the write lock");
    let all_at_once = (0..20).map(|_| app.log_in("ada@example.com", PASSWORD));
    let answers = tokio::time::timeout(SECOND * 10, futures_util::future::join_all(all_at_once)).await;
    for answer in answers.expect("nobody waits for the lock") {
        answer.json(200);
    }
    assert_eq!(page(&admin, "").await.len(), before, "what is not written is not shown");
    other.execute("ROLLBACK").await.expect("the lock given back");
    assert!(app.services().audit.flush(Duration::from_secs(30)).await);
    let entries = page(&admin, "").await;
    assert_eq!(entries.len(), before + 20);
    assert!(entries[..20].iter().all(|entry| entry["user"] == ada.id));
}

#[tokio::test]
async fn entries_go_after_the_retention() {
    let app = TestApp::spawn().await;
    app.member("ada").await;
    app.advance(DAY * 30);
    let admin = app.admin().await;
    let all = page(&admin, "").await;
    let audit = &app.services().audit;
    assert_eq!(audit.prune(app.timestamp().before(DAY * 30)).await.expect("an answer"), 0);
    app.advance(SECOND);
    let pruned = audit.prune(app.timestamp().before(DAY * 30)).await.expect("an answer");
    assert_eq!(pruned as usize, all.len() - 1);
    assert_eq!(page(&admin, "").await, all[..1]);
}
