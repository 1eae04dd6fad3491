//! What the log of the real program says about requests.

use std::path::Path;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Call, PASSWORD, Tokens, get, login, post};
use crate::process::{Program, Service, dev, eventually};

/// Where the client says to be, by way of a proxy.
const ADDRESS: &str = "203.0.113.9";

struct Logging {
    service: Service,
    _folder: TempDir,
}

/// For machines, behind a proxy on this machine.
fn logging(folder: &Path) -> Program {
    dev(folder).variable("HALLPASS_LOG__FORMAT", "json").variable("HALLPASS_TRUSTED_PROXIES", "127.0.0.1")
}

impl Logging {
    fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = settings
            .iter()
            .fold(logging(folder.path()), |program, (name, value)| program.variable(name, value));
        Self { service: program.start(), _folder: folder }
    }

    /// Sends a call under a request id of its own; the log can be asked for it.
    async fn send(&self, id: &str, call: Call) -> Answer {
        let call = call.header("x-request-id", id).header("x-forwarded-for", ADDRESS);
        self.service.client().send(call).await
    }

    async fn log_in(&self, id: &str, email: &str, password: &str) -> Tokens {
        Tokens::of(&self.send(id, login(email, password)).await)
    }

    /// All lines so far that belong to a request, as they are. What was logged before an answer is in the log;
    /// for this process it is once a later line has come.
    async fn lines_of(&self, id: &str) -> Vec<String> {
        let of = format!("\"request_id\":\"{id}\"");
        self.lines().await.into_iter().filter(|line| line.contains(&of)).collect()
    }

    async fn lines(&self) -> Vec<String> {
        // This has a line unless none has.
        let log = self.service.log();
        self.send("the-end", Call::new(Method::DELETE, "/nowhere")).await;
        self.service.terminate();
        eventually("it stops", async || log.text().contains("\"stopped\"")).await;
        log.text().lines().map(str::to_owned).collect()
    }
}

/// The lines about answers, each without what every line has.
fn answers(lines: &[String]) -> Vec<Value> {
    let parsed = lines.iter().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line.as_object().is_some_and(|line| line.values().all(|v| !v.is_object() && !v.is_array())));
        line
    });
    parsed.filter(|line| line["target"] == "hallpass::requests" && line["message"] == "answered").collect()
}

#[track_caller]
fn assert_line(lines: &[String], wanted: &Value) {
    let answers = answers(lines);
    assert_eq!(answers.len(), 1, "one line: {lines:?}");
    let mut line = answers[0].clone();
    let object = line.as_object_mut().expect("an object");
    let timestamp = object.remove("timestamp").expect("a time");
    assert!(timestamp.as_str().is_some_and(|time| time.ends_with('Z')), "{timestamp}");
    let ms = object.remove("ms").expect("how long it took");
    assert!(ms.is_u64(), "{ms}");
    object.remove("email_mark");
    let mut wanted = wanted.clone();
    wanted["message"] = json!("answered");
    wanted["target"] = json!("hallpass::requests");
    assert_eq!(line, wanted);
    let text = lines.iter().find(|line| line.contains("\"answered\"")).expect("the line");
    for name in object_names(&line) {
        assert_eq!(text.matches(&format!("\"{name}\":")).count(), 1, "{name} once: {text}");
    }
}

fn object_names(line: &Value) -> Vec<String> {
    line.as_object().expect("an object").keys().cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_and_each_refusal_has_one_flat_line() {
    let all = Logging::start(&[]);
    let tokens = all.log_in("right", "johndoe@example.com", "password").await;
    all.send("wrong", login("johndoe@example.com", "nothing like it")).await;
    all.send("nobody", login("nobody@example.com", "nothing like it")).await;
    let made = all.send(
        "made",
        post("/auth/register").json(&json!({"email": "ada@example.com", "password": PASSWORD})),
    );
    let user = made.await.json()["id"].to_string();
    let ada = all.log_in("ada", "ada@example.com", PASSWORD).await;
    let refreshed =
        all.send("refreshed", post("/auth/refresh-token").header("x-refresh-token", &ada.refresh)).await;
    let ada = Tokens::of(&refreshed);
    all.send("not-for-her", get("/users?limit=1").bearer(&ada.access)).await;
    let path = format!("/users/{user}");
    let change = json!({"disabled": true});
    all.send("changed", Call::new(Method::PATCH, &path).bearer(&tokens.access).json(&change)).await;
    all.send("shut", login("ada@example.com", PASSWORD)).await;
    all.send("gone", post("/auth/logout").bearer(&ada.access)).await;
    let asked = post("/oauth2/token").header("content-type", "application/x-www-form-urlencoded");
    let secret = "grant_type=client_credentials&client_id=books&client_secret=";
    all.send("client", asked.clone().body(format!("{secret}books-dev-secret"))).await;
    all.send("no-client", asked.body(format!("{secret}wrong"))).await;
    all.send("nowhere", Call::new(Method::PUT, "/nowhere?access_token=secret")).await;
    all.send("method", Call::new(Method::PUT, "/auth/login")).await;

    let lines = all.lines().await;
    let of = |id: &str| -> Vec<String> {
        let id = format!("\"request_id\":\"{id}\"");
        lines.iter().filter(|line| line.contains(&id)).cloned().collect()
    };
    let expect =
        |id: &str, request: (&str, &str, &str), status: u16, code: Option<&str>, account: Option<&str>| {
            let (operation, method, path) = request;
            let mut line = json!({"level": "INFO", "request_id": id, "operation": operation, "method": method,
            "path": path, "status": status, "address": ADDRESS});
            let object = line.as_object_mut().expect("an object");
            for (name, value) in [("code", code), ("account", account)] {
                if let Some(value) = value {
                    object.insert(name.to_owned(), json!(value));
                }
            }
            if operation.is_empty() {
                object.remove("operation");
            }
            if id == "client" {
                object.insert("client".to_owned(), json!("books"));
            }
            assert_line(&of(id), &line);
        };
    let log_in = ("login", "POST", "/auth/login");
    let users = ("listUsers", "GET", "/users");
    let token = ("createToken", "POST", "/oauth2/token");
    expect("right", log_in, 200, None, Some("1"));
    expect("wrong", log_in, 401, Some("invalid_credentials"), Some("1"));
    expect("nobody", log_in, 401, Some("invalid_credentials"), None);
    expect("made", ("register", "POST", "/auth/register"), 201, None, Some(&user));
    expect("refreshed", ("refreshToken", "POST", "/auth/refresh-token"), 200, None, Some(&user));
    expect("not-for-her", users, 403, Some("forbidden"), Some(&user));
    // Whoever does it, not whom it is done to.
    expect("changed", ("updateUser", "PATCH", "/users/{id}"), 200, None, Some("1"));
    expect("shut", log_in, 403, Some("account_disabled"), Some(&user));
    expect("gone", ("logout", "POST", "/auth/logout"), 401, Some("token_revoked"), Some(&user));
    expect("client", token, 200, None, None);
    expect("no-client", token, 401, Some("invalid_client"), None);
    expect("nowhere", ("", "PUT", "/nowhere"), 404, Some("not_found"), None);
    expect("method", ("", "PUT", "/auth/login"), 405, Some("method_not_allowed"), None);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("account changed") && line.contains("\"request_id\":\"changed\""))
    );
    assert!(!lines.iter().any(|line| line.contains("access_token=")), "a query is logged");
}

/// Validations, health checks and whatever is merely looked at, under ids that begin with `quiet`.
async fn ask_quietly(all: &Logging, tokens: &Tokens) {
    let asked = post("/oauth2/introspect").header("content-type", "application/x-www-form-urlencoded");
    let form = format!("client_id=books&client_secret=books-dev-secret&token={}", tokens.access);
    for (id, call, status) in [
        ("quiet-me", get("/auth/auth-me").bearer(&tokens.access), 200),
        ("quiet-me-post", post("/auth/auth-me").bearer(&tokens.access), 200),
        ("quiet-me-none", get("/auth/auth-me"), 401),
        ("quiet-proxy", post("/forward-auth/books/7").bearer(&tokens.access), 200),
        ("quiet-proxy-junk", get("/forward-auth").bearer("junk"), 401),
        ("quiet-introspect", asked.body(form), 200),
        ("quiet-keys", get("/.well-known/jwks.json"), 200),
        ("quiet-metadata", get("/.well-known/openid-configuration"), 200),
        ("quiet-live", get("/health/live"), 200),
        ("quiet-livez", get("/livez"), 200),
        ("quiet-ready", get("/health/ready"), 200),
        ("quiet-list", get("/users").bearer(&tokens.access), 200),
        ("quiet-docs", get("/docs"), 200),
        (
            "quiet-preflight",
            Call::new(Method::OPTIONS, "/auth/login")
                .header("origin", "http://localhost:1")
                .header("access-control-request-method", "POST"),
            204,
        ),
    ] {
        assert_eq!(all.send(id, call).await.status, StatusCode::from_u16(status).expect("a status"), "{id}");
    }
}

const QUIET: usize = 14;

fn quiet(lines: &[String]) -> Vec<Value> {
    let is_quiet = |line: &Value| line["request_id"].as_str().is_some_and(|id| id.starts_with("quiet"));
    answers(lines).into_iter().filter(is_quiet).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validations_and_health_checks_have_no_line_unless_they_fail() {
    let all = Logging::start(&[]);
    let tokens = all.log_in("right", "johndoe@example.com", "password").await;
    ask_quietly(&all, &tokens).await;
    all.send("bad", get("/forward-auth?role=king").bearer(&tokens.access)).await;
    let asked = post("/oauth2/introspect").header("content-type", "application/x-www-form-urlencoded");
    all.send("guessed", asked.body("client_id=books&client_secret=wrong&token=x")).await;
    all.send("not-there", get("/health/nowhere")).await;
    let lines = all.lines().await;
    assert_eq!(quiet(&lines), Vec::<Value>::new());
    let told: Vec<_> =
        answers(&lines).into_iter().map(|line| (line["request_id"].clone(), line["code"].clone())).collect();
    let told: Vec<_> = told.iter().map(|(id, code)| (id.as_str().expect("an id"), code.as_str())).collect();
    assert_eq!(
        told,
        [
            ("right", None),
            ("bad", Some("invalid_request")),
            ("guessed", Some("invalid_client")),
            ("not-there", Some("not_found")),
            ("the-end", Some("not_found")),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_them_gets_the_other_lines_at_debug() {
    let all = Logging::start(&[("HALLPASS_LOG__LEVEL", "info,hallpass::requests=debug")]);
    let tokens = all.log_in("right", "johndoe@example.com", "password").await;
    ask_quietly(&all, &tokens).await;
    let lines = all.service.log().clone();
    eventually("all have a line", async || quiet(&lines_of(&lines.text())).len() == QUIET).await;
    assert!(quiet(&lines_of(&lines.text())).iter().all(|line| line["level"] == "DEBUG"), "{}", lines.text());
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_requests_have_a_line_or_none_has() {
    let all = Logging::start(&[("HALLPASS_LOG__REQUESTS", "all")]);
    let tokens = all.log_in("right", "johndoe@example.com", "password").await;
    ask_quietly(&all, &tokens).await;
    let lines = all.lines().await;
    let told = quiet(&lines);
    assert_eq!(told.len(), QUIET, "{told:?}");
    assert!(told.iter().all(|line| line["level"] == "INFO"), "{told:?}");
    let proxy = told.iter().find(|line| line["request_id"] == "quiet-proxy").expect("a line");
    assert_eq!((&proxy["operation"], &proxy["path"]), (&json!("forwardAuth"), &json!("/forward-auth")));
    assert_eq!(proxy["account"], "1");

    let off = Logging::start(&[("HALLPASS_LOG__REQUESTS", "off"), ("HALLPASS_LOG__LEVEL", "debug")]);
    let tokens = off.log_in("right", "johndoe@example.com", "password").await;
    off.send("wrong", login("johndoe@example.com", "nothing like it")).await;
    ask_quietly(&off, &tokens).await;
    let lines = off.lines().await;
    assert_eq!(answers(&lines), Vec::<Value>::new());
    let refused = lines.iter().any(|line| line.contains("request refused") && line.contains("\"wrong\""));
    assert!(refused, "what else happens is logged as ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_limited_is_named() {
    let all = Logging::start(&[("HALLPASS_RATE_LIMITS__LOGIN__PER_ACCOUNT", "3/1h")]);
    all.log_in("right", "johndoe@example.com", "password").await;
    for id in ["first", "second"] {
        all.send(id, login("johndoe@example.com", "nothing like it")).await;
    }
    let lines = all.lines().await;
    let parsed = |needle: &str| -> Vec<Value> {
        let found = lines.iter().filter(|line| line.contains(needle));
        found.map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let limited = parsed("\"rate limited\"");
    assert_eq!(limited.len(), 1, "{lines:?}");
    let line = &limited[0];
    assert_eq!(line["limit"], "login.per_account");
    assert_eq!((&line["operation"], &line["path"]), (&json!("login"), &json!("/auth/login")));
    assert_eq!((&line["address"], &line["request_id"]), (&json!(ADDRESS), &json!("second")));
    // Whether there is such an account is not asked of a database that guesses must not reach; the same mark
    // stands beside the account where somebody was let in.
    let let_in = answers(&lines).into_iter().find(|line| line["request_id"] == "right").expect("a line");
    assert_eq!(let_in["account"], "1");
    let mark = line["email_mark"].as_str().expect("a mark");
    assert!(mark.len() >= 16 && let_in["email_mark"] == mark, "{let_in} {line}");
    let refused = answers(&lines).into_iter().find(|line| line["request_id"] == "second").expect("a line");
    assert_eq!((&refused["status"], &refused["code"]), (&json!(429), &json!("rate_limited")));
    assert!(!lines.iter().any(|line| line.contains("johndoe@")), "an e-mail address is logged");
}

/// A caller who is logged in is named by the account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_limited_and_known_is_named_by_the_account() {
    let all = Logging::start(&[("HALLPASS_RATE_LIMITS__LOGIN__PER_ACCOUNT", "3/1h")]);
    let tokens = all.log_in("right", "johndoe@example.com", "password").await;
    let change = json!({"currentPassword": "nothing like it", "newPassword": PASSWORD});
    for id in ["first", "second"] {
        all.send(id, post("/auth/change-password").bearer(&tokens.access).json(&change)).await;
    }
    let lines = all.lines_of("second").await;
    let limited: Vec<Value> = lines
        .iter()
        .filter(|line| line.contains("\"rate limited\""))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(limited.len(), 1, "{lines:?}");
    assert_eq!(limited[0]["account"], "1");
    assert_eq!(limited[0]["operation"], "changePassword");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_says_where_clients_are_when_none_shall() {
    for address in ["true", "false"] {
        let all = Logging::start(&[
            ("HALLPASS_LOG__CLIENT_ADDRESS", address),
            ("HALLPASS_LOG__REQUESTS", "all"),
            ("HALLPASS_LOG__LEVEL", "trace"),
            ("HALLPASS_RATE_LIMITS__LOGIN__PER_IP", "3/1h"),
        ]);
        let tokens = all.log_in("right", "johndoe@example.com", "password").await;
        for id in ["first", "second", "third", "fourth"] {
            all.send(id, login("johndoe@example.com", "nothing like it")).await;
        }
        ask_quietly(&all, &tokens).await;
        // Said by a peer that is not believed: a warning of its own.
        let elsewhere = all.service.client().at("127.0.0.2".parse().expect("an address"));
        elsewhere.send(get("/users/me").header("x-forwarded-for", ADDRESS)).await;
        let lines = all.lines().await;
        assert!(lines.iter().any(|line| line.contains("\"rate limited\"")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("by a peer that is no trusted proxy")), "{lines:?}");
        let told = lines.iter().filter(|line| line.contains(ADDRESS) || line.contains("127.0.0.2")).count();
        match address {
            "true" => assert!(told > 10, "{lines:?}"),
            _ => assert_eq!(told, 0, "{lines:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_for_people_is_as_flat() {
    let all = Logging::start(&[("HALLPASS_LOG__FORMAT", "pretty")]);
    all.log_in("right", "johndoe@example.com", "password").await;
    let log = all.service.log();
    eventually("it has a line", async || log.text().contains("answered status=200")).await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains("answered")).expect("a line");
    let wanted = format!(
        "request_id=\"right\" operation=\"login\" method=\"POST\" path=\"/auth/login\" address={ADDRESS} email_mark="
    );
    assert!(
        line.contains(" INFO hallpass::requests: answered status=200 ms=") && line.contains(&wanted),
        "{line}"
    );
    assert!(line.ends_with(" account=1"), "{line}");
}

#[tokio::test]
async fn all_lines_about_a_request_name_the_trace_that_it_belongs_to() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let service = Logging::start(&[]);
    let traced = |given: String| login("johndoe@example.com", "password").header("traceparent", given);
    service.send("traced", traced(format!("00-{TRACE}-00f067aa0ba902b7-01"))).await;
    let refused = login("nobody@example.com", PASSWORD).header("traceparent", format!("00-{TRACE}-0-01"));
    service.send("malformed", refused).await;
    let lines = service.lines().await;
    let of = |id: &str| {
        let of = format!("\"request_id\":\"{id}\"");
        lines.iter().filter(move |line| line.contains(&of)).collect::<Vec<_>>()
    };
    let named = format!("\"trace_id\":\"{TRACE}\"");
    assert!(!of("traced").is_empty() && of("traced").iter().all(|line| line.contains(&named)), "{lines:?}");
    assert!(!of("malformed").is_empty(), "{lines:?}");
    assert!(!of("malformed").iter().any(|line| line.contains("trace_id")), "{lines:?}");
}
