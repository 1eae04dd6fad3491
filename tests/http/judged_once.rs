//! In strict mode the token store is asked about a token before the way through the router, and not again there.

use hallpass::config::LoggedRequests;

use crate::servers::redis::RedisServer;
use crate::support::{Actor, Answer, MINUTE, TestApp, jwt};

/// One that has no line for validations, as in production.
async fn strict() -> TestApp {
    let app = TestApp::on_redis_and_sqlite(RedisServer::start()).await;
    app.another_instance(|settings| settings.log.requests = LoggedRequests::Off).await
}

/// How often Redis was asked so far about a token: once about one that stands, and of another it is looked once more what
/// it is.
async fn asked(app: &TestApp) -> u64 {
    let client = redis::Client::open(app.redis().url()).expect("an address");
    let mut redis = client.get_multiplexed_async_connection().await.expect("a connection");
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.expect("INFO");
    let of = |line: &str| line.strip_prefix("cmdstat_zmscore:calls=")?.split(',').next()?.parse().ok();
    info.lines().find_map(of).unwrap_or_default()
}

async fn ask(app: &TestApp, path: &str, access: &str) -> Answer {
    app.anonymous().get(path).access(access).send().await
}

#[tokio::test]
async fn a_token_is_judged_once_whatever_comes_of_it() {
    let app = strict().await;
    let (ada, revoked, expired) = (app.member("ada").await, app.member("eve").await, app.member("old").await);
    app.advance(MINUTE * 16);
    let ada = crate::support::LoggedIn::log_in(&app, &ada.email, &ada.password).await;
    let revoked = crate::support::LoggedIn::log_in(&app, &revoked.email, &revoked.password).await;
    app.log_out(&revoked.tokens.access).await.json(200);
    let forged = jwt::with_another_signature(&ada.tokens.access);
    for path in ["/auth/auth-me", "/forward-auth"] {
        for round in 0..2 {
            let before = asked(&app).await;
            let answer = ask(&app, path, &ada.tokens.access).await;
            assert_eq!(answer.status, 200, "{path} {round} {answer:?}");
            assert_eq!(asked(&app).await - before, 1, "{path} {round}");
            ask(&app, path, &revoked.tokens.access).await.assert_refused(401, "token_revoked");
            assert_eq!(asked(&app).await - before, 3, "{path} {round}");
            ask(&app, path, &expired.tokens.access).await.assert_refused(401, "token_expired");
            ask(&app, path, &forged).await.assert_refused(401, "invalid_token");
            assert_eq!(asked(&app).await - before, 3, "{path} {round}");
        }
    }
}
