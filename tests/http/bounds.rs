//! What repeated requests and long waits may cost.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass::domain::clock::Timestamp;
use hallpass::domain::ids::{SessionId, UserId};
use hallpass::domain::journal::{EntryId, Journaled, NewEntry};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use uuid::Uuid;

use crate::support::log::Log;
use crate::support::{Actor, Answer, SECOND, TestApp, on_both_flavours};

on_both_flavours! {
    what_is_revoked_again_and_again_is_written_down_once,
}

async fn revoke(app: &TestApp, token: &str) -> Answer {
    let credentials = STANDARD.encode("books:books-dev-secret");
    let request = app.anonymous().post("/oauth2/revoke");
    let request = request.text("application/x-www-form-urlencoded", format!("token={token}"));
    request.header("authorization", format!("Basic {credentials}")).send().await
}

async fn machine_token(app: &TestApp) -> String {
    let body = serde_json::json!({
        "grant_type": "client_credentials", "client_id": "books", "client_secret": "books-dev-secret"
    });
    let answer = app.anonymous().post("/oauth2/token").json(&body).send().await.tokens(200);
    answer["access_token"].as_str().expect("a token").to_owned()
}

/// How many positions the journal has given.
async fn length(app: &TestApp) -> i64 {
    let heads = app.journal().journal_heads().await.expect("the heads");
    heads.iter().map(|head| head.newest.position).sum()
}

async fn what_is_revoked_again_and_again_is_written_down_once(app: TestApp) {
    let ada = app.member("ada").await;
    let phone = ada.on_another_device().await;
    for token in [ada.tokens.access.clone(), machine_token(&app).await, phone.tokens.refresh.clone()] {
        let before = length(&app).await;
        for _ in 0..20 {
            assert_eq!(revoke(&app, &token).await.status, 200);
            app.advance(SECOND);
        }
        assert_eq!(length(&app).await, before + 1, "{}", &token[..3]);
    }
    app.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
    phone.assert_is_over().await;
    // What has ended is not ended again by who names it.
    let before = length(&app).await;
    for _ in 0..5 {
        app.log_out(&phone.tokens.access).await.assert_refused(401, "token_revoked");
        let by_refresh_token = app.anonymous().post("/auth/logout").refresh(&phone.tokens.refresh);
        assert_eq!(by_refresh_token.send().await.status, 401);
    }
    assert_eq!(length(&app).await, before);
}

async fn execute(app: &TestApp, statement: &str) {
    let mut connection = SqliteConnection::connect(&app.sqlite_url()).await.expect("the database");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("done");
    connection.close().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_something_stays_owed_is_logged_once() {
    let log = Log::keep();
    let app = TestApp::spawn().await.counting_nothing().await;
    let (ada, eve) = (app.member("ada").await, app.member("eve").await);
    let refusal = format!("refused-{}", Uuid::from_u128(u128::from(std::process::id())));
    let refuse = |condition: &str| {
        format!(
            "DROP TRIGGER IF EXISTS refused;
             CREATE TRIGGER refused BEFORE INSERT ON journal WHEN {condition}
             BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
        )
    };
    execute(&app, &refuse("true")).await;
    for person in [&ada, &eve] {
        app.log_out(&person.tokens.access).await.assert_refused(503, "revocation_pending");
    }
    execute(&app, &refuse(&format!("NEW.user_id = {}", ada.id))).await;
    let before = length(&app).await;
    for _ in 0..3 {
        app.keep_journal().await.expect("both stores answer");
    }
    assert_eq!(length(&app).await, before + 1, "the other's is written down");
    let stays = |line: &&str| line.contains("stays owed to the journal") && line.contains(&refusal);
    assert_eq!(log.text().lines().filter(stays).count(), 1, "with its cause, once");
    execute(&app, "DROP TRIGGER refused").await;
    app.keep_journal().await.expect("both stores answer");
    assert_eq!(length(&app).await, before + 2);
}

/// Not an hour later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_pruned_when_the_service_starts() {
    let app = TestApp::spawn().await;
    let revoked = Journaled::Session {
        user: UserId::try_from(64).expect("an id"),
        session: SessionId::from(Uuid::from_u128(1)),
    };
    let partition = revoked.partition();
    let entry = NewEntry { id: EntryId::new(77), revoked, until: Timestamp::from_millis(1) };
    let at = app.journal().append_entry(&entry).await.expect("an entry").at.position;
    let pruned = async {
        while app.journal().find_entry(partition, at).await.expect("an answer").is_some() {
            tokio::task::yield_now().await;
        }
    };
    let keeping = app.services().cut_off.clone().keep_carrying_out(app.journaled().clone());
    tokio::select! {
        () = pruned => {}
        () = keeping => unreachable!("it never ends"),
        () = tokio::time::sleep(30 * SECOND) => panic!("it was not pruned"),
    }
}
