//! Validators that check tokens by the published keys, and what is to be seen of the ring.

use std::time::Duration;

use hallpass::domain::clock::Timestamp;
use hallpass::domain::revocation::Revoked;
use hallpass::domain::signing_key::KeyState;
use hallpass::store::revocations::ReaderRole;
use hallpass_verify::{AccessClaims, KeySet, Rejection, Verifier};

use crate::support::{Actor, Answer, ISSUER, TestApp, jwt};

async fn jwks(app: &TestApp) -> Answer {
    app.anonymous().get("/.well-known/jwks.json").send().await
}

fn max_age_of(answer: &Answer) -> u64 {
    let seconds = answer.header("cache-control").and_then(|text| text.strip_prefix("public, max-age="));
    seconds.and_then(|seconds| seconds.parse().ok()).expect("a time to keep the keys for")
}

/// For how long the keys may be kept, seconds.
pub async fn max_age(app: &TestApp) -> u64 {
    max_age_of(&jwks(app).await)
}

/// The ids of the published keys, in their order.
pub async fn published(app: &TestApp) -> Vec<String> {
    let jwks = jwks(app).await.json(200);
    let keys = jwks["keys"].as_array().expect("keys").iter();
    keys.map(|key| key["kid"].as_str().expect("kid").to_owned()).collect()
}

/// The id of the key that signs.
pub async fn signing_kid(app: &TestApp) -> String {
    app.services().key_ring.current().signing_key().id().as_str().to_owned()
}

/// All keys of the ring and where they stand.
pub async fn states(app: &TestApp) -> Vec<(String, KeyState)> {
    let overview = app.services().signing_keys.overview().await.expect("the ring");
    overview.keys.into_iter().map(|key| (key.key.id.as_str().to_owned(), key.state)).collect()
}

/// What the revocation feed tells somebody who begins to read it.
pub async fn announced(app: &TestApp) -> Vec<Revoked> {
    let mut reader = app.revocation_feed().reader(ReaderRole::Observer);
    let batch = reader.read(Duration::ZERO).await.expect("the feed");
    let revoked = batch.announced.into_iter();
    revoked
        .filter(|revocation| app.timestamp() < revocation.until)
        .map(|revocation| revocation.revoked)
        .collect()
}

/// The id of the key that signed a token.
pub fn kid_of(token: &str) -> String {
    jwt::header(token)["kid"].as_str().expect("kid").to_owned()
}

/// A service elsewhere. It fetches the keys when those that it has are too old, and at no other time.
pub struct Validator {
    issuer: TestApp,
    /// How long it keeps keys whatever it is told; as long as it is told where there is nothing.
    stubborn: Option<Duration>,
    kept: Option<(Timestamp, KeySet)>,
}

impl Validator {
    pub fn new(issuer: TestApp, stubborn: Option<Duration>) -> Self {
        Self { issuer, stubborn, kept: None }
    }

    pub async fn check(&mut self, token: &str) -> Result<AccessClaims, Rejection> {
        let now = self.issuer.timestamp();
        let keys = match &self.kept {
            Some((until, keys)) if now < *until => keys.clone(),
            _ => {
                let answer = jwks(&self.issuer).await;
                let keep = self.stubborn.unwrap_or(Duration::from_secs(max_age_of(&answer)));
                let keys = KeySet::from_jwks(&answer.text()).expect("a key set");
                self.kept = Some((now.after(keep), keys.clone()));
                keys
            }
        };
        Verifier::new(keys, ISSUER, ISSUER).verify(token, now.to_system_time())
    }
}
