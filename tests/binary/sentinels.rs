//! The service with Sentinels in front of its Redis.

use hyper::StatusCode;
use serde_json::Value;

use crate::process::{Program, SECRET, eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::sentinels::{MASTER, SentinelSet};

#[tokio::test]
async fn a_service_follows_its_sentinels_and_the_doctor_says_what_they_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PostgresServer::shared().create_database().await;
    let mut set = SentinelSet::start().await;
    let [first, second] = [set.servers[0].port(), set.servers[1].port()];
    let doctor = async |url: &str, subject: &str| {
        let doctor = Program::new(folder.path(), &["doctor", "--json"])
            .variable("HALLPASS_SECRET", SECRET)
            .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
            .variable("REDIS_URL", url)
            .variable("DATABASE_URL", &database);
        let outcome = doctor.run().await;
        let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        let found = findings.as_array().expect("a list").iter().find(|found| found["subject"] == subject);
        let found = found.unwrap_or_else(|| panic!("nothing about {subject}: {outcome:?}"));
        let text = |name: &str| found[name].as_str().expect("text").to_owned();
        (text("condition"), text("text"))
    };
    let service =
        serve(folder.path(), &set.url(), &database).variable("HALLPASS_VALIDATION__MODE", "mirror").start();
    let client = service.client();
    let laptop = client.logged_in("ada@example.com").await;
    let (phone, tablet) = (client.log_in("ada@example.com").await, client.log_in("ada@example.com").await);
    assert_eq!(client.log_out(&phone.access).await.status, StatusCode::OK);

    let (condition, text) = doctor(&set.url(), "sentinels").await;
    let said = format!("3 of 3 say that the master `{MASTER}` is 127.0.0.1:{first} (quorum 2, 1 replica)");
    assert_eq!((condition.as_str(), text), ("good", said));
    let (condition, text) = doctor(&set.url(), "split brain").await;
    assert!(condition == "warning" && text.contains("min-replicas-to-write is 0"), "{condition}: {text}");
    set.servers[0].command::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    assert_eq!(doctor(&set.url(), "split brain").await.0, "good");

    set.servers[0].passes_on_to(&set.servers[1]).await;
    set.servers[0].kill();
    set.names(1).await;
    eventually("the new master serves", async || client.is_ready().await).await;
    eventually("what was live is so", async || client.auth_me(&laptop.access).await.status == StatusCode::OK)
        .await;
    client.auth_me(&phone.access).await.assert_problem(401, "token_revoked");
    client.refresh(&phone.refresh).await.assert_problem(401, "invalid_refresh_token");
    assert_eq!(client.refresh(&tablet.refresh).await.status, StatusCode::OK);
    let again = client.log_in("ada@example.com").await;
    assert_eq!(client.log_out(&again.access).await.status, StatusCode::OK);
    let log = service.log().text();
    assert!(log.contains("Sentinel names another Redis the master"), "{log}");
    let (_, text) = doctor(&set.url(), "sentinels").await;
    assert!(text.contains(&format!("is 127.0.0.1:{second}")), "{text}");
    service.stop().await;

    // A name that they do not know ends the start, and the doctor says so; no secret is shown.
    let hosts = set.url().replace(&format!("/{MASTER}"), "/other?sentinel_password=hunter2");
    let hosts = hosts.replace("redis+sentinel://", "redis+sentinel://:hunter2@");
    let outcome = serve(folder.path(), &hosts, &database).run().await;
    let said = "no Sentinel says where the master `other` is";
    assert!(outcome.code == Some(1) && outcome.stderr.contains(said), "{outcome:?}");
    let (condition, text) = doctor(&hosts, "token store").await;
    assert!(condition == "bad" && text.contains(said), "{condition}: {text}");
    assert!(!format!("{outcome:?} {text}").contains("hunter2"));
}
