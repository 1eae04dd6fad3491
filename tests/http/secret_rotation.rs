//! From one server secret to the next: nobody is logged out, and nothing is forgotten.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass::crypto::keys::SigningKey;
use hallpass::crypto::rate_limit::MarkKey;
use hallpass::crypto::sealed::open_value;
use hallpass::domain::audit::{AuditAction, AuditActor, AuditFilter};
use hallpass::domain::rate_limit::{ActionLimits, LimitRules, Rate};
use hallpass::domain::sealed_value::{LIMIT_MARKS, SealedBytes, SealedValue};
use hallpass::service::secret_rotation::{Kept, RotationError, RotationOptions};
use serde_json::json;

use crate::support::{
    Actor, Answer, MINUTE, PASSWORD, SECOND, SERVER_SECRET, TestApp, Tokens, on_both_flavours,
};

on_both_flavours! {
    what_was_minted_with_an_accepted_secret_is_good_until_that_is_taken_off,
    a_successor_is_one_generation_whichever_secret_it_was_minted_with,
    replicas_that_mint_with_one_secret_answer_the_same_successor_to_the_byte,
    limits_and_places_outlive_the_secret,
    a_rotation_is_done_once_and_written_down,
    a_rotation_that_was_cut_off_is_finished_by_the_next,
    a_rotation_waits_for_every_replica,
    what_limits_are_keyed_by_is_made_anew_only_when_that_is_asked_for,
}

const OLD: &str = SERVER_SECRET;
const NEW: &str = "the next server secret of the tests, of 32 bytes and more";

const PLAIN: RotationOptions = RotationOptions { force: false, forget_limits: false };

/// The second step: the new one mints, the one before is accepted, and all at rest is under the new one.
async fn rotated(app: &TestApp) -> TestApp {
    let app = app.minting_with(NEW, &[OLD]).await;
    app.rotate_secret(PLAIN).await.expect("a rotation");
    app
}

/// What a refresh token names, without what authenticates it.
fn named(token: &str) -> Vec<u8> {
    let mut bytes = URL_SAFE_NO_PAD.decode(&token["hp_rt_".len()..]).expect("base64url");
    bytes.truncate(bytes.len() - 32);
    bytes
}

async fn refreshed(app: &TestApp, refresh: &str) -> Tokens {
    Tokens::of(&app.refresh(refresh).await.tokens(200))
}

async fn what_was_minted_with_an_accepted_secret_is_good_until_that_is_taken_off(app: TestApp) {
    let before = app.verifying().await;
    let (ada, eve, bob) = (app.member("ada").await, app.member("eve").await, app.member("bob").await);
    before.register("zoe@example.com", PASSWORD).await.json(201);
    let link = app.outbox().verification_token("zoe@example.com");
    let (reset, late_reset) =
        (app.reset_token("eve@example.com").await, app.reset_token("bob@example.com").await);

    let during = rotated(&app).await;
    during.me(&ada.tokens.access).await.json(200);
    let renewed = refreshed(&during, &ada.tokens.refresh).await;
    during.verify_email(&link).await.json(200);
    during.reset_password(&reset, "a better one this time").await.json(200);
    during.log_in("eve@example.com", "a better one this time").await.tokens(200);

    // What it handed out is of the new secret, also for a token of the one before.
    let after = app.minting_with(NEW, &[]).await;
    after.me(&renewed.access).await.json(200);
    let newest = refreshed(&after, &renewed.refresh).await;
    // And what is of the one before is as if it were forged.
    let forged = |answer: Answer| answer.assert_refused(401, "invalid_refresh_token");
    let mut foreign = bob.tokens.refresh.clone();
    foreign.replace_range(foreign.len() - 4.., "AAAA");
    let unknown = forged(after.refresh(&bob.tokens.refresh).await);
    assert_eq!(unknown["code"], forged(after.refresh(&foreign).await)["code"]);
    after.reset_password(&late_reset, PASSWORD).await.assert_refused(400, "invalid_reset_token");
    after.verify_email(&link).await.assert_refused(400, "invalid_verification_token");
    // Refused, and not taken for a token that was used twice: the session lives where it is accepted.
    refreshed(&during, &bob.tokens.refresh).await;
    during.reset_password(&late_reset, "a better one this time").await.json(200);
    after.me(&newest.access).await.json(200);
    after.me(&eve.tokens.access).await.assert_refused(401, "token_revoked");
}

async fn a_successor_is_one_generation_whichever_secret_it_was_minted_with(app: TestApp) {
    let first = app.minting_with(OLD, &[NEW]).await;
    let second = app.minting_with(NEW, &[OLD]).await;
    let ada = app.member("ada").await;
    let (here, there) =
        tokio::join!(refreshed(&first, &ada.tokens.refresh), refreshed(&second, &ada.tokens.refresh));
    assert_ne!(here.refresh, there.refresh, "each mints with its own");
    assert_eq!(named(&here.refresh), named(&there.refresh), "one generation of one session");
    // Again: the same, at each.
    assert_eq!(refreshed(&first, &ada.tokens.refresh).await.refresh, here.refresh);
    assert_eq!(refreshed(&second, &ada.tokens.refresh).await.refresh, there.refresh);

    // Both are one token: used as the one, it is used as the other.
    app.advance(MINUTE);
    let next = refreshed(&second, &here.refresh).await;
    assert_eq!(refreshed(&second, &there.refresh).await.refresh, next.refresh, "within the grace period");
    app.advance(MINUTE);
    second.refresh(&there.refresh).await.assert_refused(401, "refresh_token_reused");
    for app in [&first, &second] {
        app.refresh(&next.refresh).await.assert_refused(401, "invalid_refresh_token");
    }
}

async fn replicas_that_mint_with_one_secret_answer_the_same_successor_to_the_byte(app: TestApp) {
    let ada = app.member("ada").await;
    let first = app.minting_with(NEW, &[OLD]).await;
    let second = app.minting_with(NEW, &["yet another one, of 32 bytes and more, 1", OLD]).await;
    let (here, there) =
        tokio::join!(refreshed(&first, &ada.tokens.refresh), refreshed(&second, &ada.tokens.refresh));
    assert_eq!(here.refresh, there.refresh);
    assert_eq!(refreshed(&first, &ada.tokens.refresh).await.refresh, here.refresh);
}

async fn limits_and_places_outlive_the_secret(app: TestApp) {
    let rate = |burst| Some(Rate::new(burst, MINUTE).expect("a rate"));
    let rules =
        LimitRules { login: ActionLimits { per_ip: rate(8), per_account: rate(9) }, ..LimitRules::default() };
    let limited = app.another_instance(|settings| settings.rate_limits = rules).await;
    let log_in = |app: &TestApp, from: &str, password: &str| {
        let body = json!({"email": "ada@example.com", "password": password});
        app.anonymous().post("/auth/login").json(&body).sent_from(from).send()
    };
    limited.register("ada@example.com", PASSWORD).await.json(201);
    log_in(&limited, "192.0.2.1", PASSWORD).await.tokens(200);
    for place in ["198.51.100.101", "198.51.100.102", "198.51.100.103"] {
        for _ in 0..3 {
            log_in(&limited, place, "not the password").await.assert_refused(401, "invalid_credentials");
        }
    }
    rotated(&limited).await;
    let after = limited.minting_with(NEW, &[]).await;
    log_in(&after, "203.0.113.9", PASSWORD).await.assert_refused(429, "rate_limited");
    log_in(&after, "192.0.2.1", PASSWORD).await.tokens(200);
}

async fn a_rotation_is_done_once_and_written_down(app: TestApp) {
    let next = app.minting_with(NEW, &[OLD]).await;
    let (old, new) = (app.secrets().mark(), next.secrets().mark());
    let keys = app.signing_key_store().list_signing_keys().await.expect("an answer");
    assert_eq!(next.at_rest().await.older.len(), keys.len() + 1);
    assert!(next.at_rest().await.older.iter().all(|(_, mark)| *mark == old));
    app.advance(SECOND);

    let done = next.rotate_secret(PLAIN).await.expect("a rotation");
    let mut expected: Vec<Kept> = keys.iter().map(|key| Kept::SigningKey(key.key.id.clone())).collect();
    expected.push(Kept::Value(LIMIT_MARKS.to_owned()));
    assert_eq!((done.sealed_anew, done.unreadable), (expected, vec![]));
    assert_eq!(done.current, keys.len() as u64 + 1);
    let at_rest = next.at_rest().await;
    assert_eq!((at_rest.older, at_rest.since), (vec![], Some(app.timestamp())));
    for key in app.signing_key_store().list_signing_keys().await.expect("an answer") {
        assert_eq!(SigningKey::sealed_under(&key.key, &next.secrets()).expect("known"), new);
    }
    assert_eq!(app.at_rest().await.unreadable.len(), keys.len() + 1, "the one before opens none of it");

    app.advance(SECOND);
    let again = next.rotate_secret(PLAIN).await.expect("a rotation");
    assert_eq!((again.sealed_anew, again.current), (vec![], keys.len() as u64 + 1));
    assert_ne!(next.at_rest().await.since, Some(app.timestamp()), "nothing was written again");
    let filter = AuditFilter { action: Some(AuditAction::SecretRotated), ..AuditFilter::default() };
    let audit = next.audited(&filter).await;
    let told: Vec<_> = audit.iter().map(|entry| (entry.entry.actor.clone(), entry.entry.count)).collect();
    let all = keys.len() as u64 + 1;
    assert_eq!(told, [(AuditActor::Operator, Some(0)), (AuditActor::Operator, Some(all))]);
}

async fn a_rotation_that_was_cut_off_is_finished_by_the_next(app: TestApp) {
    let next = app.minting_with(NEW, &[OLD]).await;
    let store = app.signing_key_store();
    let keys = store.list_signing_keys().await.expect("an answer");
    assert!(keys.len() > 1, "one is done, and others are left");
    let first = &keys[0].key;
    let sealed = SigningKey::seal_anew(first, &next.secrets(), &hallpass::app::SystemRandom).expect("opens");
    assert!(store.replace_sealed_key(&first.id, &first.sealed, &sealed).await.expect("an answer"));

    // Meanwhile both kinds are read.
    let member = next.member("ada").await;
    member.assert_lives().await;
    let done = next.rotate_secret(PLAIN).await.expect("a rotation");
    assert_eq!(done.sealed_anew.len(), keys.len());
    assert!(!done.sealed_anew.contains(&Kept::SigningKey(first.id.clone())));
    app.minting_with(NEW, &[]).await.me(&member.tokens.access).await.json(200);
}

async fn a_rotation_waits_for_every_replica(app: TestApp) {
    let (ready, next) = (app.minting_with(OLD, &[NEW]).await, app.minting_with(NEW, &[OLD]).await);
    app.announce("auth-0:8080").await;
    next.announce("auth-1:8080").await;
    let refused = next.rotate_secret(PLAIN).await.expect_err("a replica does not know it");
    assert!(matches!(&refused, RotationError::Unaware { replicas, .. } if replicas == &["auth-0:8080"]));
    assert!(refused.to_string().contains("auth-0:8080") && refused.to_string().contains("secret_accepted"));
    assert!(!refused.to_string().contains(NEW));

    ready.announce("auth-0:8080").await;
    let refused = next.rotate_secret(PLAIN).await.expect_err("a replica mints with the one before");
    assert!(matches!(&refused, RotationError::Minting { replicas, .. } if replicas == &["auth-0:8080"]));
    assert_eq!(next.at_rest().await.current, 0, "nothing was done");

    next.announce("auth-0:8080").await;
    next.rotate_secret(PLAIN).await.expect("a rotation");
    app.announce("auth-2:8080").await;
    let force = RotationOptions { force: true, ..PLAIN };
    next.rotate_secret(PLAIN).await.expect_err("another one came");
    next.rotate_secret(force).await.expect("that is said");
    // A replica that was killed is not waited for.
    app.advance(Duration::from_secs(60));
    next.rotate_secret(PLAIN).await.expect("a rotation");
}

async fn what_limits_are_keyed_by_is_made_anew_only_when_that_is_asked_for(app: TestApp) {
    let [kept] = app.kept_values().await.try_into().expect("one value");
    let (bytes, _) = open_value(&app.secrets(), LIMIT_MARKS, &kept.sealed).expect("ours");
    assert_ne!(bytes, MarkKey::of_before(&app.secrets()), "that of a new database is of chance");
    // Under a secret that is lost.
    let lost = SealedValue { sealed: SealedBytes::new(vec![7; 60]), ..kept.clone() };
    assert!(app.sealed_values().replace_sealed_value(&kept.sealed, &lost).await.expect("an answer"));
    let done = app.rotate_secret(PLAIN).await.expect("a rotation");
    assert_eq!((done.unreadable, done.forgot_limits), (vec![Kept::Value(LIMIT_MARKS.to_owned())], false));
    assert_eq!(app.kept_values().await, [lost]);

    let forgetting = RotationOptions { forget_limits: true, ..PLAIN };
    let done = app.rotate_secret(forgetting).await.expect("a rotation");
    assert!(done.forgot_limits && done.unreadable.is_empty());
    let [anew] = app.kept_values().await.try_into().expect("one value");
    let (made, _) = open_value(&app.secrets(), LIMIT_MARKS, &anew.sealed).expect("ours");
    assert!(made.len() == 32 && made != bytes);
    // One that can be read is kept, whatever is said.
    assert!(!app.rotate_secret(forgetting).await.expect("a rotation").forgot_limits);
    assert_eq!(app.kept_values().await, [anew]);
}
