//! Why a token is no good: one test for each reason there is.

use hallpass::domain::audiences::Asked;
use hallpass::domain::audit::{AuditActor, Reason};
use hallpass::domain::ids::SessionId;
use hallpass::service::caller::Administrator;
use hallpass::service::clients::{ClientCredentials, ClientTerms};
use hallpass::service::explain::{Content, Explanation, Invalidation, RevokedItem, TokenOrId, Verdict};
use hallpass::service::visitor::Visitor;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Actor, DAY, LoggedIn, MINUTE, PASSWORD, SECOND, TestApp, jwt, on_both_flavours};

on_both_flavours! {
    what_lives_is_live_and_stays_as_it_is,
    a_session_that_its_user_ended,
    sessions_that_somebody_else_ended,
    sessions_that_a_security_event_ended,
    a_session_whose_token_was_used_twice,
    sessions_that_ended_by_themselves,
    a_token_that_was_taken_back,
    what_is_none_of_ours,
    of_several_reasons_the_first_one_counts,
    what_is_taken_back_is_dead_at_once,
    a_machines_token_lives_until_it_is_taken_back_or_its_client_is_gone,
}

const OPERATOR: Administrator = Administrator::Operator;

async fn explain(app: &TestApp, text: &str) -> Explanation {
    let presented = TokenOrId::of(text).expect("a token or an id");
    app.services().inspector.explain(OPERATOR, &presented).await.expect("an explanation")
}

async fn invalidation(app: &TestApp, text: &str) -> Invalidation {
    match explain(app, text).await.verdict {
        Verdict::Invalid(invalidation) => invalidation,
        other => panic!("{other:?}"),
    }
}

fn sid(person: &LoggedIn) -> String {
    jwt::claims(&person.tokens.access)["sid"].as_str().expect("a sid").to_owned()
}

fn jti(person: &LoggedIn) -> String {
    jwt::claims(&person.tokens.access)["jti"].as_str().expect("a jti").to_owned()
}

fn by(person: &LoggedIn) -> Option<AuditActor> {
    Some(AuditActor::User(person.id.try_into().expect("an id")))
}

/// Asserts that all three, access token, refresh token and the id of the session, have ended for that
/// reason, and by whom if the log should know.
async fn assert_dead(person: &LoggedIn, reason: Reason, actor: Option<AuditActor>) {
    let session = sid(person);
    for text in [&person.tokens.access, &person.tokens.refresh, &session] {
        let invalidation = invalidation(&person.app, text).await;
        assert_eq!(invalidation.reason, reason, "{invalidation:?}");
        assert_eq!(
            invalidation.entry.as_ref().map(|entry| entry.entry.actor.clone()),
            actor,
            "{invalidation:?}"
        );
        assert_eq!(invalidation.entry.is_some(), invalidation.at.is_some(), "{invalidation:?}");
    }
}

async fn what_lives_is_live_and_stays_as_it_is(app: TestApp) {
    let mut ada = app.member("ada").await;
    app.advance(MINUTE);
    let listed = ada.get("/auth/sessions").send().await.json(200);
    for text in [&ada.tokens.access, &ada.tokens.refresh, &sid(&ada)] {
        for _ in 0..2 {
            let explanation = explain(&app, text).await;
            assert_eq!(explanation.verdict, Verdict::Live, "{text}");
            let live = explanation.session.expect("its session");
            assert_eq!(live.id.to_string(), sid(&ada));
        }
    }
    assert_eq!(ada.get("/auth/sessions").send().await.json(200), listed);
    match explain(&app, &format!("Bearer {}", ada.tokens.access)).await.content {
        Content::Access(claims) => assert_eq!(claims.sub, ada.id.to_string()),
        other => panic!("{other:?}"),
    }

    let first = ada.tokens.refresh.clone();
    ada.refresh().await;
    assert_eq!(explain(&app, &first).await.verdict, Verdict::Live, "within the grace period");
    app.advance(MINUTE);
    assert_eq!(invalidation(&app, &first).await.reason, Reason::Rotated);
    ada.assert_lives().await;
}

async fn a_session_that_its_user_ended(app: TestApp) {
    let ada = app.member("ada").await;
    let (phone, laptop) = (ada.on_another_device().await, ada.on_another_device().await);
    app.advance(SECOND * 5);
    app.log_out(&phone.tokens.access).await.json(200);
    assert_dead(&phone, Reason::LoggedOut, by(&ada)).await;
    assert_eq!(invalidation(&app, &phone.tokens.refresh).await.at, Some(app.timestamp()));
    ada.delete(&format!("/auth/sessions/{}", sid(&laptop))).send().await.json(200);
    assert_dead(&laptop, Reason::RevokedByUser, by(&ada)).await;
    ada.post("/auth/logout?scope=global").send().await.json(200);
    assert_dead(&ada, Reason::LoggedOut, by(&ada)).await;
}

async fn sessions_that_somebody_else_ended(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let (phone, laptop) = (ada.on_another_device().await, ada.on_another_device().await);
    admin.delete(&format!("/users/{}/sessions/{}", ada.id, sid(&phone))).send().await.json(200);
    assert_dead(&phone, Reason::RevokedByAdmin, by(&admin.0)).await;
    let session = SessionId::from(Uuid::parse_str(&sid(&laptop)).expect("a UUID"));
    let id = ada.id.try_into().expect("an id");
    app.services().administration.end_session(OPERATOR, id, session).await.expect("ended");
    assert_dead(&laptop, Reason::RevokedByOperator, Some(AuditActor::Operator)).await;
    admin.delete(&format!("/users/{}/sessions", ada.id)).send().await.json(200);
    assert_dead(&ada, Reason::RevokedByAdmin, by(&admin.0)).await;
    // The administrator's own sessions are another matter.
    assert_eq!(explain(&app, &admin.0.tokens.refresh).await.verdict, Verdict::Live);
}

async fn sessions_that_a_security_event_ended(app: TestApp) {
    let admin = app.admin().await;
    let update = async |person: &LoggedIn, body: serde_json::Value| {
        admin.patch(&format!("/users/{}", person.id)).json(&body).send().await.json(200);
    };
    let ada = app.member("ada").await;
    let other = ada.on_another_device().await;
    let changed = ada.change_password("a better one this time").await.json(200);
    for ended in [&ada, &other] {
        assert_dead(ended, Reason::PasswordChanged, by(&ada)).await;
    }
    let refresh = changed["refreshToken"].as_str().expect("a token");
    assert_eq!(explain(&app, refresh).await.verdict, Verdict::Live, "the session of the change itself");
    let token = app.reset_token("ada@example.com").await;
    app.reset_password(&token, PASSWORD).await.json(200);
    assert_eq!(invalidation(&app, refresh).await.reason, Reason::PasswordReset);

    let ada = LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await;
    update(&ada, json!({"role": "admin"})).await;
    assert_dead(&ada, Reason::RoleChanged, by(&admin.0)).await;
    let ada = LoggedIn::log_in(&app, "ada@example.com", PASSWORD).await;
    update(&ada, json!({"email": "countess@example.com"})).await;
    assert_dead(&ada, Reason::EmailChanged, by(&admin.0)).await;
    let ada = LoggedIn::log_in(&app, "countess@example.com", PASSWORD).await;
    update(&ada, json!({"disabled": true})).await;
    update(&ada, json!({"disabled": false})).await;
    assert_dead(&ada, Reason::AccountDisabled, by(&admin.0)).await;
    let ada = LoggedIn::log_in(&app, "countess@example.com", PASSWORD).await;
    admin.delete(&format!("/users/{}", ada.id)).send().await.json(200);
    assert_dead(&ada, Reason::AccountDeleted, by(&admin.0)).await;
}

async fn a_session_whose_token_was_used_twice(app: TestApp) {
    let mut ada = app.member("ada").await;
    let stolen = ada.tokens.refresh.clone();
    ada.refresh().await;
    app.advance(MINUTE);
    app.refresh(&stolen).await.assert_refused(401, "refresh_token_reused");
    assert_dead(&ada, Reason::ReuseDetected, Some(AuditActor::Anonymous)).await;
    assert_eq!(invalidation(&app, &stolen).await.reason, Reason::ReuseDetected);
}

async fn sessions_that_ended_by_themselves(app: TestApp) {
    let (ada, mut eve) = (app.member("ada").await, app.member("eve").await);
    for _ in 0..4 {
        app.advance(DAY * 6);
        eve.refresh().await;
    }
    for text in [&ada.tokens.refresh, &sid(&ada)] {
        let invalidation = invalidation(&app, text).await;
        assert_eq!((invalidation.reason, &invalidation.entry), (Reason::IdleTimeout, &None));
    }
    app.advance(DAY * 6);
    for text in [&eve.tokens.refresh, &sid(&eve)] {
        assert_eq!(invalidation(&app, text).await.reason, Reason::AbsoluteTimeout);
    }
    // Somebody comes with it: the log knows then.
    app.refresh(&eve.tokens.refresh).await.assert_refused(401, "session_expired");
    assert!(invalidation(&app, &eve.tokens.refresh).await.entry.is_some());

    let bob = app.member("bob").await;
    app.advance(MINUTE * 20);
    let invalidation = invalidation(&app, &bob.tokens.access).await;
    let end = jwt::claims(&bob.tokens.access)["exp"].as_i64().expect("a time");
    assert_eq!(
        (invalidation.reason, invalidation.at.map(|at| at.as_secs())),
        (Reason::TokenExpired, Some(end))
    );
    assert_eq!(explain(&app, &bob.tokens.refresh).await.verdict, Verdict::Live);
}

async fn a_token_that_was_taken_back(app: TestApp) {
    let ada = app.member("ada").await;
    let presented = TokenOrId::of(&ada.tokens.access).expect("a token");
    let taken = app.services().inspector.revoke(OPERATOR, &presented).await.expect("revoked").what;
    let (user, token) = match taken {
        RevokedItem::Token(user, token) => (user, token),
        other => panic!("{other:?}"),
    };
    assert_eq!((user.get(), token.to_string()), (ada.id, jti(&ada)));
    app.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
    app.refresh(&ada.tokens.refresh).await.json(200);
    for text in [&ada.tokens.access, &jti(&ada)] {
        let invalidation = invalidation(&app, text).await;
        assert_eq!(invalidation.reason, Reason::RevokedByOperator);
        assert_eq!(invalidation.entry.expect("an entry").entry.actor, AuditActor::Operator);
    }
    assert_eq!(explain(&app, &sid(&ada)).await.verdict, Verdict::Live);
}

async fn what_is_none_of_ours(app: TestApp) {
    let ada = app.member("ada").await;
    let foreign = app
        .another_instance(|settings| {
            settings.tokens.audience = Some("https://elsewhere.example.com".to_owned());
        })
        .await;
    let elsewhere = LoggedIn::log_in(&foreign, "ada@example.com", PASSWORD).await;
    let mut mangled = ada.tokens.refresh.clone();
    mangled.pop();
    for (text, reason) in [
        (jwt::with_another_signature(&ada.tokens.access), Reason::NotOurs),
        (elsewhere.tokens.access, Reason::WrongAudience),
        ("a.b.c".to_owned(), Reason::Malformed),
        (mangled, Reason::NotOurs),
        (Uuid::nil().to_string(), Reason::Unknown),
    ] {
        let explanation = explain(&app, &text).await;
        assert_eq!(explanation.content, Content::Nothing);
        assert_eq!(explanation.verdict, Verdict::Invalid(Invalidation { reason, at: None, entry: None }));
    }
}

async fn of_several_reasons_the_first_one_counts(app: TestApp) {
    let (ada, admin) = (app.member("ada").await, app.admin().await);
    let phone = ada.on_another_device().await;
    app.advance(SECOND);
    app.log_out(&phone.tokens.access).await.json(200);
    app.advance(MINUTE * 20);
    admin.0.app.log_in("ada@example.com", PASSWORD).await.json(200);
    let admin = app.admin().await;
    admin.delete(&format!("/users/{}", ada.id)).send().await.json(200);
    assert_dead(&phone, Reason::LoggedOut, by(&ada)).await;
    assert_eq!(invalidation(&app, &ada.tokens.access).await.reason, Reason::TokenExpired);
    assert_eq!(invalidation(&app, &ada.tokens.refresh).await.reason, Reason::AccountDeleted);
}

async fn what_is_taken_back_is_dead_at_once(app: TestApp) {
    let ada = app.member("ada").await;
    let revoke = async |text: &str| {
        let presented = TokenOrId::of(text).expect("a token or an id");
        app.services()
            .inspector
            .revoke(OPERATOR, &presented)
            .await
            .map(|revoked| (revoked.what, revoked.is_confirmed))
    };
    let (by_token, by_id) = (ada.on_another_device().await, ada.on_another_device().await);
    for (person, text) in [(&by_token, by_token.tokens.refresh.clone()), (&by_id, sid(&by_id))] {
        assert!(
            matches!(revoke(&text).await, Ok((RevokedItem::Session(user, _), true)) if user.get() == ada.id)
        );
        assert_dead(person, Reason::RevokedByOperator, Some(AuditActor::Operator)).await;
        assert!(revoke(&text).await.is_err(), "it has ended already");
    }
    ada.assert_lives().await;
    for other in [Uuid::nil().to_string(), "hp_rt_forged".to_owned(), "a.b.c".to_owned()] {
        assert!(revoke(&other).await.is_err(), "{other}");
    }
}

/// A token that a client got for itself has no user and no session.
async fn a_machines_token_lives_until_it_is_taken_back_or_its_client_is_gone(app: TestApp) {
    let clients = &app.services().clients;
    let (books, secret) = clients
        .create(OPERATOR, "reports".parse().expect("an id"), ClientTerms::default())
        .await
        .expect("a client");
    let credentials = ClientCredentials { id: books.id.to_string(), secret };
    let client = clients.authenticate(&credentials, &Visitor::new(None)).await.expect("the client");
    let mint = async || {
        clients.mint(&client, None, &Asked::Nothing).await.expect("a token").access.expose().to_owned()
    };
    let (token, other) = (mint().await, mint().await);
    assert_eq!(explain(&app, &token).await.verdict, Verdict::Live);

    let presented = TokenOrId::of(&token).expect("a token");
    let taken = app.services().inspector.revoke(OPERATOR, &presented).await.expect("revoked").what;
    let RevokedItem::MachineToken(id, jti) = taken else { panic!("{taken:?}") };
    assert_eq!(id, books.id);
    for text in [token, jti.to_string()] {
        let invalidation = invalidation(&app, &text).await;
        assert_eq!(invalidation.reason, Reason::RevokedByOperator);
        assert_eq!(invalidation.entry.and_then(|entry| entry.entry.object).as_deref(), Some("reports"));
    }
    assert_eq!(explain(&app, &other).await.verdict, Verdict::Live);
    clients.delete(OPERATOR, &books.id).await.expect("deleted");
    assert_eq!(invalidation(&app, &other).await.reason, Reason::InvalidClient);
    app.advance(MINUTE * 16);
    assert_eq!(invalidation(&app, &other).await.reason, Reason::TokenExpired);
}

#[tokio::test]
async fn what_redis_forgot_is_lost_and_not_logged_out() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    app.command_redis(&["FLUSHALL"]).await;
    app.advance(SECOND * 2);
    // The store has begun anew.
    for _ in 0..200 {
        app.log_in("ada@example.com", PASSWORD).await.json(200);
        if app.me(&ada.tokens.access).await.status == 401 {
            break;
        }
    }
    for text in [&ada.tokens.access, &ada.tokens.refresh, &sid(&ada)] {
        assert_eq!(invalidation(&app, text).await.reason, Reason::StoreLost);
    }
}

/// The store forgets a session some time after its end; then the clock is asked.
#[tokio::test]
async fn of_a_session_that_no_store_remembers_the_clock_tells() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    let forget = "for _, key in ipairs(redis.call('KEYS', '*:opened:*')) do redis.call('DEL', key) end";
    app.command_redis(&["EVAL", forget, "0"]).await;
    for (pause, reason) in [
        (DAY * 7 - SECOND, Reason::Unknown),
        (SECOND, Reason::IdleTimeout),
        (DAY * 23 - SECOND, Reason::IdleTimeout),
        (SECOND, Reason::AbsoluteTimeout),
    ] {
        app.advance(pause);
        for text in [&ada.tokens.refresh, &sid(&ada)] {
            assert_eq!(invalidation(&app, text).await.reason, reason);
        }
    }
}

#[tokio::test]
async fn without_redis_the_log_is_all_there_is() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    let phone = ada.on_another_device().await;
    app.log_out(&phone.tokens.access).await.json(200);
    app.redis().kill();
    assert_dead(&phone, Reason::LoggedOut, by(&ada)).await;
    for text in [&ada.tokens.access, &ada.tokens.refresh, &sid(&ada)] {
        assert_eq!(explain(&app, text).await.verdict, Verdict::CannotTell);
    }
    app.advance(MINUTE * 20);
    assert_eq!(invalidation(&app, &ada.tokens.access).await.reason, Reason::TokenExpired);
}
