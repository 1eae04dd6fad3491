//! Accounts that get the id of somebody who registered after the backup that was restored.

use hallpass::domain::clock::Timestamp;
use hallpass::domain::email::Email;
use hallpass::domain::user::{Role, SecurityVersion};
use hallpass::service::administration::NewAccount;
use hallpass::service::caller::Administrator;

use crate::rollback::{assert_dead, back_up, restore};
use crate::servers::redis::RedisServer;
use crate::support::{Actor, LoggedIn, MINUTE, PASSWORD, TestApp, jwt};

/// How an account is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Registered,
    ByAnAdministrator,
    Imported,
}

const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$Rm9y";

async fn make(app: &TestApp, made: Made, name: &str) -> i64 {
    let email = format!("{name}@example.com");
    match made {
        Made::Registered => drop(app.register(&email, PASSWORD).await.json(201)),
        Made::ByAnAdministrator => {
            let account = NewAccount {
                email: Email::parse(&email).expect("an address"),
                first_name: None,
                last_name: None,
                role: Role::Member,
                password: Some(PASSWORD.to_owned()),
                metadata: Default::default(),
            };
            app.services()
                .administration
                .create(Administrator::Operator, account)
                .await
                .expect("the account");
        }
        Made::Imported => app.import(&email, HASH).await,
    }
    app.stored_user(&email).await.expect("the account").id.get()
}

async fn nothing_of_an_earlier_holder_is_the_new_ones(app: TestApp, made: Made) {
    let folder = tempfile::tempdir().expect("a folder");
    let backup = folder.path().join("backup.db");
    let ada = app.member("ada").await;
    back_up(&app, &backup).await;
    let bob = app.member("bob").await;
    let phone = bob.on_another_device().await;
    let reset = app.reset_token(&bob.email).await;
    app.advance(MINUTE);
    restore(&app, &backup).await;
    app.keep_journal().await.expect("both stores answer");

    let id = make(&app, made, "eve").await;
    assert_eq!(id, bob.id, "otherwise this tests nothing");
    if made == Made::Imported {
        // Its password is not known here; a reset is as good as a first login.
        app.reset_password(&app.reset_token("eve@example.com").await, PASSWORD).await.json(200);
    }
    for _ in 0..2 {
        for tokens in [&bob.tokens, &phone.tokens] {
            assert_dead(&app, tokens).await;
            app.anonymous().post("/auth/logout?scope=global").refresh(&tokens.refresh).send().await;
        }
        app.keep_journal().await.expect("both stores answer");
    }
    app.reset_password(&reset, "a password of somebody else")
        .await
        .assert_refused(400, "invalid_reset_token");
    let eve = LoggedIn::log_in(&app, "eve@example.com", PASSWORD).await;
    eve.assert_lives().await;
    ada.assert_lives().await;
    let listed = eve.get("/auth/sessions").send().await.json(200);
    assert_eq!(listed.as_array().expect("a list").len(), 1, "{listed}");
    for tokens in [&bob.tokens, &phone.tokens] {
        assert_dead(&app, tokens).await;
    }
    eve.assert_lives().await;
    let (earlier, now) = (jwt::claims(&bob.tokens.access), jwt::claims(&eve.tokens.access));
    assert_eq!(earlier["sub"], now["sub"]);
    assert!(earlier["sv"].as_i64() < now["sv"].as_i64(), "validators tell them apart: {earlier} {now}");
}

async fn on_redis() -> TestApp {
    TestApp::on_redis_and_sqlite(RedisServer::start()).await
}

async fn on_the_embedded_store() -> TestApp {
    TestApp::spawn().await.counting_nothing().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_earlier_holder_of_an_id_is_the_new_ones_in_redis() {
    for made in [Made::Registered, Made::ByAnAdministrator, Made::Imported] {
        nothing_of_an_earlier_holder_is_the_new_ones(on_redis().await, made).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_earlier_holder_of_an_id_is_the_new_ones_in_the_embedded_store() {
    for made in [Made::Registered, Made::ByAnAdministrator, Made::Imported] {
        nothing_of_an_earlier_holder_is_the_new_ones(on_the_embedded_store().await, made).await;
    }
}

/// Where the token store is away when the account is made, the journal has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_whose_beginning_nobody_could_look_at_stands_in_the_journal() {
    let app = on_redis().await;
    let folder = tempfile::tempdir().expect("a folder");
    let backup = folder.path().join("backup.db");
    back_up(&app, &backup).await;
    let bob = app.member("bob").await;
    app.advance(MINUTE);
    restore(&app, &backup).await;
    app.keep_journal().await.expect("both stores answer");
    app.redis().pause();
    assert_eq!(make(&app, Made::Registered, "eve").await, bob.id, "otherwise this tests nothing");
    app.redis().resume();
    app.recovered().await;
    app.keep_journal().await.expect("both stores answer");
    app.keep_journal().await.expect("both stores answer");
    assert_dead(&app, &bob.tokens).await;
}

#[tokio::test]
async fn the_first_version_of_an_account_comes_from_the_time() {
    let app = TestApp::spawn().await;
    app.advance(MINUTE);
    app.member("ada").await;
    let user = app.stored_user("ada@example.com").await.expect("the account");
    assert_eq!(
        user.security_version,
        SecurityVersion::of_new_account(Timestamp::from_millis(app.timestamp().as_millis()))
    );
    assert_eq!(user.security_version.get(), app.timestamp().as_millis());
}
