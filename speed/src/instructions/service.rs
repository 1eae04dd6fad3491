//! The service in this process, as `serve` builds it, over a Redis and SQLite: one thread, and no task of its own but
//! the one that follows the feed, where it is wanted.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hallpass::app::{self, Environment, Stores};
use hallpass::config::{self, Profile, Purpose, Sources};
use hallpass::crypto::password::Argon2Cost;
use hallpass::service::Services;
use poem::endpoint::BoxEndpoint;
use poem::http::{Method, StatusCode, header};
use poem::{Body, Endpoint, EndpointExt, Request, Response};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::process::Served;
use crate::stack::{self, Folder, PASSWORD};

/// The cheapest hash that there is: what it costs is not counted.
const ARGON2: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

const EMAIL: &str = "ada.lovelace@example.com";

pub(super) struct InProcess {
    pub(super) runtime: Runtime,
    pub(super) endpoint: BoxEndpoint<'static, Response>,
    pub(super) services: Services,
    pub(super) stores: Stores,
    // They go last.
    _redis: Served,
    _folder: Folder,
}

/// What a login or a refresh brought.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl InProcess {
    /// In strict mode, with one account; nothing goes on beside what is asked.
    pub(super) fn strict() -> Self {
        Self::start("strict")
    }

    /// In mirror mode.
    pub(super) fn mirror() -> Self {
        let service = Self::start("mirror");
        service.runtime.spawn(service.services.revocations.clone().keep_following());
        service
    }

    fn start(mode: &str) -> Self {
        let (redis, folder) = (stack::redis(), Folder::new("counted"));
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut environment = stack::settings(&stack::url(&redis), mode, &folder);
        // Under callgrind a second is soon over.
        environment.insert("HALLPASS_VALIDATION__MAX_STALENESS".to_owned(), "30s".into());
        let sources = Sources { environment, ..Sources::default() };
        let loaded = config::load(Profile::Serve, Purpose::Start, &sources);
        let mut settings = loaded.unwrap_or_else(|errors| panic!("{errors}")).settings;
        settings.passwords.argon2 = ARGON2;
        let secret = settings.secret.clone().expect("a secret");
        let (endpoint, services, stores) = runtime.block_on(async {
            let (database, _) = app::open_database(&settings).await.expect("a database");
            let tokens = app::open_token_store(&settings, &database, &Environment::real()).await;
            let stores = Stores { database, tokens: tokens.expect("a token store") };
            let bound = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
            let built = app::build(&settings, &secret, bound, stores.clone(), Environment::real()).await;
            let (services, endpoint) = built.expect("a service");
            (endpoint.boxed(), services, stores)
        });
        let service = Self { runtime, endpoint, services, stores, _redis: redis, _folder: folder };
        service.ask(post(
            "/auth/register",
            &json!({ "email": EMAIL, "password": PASSWORD, "firstName": "Ada", "lastName": "Lovelace" }),
        ));
        service
    }

    fn ask(&self, request: Request) -> Value {
        self.runtime.block_on(answered(&self.endpoint, request))
    }

    pub(super) fn log_in(&self) -> Tokens {
        self.ask(post("/auth/login", &json!({ "email": EMAIL, "password": PASSWORD }))).into()
    }

    pub(super) fn refresh(&self, tokens: &Tokens) -> Tokens {
        self.ask(refresh(tokens)).into()
    }

    /// Waits until a mirror answers from its copy, and has just heard that it is whole: it does so for half a minute.
    pub(super) fn answers_from_its_copy(&self) {
        self.runtime.block_on(async {
            let asking = async {
                let mut bell = self.services.revocations.listen();
                while !self.services.revocations.answers() {
                    bell.changed().await.expect("a feed");
                }
                bell.changed().await.expect("a feed");
            };
            tokio::time::timeout(Duration::from_secs(60), asking).await.expect("a copy that answers");
        });
    }
}

impl From<Value> for Tokens {
    fn from(answer: Value) -> Self {
        let text = |name: &str| answer[name].as_str().expect("a token").to_owned();
        Self { access: text("accessToken"), refresh: text("refreshToken") }
    }
}

/// The answer, which is a good one, as JSON.
pub(super) async fn answered(endpoint: &impl Endpoint<Output = Response>, request: Request) -> Value {
    let response = endpoint.get_response(request).await;
    let status = response.status();
    let body = response.into_body().into_vec().await.expect("a body");
    assert!(matches!(status, StatusCode::OK | StatusCode::CREATED), "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).expect("JSON")
}

fn post(path: &'static str, body: &Value) -> Request {
    let request = Request::builder().method(Method::POST).uri(path.parse().expect("a path"));
    request.header(header::CONTENT_TYPE, "application/json").body(Body::from_string(body.to_string()))
}

/// `GET` of a path with an access token.
pub(super) fn authorized(path: &'static str, access: &str) -> Request {
    let request = Request::builder().uri(path.parse().expect("a path"));
    request.header(header::AUTHORIZATION, format!("Bearer {access}")).finish()
}

/// Whether the access token of these stands.
pub(super) fn validate(tokens: &Tokens) -> Request {
    authorized("/forward-auth", &tokens.access)
}

/// The refresh token of these, to be redeemed.
pub(super) fn refresh(tokens: &Tokens) -> Request {
    post("/auth/refresh-token", &json!({ "refreshToken": tokens.refresh }))
}
