//! What has no line in the log is counted, and told once a minute.

use std::time::Duration;

use crate::support::log::Log;
use crate::support::{Actor, TestApp};

/// The lines that tell it; other tests of this process may have some.
fn reports(log: &Log) -> Vec<String> {
    let text = log.text();
    text.lines().filter(|line| line.contains("tokens were checked")).map(str::to_owned).collect()
}

/// 20 validations, of which 3 say no, and 2 health checks.
async fn ask(app: &TestApp) {
    let ada = app.member("ada").await;
    for _ in 0..17 {
        ada.get("/auth/auth-me").send().await.json(200);
    }
    for _ in 0..3 {
        app.anonymous().get("/forward-auth").send().await.assert_refused(401, "authentication_required");
    }
    for _ in 0..2 {
        app.anonymous().get("/health/live").send().await.json(200);
    }
}

/// What comes then brings a report about, if there is one to make. Nothing is under way meanwhile.
async fn a_minute_later(app: &TestApp) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    for _ in 0..2 {
        app.anonymous().get("/health/live").send().await.json(200);
    }
}

#[tokio::test]
async fn validations_and_health_checks_are_told_once_a_minute() {
    let log = Log::keep();
    let of_it = |report: &String| report.contains("validations=20 refused=3 probes=3 seconds=");
    let silent = TestApp::set(&["log.requests=off"]).await;
    ask(&silent).await;
    a_minute_later(&silent).await;
    assert_eq!(reports(&log).iter().filter(|report| of_it(report)).count(), 0, "off is off");

    let app = TestApp::spawn().await;
    ask(&app).await;
    assert_eq!(reports(&log).iter().filter(|report| of_it(report)).count(), 0);
    a_minute_later(&app).await;
    let told: Vec<String> = reports(&log).into_iter().filter(of_it).collect();
    assert_eq!(told.len(), 1, "{:?}", reports(&log));
    // It is not about the request that brought it about.
    assert!(!told[0].contains("request_id") && told[0].contains(" INFO hallpass::requests:"), "{told:?}");
    // Nothing was asked since, so there is nothing to tell.
    a_minute_later(&app).await;
    let reports = reports(&log);
    assert!(!reports.iter().any(|report| report.contains("validations=0")), "{reports:?}");
}
