//! The life of signing keys, as those see it who check tokens: rotation harms nobody, and a revoked
//! key counts for nothing.

mod support;

use futures_util::future::join_all;
use hallpass::domain::ids::KeyId;
use hallpass::domain::revocation::Revoked;
use hallpass::domain::signing_key::{KeyRefusal, KeyState};
use hallpass::service::signing_keys::SigningKeysError;
use hallpass_verify::Rejection;

use crate::support::{Actor, DAY, MINUTE, SECOND, TestApp, jwt, on_both_flavours};
use support::{Validator, announced, kid_of, max_age, published, signing_kid, states};

on_both_flavours! {
    rotation_under_load_harms_no_validator,
    instances_that_rotate_at_once_rotate_once,
    a_revoked_key_is_refused_everywhere_and_the_next_one_signs,
    sessions_outlive_their_key_with_both_tokens_in_hand,
    sessions_outlive_another_public_url_with_both_tokens_in_hand,
    an_expired_token_of_a_retired_key_still_comes_along,
    a_revocation_that_nobody_announced_is_announced_by_any_instance,
    the_feed_is_told_of_a_revoked_key_for_a_day,
}

/// Asserts that an access token which counts no more is as good as none beside a live refresh token, and good
/// for nothing by itself; and that one whose signature is wrong is refused beside anything.
async fn assert_of_the_past(app: &TestApp, access: &str, refresh: &str) {
    let both =
        |path: &str, access: &str, refresh: &str| app.anonymous().post(path).access(access).refresh(refresh);
    app.me(access).await.assert_refused(401, "invalid_token");
    app.anonymous()
        .post("/auth/refresh-token")
        .access(access)
        .send()
        .await
        .assert_refused(401, "authentication_required");
    both("/auth/refresh-token", access, "hp_rt_x").send().await.assert_refused(401, "invalid_refresh_token");
    let altered = jwt::with_another_signature(access);
    let nobody_s = jwt::assemble(
        &serde_json::json!({"alg": "ES256", "typ": "at+jwt", "kid": "nobody's"}),
        &jwt::claims(access),
        jwt::signature(access),
    );
    for forged in [&altered, &nobody_s, &jwt::with_claim(access, "sub", "1")] {
        for path in ["/auth/refresh-token", "/auth/auth-me", "/auth/logout"] {
            both(path, forged, refresh).send().await.assert_refused(401, "invalid_token");
        }
    }
    let me = both("/auth/auth-me", access, refresh).send().await.tokens(200);
    app.me(me["accessToken"].as_str().expect("a token")).await.json(200);
    let get = app.anonymous().get("/users/me").access(access).refresh(refresh).send().await;
    app.me(get.header("x-access-token").expect("a new one")).await.json(200);
    // The other contract's way of the same.
    let renewal = app.anonymous().post("/access-tokens/refresh").header("x-access-token", access);
    let renewed = renewal.json(&serde_json::json!({"refresh_token": refresh})).send().await.tokens(200);
    app.me(renewed["jwt"].as_str().expect("a token")).await.json(200);
    let pair = both("/auth/refresh-token", access, refresh).send().await.tokens(200);
    let newer = pair["refreshToken"].as_str().expect("a token");
    // Whoever has kept the old one can still log out.
    both("/auth/logout", access, newer).send().await.json(200);
    both("/auth/refresh-token", access, newer).send().await.assert_refused(401, "invalid_refresh_token");
}

async fn sessions_outlive_their_key_with_both_tokens_in_hand(app: TestApp) {
    let ada = app.member("ada").await;
    let eve = app.member("eve").await;
    let kid = KeyId::new(kid_of(&ada.tokens.access));
    app.services().signing_keys.revoke(&kid).await.expect("revoked");
    assert_of_the_past(&app, &ada.tokens.access, &ada.tokens.refresh).await;
    // Also when it would have expired by now, at an instance that began afterwards.
    app.advance(MINUTE * 30);
    let later = app.another_instance(|_| ()).await;
    assert_of_the_past(&later, &eve.tokens.access, &eve.tokens.refresh).await;
}

async fn sessions_outlive_another_public_url_with_both_tokens_in_hand(app: TestApp) {
    let ada = app.member("ada").await;
    let moved = app
        .another_instance(|settings| settings.tokens.audience = Some("https://elsewhere.example".to_owned()))
        .await;
    assert_of_the_past(&moved, &ada.tokens.access, &ada.tokens.refresh).await;

    let eve = moved.member("eve").await;
    let url = hallpass::config::PublicUrl::of_address("127.0.0.1:1".parse().expect("an address"));
    let renamed = moved.another_instance(|settings| settings.public_url = Some(url)).await;
    assert_of_the_past(&renamed, &eve.tokens.access, &eve.tokens.refresh).await;
}

/// Three instances that follow the ring with a lag of up to two seconds, each its own; validators that
/// fetch the keys from any of them and keep them for as long as they are told; a rotation every
/// thirty seconds.
async fn rotation_under_load_harms_no_validator(app: TestApp) {
    let rotating = |settings: &mut hallpass::config::Settings| {
        settings.keys.rotate_every = Some(SECOND * 30);
        settings.keys.publish_ahead = SECOND * 20;
        settings.tokens.lifetimes.access_token = SECOND * 10;
    };
    let replicas = [
        app.another_instance(rotating).await,
        app.another_instance(rotating).await,
        app.another_instance(rotating).await,
    ];
    let mut people = [app.member("ada").await, app.member("eve").await, app.member("joe").await];
    let mut validators: Vec<Validator> =
        (0..6).map(|n| Validator::new(replicas[n % 3].clone(), (n >= 3).then_some(SECOND * 15))).collect();
    let mut signers = std::collections::BTreeSet::new();

    for step in 0..200_usize {
        app.advance(SECOND);
        // Some follow just now, while everybody is at work.
        let following = replicas.iter().enumerate().filter(|(n, _)| (step + n) % 2 == 0);
        let following = join_all(following.map(|(_, replica)| replica.catch_up()));
        for (n, person) in people.iter_mut().enumerate() {
            person.app = replicas[(step + n) % 3].clone();
        }
        let working = join_all(people.iter_mut().map(|person| person.refresh()));
        tokio::join!(following, working);
        for person in &people {
            signers.insert(kid_of(&person.tokens.access));
            for replica in &replicas {
                replica.me(&person.tokens.access).await.json(200);
            }
            for validator in &mut validators {
                validator.check(&person.tokens.access).await.expect("a valid token");
            }
        }
    }
    assert!(signers.len() >= 6, "only {} keys signed", signers.len());
}

async fn instances_that_rotate_at_once_rotate_once(app: TestApp) {
    let mut replicas = Vec::new();
    for _ in 0..8 {
        replicas.push(app.another_instance(|_| ()).await);
    }
    let before = published(&app).await;
    app.advance(DAY * 90);
    join_all(replicas.iter().map(|replica| replica.catch_up())).await;
    let after = published(&replicas[0]).await;
    assert_eq!(after.len(), 3, "{after:?}");
    assert_eq!((&after[0], &after[1]), (&before[1], &before[0]), "the next one signs");
    for replica in &replicas {
        replica.catch_up().await;
        assert_eq!(published(replica).await, after);
    }
}

async fn a_revoked_key_is_refused_everywhere_and_the_next_one_signs(app: TestApp) {
    let replicas = [app.another_instance(|_| ()).await, app.another_instance(|_| ()).await];
    let mut ada = app.member("ada").await;
    let stolen = ada.tokens.access.clone();
    let keys = published(&app).await;
    let (leaked, next) = (KeyId::new(keys[0].clone()), keys[1].clone());
    let revoked = app.services().signing_keys.revoke(&leaked).await.expect("revoked");
    assert_eq!((revoked.signing.as_str(), revoked.announced), (next.as_str(), true));

    // Here at once, there when they have read it.
    app.me(&stolen).await.assert_refused(401, "invalid_token");
    for replica in &replicas {
        replica.me(&stolen).await.json(200);
        replica.catch_up().await;
        replica.me(&stolen).await.assert_refused(401, "invalid_token");
        let me = replica.auth_me(&stolen, &ada.tokens.refresh).await.tokens(200);
        assert_eq!(kid_of(me["accessToken"].as_str().expect("a token")), next);
        let keys = published(replica).await;
        assert_eq!(keys[0], next);
        assert!(!keys.contains(&leaked.as_str().to_owned()), "{keys:?}");
    }
    // The sessions live on: refresh tokens do not come of that key.
    ada.refresh().await;
    assert_eq!(kid_of(&ada.tokens.access), next);
    ada.assert_lives().await;
    for replica in &replicas {
        replica.me(&ada.tokens.access).await.json(200);
    }
    // There is another next key again, and once more is no mistake.
    app.catch_up().await;
    assert_eq!(published(&app).await.len(), 2);
    app.services().signing_keys.revoke(&leaked).await.expect("revoked");
    assert_eq!(signing_kid(&app).await, next);

    assert_eq!(announced(&app).await, [Revoked::Key(leaked)]);
}

async fn an_expired_token_of_a_retired_key_still_comes_along(app: TestApp) {
    let mut ada = app.member("ada").await;
    let old = ada.tokens.access.clone();
    let kid = kid_of(&old);
    app.advance(SECOND * 5);
    app.services().signing_keys.promote(None, true).await.expect("another key signs");
    app.advance(MINUTE * 17);
    app.catch_up().await;
    assert!(!published(&app).await.contains(&kid));
    assert_eq!(Validator::new(app.clone(), None).check(&old).await, Err(Rejection::UnknownKey));

    // Authentic and expired, not altered.
    app.me(&old).await.assert_refused(401, "token_expired");
    app.auth_me(&old, &ada.tokens.refresh).await.json(200);
    let both = app.anonymous().post("/auth/refresh-token").access(&old).refresh(&ada.tokens.refresh);
    let answer = both.send().await.tokens(200);
    app.me(&jwt::with_another_signature(&old)).await.assert_refused(401, "invalid_token");

    // For as long as a session can live.
    ada.tokens = crate::support::Tokens::of(&answer);
    for _ in 0..29 {
        app.advance(DAY);
        app.catch_up().await;
    }
    assert!(
        states(&app).await.iter().any(|(id, state)| *id == kid && matches!(state, KeyState::Retired { .. }))
    );
    app.me(&old).await.assert_refused(401, "token_expired");
    app.advance(DAY);
    app.catch_up().await;
    assert!(states(&app).await.iter().all(|(id, _)| *id != kid));
    app.me(&old).await.assert_refused(401, "invalid_token");
}

async fn a_revocation_that_nobody_announced_is_announced_by_any_instance(app: TestApp) {
    let leaked = KeyId::new(signing_kid(&app).await);
    // As a process leaves it that ends in between.
    app.signing_key_store().revoke_signing_key(&leaked, app.timestamp()).await.expect("an answer");
    let other = app.another_instance(|_| ()).await;
    other.catch_up().await;
    other.catch_up().await;
    assert_eq!(announced(&app).await, [Revoked::Key(leaked)]);
}

/// The feed forgets after a token's lifetime, and whoever has the key signs tokens with any.
async fn the_feed_is_told_of_a_revoked_key_for_a_day(app: TestApp) {
    let other = app.another_instance(|_| ()).await;
    let leaked = KeyId::new(signing_kid(&app).await);
    app.services().signing_keys.revoke(&leaked).await.expect("revoked");
    for quarter in 0..4 * 24 {
        let told = announced(&app).await.contains(&Revoked::Key(leaked.clone()));
        assert!(told, "forgotten after {quarter} quarters of an hour");
        for instance in [&app, &other, &app] {
            app.advance(MINUTE * 5);
            instance.catch_up().await;
        }
    }
    app.advance(MINUTE * 30);
    other.catch_up().await;
    assert_eq!(announced(&app).await, []);
}

#[tokio::test]
async fn the_keys_may_be_kept_until_they_change_as_planned() {
    let app = TestApp::spawn().await;
    assert_eq!(max_age(&app).await, 300);
    app.advance(DAY * 90 - SECOND * 301);
    assert_eq!(max_age(&app).await, 300);
    for (passes, left) in [(2, 299), (99, 200), (199, 1)] {
        app.advance(SECOND * passes);
        assert_eq!(max_age(&app).await, left);
    }
    // It is overdue: nobody has taken the step yet.
    app.advance(SECOND * 60);
    assert_eq!(max_age(&app).await, 1);
    app.catch_up().await;
    assert_eq!(max_age(&app).await, 300);
    // The key that signed before goes when its last token has expired.
    app.advance(MINUTE * 15);
    assert_eq!(max_age(&app).await, 70);
    assert_eq!(published(&app).await.len(), 3);
    app.advance(SECOND * 70);
    app.catch_up().await;
    assert_eq!((max_age(&app).await, published(&app).await.len()), (300, 2));
}

#[tokio::test]
async fn the_ring_goes_on_as_it_is_while_the_database_is_away() {
    let app = TestApp::on_servers_of_its_own().await;
    let mut ada = app.member("ada").await;
    let keys = published(&app).await;
    app.stop_postgres();
    app.advance(DAY);
    app.services().key_ring.catch_up().await.expect_err("no database");
    app.services().signing_keys.revoke(&KeyId::new(keys[0].clone())).await.expect_err("no database");
    ada.refresh().await;
    assert_eq!(kid_of(&ada.tokens.access), keys[0]);
    assert_eq!(published(&app).await, keys);
}

#[tokio::test]
async fn a_key_that_is_forced_to_sign_is_known_to_all_instances() {
    let app = TestApp::spawn().await;
    let keys = &app.services().signing_keys;
    let refused = |answer| match answer {
        Err(SigningKeysError::Refused(refusal)) => refusal,
        answer => panic!("{answer:?}"),
    };
    assert!(matches!(refused(keys.promote(None, false).await), KeyRefusal::TooYoung { .. }));
    assert!(matches!(refused(keys.promote(None, true).await), KeyRefusal::NotRead { .. }));
    app.advance(SECOND * 5);
    let signing = keys.promote(None, true).await.expect("it signs");
    assert_eq!(signing_kid(&app).await, signing.as_str());
    let ada = app.member("ada").await;
    assert_eq!(kid_of(&ada.tokens.access), signing.as_str());
    ada.assert_lives().await;
}

#[tokio::test]
async fn an_imported_key_signs_after_its_time_and_a_leaked_one_never_comes_back() {
    // RFC 8037 A.1.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    let app = TestApp::spawn().await;
    let keys = &app.services().signing_keys;
    let imported = keys.import(PEM.as_bytes()).await.expect("a key");
    assert_eq!(imported.as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    app.catch_up().await;
    assert!(published(&app).await.contains(&imported.as_str().to_owned()));
    app.advance(DAY);
    keys.promote(Some(&imported), false).await.expect("it signs");
    let ada = app.member("ada").await;
    assert_eq!(jwt::header(&ada.tokens.access)["alg"], "EdDSA");
    keys.revoke(&imported).await.expect("revoked");
    ada.app.me(&ada.tokens.access).await.assert_refused(401, "invalid_token");
    let again = keys.import(PEM.as_bytes()).await;
    assert!(
        matches!(again, Err(SigningKeysError::Refused(KeyRefusal::Present { state: "revoked", .. }))),
        "{again:?}"
    );
    assert!(matches!(keys.import(b"no key").await, Err(SigningKeysError::NoKey(_))));
}

#[tokio::test]
async fn a_key_from_a_file_is_the_only_one_and_has_no_life() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key.pem");
    let pem = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    std::fs::write(&file, pem).expect("a file");
    let file = format!("keys.signing_key_file={}", file.display());
    let app = TestApp::set(&["keys.algorithm=EdDSA", &file]).await;
    app.advance(DAY * 100);
    app.catch_up().await;
    assert_eq!(published(&app).await, ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]);
    assert_eq!(max_age(&app).await, 300);
    app.member("ada").await.assert_lives().await;
    let keys = &app.services().signing_keys;
    assert!(matches!(keys.overview().await, Err(SigningKeysError::NoRing)));
    assert!(matches!(keys.create(None).await, Err(SigningKeysError::NoRing)));
}
