//! Bodies that cannot be taken, at every operation that takes JSON: a clear refusal of the right
//! kind that repeats nothing of what was sent, and nothing is changed by it.

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::client::{Answer, Call, Client, PASSWORD, Tokens, login, post};
use crate::process::{Service, dev};

/// Stands in every request that is refused here; no answer may hold it.
const MARKER: &str = "mArKeR7f3a";

/// Words of parsers and of Rust, which an answer has no business to hold.
const INNER_WORDS: [&str; 10] =
    [" column ", "line 1", "expected", "serde", "poem", "panic", "::", "Option<", "Request {", "Dto"];

/// An operation that takes JSON.
struct Operation {
    method: Method,
    path: &'static str,
    /// A body that it would take, unless the tokens in it were made up.
    body: Value,
    /// Fields that must be there.
    required: &'static [&'static str],
    /// Fields that may be left out.
    optional: &'static [&'static str],
    /// How a malformed body is answered.
    malformed: (u16, &'static str),
    /// How no body at all, or `null`, is answered.
    absent: (u16, &'static str),
    /// The access token that goes with it.
    access: Option<String>,
}

const INVALID: (u16, &str) = (400, "invalid_request");
const NO_JSON: (u16, &str) = (415, "unsupported_media_type");
const TOO_LARGE: (u16, &str) = (413, "payload_too_large");

/// A service, an account with a session, and all that a request could change of it.
struct Scene {
    _folder: tempfile::TempDir,
    service: Service,
    client: Client,
    tokens: Tokens,
    reset_token: String,
}

const EMAIL: &str = "ada@example.com";
const FREE_EMAIL: &str = "free@example.com";
const NEW_PASSWORD: &str = "a better one this time";

impl Scene {
    async fn set() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Without a grace period a refresh token that was redeemed by accident is noticed.
        let service =
            dev(folder.path()).variable("HALLPASS_TOKENS__REFRESH__ROTATION_GRACE_PERIOD", "0s").start();
        let client = service.client();
        let tokens = client.logged_in(EMAIL).await;
        let reset = client.send(post("/auth/reset-password-request").json(&json!({ "email": EMAIL }))).await;
        let reset_token = reset.json()["passwordResetToken"].as_str().expect("a token").to_owned();
        Self { _folder: folder, service, client, tokens, reset_token }
    }

    fn operations(&self) -> Vec<Operation> {
        let access = || Some(self.tokens.access.clone());
        let post = |path, body| Operation {
            method: Method::POST,
            path,
            body,
            required: &[],
            optional: &[],
            malformed: INVALID,
            absent: INVALID,
            access: None,
        };
        let unauthenticated = (401, "authentication_required");
        let refused = (401, "invalid_credentials");
        vec![
            Operation {
                required: &["email", "password"],
                optional: &["first_name", "last_name"],
                ..post(
                    "/auth/register",
                    json!({ "email": FREE_EMAIL, "password": PASSWORD, "first_name": "Ada", "last_name": "L" }),
                )
            },
            Operation {
                required: &["email", "password"],
                malformed: refused,
                absent: refused,
                ..post("/auth/login", json!({ "email": EMAIL, "password": PASSWORD }))
            },
            Operation {
                required: &["refreshToken"],
                absent: unauthenticated,
                ..post("/auth/refresh-token", json!({ "refreshToken": self.tokens.refresh }))
            },
            Operation {
                optional: &["refreshToken"],
                absent: unauthenticated,
                ..post("/auth/logout", json!({ "refreshToken": self.tokens.refresh }))
            },
            Operation {
                required: &["email"],
                ..post("/auth/reset-password-request", json!({ "email": EMAIL }))
            },
            Operation {
                required: &["resetToken", "newPassword"],
                ..post(
                    "/auth/reset-password",
                    json!({ "resetToken": self.reset_token, "newPassword": NEW_PASSWORD }),
                )
            },
            Operation {
                required: &["currentPassword", "newPassword"],
                access: access(),
                ..post(
                    "/auth/change-password",
                    json!({ "currentPassword": PASSWORD, "newPassword": NEW_PASSWORD }),
                )
            },
            Operation {
                method: Method::PATCH,
                optional: &["first_name", "last_name"],
                access: access(),
                ..post("/users/me", json!({ "first_name": "Changed", "last_name": "Changed" }))
            },
        ]
    }

    /// Fails unless everything is as it was before the malformed requests.
    async fn assert_unchanged(&self) {
        let Self { client, tokens, .. } = self;
        let me = client.auth_me(&tokens.access).await;
        assert_eq!(me.status, StatusCode::OK, "the session lives: {me:?}");
        assert_eq!(me.json()["user"]["first_name"], Value::Null, "{me:?}");
        client.log_in(EMAIL).await;
        let refreshed = client.refresh(&tokens.refresh).await;
        assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
        let reset = json!({ "resetToken": self.reset_token, "newPassword": NEW_PASSWORD });
        let reset = client.send(post("/auth/reset-password").json(&reset)).await;
        assert_eq!(reset.status, StatusCode::OK, "the reset token is as good as new: {reset:?}");
        let registered = client.register(FREE_EMAIL).await;
        assert_eq!(registered.status, StatusCode::CREATED, "the address is still free: {registered:?}");
        let log = self.service.log().text();
        assert!(!log.contains(MARKER) && !log.contains("panicked"), "{log}");
    }
}

impl Operation {
    fn call(&self) -> Call {
        let call = Call::new(self.method.clone(), self.path);
        match &self.access {
            Some(access) => call.bearer(access),
            None => call,
        }
    }

    fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.required.iter().chain(self.optional).copied()
    }

    /// Whether fields that are not known are refused: where something changes they are.
    fn is_exact(&self) -> bool {
        !matches!(self.path, "/auth/register" | "/auth/login" | "/auth/refresh-token")
    }

    /// The good body; with one more field where such are ignored, which must not come back.
    fn good(&self) -> Map<String, Value> {
        match self.is_exact() {
            true => self.body.as_object().expect("an object").clone(),
            false => self.marked(),
        }
    }

    /// The good body with one more field, which must not come back.
    fn marked(&self) -> Map<String, Value> {
        let mut body = self.body.as_object().expect("an object").clone();
        body.insert(MARKER.to_owned(), MARKER.into());
        body
    }

    /// The good body with another value in a field.
    fn with(&self, field: &str, value: Value) -> Bytes {
        let mut body = self.good();
        body.insert(field.to_owned(), value);
        Value::Object(body).to_string().into()
    }

    /// Sends a body as JSON and looks at the refusal.
    async fn refuses(&self, client: &Client, body: impl Into<Bytes>, expected: (u16, &str)) -> Answer {
        let call = self.call().header("content-type", "application/json");
        self.refuses_call(client, call.body(body), expected).await
    }

    async fn refuses_call(&self, client: &Client, call: Call, expected: (u16, &str)) -> Answer {
        let answer = client.send(call.clone()).await;
        let said = || {
            let call: String = format!("{call:?}").chars().take(500).collect();
            format!("{} {call}: {answer:?}", self.path)
        };
        let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.status.as_u16(), code.as_str()), expected, "{}", said());
        answer.assert_problem(expected.0, expected.1);
        assert!(!format!("{:?}{}", answer.headers, answer.text()).contains(MARKER), "echo: {}", said());
        for word in INNER_WORDS {
            assert!(!answer.text().contains(word), "{word:?}: {}", said());
        }
        answer
    }
}

#[tokio::test]
async fn what_is_no_json_is_refused_and_changes_nothing() {
    let scene = Scene::set().await;
    for operation in scene.operations() {
        let good = Value::Object(operation.marked()).to_string();
        let deep = |levels: usize| format!("{{\"{MARKER}\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        let bodies: Vec<Bytes> = vec![
            Bytes::from_static(b" "),
            "{".into(),
            MARKER.into(),
            format!("{good}{MARKER}").into(),
            format!("{good}{good}").into(),
            good[..good.len() - 1].to_owned().into(),
            good.replace('"', "'").into(),
            good.replace('}', ",}").into(),
            format!("{}\n{MARKER}", "// a comment").into(),
            [good.as_bytes(), b"\0"].concat().into(),
            good.replace(MARKER, &format!("{MARKER}\n")).into(),
            good.replace(MARKER, &format!("{MARKER}\\ud800")).into(),
            [b"{\"", MARKER.as_bytes(), b"\":\"\xff\xfe\"}"].concat().into(),
            good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().into(),
            format!("{{\"{MARKER}\":1e999}}").into(),
            deep(20).into(),
            deep(10_000).into(),
        ];
        for body in bodies {
            operation.refuses(&scene.client, body, operation.malformed).await;
        }
        // Not read at all.
        let marked = format!("\u{feff}{good}");
        operation.refuses(&scene.client, marked, (415, "unsupported_media_type")).await;
    }
    scene.assert_unchanged().await;
    scene.service.stop().await;
}

#[tokio::test]
async fn equal_keys_are_refused_and_change_nothing() {
    let scene = Scene::set().await;
    for operation in scene.operations() {
        let good = operation.marked();
        let rest = |body: &Map<String, Value>| Value::Object(body.clone()).to_string()[1..].to_owned();
        for field in operation.fields() {
            for body in [
                format!("{{\"{field}\":{},{}", good[field], rest(&good)),
                format!("{{\"{field}\":\"{MARKER}\",{}", rest(&good)),
                format!("{{\"\\u{:04x}{}\":\"x\",{}", field.as_bytes()[0], &field[1..], rest(&good)),
            ] {
                operation.refuses(&scene.client, body, operation.malformed).await;
            }
        }
        let elsewhere = format!("{{\"x\":{{\"{MARKER}\":1,\"{MARKER}\":2}},{}", rest(&good));
        operation.refuses(&scene.client, elsewhere, operation.malformed).await;
    }
    scene.assert_unchanged().await;
    scene.service.stop().await;
}

#[tokio::test]
async fn wrong_and_missing_values_are_refused_by_the_name_of_their_field() {
    let scene = Scene::set().await;
    for operation in scene.operations() {
        for whole in ["[]", "7", "true", "\"mArKeR7f3a\"", "[\"mArKeR7f3a\", \"mArKeR7f3a\"]", "[null]"] {
            operation.refuses(&scene.client, whole, operation.malformed).await;
        }
        operation.refuses(&scene.client, "null", operation.absent).await;
        for field in operation.fields() {
            let mut values =
                vec![json!(7), json!(-1.5), json!(true), json!([MARKER]), json!({ MARKER: MARKER })];
            if operation.required.contains(&field) && operation.path != "/auth/refresh-token" {
                values.push(Value::Null);
            }
            for value in values {
                let body = operation.with(field, value);
                let answer = operation.refuses(&scene.client, body, operation.malformed).await;
                if operation.malformed == INVALID {
                    let problem = json!([{ "field": field, "detail": "must be a string" }]);
                    assert_eq!(answer.json()["errors"], problem, "{answer:?}");
                }
            }
        }
        for field in operation.required {
            let mut body = operation.good();
            body.remove(*field);
            let body = Value::Object(body).to_string();
            let answer = operation.refuses(&scene.client, body, operation.malformed).await;
            if operation.malformed == INVALID {
                let problem = json!([{ "field": field, "detail": "is missing" }]);
                assert_eq!(answer.json()["errors"], problem, "{answer:?}");
            }
        }
    }
    scene.assert_unchanged().await;
    scene.service.stop().await;
}

#[tokio::test]
async fn fields_that_are_not_known_are_refused_where_something_changes() {
    let scene = Scene::set().await;
    for operation in scene.operations().into_iter().filter(Operation::is_exact) {
        for name in [MARKER, "__proto__", "", "\u{0}", &MARKER.repeat(1_000)] {
            let body = operation.with(name, json!({ MARKER: [MARKER] }));
            let answer = operation.refuses(&scene.client, body, INVALID).await;
            let nearest = answer.json()["errors"][0]["field"].as_str().expect("a name").to_owned();
            let is_known = operation.fields().any(|field| field == nearest) || nearest == "refresh_token";
            assert!(is_known, "{answer:?}");
        }
    }
    scene.assert_unchanged().await;
    scene.service.stop().await;
}

#[tokio::test]
async fn bodies_of_another_kind_or_size_are_refused_and_change_nothing() {
    let scene = Scene::set().await;
    for operation in scene.operations() {
        let good = Value::Object(operation.marked()).to_string();
        for kind in [
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/problem+json",
            "application/json, text/plain",
            MARKER,
            "",
            "\u{e9}",
        ] {
            let call = operation.call().header("content-type", kind).body(good.clone());
            operation.refuses_call(&scene.client, call, NO_JSON).await;
        }
        operation.refuses_call(&scene.client, operation.call().body(good.clone()), NO_JSON).await;
        let form = operation.call().header("content-type", "application/x-www-form-urlencoded");
        operation.refuses_call(&scene.client, form.body(format!("email={MARKER}")), NO_JSON).await;

        let padded = operation.with(MARKER, "x".repeat(64 * 1024).into());
        operation.refuses(&scene.client, padded.clone(), TOO_LARGE).await;
        operation.refuses(&scene.client, vec![b' '; 1024 * 1024], TOO_LARGE).await;
        let undeclared = operation.call().header("content-type", "application/json");
        let undeclared = undeclared.header("transfer-encoding", "chunked");
        operation.refuses_call(&scene.client, undeclared.body(padded), TOO_LARGE).await;

        let empty = operation.call().header("content-type", "application/json");
        let optional = operation.absent.1 == "authentication_required";
        let expected = if optional { operation.absent } else { operation.malformed };
        operation.refuses_call(&scene.client, empty, expected).await;
        let expected = if optional { operation.absent } else { NO_JSON };
        operation.refuses_call(&scene.client, operation.call(), expected).await;
    }
    scene.assert_unchanged().await;
    scene.service.stop().await;
}

/// Texts that are no e-mail address, each with the marker in it.
fn bad_emails() -> Vec<String> {
    let long = "a".repeat(250);
    [
        "",
        " ",
        "@",
        "a@",
        "@b",
        "a b@example.com",
        "a@b@example.com",
        "a\0@example.com",
        "a\n@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a\u{7f}@example.com",
        "a\u{85}@example.com",
        "a@exa\u{0}mple.com",
        "Ada <a@example.com>",
        "a@example..com",
        ".a@example.com",
        "a@-example.com",
        "a@example.com,",
        "😀",
        "a@😀 .com",
        "a @example.com",
        "a@ example.com",
        "\u{202e}a@example.com\u{200b} x",
    ]
    .into_iter()
    .map(|email| if email.is_empty() { String::new() } else { email.replacen('a', &format!("a{MARKER}"), 1) })
    .chain([format!("{MARKER}{long}@example.com"), format!("{MARKER}@{long}.com")])
    .collect()
}

/// Texts that are no name.
fn bad_names() -> Vec<String> {
    let control = ["\0", "\n", "\r\n", "\t", "\u{1b}[31m", "\u{7f}", "\u{85}"];
    let control = control.iter().map(|c| format!("{MARKER}{c}{MARKER}"));
    control.chain(["é".repeat(101), format!("{MARKER}{}", "😀".repeat(100))]).collect()
}

#[tokio::test]
async fn texts_that_cannot_be_taken_are_refused_by_the_name_of_their_field() {
    let scene = Scene::set().await;
    for operation in scene.operations() {
        let mut cases: Vec<(&str, Vec<String>, &str)> = Vec::new();
        if operation.path == "/auth/register" {
            cases.push(("email", bad_emails(), "invalid_request"));
            let passwords = vec![
                String::new(),
                "short".into(),
                "😀😀😀😀😀😀😀".into(),
                "x".repeat(1025),
                "password".into(),
                FREE_EMAIL.into(),
            ];
            cases.push(("password", passwords, "weak_password"));
        }
        if operation.optional.contains(&"first_name") {
            cases.push(("first_name", bad_names(), "invalid_request"));
            cases.push(("last_name", bad_names(), "invalid_request"));
        }
        if operation.required.contains(&"newPassword") {
            let passwords =
                vec![String::new(), "short".into(), "y".repeat(1025), "iloveyou".into(), EMAIL.into()];
            cases.push(("newPassword", passwords, "weak_password"));
        }
        for (field, texts, code) in cases {
            for text in texts {
                let body = operation.with(field, text.into());
                let answer = operation.refuses(&scene.client, body, (400, code)).await;
                assert_eq!(answer.json()["errors"][0]["field"], field, "{answer:?}");
            }
        }
    }
    scene.assert_unchanged().await;
    scene.service.stop().await;
}

#[tokio::test]
async fn addresses_that_no_account_can_have_are_like_any_unknown_one() {
    let scene = Scene::set().await;
    let unknown = "nobody@example.com".to_owned();
    let mut answers = Vec::new();
    for email in bad_emails().into_iter().chain([unknown]) {
        let answer = scene.client.send(login(&email, PASSWORD)).await;
        answer.assert_problem(401, "invalid_credentials");
        answers.push(answer.text().to_owned());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let long = scene.client.send(login(EMAIL, &"x".repeat(1025))).await;
    long.assert_problem(401, "invalid_credentials");
    scene.assert_unchanged().await;
    scene.service.stop().await;
}

#[tokio::test]
async fn text_in_any_script_is_taken_as_it_is() {
    let scene = Scene::set().await;
    let password = "😀 пароль – 密碼 \u{0}\u{7}";
    let account =
        json!({ "email": FREE_EMAIL, "password": password, "first_name": "😀 Ада", "last_name": "愛" });
    let registered = scene.client.send(post("/auth/register").json(&account)).await;
    assert_eq!(registered.status, StatusCode::CREATED, "{registered:?}");
    assert_eq!(registered.json()["first_name"], "😀 Ада");
    assert_eq!(registered.json()["last_name"], "愛");
    let logged_in = scene.client.send(login(FREE_EMAIL, password)).await;
    assert_eq!(logged_in.status, StatusCode::OK, "{logged_in:?}");
    let cut = scene.client.send(login(FREE_EMAIL, password.trim_end_matches('\u{7}'))).await;
    cut.assert_problem(401, "invalid_credentials");
    scene.service.stop().await;
}
