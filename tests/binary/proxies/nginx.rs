//! `docs/recipes/nginx.conf`, and an nginx for other tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use hyper::StatusCode;

use super::gate::{Gate, asks_about_each_request, assert_kept_out, assert_served};
use super::{Places, program, recipe};
use crate::client::get;

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
