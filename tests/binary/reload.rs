//! SIGHUP: what changes in a running service, what waits for a restart, and what is refused.

use std::fs;
use std::path::Path;

use hyper::{Method, StatusCode};

use crate::client::{Call, Client, get, login};
use crate::process::{Program, SECRET, Service, dev, eventually};

const ORIGIN: &str = "https://app.example.com";

fn write(folder: &Path, settings: &str) {
    fs::write(folder.join("hallpass.toml"), settings).expect("a settings file");
}

fn serve(folder: &Path) -> Service {
    Program::new(folder, &["serve", "--listen", "127.0.0.1:0", "--config", "hallpass.toml"])
        .variable("HALLPASS_SECRET", SECRET)
        .variable("HALLPASS_TOKEN_STORE", "embedded")
        .variable("HALLPASS_SHUTDOWN_DELAY", "0s")
        .start()
}

/// Has the settings read again, and waits until the log says so often that it was done.
async fn reload(service: &Service, times: usize, said: &str) {
    service.hang_up();
    let log = service.log();
    eventually(said, async || log.text().matches(said).count() == times).await;
}

/// Which page may read the answers, for one of this origin.
async fn allowed(client: &Client) -> String {
    let answer = client.send(get("/health/live").header("origin", ORIGIN)).await;
    answer.header("access-control-allow-origin").to_owned()
}

#[tokio::test]
async fn level_limits_and_origins_change_at_once_and_others_wait_for_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "");
    let service = serve(folder.path());
    let client = service.client();
    let wrong = || client.send(login("ada@example.com", "no password of anybody"));
    assert_eq!(allowed(&client).await, "");
    assert_eq!(wrong().await.status, StatusCode::UNAUTHORIZED);

    write(
        folder.path(),
        &format!(
            "log.level = \"debug\"\ncors.origins = [\"{ORIGIN}\"]\nrate_limits.login.per_ip = \"1/1h\"\n\
             reset.ttl = \"5m\"\n"
        ),
    );
    reload(&service, 1, "settings reloaded").await;
    assert_eq!(allowed(&client).await, ORIGIN);
    wrong().await;
    wrong().await.assert_problem(429, "rate_limited");
    let log = service.log();
    eventually("a health check has a line", async || log.text().contains("\"path\":\"/health/live\"")).await;
    let line = |of: &str| log.text().lines().rfind(|line| line.contains(of)).map(str::to_owned);
    let changed = line("\"settings reloaded\"").expect("a line");
    for key in ["log.level", "cors.origins", "rate_limits.login.per_ip"] {
        assert!(changed.contains(key), "{key} is missing in {changed}");
    }
    let waiting = line("takes effect after a restart").expect("a line");
    assert!(waiting.contains("\"setting\":\"reset.ttl\""), "{waiting}");
    assert!(!changed.contains("reset.ttl"), "{changed}");

    // Back again; nothing is left that waits.
    write(folder.path(), "");
    reload(&service, 2, "settings reloaded").await;
    assert_eq!(allowed(&client).await, "");
    assert_eq!(wrong().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(log.text().matches("takes effect after a restart").count(), 1);
    service.stop().await;
}

/// One person behind a proxy has used up a limit; whoever comes by the same proxy is somebody else once it is named.
#[tokio::test]
async fn trusted_proxies_and_their_header_change_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let limit = "rate_limits.login.per_ip = \"1/1h\"\n";
    write(folder.path(), limit);
    let service = serve(folder.path());
    let client = service.client();
    let status = async |header: &'static str, from: &str| {
        let wrong = login("ada@example.com", "no password of anybody").header(header, from);
        client.send(wrong).await.status
    };
    let (refused, limited) = (StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status("x-forwarded-for", "192.0.2.1").await, refused);
    assert_eq!(status("x-forwarded-for", "192.0.2.2").await, limited, "the peer is no trusted proxy");

    write(folder.path(), &format!("trusted_proxies = [\"127.0.0.0/8\"]\n{limit}"));
    reload(&service, 1, "settings reloaded").await;
    assert_eq!(status("x-forwarded-for", "192.0.2.2").await, refused);
    assert_eq!(status("x-forwarded-for", "192.0.2.2").await, limited, "by the same one");
    assert_eq!(status("forwarded", "for=192.0.2.3").await, limited, "not the header that is named");

    let forwarded = format!("trusted_proxies = [\"127.0.0.0/8\"]\nforwarded_header = \"forwarded\"\n{limit}");
    write(folder.path(), &forwarded);
    reload(&service, 2, "settings reloaded").await;
    assert_eq!(status("forwarded", "for=192.0.2.3").await, refused);
    assert_eq!(status("x-forwarded-for", "192.0.2.4").await, limited, "the peer itself");
    assert!(!service.log().text().contains("takes effect after a restart"));
    service.stop().await;
}

#[tokio::test]
async fn settings_with_a_mistake_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &format!("cors.origins = [\"{ORIGIN}\"]\n"));
    let service = serve(folder.path());
    let client = service.client();
    for (mistake, named) in
        [("cors.origins = [\n", "hallpass.toml"), ("reset.ttl = \"a while\"\n", "reset.ttl")]
    {
        write(folder.path(), mistake);
        service.hang_up();
        let log = service.log();
        eventually("it says so", async || {
            log.text().lines().any(|line| line.contains("settings not reloaded") && line.contains(named))
        })
        .await;
        assert_eq!(allowed(&client).await, ORIGIN);
    }
    assert!(!service.log().text().contains("settings reloaded"));
    service.stop().await;
}

#[tokio::test]
async fn a_terminal_that_goes_away_ends_dev() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let nowhere = service.client().send(Call::new(Method::GET, "/nowhere")).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    service.hang_up();
    let (code, _) = service.ended().await;
    assert_eq!(code, None, "ended by the signal");
}
