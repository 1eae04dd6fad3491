//! Pages of other origins, in browsers: what they may read, and what strangers' pages get.

use poem::http::Method;
use serde_json::json;

use crate::support::{Actor, Answer, MINUTE, Request, TestApp, on_both_flavours};

on_both_flavours! {
    a_page_reads_every_answer_whatever_its_status,
    a_preflight_costs_nothing_and_opens_nothing,
}

const APP: &str = "https://app.example.com";

const EXPOSED: &str = "X-Access-Token, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Link, X-Total-Count, ETag, WWW-Authenticate";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, X-Refresh-Token, X-Access-Token, Hallpass-Mode, \
    If-None-Match, Last-Event-ID, X-Request-Id, traceparent";

/// Everything that CORS knows of.
const HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// A service in production with those origins.
async fn with(origins: &str) -> TestApp {
    TestApp::set(&[&format!("cors.origins={origins}")]).await.in_production().await
}

impl TestApp {
    async fn in_production(&self) -> Self {
        self.another_instance(|settings| settings.profile = hallpass::config::Profile::Serve).await
    }
}

fn preflight(app: &TestApp, path: &str, origin: &str) -> Request {
    app.anonymous()
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,authorization")
}

#[track_caller]
fn assert_readable(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{answer:?}");
    assert_eq!(answer.header("access-control-expose-headers"), Some(EXPOSED), "{answer:?}");
    assert_varies(answer);
}

/// The answer that everybody gets.
#[track_caller]
fn assert_says_nothing(answer: &Answer) {
    for name in HEADERS {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
}

#[track_caller]
fn assert_varies(answer: &Answer) {
    let vary = answer.header("vary").unwrap_or_default();
    assert!(vary.split(", ").any(|name| name == "Origin"), "{answer:?}");
}

#[track_caller]
fn assert_allowed(answer: &Answer, origin: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (204, ""), "{answer:?}");
    let [allowed, credentials, methods, headers, exposed, max_age] = HEADERS.map(|name| answer.header(name));
    assert_eq!(
        (allowed, methods, headers),
        (Some(origin), Some(METHODS), Some(REQUEST_HEADERS)),
        "{answer:?}"
    );
    assert_eq!((exposed, max_age), (None, Some("7200")), "{answer:?}");
    assert_eq!(credentials, (origin != "*").then_some("true"), "{answer:?}");
    for name in ["www-authenticate", "ratelimit", "ratelimit-policy", "allow"] {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
}

/// With 200, 201, 4xx, 429, 503, in whatever shape, and by whatever path.
async fn a_page_reads_every_answer_whatever_its_status(app: TestApp) {
    let app = app
        .another_instance(|settings| {
            let origin = hallpass::domain::web_origin::WebOrigin::parse(APP).expect("an origin");
            settings.cors.origins = hallpass::config::CorsOrigins::Listed(vec![origin]);
            settings.rate_limits.login.per_ip =
                Some(hallpass::domain::rate_limit::Rate::new(1, MINUTE).expect("a rate"));
        })
        .await;
    let ada = app.member("ada").await;
    let login = |password: &str| {
        let body = json!({"email": ada.email, "password": password});
        app.anonymous().post("/auth/login").sent_from("192.0.2.7").json(&body)
    };
    let requests: Vec<(Request, u16)> = vec![
        (login(&ada.password), 200),
        (login("wrong"), 401),
        (login("wrong"), 429),
        (ada.get("/users/me"), 200),
        (ada.get("/users"), 403),
        (ada.get("/users?limit=0"), 400),
        (ada.get("/nowhere"), 404),
        (ada.delete("/users/me"), 405),
        (app.anonymous().post("/auth/login").text("text/plain", "x"), 415),
        (app.anonymous().post("/oauth2/token"), 400),
        (app.anonymous().get("/me"), 401),
        (app.anonymous().get("/docs"), 200),
        (app.anonymous().get("/forward-auth/books"), 401),
        (app.anonymous().request(Method::OPTIONS, "/auth/login"), 405),
    ];
    for (request, status) in requests {
        let answer = request.header("origin", APP).send().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_readable(&answer, APP);
    }
    // What is read thanks to that.
    let limited = login("wrong").header("origin", APP).send().await;
    limited.assert_refused(429, "rate_limited");
    assert!(limited.header("ratelimit").is_some(), "{limited:?}");
    let renewed =
        app.anonymous().get("/users/me").refresh(&ada.tokens.refresh).header("origin", APP).send().await;
    assert!(renewed.header("x-access-token").is_some(), "{renewed:?}");
    assert_readable(&renewed, APP);
}

#[tokio::test]
async fn a_page_reads_that_the_service_cannot_tell() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    app.redis().kill();
    let answer = ada.get("/users/me").header("origin", "http://localhost:5173").send().await;
    answer.assert_refused(503, "dependency_unavailable");
    assert_readable(&answer, "http://localhost:5173");
}

#[tokio::test]
async fn strangers_get_the_same_answers_without_a_word_about_it() {
    let app = with(APP).await;
    let ada = app.member("ada").await;
    let without = ada.get("/users/me").send().await;
    assert_says_nothing(&without);
    assert_varies(&without);
    for stranger in [
        "https://evil.example",
        "null",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://APP.example.com",
        "http://localhost:5173",
        "",
    ] {
        let answer = ada.get("/users/me").header("origin", stranger).send().await;
        assert_says_nothing(&answer);
        assert_varies(&answer);
        assert_eq!(answer.json(200), without.json(200));
        let asked = preflight(&app, "/users/me", stranger).send().await;
        assert_eq!((asked.status, asked.text().as_str()), (204, ""), "{asked:?}");
        assert_says_nothing(&asked);
        assert_varies(&asked);
    }
}

/// It is answered before any limit is charged and any store asked, for paths that there are and others.
async fn a_preflight_costs_nothing_and_opens_nothing(app: TestApp) {
    const PAGE: &str = "http://localhost:5173";
    let ada = app.member("ada").await;
    for path in ["/auth/login", "/users/me", "/oauth2/token", "/access-tokens", "/nowhere", "/", "/docs"] {
        for _ in 0..50 {
            assert_allowed(&preflight(&app, path, PAGE).sent_from("192.0.2.7").send().await, PAGE);
        }
    }
    // Whatever else it carries is not looked at.
    let odd = preflight(&app, "/auth/logout?x=1", PAGE).access("junk").json(&json!({"x": 1}));
    assert_allowed(&odd.send().await, PAGE);
    assert_allowed(&preflight(&app, "/auth/logout", PAGE).access(&ada.tokens.access).send().await, PAGE);
    ada.assert_lives().await;
    // A proxy would take 204 for a yes.
    for path in ["/forward-auth", "/forward-auth/", "/forward-auth/books?q=1"] {
        let answer = preflight(&app, path, PAGE).send().await;
        answer.assert_refused(401, "authentication_required");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_though_no_store_answers() {
    let app = TestApp::on_redis_and_postgres().await;
    app.redis().kill();
    let answer = preflight(&app, "/auth/login", "http://localhost:5173").send().await;
    assert_allowed(&answer, "http://localhost:5173");
}

#[tokio::test]
async fn where_nothing_is_set_no_page_elsewhere_reads_anything() {
    let app = TestApp::spawn().await.in_production().await;
    let ada = app.member("ada").await;
    for origin in [APP, "http://localhost:5173", "null"] {
        let answer = ada.get("/users/me").header("origin", origin).send().await;
        assert_says_nothing(&answer);
        assert_eq!(answer.header("vary"), None, "{answer:?}");
        let asked = preflight(&app, "/auth/login", origin).send().await;
        assert_eq!(asked.status, 204, "{asked:?}");
        assert_says_nothing(&asked);
    }
}

#[tokio::test]
async fn dev_takes_the_pages_of_this_machine() {
    let app = TestApp::spawn().await;
    for page in
        ["http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:8000", "http://app.localhost:1"]
    {
        assert_readable(&app.anonymous().get("/users/me").header("origin", page).send().await, page);
    }
    for stranger in ["http://localhost.evil.example", "http://192.168.0.7:5173", "null"] {
        assert_says_nothing(&app.anonymous().get("/users/me").header("origin", stranger).send().await);
    }
}

/// `*` lets every page read, and none with credentials.
#[tokio::test]
async fn a_star_is_for_all_pages_without_credentials() {
    let app = with("*").await;
    for origin in [APP, "null", "http://localhost:5173"] {
        let answer = app.anonymous().get("/users/me").header("origin", origin).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{answer:?}");
        assert_eq!(answer.header("access-control-expose-headers"), Some(EXPOSED), "{answer:?}");
        assert_allowed(&preflight(&app, "/auth/login", origin).send().await, "*");
    }
}

/// Keys and metadata are for everybody, whatever is set, as they have always been.
#[tokio::test]
async fn keys_and_metadata_are_for_pages_of_any_origin() {
    for app in [TestApp::spawn().await.in_production().await, with(APP).await, with("*").await] {
        for path in [
            "/.well-known/jwks.json",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-authorization-server",
            "/openapi.json",
        ] {
            for origin in [APP, "https://evil.example"] {
                let answer = app.anonymous().get(path).header("origin", origin).send().await;
                assert_eq!(answer.status, 200);
                assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{answer:?}");
                assert_eq!(answer.header("access-control-allow-credentials"), None, "{answer:?}");
                // `If-None-Match` makes a browser ask.
                assert_allowed(&preflight(&app, path, origin).send().await, "*");
            }
        }
    }
}

/// A name that leads here by a stranger's doing is turned away first.
#[tokio::test]
async fn a_preflight_for_another_host_is_turned_away() {
    let app = TestApp::spawn().await;
    let asked = preflight(&app, "/auth/login", "http://localhost:5173").header("host", "evil.example");
    asked.send().await.assert_refused(421, "misdirected_request");
}

#[tokio::test]
async fn what_caches_were_told_before_they_are_still_told() {
    let app = with(APP).await;
    let packed = app.anonymous().get("/docs/swagger-ui.css").header("accept-encoding", "gzip").send().await;
    assert_eq!(packed.header("vary"), Some("Accept-Encoding, Origin"), "{packed:?}");
}
