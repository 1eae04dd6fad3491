//! The service on a Redis Cluster.

use hallpass::store::redis::{CLUSTER_RIGHTS, needed_commands};
use hyper::StatusCode;
use serde_json::Value;

use crate::process::{Program, SECRET, eventually, serve};
use crate::support::cluster::RedisCluster;
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

async fn doctor(folder: &std::path::Path, redis: &str, database: &str, subject: &str) -> (String, String) {
    let doctor = Program::new(folder, &["doctor", "--json"])
        .variable("HALLPASS_SECRET", SECRET)
        .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
        .variable("HALLPASS_REDIS__PREFIX", "least")
        .variable("REDIS_URL", redis)
        .variable("DATABASE_URL", database);
    let outcome = doctor.run().await;
    let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let found = findings.as_array().expect("a list").iter().find(|found| found["subject"] == subject);
    let found = found.unwrap_or_else(|| panic!("nothing about {subject}: {outcome:?}"));
    let text = |name: &str| found[name].as_str().expect("text").to_owned();
    (text("condition"), text("text"))
}

#[tokio::test]
async fn a_service_runs_on_a_cluster_with_few_rights_and_the_doctor_says_what_it_sees() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PostgresServer::shared().create_database().await;
    let mut cluster = RedisCluster::with_replicas().await;
    let needed: Vec<String> = needed_commands().collect();
    let mut user = vec!["ACL", "SETUSER", "least", "on", ">hunter2", "~least:*", "resetchannels"];
    user.extend(needed.iter().map(String::as_str).chain(CLUSTER_RIGHTS.split(' ')));
    for node in &cluster.nodes {
        node.command::<()>(&user).await;
    }
    let url = cluster.url().replace("://", "://least:hunter2@");
    let service = serve(folder.path(), &url, &database)
        .variable("HALLPASS_REDIS__PREFIX", "least")
        .variable("HALLPASS_VALIDATION__MODE", "mirror")
        .start();
    let client = service.client();
    let mut kept = Vec::new();
    for name in ["ada", "bob", "eve", "joe"] {
        let address = format!("{name}@example.com");
        let tokens = client.logged_in(&address).await;
        let ended = client.log_in(&address).await;
        assert_eq!(client.log_out(&ended.access).await.status, StatusCode::OK);
        kept.push((tokens, ended));
    }
    let (condition, text) = doctor(folder.path(), &cluster.url(), &database, "cluster").await;
    let ports: Vec<u16> = cluster.nodes.iter().map(RedisServer::port).collect();
    assert!(condition == "good" && text.starts_with("3 masters have 16384 of 16384 slots: "), "{text}");
    assert!(ports[..3].iter().all(|port| text.contains(&format!("127.0.0.1:{port} (1 replica)"))), "{text}");
    let (condition, text) = doctor(folder.path(), &cluster.url(), &database, "token store").await;
    assert!(condition == "good" && text.contains("Redis 7"), "{condition}: {text}");
    assert_eq!(doctor(folder.path(), &cluster.url(), &database, "revocation journal").await.0, "good");

    for master in 0..3 {
        cluster.nodes[master].passes_on_to(&cluster.nodes[master + 3]).await;
    }
    cluster.nodes[0].kill();
    cluster.is_promoted(3, 0).await;
    for (tokens, ended) in &kept {
        eventually("what was live is so", async || {
            client.auth_me(&tokens.access).await.status == StatusCode::OK
        })
        .await;
        client.auth_me(&ended.access).await.assert_problem(401, "token_revoked");
        client.refresh(&ended.refresh).await.assert_problem(401, "invalid_refresh_token");
        assert_eq!(client.refresh(&tokens.refresh).await.status, StatusCode::OK);
    }
    let (condition, text) = doctor(folder.path(), &cluster.url(), &database, "cluster").await;
    let alone = format!("no replica could take the place of 127.0.0.1:{}", ports[3]);
    assert!(condition == "warning" && text.contains(&alone), "{condition}: {text}");
    let log = service.log().text();
    assert!(
        log.contains("the Redis Cluster has other masters than before") && !log.contains("hunter2"),
        "{log}"
    );
    service.stop().await;
}

#[tokio::test]
async fn a_redis_that_is_no_cluster_ends_the_start_and_a_slot_without_a_node_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PostgresServer::shared().create_database().await;
    let plain = RedisServer::start();
    let url = format!("redis+cluster://127.0.0.1:{}", plain.port());
    let outcome = serve(folder.path(), &url, &database).run().await;
    let said = "is a Redis and no node of a Cluster: write redis://";
    assert!(outcome.code == Some(1) && outcome.stderr.contains(said), "{outcome:?}");

    let cluster = RedisCluster::start().await;
    let (first, _) = RedisCluster::slots_of(1);
    // Until all of them know it: who hears of it from the others before is told so, and who heard an older word
    // has it again.
    for node in &cluster.nodes {
        while node.command::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_slots_assigned:16384") {
            let told = cluster.nodes[1].try_command::<()>(&["CLUSTER", "DELSLOTS", &first.to_string()]).await;
            drop((told, node.try_command::<()>(&["CLUSTER", "DELSLOTS", &first.to_string()]).await));
        }
    }
    let (condition, text) = doctor(folder.path(), &cluster.url(), &database, "cluster").await;
    assert!(condition == "bad" && text.contains("1 slots have nobody"), "{condition}: {text}");
}
