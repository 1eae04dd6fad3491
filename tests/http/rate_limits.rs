//! How often what may be tried, from where and for whom.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use hallpass::domain::email::Email;
use hallpass::domain::rate_limit::{ActionLimits, LimitRules, Rate};
use hallpass::service::Error;
use hallpass::service::visitor::Visitor;
use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    Actor, Answer, MILLISECOND, MINUTE, PASSWORD, Request, SECOND, TestApp, on_both_flavours,
};

on_both_flavours! {
    wrong_passwords_are_limited_for_each_account,
    wrong_passwords_are_limited_for_each_address,
    no_place_takes_more_than_a_third_of_an_accounts_wrong_passwords,
    as_many_guesses_are_let_through_where_an_account_is_known,
    a_hundred_guesses_at_once_are_no_more_than_those_one_by_one,
    a_right_password_costs_no_guess,
    right_passwords_are_limited_for_each_account,
    right_passwords_are_limited_for_each_address,
    a_password_is_judged_once_it_is_paid_for,
    a_known_place_tells_nobody_what_is_left_of_an_account,
    whoever_fills_the_hash_queue_keeps_nobody_else_out,
    nobody_locks_an_owner_out_of_their_usual_place,
    a_place_is_forgotten_after_thirty_days,
    a_reset_makes_the_place_it_comes_from_known,
    an_account_that_is_not_there_is_limited_as_one_that_is,
    a_wrong_current_password_is_a_failed_login,
    registrations_are_limited_for_each_address,
    only_refreshes_that_fail_are_limited,
    only_resets_that_fail_are_limited,
    reset_requests_are_limited_for_each_account_and_address,
    instances_share_what_they_count,
    compat_apis_share_the_limits_and_keep_their_shapes,
    what_is_left_is_told_with_every_answer,
}

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";
const FAR_AWAY: &str = "203.0.113.9";

const EMAIL: &str = "ada@example.com";

fn rate(burst: u32, seconds: u64) -> Option<Rate> {
    Some(Rate::new(burst, Duration::from_secs(seconds)).expect("a rate"))
}

/// The same stores under small limits: 8 in a minute for each address, 9 in a minute for each account,
/// and 3 of these for each place.
async fn limited(app: &TestApp) -> TestApp {
    let limits = ActionLimits { per_ip: rate(8, 60), per_account: rate(9, 60) };
    let per_ip = ActionLimits { per_account: None, ..limits };
    app.another_instance(|settings| {
        settings.rate_limits = LimitRules {
            introspect: ActionLimits::default(),
            login: limits,
            login_success: ActionLimits::default(),
            register: per_ip,
            refresh: per_ip,
            reset_request: limits,
            reset: per_ip,
        };
    })
    .await
}

fn login(app: &TestApp, from: &str, email: &str, password: &str) -> Request {
    let body = json!({"email": email, "password": password});
    app.anonymous().post("/auth/login").json(&body).sent_from(from)
}

async fn guess(app: &TestApp, from: &str, email: &str) -> Answer {
    login(app, from, email, "not the password").send().await
}

async fn log_in(app: &TestApp, from: &str) -> Answer {
    login(app, from, EMAIL, PASSWORD).send().await
}

/// Asserts that the answer is 429, and that one may come back in so many seconds.
#[track_caller]
fn assert_limited(answer: &Answer, seconds: u64) {
    answer.assert_refused(429, "rate_limited");
    assert_eq!(answer.header("retry-after"), Some(seconds.to_string().as_str()), "{answer:?}");
}

/// Asserts that so many of these requests are refused by `code`, and the next by the limit.
async fn assert_allows(count: u32, code: (u16, &str), request: impl Fn() -> Request) -> Answer {
    for _ in 0..count {
        request().send().await.assert_refused(code.0, code.1);
    }
    let answer = request().send().await;
    answer.assert_refused(429, "rate_limited");
    answer
}

const WRONG: (u16, &str) = (401, "invalid_credentials");

/// Uses up what wrong passwords an account has, from three places that take their third each.
async fn drain(app: &TestApp, email: &str) {
    for from in ["198.51.100.101", "198.51.100.102", "198.51.100.103"] {
        assert_allows(3, WRONG, || login(app, from, email, "not the password")).await;
    }
}

async fn wrong_passwords_are_limited_for_each_account(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    drain(&app, EMAIL).await;
    // From anywhere, in any spelling, and with the right password too: it is not even looked at.
    assert_limited(&guess(&app, FAR_AWAY, "ADA@example.com").await, 7);
    assert_limited(&log_in(&app, FAR_AWAY).await, 7);
    guess(&app, FAR_AWAY, "eve@example.com").await.assert_refused(401, "invalid_credentials");

    app.advance(MILLISECOND * 6666);
    assert_limited(&guess(&app, FAR_AWAY, EMAIL).await, 1);
    app.advance(MILLISECOND);
    guess(&app, FAR_AWAY, EMAIL).await.assert_refused(401, "invalid_credentials");
    assert_limited(&guess(&app, FAR_AWAY, EMAIL).await, 7);
}

async fn no_place_takes_more_than_a_third_of_an_accounts_wrong_passwords(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    // With an account or without, and from any address of a network.
    for (email, network) in [(EMAIL, "2001:db8:1:2"), ("nobody@example.com", "2001:db8:1:3")] {
        for n in 0..3 {
            guess(&app, &format!("{network}::{n:x}"), email).await.assert_refused(401, "invalid_credentials");
        }
        assert_limited(&guess(&app, &format!("{network}::ffff"), email).await, 20);
        // What is refused costs the account nothing, and other places are served.
        for n in 0..10 {
            assert_limited(&guess(&app, &format!("{network}::{n:x}"), email).await, 20);
        }
        let other = if email == EMAIL { HOME } else { FAR_AWAY };
        assert_allows(3, WRONG, || login(&app, other, email, "not the password")).await;
    }
    log_in(&app, ELSEWHERE).await.json(200);
    app.advance(SECOND * 20);
    guess(&app, "2001:db8:1:2::", EMAIL).await.assert_refused(401, "invalid_credentials");
    assert_limited(&guess(&app, "2001:db8:1:2::", EMAIL).await, 20);
}

/// Whoever shares an address with the owner counts there to as many as anybody anywhere.
async fn as_many_guesses_are_let_through_where_an_account_is_known(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    log_in(&app, HOME).await.json(200);
    let seen = async |email: &str| {
        let answer = guess(&app, HOME, email).await;
        let header = |name| answer.header(name).map(str::to_owned);
        (answer.status, header("retry-after"), header("ratelimit-policy"))
    };
    for attempt in 0..5 {
        let known = seen(EMAIL).await;
        assert_eq!(known.0, if attempt < 3 { 401 } else { 429 });
        assert_eq!(seen("nobody@example.com").await, known, "attempt {attempt}");
    }
}

async fn wrong_passwords_are_limited_for_each_address(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    // Another account each time, and another address of the same network.
    let from = |n: u32| format!("2001:db8:1:2::{n:x}");
    for n in 0..8 {
        let answer = guess(&app, &from(n), &format!("nobody{n}@example.com")).await;
        answer.assert_refused(401, "invalid_credentials");
    }
    assert_limited(&guess(&app, &from(100), "nobody100@example.com").await, 8);
    assert_limited(&log_in(&app, &from(101)).await, 8);
    log_in(&app, "2001:db8:1:3::1").await.json(200);
    log_in(&app, HOME).await.json(200);
}

async fn a_hundred_guesses_at_once_are_no_more_than_those_one_by_one(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    let guesses = (0..100).map(|n| {
        let guess = login(&app, &format!("10.0.0.{n}"), EMAIL, "not the password");
        tokio::spawn(guess.send())
    });
    let answers = join_all(guesses).await.into_iter().map(|answer| answer.expect("an answer"));
    let looked_at = answers.filter(|answer| answer.code().as_deref() == Some("invalid_credentials")).count();
    assert_eq!(looked_at, 9);

    let guesses =
        (0..100).map(|_| tokio::spawn(login(&app, HOME, "eve@example.com", "not the password").send()));
    let answers = join_all(guesses).await.into_iter().map(|answer| answer.expect("an answer"));
    let looked_at = answers.filter(|answer| answer.code().as_deref() == Some("invalid_credentials")).count();
    assert_eq!(looked_at, 3, "from one place");
}

async fn a_right_password_costs_no_guess(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    for _ in 0..20 {
        log_in(&app, HOME).await.json(200);
    }
    assert_allows(3, WRONG, || login(&app, HOME, EMAIL, "not the password")).await;
}

/// The same stores where 4 right passwords in a minute are taken from each address, and 3 for each account.
async fn with_limited_logins(app: &TestApp) -> TestApp {
    app.another_instance(|settings| {
        let login_success = ActionLimits { per_ip: rate(4, 60), per_account: rate(3, 60) };
        settings.rate_limits = LimitRules { login_success, ..LimitRules::default() };
    })
    .await
}

async fn right_passwords_are_limited_for_each_account(app: TestApp) {
    let app = with_limited_logins(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    app.register("eve@example.com", PASSWORD).await.json(201);
    // Wrong ones cost none of these.
    for _ in 0..5 {
        guess(&app, ELSEWHERE, EMAIL).await.assert_refused(401, "invalid_credentials");
    }
    for from in [HOME, ELSEWHERE, FAR_AWAY] {
        log_in(&app, from).await.json(200);
    }
    let limit = log_in(&app, "192.0.2.50").await;
    assert_limited(&limit, 20);
    // Wrong or right: it is not looked at.
    assert_limited(&guess(&app, "192.0.2.50", EMAIL).await, 20);
    login(&app, HOME, "eve@example.com", PASSWORD).send().await.json(200);
    app.advance(SECOND * 20);
    let right = log_in(&app, HOME).await;
    assert_eq!(right.header("ratelimit"), Some("\"login_success.per_account\";r=0;t=20"));
    right.json(200);
}

async fn right_passwords_are_limited_for_each_address(app: TestApp) {
    let app = with_limited_logins(&app).await;
    for name in ["ada", "eve", "bob"] {
        app.register(&format!("{name}@example.com"), PASSWORD).await.json(201);
    }
    let log_in = |from: &str, name: &str| login(&app, from, &format!("{name}@example.com"), PASSWORD).send();
    for name in ["ada", "eve", "ada", "eve"] {
        log_in(ELSEWHERE, name).await.json(200);
    }
    assert_limited(&log_in(ELSEWHERE, "bob").await, 15);
    // Nobody else meets that, nor has the account paid for what was refused.
    for _ in 0..3 {
        log_in(HOME, "bob").await.json(200);
    }
    app.advance(SECOND * 15);
    log_in(ELSEWHERE, "ada").await.json(200);
}

/// Whoever has nothing left makes the service judge no password.
async fn a_password_is_judged_once_it_is_paid_for(app: TestApp) {
    let app = limited(&app).await;
    let register = |n: u32, password: &str| {
        let body = json!({"email": format!("ada{n}@example.com"), "password": password});
        app.anonymous().post("/auth/register").json(&body).sent_from(HOME)
    };
    register(0, "short").send().await.assert_refused(400, "weak_password");
    for n in 0..8 {
        register(n, PASSWORD).send().await.json(201);
    }
    assert_limited(&register(8, "short").send().await, 8);
    assert_limited(&register(8, "password").send().await, 8);

    let ada = app.member("ada").await;
    let change = |current: &str| {
        let body = json!({"currentPassword": current, "newPassword": "password"});
        ada.post("/auth/change-password").json(&body).sent_from(ELSEWHERE)
    };
    change(PASSWORD).send().await.assert_refused(400, "weak_password");
    assert_allows(3, WRONG, || login(&app, ELSEWHERE, EMAIL, "not the password")).await;
    assert_limited(&change(PASSWORD).send().await, 20);
}

/// A place that an account is known at has a bucket of its own, which nobody sees from outside.
async fn a_known_place_tells_nobody_what_is_left_of_an_account(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    log_in(&app, HOME).await.json(200);
    for email in [EMAIL, "nobody@example.com"] {
        guess(&app, ELSEWHERE, email).await.assert_refused(401, "invalid_credentials");
    }
    let of_account = guess(&app, HOME, EMAIL).await;
    let of_nobody = guess(&app, HOME, "nobody@example.com").await;
    assert_eq!(of_account.header("ratelimit"), Some("\"login.per_ip\";r=7;t=8"));
    assert_eq!(of_nobody.header("ratelimit"), Some("\"login.per_ip\";r=6;t=8"));
    assert_eq!(of_account.header("ratelimit-policy"), of_nobody.header("ratelimit-policy"));
    // Nor when the account's is the one that is used up.
    let limit = assert_allows(3, WRONG, || login(&app, FAR_AWAY, EMAIL, "not the password")).await;
    assert_eq!(limit.header("ratelimit"), Some("\"login.per_ip\";r=5;t=8"));
    // The owner is told.
    assert_eq!(log_in(&app, HOME).await.header("ratelimit"), Some("\"login.per_account\";r=2;t=20"));
}

/// With limits or without them: the bounds of the queue are no limits.
async fn whoever_fills_the_hash_queue_keeps_nobody_else_out(app: TestApp) {
    let app = app
        .another_instance(|settings| {
            (settings.passwords.hash_workers, settings.passwords.hash_queue) = (1, 64);
            settings.rate_limits = LimitRules::default();
        })
        .await;
    app.register(EMAIL, PASSWORD).await.json(201);
    let own = |n: usize| format!("own{n}@example.com");
    for n in 0..8 {
        app.register(&own(n), PASSWORD).await.json(201);
    }
    // Right passwords of ten logins at each of eight places, which fills the queue; and guesses at the
    // account that logs in elsewhere, which fills that account's part of it.
    let right = (0..80).map(|n| login(&app, &format!("198.51.100.{}", n / 10), &own(n / 10), PASSWORD));
    let guesses = (0..40).map(|_| login(&app, ELSEWHERE, EMAIL, "not the password"));
    for (rude, refused, then) in
        [(right.collect::<Vec<_>>(), 16, 200), (guesses.collect::<Vec<_>>(), 32, 401)]
    {
        let mut held = app.chance().hold_next_salt();
        let (hashing, email) = (app.clone(), format!("joe{refused}@example.com"));
        let hashing = tokio::spawn(async move { hashing.register(&email, PASSWORD).await });
        held.arrived().await;
        let mut rude: FuturesUnordered<_> =
            rude.into_iter().map(|login| tokio::spawn(login.send())).collect();
        let mut next = async || rude.next().await.expect("another").expect("no panic");
        for _ in 0..refused {
            next().await.assert_refused(503, "overloaded");
        }
        let owner = tokio::spawn(log_in_owned(app.clone()));
        next().await.assert_refused(503, "overloaded");
        held.release();
        owner.await.expect("no panic").json(200);
        hashing.await.expect("no panic").json(201);
        while let Some(answer) = rude.next().await {
            assert_eq!(answer.expect("no panic").status, then);
        }
    }
}

async fn log_in_owned(app: TestApp) -> Answer {
    log_in(&app, HOME).await
}

async fn nobody_locks_an_owner_out_of_their_usual_place(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    log_in(&app, HOME).await.json(200);
    drain(&app, EMAIL).await;

    log_in(&app, HOME).await.json(200);
    // With as many mistakes as at any place.
    guess(&app, HOME, EMAIL).await.assert_refused(401, "invalid_credentials");
    guess(&app, HOME, EMAIL).await.assert_refused(401, "invalid_credentials");
    log_in(&app, HOME).await.json(200);
    guess(&app, HOME, EMAIL).await.assert_refused(401, "invalid_credentials");
    assert_limited(&log_in(&app, HOME).await, 20);

    // A new place is one like the attacker's.
    assert_limited(&log_in(&app, FAR_AWAY).await, 7);
    app.advance(MINUTE);
    log_in(&app, FAR_AWAY).await.json(200);
}

async fn a_place_is_forgotten_after_thirty_days(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    log_in(&app, HOME).await.json(200);
    app.advance(MINUTE * 60 * 24 * 30 - MILLISECOND);
    drain(&app, EMAIL).await;
    guess(&app, HOME, EMAIL).await.assert_refused(401, "invalid_credentials");
    app.advance(MILLISECOND);
    assert_limited(&log_in(&app, HOME).await, 7);
}

/// The way back in for an owner who is nowhere known.
async fn a_reset_makes_the_place_it_comes_from_known(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    drain(&app, EMAIL).await;
    assert_limited(&log_in(&app, HOME).await, 7);
    let body = json!({"resetToken": app.reset_token(EMAIL).await, "newPassword": "a better one"});
    let reset = app.anonymous().post("/auth/reset-password").json(&body).sent_from(HOME);
    reset.send().await.json(200);
    login(&app, HOME, EMAIL, "a better one").send().await.json(200);
}

async fn an_account_that_is_not_there_is_limited_as_one_that_is(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    let seen = async |from: &str, email: &str, password: &str| {
        let answer = login(&app, from, email, password).send().await;
        let mut headers: Vec<_> =
            answer.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        headers.retain(|(name, _)| name != "x-request-id");
        (answer.status, headers, answer.text())
    };
    for attempt in 0..5 {
        let known = seen(HOME, EMAIL, "not the password").await;
        let unknown = seen(ELSEWHERE, "nobody@example.com", "not the password").await;
        assert_eq!(known, unknown, "attempt {attempt}");
        assert_eq!(known.0, if attempt < 3 { 401 } else { 429 });
    }
    app.advance(MINUTE);
    for email in [EMAIL, "nobody@example.com"] {
        drain(&app, email).await;
    }
    let exhausted = seen(FAR_AWAY, EMAIL, PASSWORD).await;
    assert_eq!(exhausted.0, 429);
    assert_eq!(exhausted, seen("192.0.2.77", "nobody@example.com", PASSWORD).await, "exhausted");
    let request = async |email: &str, from: &str| {
        let request = app.anonymous().post("/auth/reset-password-request").json(&json!({"email": email}));
        let answer = request.sent_from(from).send().await;
        (answer.status, answer.header("ratelimit").map(str::to_owned))
    };
    for _ in 0..5 {
        assert_eq!(request(EMAIL, HOME).await, request("nobody@example.com", ELSEWHERE).await);
    }
}

async fn a_wrong_current_password_is_a_failed_login(app: TestApp) {
    let app = limited(&app).await;
    let ada = app.member("ada").await;
    let change = |current: &str| {
        let body = json!({"currentPassword": current, "newPassword": "a better one this time"});
        ada.post("/auth/change-password").json(&body).sent_from(ELSEWHERE)
    };
    change("not the password").send().await.assert_refused(401, "invalid_credentials");
    guess(&app, ELSEWHERE, EMAIL).await.assert_refused(401, "invalid_credentials");
    change("not the password").send().await.assert_refused(401, "invalid_credentials");
    assert_limited(&change("not the password").send().await, 20);
    assert_limited(&change(PASSWORD).send().await, 20);
    assert_limited(&guess(&app, ELSEWHERE, EMAIL).await, 20);
    app.advance(SECOND * 20);
    change(PASSWORD).send().await.json(200);
}

async fn registrations_are_limited_for_each_address(app: TestApp) {
    let app = limited(&app).await;
    let register = |n: u32, from: &str| {
        let body = json!({"email": format!("ada{n}@example.com"), "password": PASSWORD});
        app.anonymous().post("/auth/register").json(&body).sent_from(from)
    };
    // What cannot be taken costs nothing.
    for _ in 0..10 {
        let body = json!({"email": "ada", "password": PASSWORD});
        let malformed = app.anonymous().post("/auth/register").json(&body).sent_from(HOME);
        malformed.send().await.assert_refused(400, "invalid_request");
        let body = json!({"email": EMAIL, "password": "short"});
        let weak = app.anonymous().post("/auth/register").json(&body).sent_from(HOME);
        weak.send().await.assert_refused(400, "weak_password");
    }
    for n in 0..4 {
        register(n, HOME).send().await.json(201);
        register(n, HOME).send().await.assert_refused(409, "email_taken");
    }
    assert_limited(&register(8, HOME).send().await, 8);
    register(8, ELSEWHERE).send().await.json(201);
    app.advance(SECOND * 8);
    register(9, HOME).send().await.json(201);
}

async fn only_refreshes_that_fail_are_limited(app: TestApp) {
    let app = limited(&app).await;
    let mut ada = app.member("ada").await;
    let refresh = |token: &str| app.anonymous().post("/auth/refresh-token").refresh(token).sent_from(HOME);
    let spent = ada.tokens.refresh.clone();
    for _ in 0..10 {
        ada.refresh().await;
    }
    for token in ["hp_rt_", "nonsense", &spent, &spent, "x", "y", "z", "a"] {
        let answer = refresh(token).send().await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    assert_limited(&refresh("hp_rt_").send().await, 8);
    let eve = app.member("eve").await;
    let pair = refresh(&eve.tokens.refresh).send().await.tokens(200);
    assert!(pair["refreshToken"].is_string());
    let other = app.anonymous().post("/auth/refresh-token").refresh("hp_rt_").sent_from(ELSEWHERE);
    other.send().await.assert_refused(401, "invalid_refresh_token");
}

async fn only_resets_that_fail_are_limited(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    let token = app.reset_token(EMAIL).await;
    let reset = |token: &str, password: &str| {
        let body = json!({"resetToken": token, "newPassword": password});
        app.anonymous().post("/auth/reset-password").json(&body).sent_from(HOME)
    };
    for _ in 0..10 {
        reset(&token, "short").send().await.assert_refused(400, "weak_password");
    }
    let limit = assert_allows(8, (400, "invalid_reset_token"), || reset("hp_pr_", "a better one")).await;
    assert_limited(&limit, 8);
    reset(&token, "a better one").send().await.json(200);
}

async fn reset_requests_are_limited_for_each_account_and_address(app: TestApp) {
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    let request = |email: &str, from: &str| {
        let body = json!({"email": email});
        app.anonymous().post("/auth/reset-password-request").json(&body).sent_from(from)
    };
    for _ in 0..10 {
        request("ada", HOME).send().await.assert_refused(400, "invalid_request");
    }
    for _ in 0..3 {
        request(EMAIL, HOME).send().await.json(200);
    }
    // What is refused costs nothing, so the address has five left.
    for _ in 0..10 {
        assert_limited(&request(EMAIL, HOME).send().await, 20);
    }
    for n in 0..5 {
        request(&format!("nobody{n}@example.com"), HOME).send().await.json(200);
    }
    assert_limited(&request("nobody5@example.com", HOME).send().await, 8);
    request("nobody5@example.com", ELSEWHERE).send().await.json(200);
    // One place has had a third of what the account has; two others have the rest.
    for from in [ELSEWHERE, FAR_AWAY] {
        for _ in 0..3 {
            request(EMAIL, from).send().await.json(200);
        }
        assert_limited(&request(EMAIL, from).send().await, 20);
    }
    assert_limited(&request(EMAIL, "192.0.2.50").send().await, 7);
}

async fn instances_share_what_they_count(app: TestApp) {
    let (here, there) = (limited(&app).await, limited(&app).await);
    here.register(EMAIL, PASSWORD).await.json(201);
    guess(&here, ELSEWHERE, EMAIL).await.assert_refused(401, "invalid_credentials");
    guess(&there, ELSEWHERE, EMAIL).await.assert_refused(401, "invalid_credentials");
    guess(&here, ELSEWHERE, EMAIL).await.assert_refused(401, "invalid_credentials");
    assert_limited(&guess(&there, ELSEWHERE, EMAIL).await, 20);
    assert_limited(&guess(&here, ELSEWHERE, EMAIL).await, 20);
    there.advance(SECOND * 20);
    log_in(&there, HOME).await.json(200);
    guess(&there, ELSEWHERE, EMAIL).await.assert_refused(401, "invalid_credentials");
    assert_limited(&guess(&here, ELSEWHERE, EMAIL).await, 20);
    log_in(&here, HOME).await.json(200);
}

async fn compat_apis_share_the_limits_and_keep_their_shapes(app: TestApp) {
    const COMPOSED: &str = "Engines weave 1843 patterns";
    let app = limited(&app).await;
    app.register(EMAIL, COMPOSED).await.json(201);
    let send = |path: &'static str, body: Value, from: &str| {
        app.anonymous().request(Method::POST, path).json(&body).sent_from(from)
    };
    let wrong = json!({"email": EMAIL, "password": "not the password"});
    guess(&app, ELSEWHERE, EMAIL).await.assert_refused(401, "invalid_credentials");
    send("/auth/signin", wrong.clone(), ELSEWHERE).send().await.assert_refused(401, "invalid_credentials");
    assert_eq!(send("/access-tokens", wrong.clone(), ELSEWHERE).send().await.json(401)["statusCode"], 401);

    assert_limited(&send("/auth/signin", wrong.clone(), ELSEWHERE).send().await, 20);
    let boom = send("/access-tokens", wrong, ELSEWHERE).send().await;
    let body = boom.json(429);
    assert_eq!((&body["statusCode"], &body["error"]), (&json!(429), &json!("Too Many Requests")));
    assert_eq!(boom.header("retry-after"), Some("20"));
    assert_eq!(boom.header("ratelimit"), Some("\"login.per_ip\";r=5;t=8"));

    for n in 0..4 {
        let new = json!({"email": format!("n{n}@example.com"), "password": COMPOSED, "name": "N"});
        send("/auth/signup", new, HOME).send().await.json(201);
        let new = json!({"email": format!("g{n}@example.com"), "password": COMPOSED, "name": "G"});
        send("/users", new, HOME).send().await.json(201);
    }
    let new = json!({"email": "one-more@example.com", "password": COMPOSED, "name": "G"});
    assert_limited(&send("/auth/signup", new.clone(), HOME).send().await, 8);
    send("/users", new, HOME).send().await.json(429);

    let access = app.admin().await.0.tokens.access;
    for _ in 0..4 {
        let refresh = app.anonymous().post("/auth/refresh").access("hp_rt_").sent_from(HOME);
        refresh.send().await.assert_refused(401, "invalid_refresh_token");
        let body = json!({"refresh_token": "hp_rt_"});
        let refresh = send("/access-tokens/refresh", body, HOME).header("x-access-token", &access);
        refresh.send().await.json(401);
    }
    assert_limited(&app.anonymous().post("/auth/refresh").access("x").sent_from(HOME).send().await, 8);
    let refresh = send("/access-tokens/refresh", json!({"refresh_token": "x"}), HOME);
    refresh.header("x-access-token", &access).send().await.json(429);
}

async fn what_is_left_is_told_with_every_answer(app: TestApp) {
    let policy = Some("\"login.per_ip\";q=8;w=60, \"login.per_account\";q=3;w=60");
    let app = limited(&app).await;
    let registered = app.register(EMAIL, PASSWORD).await;
    assert_eq!(registered.header("ratelimit-policy"), Some("\"register.per_ip\";q=8;w=60"));
    assert_eq!(registered.header("ratelimit"), Some("\"register.per_ip\";r=7;t=8"));

    let right = log_in(&app, HOME).await;
    assert_eq!(
        (right.header("ratelimit-policy"), right.header("ratelimit")),
        (policy, Some("\"login.per_account\";r=3;t=0"))
    );
    let wrong = guess(&app, HOME, EMAIL).await;
    assert_eq!(
        (wrong.header("ratelimit-policy"), wrong.header("ratelimit")),
        (policy, Some("\"login.per_ip\";r=7;t=8"))
    );
    app.advance(SECOND * 5 + MILLISECOND);
    let wrong = guess(&app, HOME, EMAIL).await;
    assert_eq!(wrong.header("ratelimit"), Some("\"login.per_ip\";r=6;t=3"));
    for n in 0..6 {
        guess(&app, HOME, &format!("nobody{n}@example.com")).await;
    }
    let limit = guess(&app, HOME, "nobody@example.com").await;
    assert_limited(&limit, 3);
    assert_eq!(
        (limit.header("ratelimit-policy"), limit.header("ratelimit")),
        (policy, Some("\"login.per_ip\";r=0;t=3"))
    );

    // Nothing is counted for a refresh that succeeds, nor for what is no limited operation.
    let ada = app.member("eve").await;
    let refreshed = app.refresh(&ada.tokens.refresh).await;
    assert_eq!(refreshed.header("ratelimit-policy"), Some("\"refresh.per_ip\";q=8;w=60"));
    assert_eq!(refreshed.header("ratelimit"), None);
    assert_eq!(app.refresh("x").await.header("ratelimit"), Some("\"refresh.per_ip\";r=7;t=8"));
    for name in ["ratelimit", "ratelimit-policy"] {
        assert_eq!(app.me(&ada.tokens.access).await.header(name), None);
    }
}

/// It takes two hashes: as it came, and composed.
#[tokio::test]
async fn a_password_whose_letters_are_decomposed_is_one_attempt() {
    let app = limited(&TestApp::spawn().await).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    assert_allows(3, WRONG, || login(&app, "198.51.100.1", EMAIL, "gru\u{308}n und falsch")).await;
}

/// The defaults are for offices behind one address and for test suites.
#[tokio::test]
async fn the_defaults_let_an_office_work() {
    let app = TestApp::spawn().await;
    for n in 0..70 {
        app.register(&format!("ada{n}@example.com"), PASSWORD).await.json(201);
        app.log_in(&format!("ada{n}@example.com"), PASSWORD).await.json(200);
    }
    assert_allows(20, WRONG, || login(&app, ELSEWHERE, EMAIL, "not the password")).await;
}

#[tokio::test]
async fn limits_that_are_off_count_nothing() {
    let app = TestApp::set(&["rate_limits.enabled=false"]).await;
    for _ in 0..70 {
        let answer = guess(&app, HOME, EMAIL).await;
        answer.assert_refused(401, "invalid_credentials");
        assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));
    }
}

/// An operation that could not be done is none.
#[tokio::test]
async fn what_the_database_could_not_tell_costs_nothing() {
    let app = TestApp::on_servers_of_its_own().await;
    let app = limited(&app).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    let token = app.reset_token(EMAIL).await;
    app.stop_postgres();
    for _ in 0..10 {
        log_in(&app, HOME).await.assert_refused(503, "dependency_unavailable");
        app.register("eve@example.com", PASSWORD).await.assert_refused(503, "dependency_unavailable");
        app.reset_password(&token, "a better one").await.assert_refused(503, "dependency_unavailable");
        app.request_reset("eve@example.com").await.assert_refused(503, "dependency_unavailable");
    }
}

/// Neither the database nor a hash worker has work with it.
#[tokio::test]
async fn what_is_limited_is_not_begun() {
    let app = limited(&TestApp::spawn().await).await;
    drain(&app, EMAIL).await;
    let (visitor, email) = (Visitor::new(HOME.parse().ok()), Email::parse(EMAIL).expect("an address"));
    let begun = AtomicBool::new(false);
    let check = async {
        begun.store(true, Ordering::Relaxed);
        Ok(())
    };
    let outcome = app.services().limits.password_attempt(&visitor, &email, check).await;
    assert!(matches!(outcome, Err(Error::RateLimited { .. })), "{outcome:?}");
    assert!(!begun.load(Ordering::Relaxed));
}

/// The client's address is what trusted proxies say, and what limits and sessions know.
#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_limits() {
    let app = limited(&TestApp::set(&["trusted_proxies=10.0.0.0/8"]).await).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    let guess = |client: &str, email: String| {
        login(&app, "10.0.0.1", &email, "not the password").header("x-forwarded-for", client)
    };
    for n in 0..8 {
        let answer = guess("1.2.3.4, 203.0.113.9", format!("nobody{n}@example.com")).send().await;
        answer.assert_refused(401, "invalid_credentials");
    }
    // Whatever the client claims itself.
    let limit = guess("5.6.7.8, 203.0.113.9", "nobody8@example.com".to_owned()).send().await;
    limit.assert_refused(429, "rate_limited");
    let other = guess("203.0.113.9, 203.0.113.10", "nobody8@example.com".to_owned()).send().await;
    other.assert_refused(401, "invalid_credentials");

    // What a client makes up in the other header neither hides it nor frees it of its limit.
    let hidden = guess("203.0.113.9", "nobody8@example.com".to_owned()).header("forwarded", "for=1.1.1.1");
    hidden.send().await.assert_refused(429, "rate_limited");
    let session = login(&app, "10.0.0.1", EMAIL, PASSWORD).header("x-forwarded-for", "[2001:db8::9]:47");
    assert_comes_from(&app, session.header("forwarded", "for=1.1.1.1").send().await, "2001:db8::9").await;
}

/// Asserts that the session of a login shows this address.
async fn assert_comes_from(app: &TestApp, login: Answer, address: &str) {
    let access = login.tokens(200)["accessToken"].as_str().expect("a token").to_owned();
    let sessions = app.anonymous().get("/auth/sessions").access(&access).send().await.json(200);
    assert_eq!(sessions[0]["address"], address);
}

#[tokio::test]
async fn a_proxy_may_write_the_header_of_the_rfc_instead() {
    let settings = ["trusted_proxies=10.0.0.0/8", "forwarded_header=forwarded"];
    let app = limited(&TestApp::set(&settings).await).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    let session = login(&app, "10.0.0.1", EMAIL, PASSWORD).header("forwarded", "for=\"[2001:db8::9]:47\"");
    assert_comes_from(&app, session.header("x-forwarded-for", "1.1.1.1").send().await, "2001:db8::9").await;
}

#[tokio::test]
async fn whoever_is_no_trusted_proxy_comes_from_where_it_is() {
    let app = limited(&TestApp::spawn().await).await;
    for n in 0..8 {
        let guess = login(&app, HOME, &format!("nobody{n}@example.com"), "not the password");
        let guess = guess.header("x-forwarded-for", format!("198.51.100.{n}"));
        guess.send().await.assert_refused(401, "invalid_credentials");
    }
    guess(&app, HOME, "nobody8@example.com").await.assert_refused(429, "rate_limited");
}

#[tokio::test]
async fn no_address_of_any_kind_is_a_key_in_redis() {
    let app = limited(&TestApp::on_redis_and_postgres().await).await;
    app.register(EMAIL, PASSWORD).await.json(201);
    log_in(&app, HOME).await.json(200);
    guess(&app, HOME, EMAIL).await.assert_refused(401, "invalid_credentials");
    guess(&app, ELSEWHERE, EMAIL).await.assert_refused(401, "invalid_credentials");
    let url = app.redis().url();
    let client = redis::Client::open(url).expect("an address");
    let mut redis = client.get_multiplexed_async_connection().await.expect("a connection");
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.expect("KEYS");
    let limits = keys.iter().filter(|key| key.contains(":bucket:") || key.contains(":places:"));
    assert_eq!(
        limits.count(),
        7,
        "two addresses, their shares, the account, places, a registration: {keys:?}"
    );
    for key in &keys {
        for address in ["ada", "example.com", "192", "198.51"] {
            assert!(!key.contains(address), "{key}");
        }
        let ttl: i64 = redis::cmd("PTTL").arg(key).query_async(&mut redis).await.expect("PTTL");
        // Gone meanwhile: -2.
        assert!(ttl > 0 || ttl == -2 || key.ends_with(":state"), "{key}");
    }
}
