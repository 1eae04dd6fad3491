//! `docs/recipes/nginx.conf`, and an nginx for other tests.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use super::gate::{Gate, asks_about_each_request, assert_kept_out, assert_served};
use super::{Places, Proxy, free_addresses, program, recipe};
use crate::client::{Answer, Client, get, post};
use crate::process::{Program, Service, eventually};

fn write(folder: &Path, places: Places) -> Command {
    write_http(folder, &recipe("nginx.conf", places, [1, 1, 1]))
}

/// Writes an `nginx.conf` with this in its http block, for a process that leaves nothing outside its folder;
/// answers how it is started.
pub fn write_http(folder: &Path, http: &str) -> Command {
    let temporary: String = ["client_body", "proxy", "fastcgi", "scgi", "uwsgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
        .concat();
    fs::write(folder.join("recipe.conf"), http).expect("a file");
    let main = format!(
        "daemon off;\n\
         master_process off;\n\
         pid {folder}/nginx.pid;\n\
         error_log stderr;\n\
         events {{}}\n\
         http {{\n\
         access_log off;\n\
         {temporary}\
         include {folder}/recipe.conf;\n\
         }}\n",
        folder = folder.display(),
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, main).expect("a file");
    let mut command = Command::new(program("nginx", "nginx"));
    command.arg("-p").arg(folder).arg("-c").arg(file);
    command
}

asks_about_each_request!(write);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_location_for_administrators_lets_nobody_else_in() {
    let gate = Gate::open(write).await;
    let (proxy, (tokens, _)) = (&gate.proxy, gate.member().await);
    let answer = proxy.send(get("/admin/books").bearer(&tokens.access)).await;
    assert_kept_out(&answer, 403, "");
    let admin = gate.admin().await;
    let answer = proxy.send(get("/admin/books?role=member").bearer(&admin.access)).await;
    let request = assert_served(&answer, "1", "johndoe@example.com", "admin");
    assert_eq!(request["target"], "/admin/books?role=member");
    assert_kept_out(&proxy.send(get("/admin/books")).await, 401, "Bearer");
    // The questions are nginx' own.
    for path in ["/_hallpass/anybody", "/_hallpass/admin", "/_hallpass/"] {
        assert_eq!(proxy.send(get(path).bearer(&tokens.access)).await.status, StatusCode::NOT_FOUND);
    }
    gate.hallpass.kill().await;
    let answer = proxy.send(get("/admin/").bearer(&tokens.access)).await;
    assert_kept_out(&answer, 503, "");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_the_service_are_kept() {
    let gate = Gate::open(write).await;
    let (tokens, user) = gate.member().await;
    for _ in 0..10 {
        assert_served(&gate.proxy.send(get("/").bearer(&tokens.access)).await, &user, "", "member");
    }
    assert_eq!((gate.service.requests(), gate.service.connections()), (10, 1));
}

/// Two replicas that it asks in turn, over connections that it keeps.
fn write_balancer(folder: &Path, Places { own, hallpass, service: another }: Places) -> Command {
    let http = format!(
        "upstream replicas {{ server {hallpass} max_fails=0; server {another} max_fails=0; keepalive 16; }}\n\
         server {{\n\
         listen {own};\n\
         location / {{\n\
         proxy_pass http://replicas; proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header Connection \"\";\n\
         }}\n\
         }}\n"
    );
    write_http(folder, &http)
}

fn replica(folder: &Path, address: SocketAddr) -> Service {
    Program::new(folder, &["dev", "--listen", &address.to_string()])
        .variable("HALLPASS_METRICS__LISTEN", "off")
        .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
        .variable("HALLPASS_SHUTDOWN_DELAY", "1s")
        .start()
}

/// A request that is no good to be sent twice.
async fn ask_for_a_token(client: &Client) -> Answer {
    let credentials = format!("Basic {}", STANDARD.encode("books:books-dev-secret"));
    let body = json!({"grant_type": "client_credentials"});
    client.send(post("/oauth2/token").header("authorization", credentials).json(&body)).await
}

/// What docs/operate.md says of a balancer that does not ask for readiness.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_restarted_in_turn_and_no_request_is_lost() {
    let (folder, addresses) = (tempfile::tempdir().expect("a folder"), free_addresses::<2>());
    let folders = ["one", "another"].map(|name| folder.path().join(name));
    folders.iter().for_each(|folder| fs::create_dir(folder).expect("a folder"));
    let mut replicas = [0, 1].map(|place| Some(replica(&folders[place], addresses[place])));
    let proxy = Proxy::before(write_balancer, addresses[0], addresses[1]).await;
    let (answered, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut visitors = JoinSet::new();
    for _ in 0..8 {
        let (client, answered, is_over) = (proxy.client(), answered.clone(), is_over.clone());
        visitors.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let answer = ask_for_a_token(&client).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for place in [0, 1, 0, 1] {
        let enough = answered.load(Ordering::Relaxed) + 100;
        eventually("both are asked", async || answered.load(Ordering::Relaxed) >= enough).await;
        replicas[place].take().expect("one that runs").stop().await;
        replicas[place] = Some(replica(&folders[place], addresses[place]));
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(visited) = visitors.join_next().await {
        visited.expect("an answer to each");
    }
    drop(proxy);
    for service in replicas.into_iter().flatten() {
        service.stop().await;
    }
}
