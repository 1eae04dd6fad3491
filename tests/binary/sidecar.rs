//! `hallpass sidecar`: the checks of the service, beside whoever asks, from what the service tells.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Answer, Client, Tokens, get, login, post};
use crate::process::{Program, Running, Service, dev, eventually};
use crate::support::ports::free_port;

/// Headers that say who passed.
const REMOTE: [&str; 3] = ["remote-user", "remote-email", "remote-groups"];

const FORM: &str = "application/x-www-form-urlencoded";

/// A sidecar of the service, with the client that `hallpass dev` makes.
fn sidecar(folder: &Path, service: &Service, more: &[&str]) -> Program {
    std::fs::write(folder.join("secret"), "books-dev-secret\n").expect("a file");
    let issuer = format!("http://{}", service.address());
    let mut arguments = vec!["sidecar", "--issuer", &issuer, "--audience", &issuer];
    arguments.extend(["--client-id", "books", "--client-secret-file", "secret"]);
    arguments.extend(more);
    if !more.contains(&"--listen") {
        arguments.extend(["--listen", "127.0.0.1:0"]);
    }
    Program::new(folder, &arguments)
}

async fn ready(client: &Client) {
    eventually("the sidecar is ready", async || client.send(get("/health/ready")).await.status == 200).await;
}

async fn logged_in(client: &Client) -> Tokens {
    Tokens::of(&client.send(login("johndoe@example.com", "password")).await)
}

fn form(body: String) -> crate::client::Call {
    post("/oauth2/introspect").header("content-type", FORM).body(body)
}

/// What an answer says, but for what is of the moment, and for where the service's own metadata are: a sidecar's
/// audience may be another resource.
fn told(answer: &Answer) -> (u16, String, Vec<String>) {
    let challenge = answer.header("www-authenticate").split("resource_metadata=").next().unwrap_or_default();
    let headers = REMOTE.iter().chain(&["cache-control"]).map(|name| answer.header(name));
    let headers = headers.chain([challenge.trim_end_matches([',', ' '])]).map(str::to_owned);
    (answer.status.as_u16(), answer.text().to_owned(), headers.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_as_the_service_does_and_hears_of_revocations() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let sidecar = sidecar(folder.path(), &service, &[]).start();
    let (there, here) = (service.client(), sidecar.client());
    ready(&here).await;
    let tokens = logged_in(&there).await;
    let machine =
        there
            .send(post("/oauth2/token").header("content-type", FORM).body(
                "grant_type=client_credentials&client_id=books&client_secret=books-dev-secret".to_owned(),
            ))
            .await
            .json()["access_token"]
            .as_str()
            .expect("a token")
            .to_owned();
    let cut = &tokens.access[..tokens.access.len() - 2];
    for path in ["/forward-auth", "/forward-auth?role=admin", "/forward-auth?role=X", "/forward-auth/a?b"] {
        for token in [&tokens.access, &machine, cut, "no token"] {
            let (wanted, got) =
                (there.send(get(path).bearer(token)).await, here.send(get(path).bearer(token)).await);
            assert_eq!(told(&got), told(&wanted), "{path}");
        }
        let (wanted, got) = (there.send(get(path)).await, here.send(get(path)).await);
        assert_eq!(told(&got), told(&wanted), "{path}");
    }
    for token in [&tokens.access, &machine, cut, "no token"] {
        let wanted =
            there.send(form(format!("token={token}&client_id=books&client_secret=books-dev-secret"))).await;
        assert_eq!(told(&here.send(form(format!("token={token}"))).await), told(&wanted));
    }
    // It has audiences of its own, so nobody asks it for another.
    for parameter in ["rol=admin", "audience=urn:another"] {
        let odd = here.send(get(&format!("/forward-auth?{parameter}")).bearer(&tokens.access)).await;
        odd.assert_problem(400, "unknown_parameter");
    }
    let by_json = post("/oauth2/introspect").json(&json!({ "token": machine }));
    assert_eq!(here.send(by_json).await.json()["active"], true);

    // It knows no refresh tokens.
    let refreshing = || get("/forward-auth").header("x-refresh-token", &tokens.refresh);
    assert_eq!(there.send(refreshing()).await.status, 200);
    here.send(refreshing()).await.assert_problem(401, "authentication_required");
    let refused = here.send(form(format!("token={}", tokens.refresh))).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]), (400, &"unsupported_token_type".into()));
    let none = here.send(form(String::new())).await;
    assert_eq!((none.status.as_u16(), &none.json()["error"]), (400, &"invalid_request".into()));
    let got = here.send(get("/oauth2/introspect")).await;
    assert_eq!((got.status.as_u16(), got.header("allow")), (405, "POST"));
    here.send(get("/auth/auth-me").bearer(&tokens.access)).await.assert_problem(404, "not_found");

    assert_eq!(there.log_out(&tokens.access).await.status, 200);
    eventually("the sidecar has heard of the logout", async || {
        here.send(get("/forward-auth").bearer(&tokens.access)).await.status == 401
    })
    .await;
    here.send(get("/forward-auth").bearer(&tokens.access)).await.assert_problem(401, "token_revoked");
    assert_eq!(here.send(form(format!("token={}", tokens.access))).await.text(), "{\"active\":false}");
    let log = sidecar.log().clone();
    sidecar.stop().await;
    for secret in [&tokens.access, &tokens.refresh, &machine, "books-dev-secret"] {
        assert!(!log.text().contains(secret), "{}", log.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_service_nothing_is_decided() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let sidecar = sidecar(folder.path(), &service, &[]).start();
    let here = sidecar.client();
    ready(&here).await;
    let tokens = logged_in(&service.client()).await;
    let ask = async || here.send(get("/forward-auth").bearer(&tokens.access)).await;
    assert_eq!(ask().await.status, 200);
    service.kill().await;
    eventually("what it knows is too old", async || ask().await.status != 200).await;
    let answer = ask().await;
    answer.assert_problem(503, "dependency_unavailable");
    // One to three seconds, another for each client in turn.
    assert!(["1", "2", "3"].contains(&answer.header("retry-after")), "{answer:?}");
    let introspected = here.send(form(format!("token={}", tokens.access))).await;
    assert_eq!((introspected.status.as_u16(), introspected.header("retry-after").len()), (503, 1));
    assert_eq!(introspected.json()["error"], "temporarily_unavailable");
    // What is none of the issuer's is none of it without the issuer, too.
    assert_eq!(here.send(get("/forward-auth").bearer("no.token.atall")).await.status, 401);
    let health = here.send(get("/health/ready")).await;
    assert_eq!(
        (health.status.as_u16(), &health.json()["checks"]),
        (503, &json!({"keys": "ok", "feed": "stale"}))
    );
    assert_eq!(here.send(get("/health/live")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_before_its_issuer_and_is_not_ready_until_it_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = dev(folder.path()).start();
    let sidecar = sidecar(folder.path(), &first, &["--reach-at", "http://127.0.0.1:1"]).start();
    let here = sidecar.client();
    let health = here.send(get("/health/ready")).await;
    let nothing = json!({"keys": "unavailable", "feed": "stale"});
    assert_eq!((health.status.as_u16(), &health.json()["checks"]), (503, &nothing));
    let tokens = logged_in(&first.client()).await;
    let answer = here.send(get("/forward-auth").bearer(&tokens.access)).await;
    answer.assert_problem(503, "dependency_unavailable");
}

/// A relay that counts the bytes that clients send.
async fn counting(to: std::net::SocketAddr) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let counter = counter.clone();
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(to).await else { return };
                let ((mut asked, mut told), (mut answers, mut server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut answers, &mut told).await });
                let mut buffer = [0; 4096];
                while let Ok(read) = asked.read(&mut buffer).await
                    && read > 0
                    && server.write_all(&buffer[..read]).await.is_ok()
                {
                    counter.fetch_add(read as u64, Ordering::Relaxed);
                }
            });
        }
    });
    (format!("http://{address}"), sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_check_costs_the_issuer_a_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let (relay, sent) = counting(service.address()).await;
    let sidecar = sidecar(folder.path(), &service, &["--reach-at", &relay]).start();
    let here = sidecar.client();
    ready(&here).await;
    let mut connection = here.connect().await;
    let tokens = logged_in(&service.client()).await;
    let asked = sent.load(Ordering::Relaxed);
    assert!(asked > 0);
    for _ in 0..500 {
        let pass = connection.send(get("/forward-auth").bearer(&tokens.access)).await.expect("an answer");
        assert_eq!(pass.status, 200);
        let introspected =
            connection.send(form(format!("token={}", tokens.access))).await.expect("an answer");
        assert_eq!(introspected.json()["active"], true);
    }
    // Whatever the followers of keys and revocations sent meanwhile is far from a request for each check.
    let requests = (sent.load(Ordering::Relaxed) - asked) / 100;
    assert!(requests < 50, "{requests} requests for 1,000 checks");
}

async fn curl(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--unix-socket", "sidecar.sock"]).args(arguments).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::spawn(&mut command).outcome().await.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_on_a_socket_which_a_later_one_takes_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    let service = dev(place).start();
    let socket = place.join("sidecar.sock");
    // Left behind by one that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let at_socket = ["--listen", "unix:sidecar.sock"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
    let issuer = format!("http://{}", service.address());
    std::fs::write(place.join("secret"), "books-dev-secret").expect("a file");
    for (name, value) in [
        ("ISSUER", &*issuer),
        ("AUDIENCE", &format!("https://other.example.com,{issuer}")),
        ("CLIENT_ID", "books"),
        ("CLIENT_SECRET_FILE", "secret"),
        ("LISTEN", "unix:sidecar.sock"),
    ] {
        command.env(format!("HALLPASS_SIDECAR__{name}"), value);
    }
    command.arg("sidecar").current_dir(place);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let sidecar = Running::spawn(&mut command);
    let url = "http://localhost/health/ready";
    eventually("it is ready", async || curl(place, &[url]).await.contains("\"ready\"")).await;
    let mode = std::fs::metadata(&socket).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let tokens = logged_in(&service.client()).await;
    let bearer = format!("Authorization: Bearer {}", tokens.access);
    let headers = curl(place, &["--include", "--header", &bearer, "http://localhost/forward-auth"]).await;
    assert!(headers.starts_with("HTTP/1.1 200") && headers.contains("remote-user: 1\r\n"), "{headers}");

    let second = self::sidecar(place, &service, &at_socket).run().await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("another process does"), "{second:?}");
    sidecar.interrupt();
    let ended = sidecar.outcome().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("hallpass sidecar listens on unix:sidecar.sock"), "{ended:?}");
    assert!(!socket.exists());
}

#[tokio::test]
async fn it_does_not_start_where_others_could_ask_or_without_what_it_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("secret"), "\n").expect("a file");
    let run = async |arguments: &[&str]| {
        let all = [&["sidecar", "--audience", "a", "--client-id", "books"], arguments].concat();
        let outcome = Program::new(folder.path(), &all).run().await;
        (outcome.code, outcome.stderr)
    };
    let issuer = ["--issuer", "https://auth.example.com", "--client-secret-file", "secret"];
    let (code, said) = run(&[&issuer[..], &["--listen", "0.0.0.0:9191"]].concat()).await;
    assert!(code == Some(2) && said.contains("no loopback address"), "{said}");
    let (code, said) = run(&issuer).await;
    assert!(code == Some(1) && said.contains("secret is empty"), "{said}");
    let (code, said) = run(&["--issuer", "https://auth.example.com"]).await;
    assert!(code == Some(2) && said.contains("--client-secret-file"), "{said}");
    std::fs::write(folder.path().join("secret"), "hunter2").expect("a file");
    let (code, said) = run(&["--issuer", "http://auth.example.com", "--client-secret-file", "secret"]).await;
    assert!(code == Some(1) && said.contains("is not https") && !said.contains("hunter2"), "{said}");

    let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
    command.args(["sidecar", "--audience", "a", "--client-id", "books"]).args(issuer);
    command.env("HALLPASS_SIDECAR__MAX_STALENES", "500ms").current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let outcome = Running::spawn(&mut command).outcome().await;
    let meant = "did you mean HALLPASS_SIDECAR__MAX_STALENESS?";
    assert!(outcome.code == Some(2) && outcome.stderr.contains(meant), "{outcome:?}");
}

/// The page's commands, one block after the other, with the service and a port of this test in place of those that
/// they name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_page_work_as_they_are_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    let service = dev(place).start();
    let free = free_port();
    let blocks: Vec<String> = include_str!("../../docs/sidecar.md")
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(|block| {
            block.replace("127.0.0.1:8080", &service.address().to_string()).replace("9191", &free.to_string())
        })
        .collect();
    let [client, start, ask, introspect] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    let programs = Path::new(env!("CARGO_BIN_EXE_hallpass")).parent().expect("a folder");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let token = logged_in(&service.client()).await.access;
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(place).env("PATH", &path).env("TOKEN", &token);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::spawn(&mut command)
    };
    let made = shell(client).outcome().await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let sidecar = shell(&format!("exec {start}"));
    let here = Client::new(std::net::SocketAddr::from(([127, 0, 0, 1], free)));
    eventually("it is ready", async || {
        here.try_send(get("/health/ready")).await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
    let passed = shell(ask).outcome().await;
    assert!(passed.stdout.contains("200 OK") && passed.stdout.contains("remote-user: 1"), "{passed:?}");
    let told = shell(introspect).outcome().await;
    assert!(told.stdout.starts_with("{\"active\":true"), "{told:?}");
    sidecar.interrupt();
    assert_eq!(sidecar.outcome().await.code, Some(0));
}

#[tokio::test]
async fn it_counts_what_it_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let sidecar = sidecar(folder.path(), &service, &[]).start();
    let here = sidecar.client();
    ready(&here).await;
    let tokens = logged_in(&service.client()).await;
    assert_eq!(here.send(get("/forward-auth").bearer(&tokens.access)).await.status, 200);
    assert_eq!(here.send(get("/forward-auth").bearer("nonsense")).await.status, 401);
    let told = here.send(get("/metrics")).await;
    for line in [
        "hallpass_auth_events_total{event=\"forwardAuth\",outcome=\"success\",reason=\"\"} 1",
        "hallpass_auth_events_total{event=\"forwardAuth\",outcome=\"refused\",reason=\"invalid_token\"} 1",
        "hallpass_ready{operation=\"validate\"} 1",
        "hallpass_check{check=\"feed\"} 1",
    ] {
        assert!(told.text().lines().any(|told| told == line), "{line} is missing in\n{}", told.text());
    }
    sidecar.stop().await;
    service.stop().await;
}
