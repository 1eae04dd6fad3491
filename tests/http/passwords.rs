//! How passwords are judged, hashed and compared.

use hallpass::crypto::password::Argon2Cost;
use serde_json::json;

use crate::support::{Actor, PASSWORD, TestApp};

const EMAIL: &str = "ada@example.com";

/// The PHC string that is stored for Ada.
async fn stored_hash(app: &TestApp) -> String {
    app.stored_user(EMAIL).await.expect("an account").password.expose().to_owned()
}

async fn with_memory(app: &TestApp, memory_kib: u32) -> TestApp {
    let cost = Argon2Cost { memory_kib, iterations: 1, parallelism: 1 };
    app.another_instance(|settings| settings.passwords.argon2 = cost).await
}

#[tokio::test]
async fn a_login_brings_the_hash_up_to_a_higher_cost_and_never_down() {
    let app = TestApp::spawn().await;
    let dearer = with_memory(&app, 128).await;
    let ada = app.member("ada").await;
    let cheap = stored_hash(&app).await;
    assert!(cheap.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{cheap}");

    dearer.log_in(EMAIL, "not the password").await.assert_refused(401, "invalid_credentials");
    assert_eq!(stored_hash(&app).await, cheap, "only a login that works knows the password");

    dearer.log_in(EMAIL, PASSWORD).await.json(200);
    let upgraded = stored_hash(&app).await;
    assert!(upgraded.starts_with("$argon2id$v=19$m=128,t=1,p=1$"), "{upgraded}");

    for instance in [&app, &dearer] {
        instance.log_in(EMAIL, PASSWORD).await.json(200);
        assert_eq!(stored_hash(&app).await, upgraded);
    }
    // It is the same password: nobody was logged out.
    ada.assert_lives().await;
}

#[tokio::test]
async fn equal_passwords_have_different_hashes() {
    let app = TestApp::spawn().await;
    app.register(EMAIL, PASSWORD).await.json(201);
    app.register("grace@example.com", PASSWORD).await.json(201);
    let grace = app.stored_user("grace@example.com").await.expect("an account");
    assert_ne!(stored_hash(&app).await, grace.password.expose());
}

#[tokio::test]
async fn a_password_is_compared_whole_and_exactly_as_sent() {
    let app = TestApp::spawn().await;
    let composed = " z\u{f3}\u{142}w \u{1f422} pa\u{df}wort ";
    let long = "x".repeat(1023);
    for (number, (password, others)) in [
        (
            composed.to_owned(),
            vec![
                composed.trim().to_owned(),
                composed.to_uppercase(),
                composed.to_lowercase() + " ",
                composed.replace('\u{f3}', "o"),
                composed.replace('\u{df}', "ss"),
            ],
        ),
        // bcrypt would stop at 72 bytes.
        (format!("{long}a"), vec![format!("{long}b"), long.clone(), long[..72].to_owned()]),
        ("nul\u{0}and after".to_owned(), vec!["nul".to_owned(), "nul\u{0}".to_owned()]),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("user{number}@example.com");
        app.register(&email, &password).await.json(201);
        for other in others {
            app.log_in(&email, &other).await.assert_refused(401, "invalid_credentials");
        }
        app.log_in(&email, &password).await.json(200);
    }
}

/// macOS sends "ö" as two characters where other systems send one.
#[tokio::test]
async fn a_password_is_the_same_however_its_letters_are_sent() {
    let app = TestApp::spawn().await;
    let (composed, decomposed) = ("m\u{f6}rderische Gr\u{fc}\u{df}e", "mo\u{308}rderische Gru\u{308}\u{df}e");
    for (name, chosen) in [("ada", composed), ("grace", decomposed)] {
        let email = format!("{name}@example.com");
        app.register(&email, chosen).await.json(201);
        for typed in [composed, decomposed] {
            app.log_in(&email, typed).await.json(200);
        }
    }
}

#[tokio::test]
async fn length_is_counted_in_characters_from_below_and_in_bytes_from_above() {
    let app = TestApp::spawn().await;
    for (password, fine) in [
        ("\u{17c}\u{f3}\u{142}\u{107}\u{17c}\u{f3}\u{142}".to_owned(), false),
        ("\u{17c}\u{f3}\u{142}\u{107}\u{17c}\u{f3}\u{142}w".to_owned(), true),
        ("\u{e9}".repeat(512), true),
        ("\u{e9}".repeat(512) + "e", false),
        ("tqjzkvw".to_owned(), false),
        ("tqjzkvwm".to_owned(), true),
    ] {
        let email = format!("u{}-{}@example.com", password.len(), password.chars().count());
        let answer = app.register(&email, &password).await;
        if fine {
            answer.json(201);
            app.log_in(&email, &password).await.json(200);
        } else {
            answer.assert_refused(400, "weak_password");
        }
    }
}

#[tokio::test]
async fn fifteen_characters_can_be_asked_for() {
    let app = TestApp::set(&["passwords.min_length=15"]).await;
    app.register(EMAIL, "tqjzkvwm tqjzk").await.assert_refused(400, "weak_password");
    app.register(EMAIL, "tqjzkvwm tqjzkv").await.json(201);
}

#[tokio::test]
async fn common_passwords_and_the_own_address_are_refused_unless_that_is_turned_off() {
    let app = TestApp::spawn().await;
    let lenient = app.another_instance(|settings| settings.passwords.policy.reject_common = false).await;
    for (number, common) in
        ["password", "PASSWORD", "12345678", "iloveyou", "qwertyuiop"].into_iter().enumerate()
    {
        let email = format!("user{number}@example.com");
        app.register(&email, common).await.assert_refused(400, "weak_password");
        lenient.register(&email, common).await.json(201);
    }
    app.register(EMAIL, EMAIL).await.assert_refused(400, "weak_password");
    // There are no composition rules.
    app.register(EMAIL, "tqjzkvwm").await.json(201);
}

#[tokio::test]
async fn a_full_queue_is_503_and_neither_length_limits_nor_live_tokens_wait_in_it() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let reset_token = app.reset_token(EMAIL).await;
    let busy = app
        .another_instance(|settings| {
            (settings.passwords.hash_workers, settings.passwords.hash_queue) = (1, 0);
        })
        .await;
    let request = |path: &str| busy.anonymous().post(path);
    let log_in = |email: &str, password: &str| {
        request("/auth/login").json(&json!({"email": email, "password": password})).send()
    };
    let register = |password: &str| {
        request("/auth/register").json(&json!({"email": "grace@example.com", "password": password})).send()
    };
    let change = |password: &str| {
        let body = json!({"currentPassword": PASSWORD, "newPassword": password});
        request("/auth/change-password").access(&ada.tokens.access).json(&body).send()
    };
    let reset = |password: &str| {
        request("/auth/reset-password")
            .json(&json!({"resetToken": reset_token, "newPassword": password}))
            .send()
    };
    let mut held = app.chance().hold_next_salt();
    let hashing = tokio::spawn(register(PASSWORD));
    held.arrived().await;

    log_in(EMAIL, PASSWORD).await.assert_refused(503, "overloaded");
    log_in("nobody@example.com", PASSWORD).await.assert_refused(503, "overloaded");
    register(PASSWORD).await.assert_refused(503, "overloaded");
    change("a better one this time").await.assert_refused(503, "overloaded");
    reset("a better one this time").await.assert_refused(503, "overloaded");

    let too_long = "x".repeat(1025);
    log_in(EMAIL, &too_long).await.assert_refused(401, "invalid_credentials");
    for refusal in [register(&too_long).await, change(&too_long).await, reset(&too_long).await] {
        refusal.assert_refused(400, "weak_password");
    }
    busy.anonymous().get("/users/me").access(&ada.tokens.access).send().await.json(200);

    held.release();
    hashing.await.expect("an answer").json(201);
    // The refusals used nothing up.
    reset("a better one this time").await.json(200);
    log_in(EMAIL, "a better one this time").await.json(200);
}
