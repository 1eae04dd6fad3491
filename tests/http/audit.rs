//! What is written down, for whom to read.

use std::collections::BTreeSet;
use std::time::Duration;

use hallpass::domain::user::Role;
use hallpass::service::administration::{Administrator, NewAccount};
use poem::http::Method;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::secrets_in_logs::live;
use crate::support::{
    Actor, Admin, Answer, DAY, LoggedIn, MINUTE, PASSWORD, SECOND, TestApp, on_both_flavours,
};

const HOME: &str = "192.0.2.7";

on_both_flavours! {
    accounts_and_logins_are_written_down,
    every_way_to_end_sessions_is_written_down,
    a_stolen_refresh_token_is_written_down,
    sessions_that_end_by_themselves_are_written_down_when_somebody_comes_for_them,
    passwords_are_written_down_by_what_happens_to_them,
    what_administrators_do_is_written_down,
    the_log_is_filtered_by_each_side_of_an_entry,
    following_the_link_header_shows_every_entry_once,
    no_secret_and_no_address_of_mail_is_in_the_log,
}

/// A page of the log.
async fn page(admin: &Admin, query: &str) -> Vec<Value> {
    let answer = admin.get(&format!("/audit?limit=200&{query}")).send().await;
    answer.json(200).as_array().expect("a list").clone()
}

/// The entries about an account, oldest first, each as one line: what, by whom, why, how many sessions.
async fn story(admin: &Admin, user: i64) -> Vec<String> {
    let mut entries = page(admin, &format!("user={user}")).await;
    entries.reverse();
    entries.iter().map(line).collect()
}

fn line(entry: &Value) -> String {
    let mut line = format!("{} {}", text(entry, "action"), text(entry, "actor"));
    if let Some(reason) = entry["reason"].as_str() {
        line.push_str(&format!(" {reason}"));
    }
    if let Some(sessions) = entry["count"].as_i64() {
        line.push_str(&format!(" ({sessions})"));
    }
    line
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_else(|| panic!("no {field} in {entry}"))
}

/// The session of a pair of tokens.
fn session_of(person: &LoggedIn) -> String {
    crate::support::jwt::claims(&person.tokens.access)["sid"].as_str().expect("a sid").to_owned()
}

async fn log_in_from(app: &TestApp, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    app.anonymous().post("/auth/login").json(&body).sent_from(address).send().await
}

async fn accounts_and_logins_are_written_down(app: TestApp) {
    let ada = app.member("ada").await;
    let before = page(&app.admin().await, "").await.len();
    log_in_from(&app, HOME, "ada@example.com", "wrong").await.assert_refused(401, "invalid_credentials");
    log_in_from(&app, HOME, "nobody@example.com", "wrong").await.assert_refused(401, "invalid_credentials");
    log_in_from(&app, HOME, "no address", "wrong").await.assert_refused(401, "invalid_credentials");
    let admin = app.admin().await;
    let disabling = admin.patch(&format!("/users/{}", ada.id)).json(&json!({"disabled": true}));
    disabling.send().await.json(200);
    log_in_from(&app, HOME, "ada@example.com", PASSWORD).await.assert_refused(403, "account_disabled");

    let by_ada = format!("user:{}", ada.id);
    assert_eq!(
        story(&admin, ada.id).await,
        [
            "account_created anonymous".to_owned(),
            format!("login_succeeded {by_ada}"),
            "login_failed anonymous wrong_password".to_owned(),
            format!("account_disabled user:{} (1)", admin.0.id),
            "login_failed anonymous account_disabled".to_owned(),
        ]
    );
    let all = page(&admin, "").await;
    assert_eq!(all.len(), before + 5, "what is no address at all is nobody's login: {all:?}");
    let login = page(&admin, &format!("user={}&action=login_succeeded", ada.id)).await.remove(0);
    assert_eq!(text(&login, "session"), session_of(&ada));
    assert_eq!(login["at"], app.now());
    let wrong = page(&admin, "reason=wrong_password").await.remove(0);
    assert_eq!((text(&wrong, "address"), &wrong["session"]), (HOME, &Value::Null));
    let unknown = page(&admin, "reason=unknown_account").await.remove(0);
    assert_eq!((text(&unknown, "address"), &unknown["user"]), (HOME, &Value::Null));
}

async fn every_way_to_end_sessions_is_written_down(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let phone = ada.on_another_device().await;
    let laptop = ada.on_another_device().await;
    let tablet = ada.on_another_device().await;
    let logins = story(&admin, ada.id).await.len();

    phone.post("/auth/logout").sent_from(HOME).send().await.json(200);
    let one = format!("/auth/sessions/{}", session_of(&laptop));
    ada.delete(&one).sent_from(HOME).send().await.json(200);
    ada.delete("/auth/sessions").send().await.json(200);
    let phone = ada.on_another_device().await;
    ada.post("/auth/logout?scope=others").send().await.json(200);
    ada.post("/auth/logout?scope=global").sent_from(HOME).send().await.json(200);
    app.log_out(&ada.tokens.access).await.assert_refused(401, "token_revoked");
    let back = ada.on_another_device().await;
    admin.delete(&format!("/users/{}/sessions/{}", ada.id, session_of(&back))).send().await.json(200);
    ada.on_another_device().await;
    admin.delete(&format!("/users/{}/sessions", ada.id)).sent_from(HOME).send().await.json(200);

    let (by_ada, by_admin) = (format!("user:{}", ada.id), format!("user:{}", admin.0.id));
    assert_eq!(
        story(&admin, ada.id).await[logins..],
        [
            format!("session_ended {by_ada} logged_out"),
            format!("session_ended {by_ada} revoked_by_user"),
            format!("session_ended {by_ada} revoked_by_user"),
            format!("login_succeeded {by_ada}"),
            format!("session_ended {by_ada} logged_out"),
            format!("sessions_ended {by_ada} logged_out (1)"),
            format!("login_succeeded {by_ada}"),
            format!("session_ended {by_admin} revoked_by_admin"),
            format!("login_succeeded {by_ada}"),
            format!("sessions_ended {by_admin} revoked_by_admin (1)"),
        ]
    );
    for (person, count) in [(&laptop, 2), (&tablet, 2), (&phone, 2)] {
        assert_eq!(page(&admin, &format!("session={}", session_of(person))).await.len(), count);
    }
    assert_eq!(page(&admin, "action=session_ended&reason=logged_out").await.len(), 2);
    let kick = page(&admin, "action=sessions_ended").await.remove(0);
    assert_eq!((text(&kick, "address"), text(&kick, "session")), (HOME, &*session_of(&admin.0)));
    let everywhere = page(&admin, "action=sessions_ended&reason=logged_out").await.remove(0);
    assert_eq!((text(&everywhere, "address"), text(&everywhere, "session")), (HOME, &*session_of(&ada)));
}

async fn a_stolen_refresh_token_is_written_down(app: TestApp) {
    let mut ada = app.member("ada").await;
    let mut eve = app.member("eve").await;
    let (stolen, stolen_too) = (ada.tokens.refresh.clone(), eve.tokens.refresh.clone());
    ada.refresh().await;
    eve.refresh().await;
    app.advance(MINUTE);
    let theft = app.anonymous().post("/auth/refresh-token").refresh(&stolen).sent_from(HOME);
    theft.send().await.assert_refused(401, "refresh_token_reused");
    let theft = app.anonymous().get("/users/me").refresh(&stolen_too).sent_from(HOME);
    theft.send().await.assert_refused(401, "refresh_token_reused");
    app.refresh(&ada.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");

    let admin = app.admin().await;
    for person in [&ada, &eve] {
        let reuse = page(&admin, &format!("reason=reuse_detected&user={}", person.id)).await;
        assert_eq!(reuse.len(), 1, "{reuse:?}");
        assert_eq!(line(&reuse[0]), "refresh_token_reused anonymous reuse_detected");
        assert_eq!((text(&reuse[0], "session"), text(&reuse[0], "address")), (&*session_of(person), HOME));
    }
}

async fn sessions_that_end_by_themselves_are_written_down_when_somebody_comes_for_them(app: TestApp) {
    let mut eve = app.member("eve").await;
    for _ in 0..4 {
        app.advance(DAY * 6);
        eve.refresh().await;
    }
    app.advance(DAY * 6);
    app.refresh(&eve.tokens.refresh).await.assert_refused(401, "session_expired");
    let admin = app.admin().await;
    let absolute = page(&admin, &format!("user={}&action=session_expired", eve.id)).await;
    assert_eq!(line(&absolute[0]), "session_expired anonymous absolute_timeout");
    assert_eq!(absolute[0]["session"], session_of(&eve));

    let bob = app.member("bob").await;
    app.advance(DAY * 7);
    app.auth_me_by_refresh_token(&bob.tokens.refresh).await.assert_refused(401, "session_expired");
    let admin = app.admin().await;
    let idle = page(&admin, &format!("user={}&action=session_expired", bob.id)).await;
    assert_eq!(line(&idle[0]), "session_expired anonymous idle_timeout");
}

async fn passwords_are_written_down_by_what_happens_to_them(app: TestApp) {
    let ada = app.member("ada").await;
    let mistaken = LoggedIn { password: "wrong".to_owned(), ..ada.clone() };
    mistaken.change_password("a better one this time").await.assert_refused(401, "invalid_credentials");
    ada.change_password("a better one this time").await.json(200);
    app.request_reset("nobody@example.com").await.json(200);
    let superseded = app.reset_token("ada@example.com").await;
    let token = app.reset_token("ada@example.com").await;
    app.reset_password("hp_pr_forged", "another good password")
        .await
        .assert_refused(400, "invalid_reset_token");
    for _ in 0..2 {
        let refused = app.reset_password(&superseded, "another good password").await;
        refused.assert_refused(400, "invalid_reset_token");
    }
    app.reset_password(&token, "another good password").await.json(200);

    let by_ada = format!("user:{}", ada.id);
    let admin = app.admin().await;
    assert_eq!(
        story(&admin, ada.id).await[2..],
        [
            format!("password_change_failed {by_ada} wrong_password"),
            format!("password_changed {by_ada} (1)"),
            format!("login_succeeded {by_ada} password_changed"),
            "password_reset_requested anonymous".to_owned(),
            "password_reset_requested anonymous".to_owned(),
            "password_reset_failed anonymous invalid_reset_token".to_owned(),
            format!("password_reset {by_ada} (1)"),
        ]
    );
    let requests = page(&admin, "action=password_reset_requested").await;
    assert_eq!(requests.len(), 3);
    assert_eq!((&requests[2]["user"], text(&requests[2], "reason")), (&Value::Null, "unknown_account"));
}

async fn what_administrators_do_is_written_down(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let path = format!("/users/{}", ada.id);
    let update = async |body: Value| admin.patch(&path).json(&body).sent_from(HOME).send().await.json(200);
    update(json!({"disabled": false, "role": "member"})).await;
    update(json!({"disabled": true, "role": "admin"})).await;
    update(json!({"disabled": false})).await;
    update(json!({"email": "countess@example.com"})).await;
    admin.post(&format!("{path}/password-reset")).send().await.json(200);
    admin.delete(&path).send().await.json(200);
    admin.delete(&path).send().await.assert_refused(404, "not_found");
    let account = NewAccount {
        email: "bob@example.com".parse_email(),
        password: PASSWORD.to_owned(),
        first_name: None,
        last_name: None,
        role: Role::Member,
    };
    let administration = &app.services().administration;
    let bob = administration.create(Administrator::Operator, account).await.expect("an account");
    let password = "a better one this time".to_owned();
    administration.set_password(Administrator::Operator, bob.id, password).await.expect("done");

    let by_admin = format!("user:{}", admin.0.id);
    assert_eq!(
        story(&admin, ada.id).await[2..],
        [
            format!("role_changed {by_admin} (1)"),
            format!("account_disabled {by_admin}"),
            format!("account_enabled {by_admin} (0)"),
            format!("email_changed {by_admin} (0)"),
            format!("password_reset_requested {by_admin}"),
            format!("account_deleted {by_admin} (0)"),
        ],
        "what was so already is no news"
    );
    let disabling = page(&admin, "action=account_disabled").await.remove(0);
    assert_eq!((text(&disabling, "session"), text(&disabling, "address")), (&*session_of(&admin.0), HOME));
    assert_eq!(
        story(&admin, bob.id.get()).await,
        ["account_created operator", "password_changed operator (0)"]
    );
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
    let app = TestApp::spawn().await;
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

#[tokio::test]
async fn a_login_through_another_dialect_is_written_down_as_well() {
    let app = TestApp::spawn().await;
    let body = json!({"email": "ada@example.com", "name": "Ada", "password": "Engines weave 1843 patterns"});
    let created = app.anonymous().request(Method::POST, "/users").json(&body).send().await;
    assert_eq!(created.status, 201, "{created:?}");
    let admin = app.admin().await;
    let id = app.stored_user("ada@example.com").await.expect("an account").id.get();
    let expected = ["account_created anonymous".to_owned(), format!("login_succeeded user:{id}")];
    assert_eq!(story(&admin, id).await, expected);
}

trait ParseEmail {
    fn parse_email(&self) -> hallpass::domain::email::Email;
}

impl ParseEmail for str {
    fn parse_email(&self) -> hallpass::domain::email::Email {
        hallpass::domain::email::Email::parse(self).expect("an address")
    }
}
