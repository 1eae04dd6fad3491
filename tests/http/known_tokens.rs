//! A token that was found right a moment ago is remembered, and so is the account that was shown for it. Nothing
//! that ends either is noticed any later for that: each holds at both replicas in the moment in which it is acknowledged.

use hallpass::domain::email::Email;
use hallpass::domain::ids::KeyId;
use hallpass::service::caller::Administrator;
use serde_json::json;

use crate::support::{Actor, LoggedIn, SECOND, TestApp, jwt};

/// Two replicas of one service.
struct Replicas {
    here: TestApp,
    there: TestApp,
}

/// Runs each case on the embedded store, on Redis, and where replicas answer from their own copies.
macro_rules! on_two_replicas {
    ($($case:ident),* $(,)?) => {
        mod embedded {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let here = crate::support::TestApp::spawn().await;
                let there = here.another_instance(|_| ()).await;
                super::$case(super::Replicas { here, there }).await;
            }
        )*}

        mod strict {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let here = crate::support::TestApp::on_redis_and_postgres().await;
                let there = here.another_replica(|_| ()).await;
                super::$case(super::Replicas { here, there }).await;
            }
        )*}

        mod mirror {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let app = crate::support::TestApp::on_redis_and_postgres().await;
                let (here, there) = (app.mirror().await, app.mirror().await);
                super::$case(super::Replicas { here, there }).await;
            }
        )*}
    };
}

on_two_replicas! {
    a_logout_ends_a_known_token,
    a_change_of_password_ends_a_known_token,
    a_change_of_role_ends_a_known_token_and_shows_from_the_next_login,
    a_revoked_key_ends_a_known_token,
    a_known_token_ends_in_its_second,
    a_new_name_is_shown,
    a_proven_address_is_shown,
    a_token_that_only_looks_like_a_known_one_is_refused,
    an_answer_at_once_is_the_operations_own,
}

impl Replicas {
    fn both(&self) -> [&TestApp; 2] {
        [&self.here, &self.there]
    }

    /// Somebody whose token and account both replicas know.
    async fn known(&self, name: &str) -> LoggedIn {
        let person = self.here.member(name).await;
        self.warm(&person).await;
        person
    }

    async fn warm(&self, person: &LoggedIn) {
        for replica in self.both() {
            for _ in 0..3 {
                replica.me(&person.tokens.access).await.json(200);
                let asked =
                    replica.anonymous().get("/forward-auth").access(&person.tokens.access).send().await;
                assert_eq!(asked.header("remote-user"), Some(person.id.to_string().as_str()));
            }
        }
    }

    async fn assert_refused(&self, access: &str, code: &str) {
        for replica in self.both() {
            replica.me(access).await.assert_refused(401, code);
            let asked = replica.anonymous().get("/forward-auth").access(access).send().await;
            asked.assert_refused(401, code);
        }
    }
}

async fn a_logout_ends_a_known_token(replicas: Replicas) {
    for round in 0..10 {
        let ada = replicas.known(&format!("ada{round}")).await;
        replicas.both()[round % 2].log_out(&ada.tokens.access).await.json(200);
        replicas.assert_refused(&ada.tokens.access, "token_revoked").await;
    }
}

async fn a_change_of_password_ends_a_known_token(replicas: Replicas) {
    let ada = replicas.known("ada").await;
    let tablet = LoggedIn::log_in(&replicas.there, &ada.email, &ada.password).await;
    replicas.warm(&tablet).await;
    ada.change_password("another engine weaves patterns").await.json(200);
    replicas.assert_refused(&ada.tokens.access, "token_revoked").await;
    replicas.assert_refused(&tablet.tokens.access, "token_revoked").await;
}

async fn a_change_of_role_ends_a_known_token_and_shows_from_the_next_login(replicas: Replicas) {
    let admin = replicas.here.admin().await;
    let ada = replicas.known("ada").await;
    let change = json!({ "role": "admin" });
    admin.patch(&format!("/users/{}", ada.id)).json(&change).send().await.json(200);
    replicas.assert_refused(&ada.tokens.access, "token_revoked").await;
    let ada = LoggedIn::log_in(&replicas.there, &ada.email, &ada.password).await;
    for replica in replicas.both() {
        assert_eq!(replica.me(&ada.tokens.access).await.json(200)["role"], "admin");
    }
}

async fn a_revoked_key_ends_a_known_token(replicas: Replicas) {
    let ada = replicas.known("ada").await;
    let header = jwt::header(&ada.tokens.access);
    let kid = KeyId::new(header["kid"].as_str().expect("a key id").to_owned());
    replicas.here.services().signing_keys.revoke(&kid).await.expect("revoked");
    replicas.here.me(&ada.tokens.access).await.assert_refused(401, "invalid_token");
    // There when it has read of it, and not a moment longer because the token is known.
    replicas.there.catch_up().await;
    replicas.assert_refused(&ada.tokens.access, "invalid_token").await;
}

async fn a_known_token_ends_in_its_second(replicas: Replicas) {
    let ada = replicas.known("ada").await;
    let claims = jwt::claims(&ada.tokens.access);
    let leeway = 5;
    let left = claims["exp"].as_i64().expect("its end") + leeway - replicas.here.now();
    replicas.here.advance(SECOND * u32::try_from(left - 1).expect("a while"));
    replicas.warm(&ada).await;
    replicas.here.advance(SECOND);
    replicas.assert_refused(&ada.tokens.access, "token_expired").await;
}

async fn a_new_name_is_shown(replicas: Replicas) {
    let ada = replicas.known("ada").await;
    for round in 0..6 {
        let name = format!("Ada {round}");
        let request = replicas.both()[round % 2].anonymous().patch("/users/me").access(&ada.tokens.access);
        request.json(&json!({ "first_name": name })).send().await.json(200);
        for replica in replicas.both() {
            let me = replica.me(&ada.tokens.access).await.json(200);
            assert_eq!(me["first_name"], name.as_str());
            let auth_me = replica.anonymous().get("/auth/auth-me").access(&ada.tokens.access).send().await;
            assert_eq!(auth_me.tokens(200)["user"]["first_name"], name.as_str());
        }
    }
}

async fn a_proven_address_is_shown(replicas: Replicas) {
    let ada = replicas.known("ada").await;
    let email = Email::parse(&ada.email).expect("an address");
    let services = replicas.here.services();
    let user = services.administration.find(Administrator::Operator, &email).await.expect("an account");
    services.verifications.vouch(Administrator::Operator, &user).await.expect("it is hers");
    for replica in replicas.both() {
        assert_eq!(replica.me(&ada.tokens.access).await.json(200)["email_verified"], true);
    }
}

/// A refresh token beside a live access token changes nothing, and is not answered at once.
async fn an_answer_at_once_is_the_operations_own(replicas: Replicas) {
    let ada = replicas.known("ada").await;
    let names = json!({ "first_name": "Ad\u{e4} \"\\\" \u{1f600}", "last_name": "</script>" });
    let change = replicas.here.anonymous().patch("/users/me").access(&ada.tokens.access);
    change.json(&names).send().await.json(200);
    for path in ["/auth/auth-me", "/forward-auth", "/forward-auth/books/7"] {
        for origin in [None, Some("http://localhost:3000"), Some("https://books.example.com")] {
            let ask = || {
                let request = replicas.here.anonymous().get(path).access(&ada.tokens.access);
                let request = request.header("x-request-id", "a-1");
                origin.into_iter().fold(request, |request, origin| request.header("origin", origin))
            };
            let (long, short) = (ask().refresh("whatever it is").send().await, ask().send().await);
            assert_eq!((short.status, short.text()), (long.status, long.text()), "{path} {origin:?}");
            assert_eq!(short.headers, long.headers, "{path} {origin:?}");
        }
    }
    let asked = replicas.here.anonymous().get("/auth/auth-me").access(&ada.tokens.access).send().await;
    assert_eq!(asked.tokens(200)["user"]["first_name"], names["first_name"]);
}

async fn a_token_that_only_looks_like_a_known_one_is_refused(replicas: Replicas) {
    let ada = replicas.known("ada").await;
    let access = &ada.tokens.access;
    let at = access.rfind('.').expect("a signature") + 1;
    for place in [at, at + 20, access.len() - 3] {
        let other = if &access[place..=place] == "A" { "B" } else { "A" };
        let forged = format!("{}{other}{}", &access[..place], &access[place + 1..]);
        // Also when it comes again: what is refused is not remembered as right.
        for _ in 0..2 {
            replicas.assert_refused(&forged, "invalid_token").await;
        }
    }
    replicas.warm(&ada).await;
}
