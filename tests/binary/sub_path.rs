//! The service below a path of another host, where a real nginx takes the path off by
//! `docs/recipes/nginx-sub-path.conf`: every address that it prints leads to it from outside, for whoever resolves
//! it as RFC 3986 5 says.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Call, PASSWORD, Tokens, get, login, post};
use crate::process::{Service, dev};
use crate::proxies::nginx::write_http;
use crate::proxies::{Places, Proxy, START_ATTEMPTS, free_addresses, recipe};
use crate::support::smtp::SmtpServer;

/// Where the service is. Some of its own paths begin alike, which must confuse nobody.
const PREFIX: &str = "/auth";

/// What stands at every other address of that host.
const ELSEWHERE: u16 = 404;

struct Host {
    nginx: Proxy,
    mails: SmtpServer,
    origin: String,
    _service: Service,
    _folder: TempDir,
}

fn write(folder: &Path, places: Places) -> Command {
    write_http(folder, &recipe("nginx-sub-path.conf", places, [1, 1, 0]))
}

impl Host {
    async fn start() -> Self {
        let mut said = String::new();
        for _ in 0..START_ATTEMPTS {
            let [own] = free_addresses();
            let (folder, mails) = (tempfile::tempdir().expect("a folder"), SmtpServer::start());
            let service = dev(folder.path())
                .variable("HALLPASS_PUBLIC_URL", format!("http://{own}{PREFIX}"))
                .variable("HALLPASS_RESET__DELIVERY", "smtp")
                .variable("HALLPASS_SMTP__HOST", "127.0.0.1")
                .variable("HALLPASS_SMTP__PORT", mails.port().to_string())
                .variable("HALLPASS_SMTP__TLS", "none")
                .variable("HALLPASS_SMTP__FROM", "no-reply@example.com")
                .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
                .variable("HALLPASS_TRUSTED_PROXIES", "127.0.0.1")
                .start();
            let places = Places { own, hallpass: service.address(), service: own };
            match Proxy::at(write, places).await {
                Ok(nginx) => {
                    let origin = format!("http://{own}");
                    return Self { nginx, mails, origin, _service: service, _folder: folder };
                }
                Err(log) => said = log,
            }
        }
        panic!("nginx does not start:\n{said}");
    }

    async fn get(&self, path: &str) -> Answer {
        let answer = self.nginx.client().send(get(path)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.nginx.client().send(post(path).json(&body)).await
    }

    /// The path and query on this host that an address leads to which stands at `base`.
    fn resolve(&self, base: &str, reference: &str) -> String {
        if let Some(rest) = reference.strip_prefix(&self.origin) {
            return rest.to_owned();
        }
        assert!(!reference.contains("://"), "{reference} is at another host");
        let base = base.split('?').next().unwrap_or_default();
        match reference {
            "" => base.to_owned(),
            _ if reference.starts_with('/') => reference.to_owned(),
            _ if reference.starts_with('?') => format!("{base}{reference}"),
            _ => {
                let folder = &base[..=base.rfind('/').expect("a slash")];
                format!("{folder}{}", reference.trim_start_matches("./"))
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_what_they_load_are_found() {
    let host = Host::start().await;
    let front = host.nginx.client().send(get(&format!("{PREFIX}/"))).await;
    let docs = host.resolve(&format!("{PREFIX}/"), front.header("location"));
    assert_eq!((front.status.as_u16(), docs.as_str()), (307, "/auth/docs"));
    for page in
        [docs, "/auth/docs/".to_owned(), "/auth/reset-password".to_owned(), "/auth/verify-email".to_owned()]
    {
        let html = host.get(&page).await.text().to_owned();
        let links = html.split(" href=\"").chain(html.split(" src=\"")).skip(1);
        let links: BTreeSet<&str> =
            links.filter_map(|rest| rest.split('"').next()).filter(|link| !link.contains('<')).collect();
        assert!(links.len() >= 2, "{page}: {links:?}");
        for link in links.into_iter().filter(|link| !link.starts_with('#')) {
            host.get(&host.resolve(&page, link)).await;
        }
    }
}

/// What generators make clients from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_where_the_served_documents_say() {
    let host = Host::start().await;
    for document in ["/auth/openapi.json", "/auth/openapi/nest.json", "/auth/openapi/access-tokens.json"] {
        let spec = host.get(document).await.json();
        let servers = spec["servers"].as_array().expect("servers");
        let server = servers[0]["url"].as_str().expect("an address");
        let server = host.resolve(document, server);
        assert_eq!((servers.len(), server.as_str()), (1, PREFIX), "{document}");
        let mut operations = 0;
        for (path, item) in spec["paths"].as_object().expect("paths") {
            let filled: Vec<&str> =
                path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
            let address = format!("{}{}", server.trim_end_matches('/'), filled.join("/"));
            for method in item.as_object().expect("an item").keys() {
                let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
                if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
                    continue;
                }
                let answer = host.nginx.client().send(Call::new(method.clone(), &address)).await;
                let status = answer.status.as_u16();
                // Whatever it thinks of a call with nothing in it.
                assert!(![ELSEWHERE, 405].contains(&status), "{method} {address}: {answer:?}");
                assert!(!answer.header("x-request-id").is_empty(), "{method} {address}: {answer:?}");
                operations += 1;
            }
        }
        assert!(operations > 3, "{document} has hardly an operation");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_page_of_every_list_is_found() {
    let host = Host::start().await;
    let admin = host.nginx.client().send(login_at("johndoe@example.com", "password")).await;
    let admin = Tokens::of(&admin).access;
    let account = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(host.post("/auth/auth/register", account).await.status, 201);
    host.nginx.client().send(login_at("johndoe@example.com", "password")).await;
    for list in [
        "/auth/users?limit=1",
        "/auth/users/1/sessions?limit=1",
        "/auth/auth/sessions?limit=1",
        "/auth/audit?limit=1&action=login_succeeded&since=0",
        "/auth/audit?limit=1",
    ] {
        let first = host.nginx.client().send(get(list).bearer(&admin)).await;
        assert_eq!(first.status, 200, "{list}: {first:?}");
        let link = first.header("link").strip_prefix('<').and_then(|rest| rest.split_once(">; rel=\"next\""));
        let Some((link, "")) = link else { panic!("{list}: {first:?}") };
        let next = host.nginx.client().send(get(&host.resolve(list, link)).bearer(&admin)).await;
        assert_eq!(next.status, 200, "{link}: {next:?}");
        let (first, next) = (first.json(), next.json());
        assert!(next.as_array().is_some_and(|page| page.len() == 1) && next != first, "{link}: {next}");
    }
}

fn login_at(email: &str, password: &str) -> Call {
    login(email, password).below(PREFIX)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_and_mails_lead_back_to_the_service() {
    let host = Host::start().await;
    let known = "/.well-known/oauth-authorization-server";
    for place in [
        format!("{known}{PREFIX}"),
        format!("{PREFIX}{known}"),
        format!("{PREFIX}/.well-known/openid-configuration"),
    ] {
        let metadata = host.get(&place).await.json();
        assert_eq!(metadata["issuer"], format!("{}{PREFIX}", host.origin), "{place}");
        host.get(&host.resolve(&place, metadata["jwks_uri"].as_str().expect("an address"))).await;
        let endpoints = metadata.as_object().expect("an object").iter();
        let endpoints: Vec<_> = endpoints.filter(|(name, _)| name.ends_with("_endpoint")).collect();
        assert!(endpoints.len() >= 3, "{metadata}");
        for (name, address) in endpoints {
            let address = host.resolve(&place, address.as_str().expect("an address"));
            if name.starts_with("hallpass_") {
                host.nginx.client().send(get(&address)).await.assert_problem(401, "authentication_required");
                continue;
            }
            let answer = host.post(&address, json!({})).await;
            // The error of an operation of OAuth (RFC 6749 5.2).
            assert!([400, 401].contains(&answer.status.as_u16()), "{name} {address}: {answer:?}");
            assert!(answer.json()["error"].is_string(), "{name} {address}: {answer:?}");
        }
    }

    let account = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(host.post("/auth/auth/register", account).await.status, 201);
    let asked = host.post("/auth/auth/reset-password-request", json!({"email": "ada@example.com"})).await;
    assert_eq!(asked.status, 200, "{asked:?}");
    let page = format!("{}{PREFIX}/reset-password", host.origin);
    let token = host.mails.received().token(&page);
    host.get(&host.resolve("/", &page)).await;
    let reset = json!({"resetToken": token, "newPassword": "a better one this time"});
    assert_eq!(host.post("/auth/auth/reset-password", reset).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_of_16_kib_and_lies_about_addresses_do_no_harm() {
    let host = Host::start().await;
    let cookie = format!("a={}", "x".repeat(16 * 1024));
    let elsewhere = host.nginx.client().at("127.0.0.2".parse().expect("an address"));
    let call = login_at("johndoe@example.com", "password").header("cookie", &cookie);
    let call = call.header("x-forwarded-for", "203.0.113.9").header("forwarded", "for=203.0.113.9");
    let tokens = Tokens::of(&elsewhere.send(call).await);
    let sessions = host.nginx.client().send(get("/auth/auth/sessions").bearer(&tokens.access)).await.json();
    assert_eq!(sessions[0]["address"], "127.0.0.2", "{sessions}");
}
