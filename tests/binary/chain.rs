//! The example of three services in a chain, and the whole chain with the library: whatever ends the session of whoever
//! calls the first ends it at all three, by the feed alone.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass_verify::client::{StalePolicy, Validator};
use hyper::{Method, StatusCode};
use poem::Server;
use poem::listener::{Acceptor, Listener, TcpListener};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::client::{Call, Client, Tokens, get, login, post};
use crate::process::{PATIENCE, Program, Service, dev, eventually};

#[path = "../../examples/chain.rs"]
#[expect(dead_code, reason = "its main reads settings for what is started here")]
mod example;

const ORDERS: &str = "https://orders.example.com";
const BILLING: &str = "https://billing.example.com";

/// A service of the chain that runs.
struct Link {
    client: (String, String),
    validator: Validator,
    address: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Chain {
    issuer: Service,
    admin: Tokens,
    gateway: Link,
    orders: Link,
    billing: Link,
    folder: TempDir,
}

impl Chain {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let issuer = dev(folder.path()).start();
        let admin = Tokens::of(&issuer.client().send(login("johndoe@example.com", "password")).await);
        let url = format!("http://{}", issuer.address());
        let terms = json!({"id": "billing", "audience": BILLING});
        let billing = link(&issuer, &admin, terms, BILLING, None).await;
        let terms = json!({"id": "orders", "audience": ORDERS, "audiences": [BILLING], "exchange": true});
        let orders = link(&issuer, &admin, terms, ORDERS, Some((&billing, BILLING))).await;
        let terms = json!({"id": "gateway", "audiences": [ORDERS], "exchange": true});
        let gateway = link(&issuer, &admin, terms, &url, Some((&orders, ORDERS))).await;
        Self { issuer, admin, gateway, orders, billing, folder }
    }

    /// The token that each of the three is called with, when the first one is called with this.
    async fn tokens(&self, first: &str) -> [String; 3] {
        let second = exchanged(&self.issuer, &self.gateway, first, ORDERS).await;
        let third = exchanged(&self.issuer, &self.orders, &second, BILLING).await;
        [first.to_owned(), second, third]
    }

    /// What the first service says to whoever calls it.
    async fn ask(&self, token: &str) -> crate::client::Answer {
        Client::new(self.gateway.address).send(get("/").bearer(token)).await
    }

    async fn administer(&self, method: Method, path: &str, body: &Value) {
        let call = Call::new(method, path).bearer(&self.admin.access).json(body);
        let answer = self.issuer.client().send(call).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

/// Makes a client, and starts the example with it.
async fn link(
    issuer: &Service,
    admin: &Tokens,
    mut terms: Value,
    audience: &str,
    next: Option<(&Link, &str)>,
) -> Link {
    terms["scopes"] = json!(["revocations:read"]);
    let made = issuer.client().send(post("/clients").bearer(&admin.access).json(&terms)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let client = (text(&terms["id"]), text(&made.json()["secret"]));
    let url = format!("http://{}", issuer.address());
    let builder = Validator::builder(url.clone(), audience).credentials(client.0.clone(), client.1.as_str());
    let builder = builder.stale_policy(StalePolicy::Reject).max_staleness(PATIENCE);
    eventually("it tells of revocations", async || issuer.client().tells_of_revocations().await).await;
    let validator = builder.connect().await.expect("connected");
    let next = next.map(|(link, audience)| example::Next {
        address: link.address.to_string(),
        audience: audience.to_owned(),
        issuer: url,
        client: client.clone(),
    });
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a port");
    let address = *acceptor.local_addr()[0].as_socket_addr().expect("an address");
    let app = example::app(validator.clone(), next);
    Link { client, validator, address, serving: tokio::spawn(Server::new_with_acceptor(acceptor).run(app)) }
}

async fn exchanged(issuer: &Service, link: &Link, subject: &str, resource: &str) -> String {
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let subject =
        format!("subject_token={subject}&subject_token_type=urn:ietf:params:oauth:token-type:access_token");
    got(issuer, link, format!("grant_type={grant}&{subject}&resource={resource}")).await
}

async fn own_token(issuer: &Service, link: &Link, resource: &str) -> String {
    got(issuer, link, format!("grant_type=client_credentials&resource={resource}")).await
}

/// The token that a service gets for that.
async fn got(issuer: &Service, link: &Link, form: String) -> String {
    let (id, secret) = &link.client;
    let call = post("/oauth2/token")
        .header("authorization", format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let answer = issuer.client().send(call).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn three_services_call_one_another_on_behalf_of_a_user_until_they_log_out() {
    let chain = Chain::start().await;
    let ada = chain.issuer.client().logged_in("ada@example.com").await;
    let said = chain.ask(&ada.access).await.json();
    let user = said["user"].clone();
    assert_eq!(said["actors"], json!([]));
    let second = json!({"audience": [ORDERS], "user": user, "actors": ["gateway"]});
    assert_eq!(
        (&said["next"]["actors"], &said["next"]["audience"]),
        (&second["actors"], &second["audience"])
    );
    let third = json!({"audience": [BILLING], "user": user, "actors": ["orders", "gateway"]});
    assert_eq!(said["next"]["next"], third);
    // No service takes the token of another.
    let [first, second, third] = chain.tokens(&ada.access).await;
    for (link, token) in [(&chain.gateway, &second), (&chain.orders, &third), (&chain.billing, &first)] {
        let answer = Client::new(link.address).send(get("/").bearer(token)).await;
        answer.assert_problem(401, "invalid_token");
    }
    assert_eq!(chain.issuer.client().log_out(&ada.access).await.status, StatusCode::OK);
    let mut look = interval(Duration::from_millis(5));
    let seen = async {
        while chain.ask(&ada.access).await.status != StatusCode::UNAUTHORIZED {
            look.tick().await;
        }
    };
    timeout(PATIENCE, seen).await.expect("the log out is seen");
}

/// Waits until a service refuses a token, for good.
async fn is_refused(service: &Link, token: &str, event: &str) {
    let mut look = interval(Duration::from_millis(5));
    let heard = async {
        while service.validator.check(token).is_ok() {
            look.tick().await;
        }
    };
    timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("{event} is not heard of"));
    let error = service.validator.check(token).expect_err("refused");
    assert!(error.is_verdict(), "{event}: {error:?}");
}

/// Those that name it alone: the second token names the gateway, the third one both. The services that go on have clients of
/// their own by which they hear of it.
#[tokio::test]
async fn a_client_that_is_deleted_ends_what_it_acts_by_at_the_other_services() {
    for gone in ["orders", "gateway"] {
        let chain = Chain::start().await;
        let ada = chain.issuer.client().logged_in("ada@example.com").await;
        let [first, second, third] = chain.tokens(&ada.access).await;
        let own = own_token(&chain.issuer, &chain.orders, BILLING).await;
        for (service, token) in [
            (&chain.gateway, &first),
            (&chain.orders, &second),
            (&chain.billing, &third),
            (&chain.billing, &own),
        ] {
            service.validator.validate(token).await.unwrap_or_else(|error| panic!("{error}"));
        }
        chain.administer(Method::DELETE, &format!("/clients/{gone}"), &json!({})).await;
        is_refused(&chain.billing, &third, gone).await;
        if gone == "orders" {
            is_refused(&chain.billing, &own, gone).await;
            chain.gateway.validator.validate(&first).await.expect("a login's token");
        } else {
            is_refused(&chain.orders, &second, gone).await;
            chain.billing.validator.validate(&own).await.expect("a token of another client");
        }
        // Whoever has logged in has nothing to do with any of them.
        let me = chain.issuer.client().send(get("/users/me").bearer(&ada.access)).await;
        assert_eq!(me.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn whatever_ends_a_session_is_heard_of_by_all_three_services() {
    let chain = Chain::start().await;
    let client = chain.issuer.client();
    for event in ["logout", "kick", "password", "disable", "role", "key"] {
        let ada = client.logged_in(&format!("ada-{event}@example.com")).await;
        let tokens = chain.tokens(&ada.access).await;
        let me = client.send(get("/users/me").bearer(&ada.access)).await.json();
        let user = format!("/users/{}", me["id"]);
        let services = [&chain.gateway, &chain.orders, &chain.billing];
        for (service, token) in services.iter().zip(&tokens) {
            service.validator.validate(token).await.unwrap_or_else(|error| panic!("{event}: {error}"));
        }
        match event {
            "logout" => assert_eq!(client.log_out(&ada.access).await.status, StatusCode::OK),
            "kick" => chain.administer(Method::DELETE, &format!("{user}/sessions"), &json!({})).await,
            "disable" => chain.administer(Method::PATCH, &user, &json!({"disabled": true})).await,
            "role" => chain.administer(Method::PATCH, &user, &json!({"role": "admin"})).await,
            "password" => {
                let body = json!({"currentPassword": crate::client::PASSWORD, "newPassword": "another good password"});
                let call = post("/auth/change-password").bearer(&ada.access).json(&body);
                assert_eq!(client.send(call).await.status, StatusCode::OK);
            }
            _ => {
                let keys = client.send(get("/.well-known/jwks.json")).await.json();
                for key in keys["keys"].as_array().expect("keys") {
                    let kid = key["kid"].as_str().expect("kid");
                    let outcome = Program::new(chain.folder.path(), &["keys", "revoke", kid]).run().await;
                    assert_eq!(outcome.code, Some(0), "{outcome:?}");
                }
            }
        }
        for (service, token) in services.iter().zip(&tokens) {
            is_refused(service, token, event).await;
        }
    }
}
