//! `docs/recipes/apache.conf`: no gate, since Apache asks nobody, but hallpass and a service behind one address.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::echo::{Echo, told};
use super::gate::{assert_echoes, open_websocket};
use super::{Places, Proxy, START_ATTEMPTS, free_addresses, program, recipe};
use crate::client::{PASSWORD, Tokens, get, login, post};
use crate::process::{Service, dev};

/// What the recipe needs beside what is built in, with Debian's names.
const MODULES: [&str; 5] = ["mpm_event", "authz_core", "headers", "proxy", "proxy_http"];
const MODULES_FOLDER: &str = "/usr/lib/apache2/modules";

fn write(folder: &Path, places: Places) -> Command {
    fs::write(folder.join("recipe.conf"), recipe("apache.conf", places, [2, 3, 1])).expect("a file");
    let modules: String =
        MODULES.map(|name| format!("LoadModule {name}_module {MODULES_FOLDER}/mod_{name}.so\n")).concat();
    let main = format!(
        "ServerRoot {folder}\n\
         ServerName localhost\n\
         DefaultRuntimeDir {folder}\n\
         PidFile {folder}/pid\n\
         ErrorLog {folder}/said.log\n\
         {modules}\
         Include {folder}/recipe.conf\n",
        folder = folder.display(),
    );
    let file = folder.join("apache2.conf");
    fs::write(&file, main).expect("a file");
    let mut command = Command::new(program("apache2", "apache2"));
    // One process, in the foreground.
    command.arg("-X").arg("-f").arg(file).current_dir(folder);
    command
}

/// hallpass below a path of the proxy's address.
struct Site {
    hallpass: Service,
    service: Echo,
    proxy: Proxy,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let mut said = String::new();
        for _ in 0..START_ATTEMPTS {
            let [own] = free_addresses();
            let folder = tempfile::tempdir().expect("a folder");
            let hallpass = dev(folder.path())
                .variable("HALLPASS_PUBLIC_URL", format!("http://{own}/auth"))
                .variable("HALLPASS_TRUSTED_PROXIES", "127.0.0.1")
                .start();
            let service = Echo::start().await;
            let places = Places { own, hallpass: hallpass.address(), service: service.address() };
            match Proxy::at(write, places).await {
                Ok(proxy) => return Self { hallpass, service, proxy, _folder: folder },
                Err(log) => said = log,
            }
        }
        panic!("Apache does not start:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hallpass_is_below_a_path() {
    let site = Site::start().await;
    let account = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(site.proxy.send(post("/auth/auth/register").json(&account)).await.status, 201);
    // At another place, and with lies about it.
    let elsewhere = site.proxy.client().at("127.0.0.2".parse().expect("an address"));
    let call = login("ada@example.com", PASSWORD).below("/auth");
    let call = call.header("x-forwarded-for", "203.0.113.9").header("forwarded", "for=203.0.113.9");
    let tokens = Tokens::of(&elsewhere.send(call).await);
    let sessions = site.proxy.send(get("/auth/auth/sessions").bearer(&tokens.access)).await.json();
    assert_eq!(sessions[0]["address"], "127.0.0.2", "{sessions}");

    let metadata = site.proxy.send(get("/.well-known/oauth-authorization-server/auth")).await.json();
    assert_eq!(metadata, site.proxy.send(get("/.well-known/openid-configuration/auth")).await.json());
    let issuer = metadata["issuer"].as_str().expect("an issuer");
    let origin = issuer.strip_suffix("/auth").expect("the path");
    let keys = metadata["jwks_uri"].as_str().and_then(|uri| uri.strip_prefix(origin)).expect("an address");
    assert!(site.proxy.send(get(keys)).await.json()["keys"].is_array());
    let front = site.proxy.send(get("/auth/")).await;
    assert_eq!((front.status.as_u16(), site.proxy.send(get("/auth/docs")).await.status.as_u16()), (307, 200));
    drop(site.hallpass);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_gets_the_token_and_nobody_elses_word() {
    let site = Site::start().await;
    let mut call = post("/a%2Fb?c=d%20e").bearer("a.b.c").body("a body");
    for name in [
        "remote-user",
        "remote-email",
        "remote-groups",
        "remote_user",
        "remote_email",
        "remote_groups",
        "forwarded",
        "x-forwarded-for",
    ] {
        call = call.header(name, "forged");
    }
    let answer = site.proxy.send(call).await;
    let request = answer.json();
    assert_eq!((&request["method"], &request["target"]), (&json!("POST"), &json!("/a%2Fb?c=d%20e")));
    assert_eq!(told(&request, "authorization"), ["Bearer a.b.c"]);
    assert!(!answer.text().contains("forged"), "{request}");
    assert_eq!(told(&request, "x-forwarded-for"), ["127.0.0.1"]);

    let cookie = format!("a={}", "x".repeat(16 * 1024));
    let answer = site.proxy.send(get("/").header("cookie", &cookie)).await;
    assert_eq!(told(&answer.json(), "cookie"), [cookie.as_str()]);
    let answer = site.proxy.send(get("/auth/users/me").header("cookie", &cookie)).await;
    answer.assert_problem(401, "authentication_required");

    let (stream, head) = open_websocket(site.proxy.client(), "").await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert_echoes(stream).await;
    assert!(site.service.requests() >= 3);
}
