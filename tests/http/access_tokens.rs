//! What an access token is, and what other services need to check one on their own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hallpass_verify::{AccessClaims, KeySet, Rejection, TokenType, Verifier};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Actor, DAY, ISSUER, LoggedIn, MINUTE, TestApp, jwt};

async fn jwks(app: &TestApp) -> Value {
    app.anonymous().get("/.well-known/jwks.json").send().await.json(200)
}

/// A microservice's check: it has the published keys and nothing else of hallpass.
async fn check(app: &TestApp, token: &str) -> Result<AccessClaims, Rejection> {
    let keys = KeySet::from_jwks(&jwks(app).await.to_string()).expect("a key set");
    let now = UNIX_EPOCH + Duration::from_secs(app.now().cast_unsigned());
    Verifier::new(keys, ISSUER, ISSUER).verify(token, now)
}

#[tokio::test]
async fn the_header_names_type_algorithm_and_key_and_nothing_else() {
    let app = TestApp::spawn().await;
    let token = app.member("ada").await.tokens.access;
    let published = jwks(&app).await;
    let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": published["keys"][0]["kid"]});
    assert_eq!(jwt::header(&token), header);
}

#[tokio::test]
async fn the_claims_are_those_of_rfc_9068_and_the_session() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let claims = jwt::claims(&ada.tokens.access);
    let expected = json!({
        "iss": ISSUER, "aud": claims["aud"], "sub": ada.id.to_string(),
        "iat": app.now(), "exp": app.now() + 900, "sv": app.timestamp().as_millis(), "inc": claims["inc"],
        "jti": claims["jti"], "sid": claims["sid"], "client_id": "hallpass",
        "email": "ada@example.com", "email_verified": false, "roles": ["member"],
        "auth_time": app.now(), "amr": ["pwd"], "acr": "urn:hallpass:acr:1"
    });
    assert_eq!(claims, expected);
    assert!(claims["inc"].is_u64(), "{claims}");
    assert!(claims["aud"] == json!(ISSUER) || claims["aud"] == json!([ISSUER]), "{claims}");
    for id in ["jti", "sid"] {
        claims[id].as_str().and_then(|id| id.parse::<Uuid>().ok()).expect("a UUID");
    }
    let elsewhere = jwt::claims(&ada.on_another_device().await.tokens.access);
    assert_ne!(elsewhere["jti"], claims["jti"]);
    assert_ne!(elsewhere["sid"], claims["sid"]);
}

/// By it, validators tell the tokens of after a security event from those of before.
fn version_of(person: &LoggedIn) -> i64 {
    jwt::claims(&person.tokens.access)["sv"].as_i64().expect("a number")
}

#[tokio::test]
async fn every_security_event_raises_the_version_of_later_tokens() {
    let app = TestApp::spawn().await;
    let mut ada = app.member("ada").await;
    let mut before = 0;
    for number in 1..4 {
        let version = version_of(&ada);
        assert!(version > before, "{version} after {before}");
        ada.refresh().await;
        assert_eq!(version_of(&ada), version, "a refresh is none");
        before = version;
        let password = format!("a new password, number {number}");
        ada.change_password(&password).await.json(200);
        ada = LoggedIn::log_in(&app, "ada@example.com", &password).await;
    }
}

#[tokio::test]
async fn every_algorithm_signs_and_verifies() {
    for (algorithm, kty, crv) in
        [("ES256", "EC", Some("P-256")), ("RS256", "RSA", None), ("EdDSA", "OKP", Some("Ed25519"))]
    {
        let app = TestApp::set(&[&format!("keys.algorithm={algorithm}")]).await;
        let mut ada = app.member("ada").await;
        assert_eq!(jwt::header(&ada.tokens.access)["alg"], algorithm);

        let published = jwks(&app).await;
        let [signing, next] = published["keys"].as_array().expect("keys").as_slice() else {
            panic!("{published}")
        };
        assert_eq!(signing["kid"], jwt::header(&ada.tokens.access)["kid"]);
        assert_ne!(signing["kid"], next["kid"]);
        for key in [signing, next] {
            let (shape, expected) = ((&key["kty"], &key["alg"], &key["use"]), (kty, algorithm, "sig"));
            assert_eq!(shape, (&json!(expected.0), &json!(expected.1), &json!(expected.2)));
            assert_eq!(key["crv"].as_str(), crv, "{key}");
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(key.get(private).is_none(), "{key}");
            }
        }

        ada.assert_lives().await;
        let claims = check(&app, &ada.tokens.access).await.expect("a valid token");
        assert_eq!(claims.sub, ada.id.to_string());
        let altered = jwt::with_another_signature(&ada.tokens.access);
        assert_eq!(check(&app, &altered).await, Err(Rejection::BadSignature), "{algorithm}");
        app.me(&altered).await.assert_refused(401, "invalid_token");
        ada.refresh().await;
        ada.assert_lives().await;
    }
}

#[tokio::test]
async fn the_type_can_be_jwt_for_validators_that_refuse_the_other() {
    let app = TestApp::set(&["tokens.typ=JWT"]).await;
    let ada = app.member("ada").await;
    assert_eq!(jwt::header(&ada.tokens.access)["typ"], "JWT");
    ada.assert_lives().await;
    assert_eq!(check(&app, &ada.tokens.access).await, Err(Rejection::WrongType));
}

#[tokio::test]
async fn issuer_and_audience_are_what_is_set() {
    let app =
        TestApp::set(&["public_url=https://auth.example.com", "tokens.audience=https://api.example.com"])
            .await;
    let ada = app.member("ada").await;
    let claims = jwt::claims(&ada.tokens.access);
    assert_eq!(claims["iss"], "https://auth.example.com");
    assert!(claims["aud"].to_string().contains("\"https://api.example.com\""), "{claims}");
    ada.assert_lives().await;
}

/// Signed by the right key: only the claims and the header tell that it is no access token of ours.
#[tokio::test]
async fn a_rightly_signed_token_of_another_kind_is_refused() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let right: AccessClaims =
        serde_json::from_value(jwt::claims(&ada.tokens.access)).expect("the claims of a token");
    let sign = |typ, claims: &AccessClaims| {
        let ring = app.services().key_ring.current();
        hallpass::crypto::jwt::mint(ring.signing_key(), typ, claims).expect("a token").expose().to_owned()
    };
    app.me(&sign(TokenType::AtJwt, &right)).await.json(200);
    let ahead = right.iat + 3600;
    for (typ, claims) in [
        (TokenType::Jwt, right.clone()),
        (TokenType::AtJwt, AccessClaims { iat: ahead, ..right.clone() }),
        (TokenType::AtJwt, AccessClaims { nbf: Some(ahead), ..right.clone() }),
        (TokenType::AtJwt, AccessClaims { sv: None, ..right.clone() }),
        // A machine's token: no user logged in for it, whatever its subject is called.
        (TokenType::AtJwt, AccessClaims { sid: None, ..right.clone() }),
    ] {
        let answer = app.auth_me(&sign(typ, &claims), &ada.tokens.refresh).await;
        answer.assert_refused(401, "invalid_token");
    }
    // Of another issuer or audience: good for nothing, and beside a refresh token as good as none, since
    // the service had another name when it signed that.
    for claims in [
        AccessClaims { iss: format!("{ISSUER}/"), ..right.clone() },
        AccessClaims { aud: vec!["https://elsewhere".to_owned()], ..right.clone() },
        AccessClaims { aud: Vec::new(), ..right.clone() },
    ] {
        let token = sign(TokenType::AtJwt, &claims);
        app.me(&token).await.assert_refused(401, "invalid_token");
        let me = app.auth_me(&token, &ada.tokens.refresh).await.tokens(200);
        app.me(me["accessToken"].as_str().expect("a new one")).await.json(200);
        app.auth_me(&token, "hp_rt_x").await.assert_refused(401, "invalid_refresh_token");
    }
    // The user of another session, or nobody's session: no such session stands.
    for claims in [
        AccessClaims { sub: "1".to_owned(), ..right.clone() },
        AccessClaims { sid: Some(Uuid::from_bytes([7; 16])), ..right.clone() },
    ] {
        app.me(&sign(TokenType::AtJwt, &claims)).await.assert_refused(401, "token_revoked");
    }
}

#[tokio::test]
async fn a_header_cannot_choose_how_it_is_checked() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let (header, claims) = (jwt::header(&ada.tokens.access), jwt::claims(&ada.tokens.access));
    let signature = jwt::signature(&ada.tokens.access);
    let jwk = jwks(&app).await["keys"][0].clone();
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        jwt::assemble(&header, &claims, signature)
    };
    for forged in [
        with("alg", json!("none")),
        with("alg", json!("None")),
        with("alg", json!("HS256")),
        with("alg", json!("RS256")),
        with("alg", json!("ES384")),
        with("kid", json!("../../etc/passwd")),
        with("kid", json!("' OR '1'='1")),
        with("kid", Value::Null),
        with("jwk", jwk),
        with("jku", json!("http://127.0.0.1:1/jwks.json")),
        with("x5u", json!("http://127.0.0.1:1/key.pem")),
        with("crit", json!(["exp"])),
    ] {
        app.me(&forged).await.assert_refused(401, "invalid_token");
        app.refresh(&forged).await.assert_refused(401, "invalid_refresh_token");
    }
    // Taking a token apart and putting it together again is not what makes it wrong.
    app.me(&jwt::assemble(&header, &claims, signature)).await.json(200);
    ada.assert_lives().await;
}

#[tokio::test]
async fn an_overlong_token_is_refused() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let long = jwt::with_claim(&ada.tokens.access, "email", "a".repeat(9_000));
    app.me(&long).await.assert_refused(401, "invalid_token");
    app.refresh(&"a".repeat(9_000)).await.assert_refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn the_keys_may_be_kept_for_five_minutes_and_asked_for_by_tag() {
    let app = TestApp::spawn().await;
    let answer = app.anonymous().get("/.well-known/jwks.json").send().await;
    answer.json(200);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let tag = answer.header("etag").expect("a tag").to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let request = app.anonymous().get("/.well-known/jwks.json").header("if-none-match", &known);
        let answer = request.send().await;
        assert_eq!((answer.status, answer.text()), (304, String::new()), "{known}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    }
    let other = app.anonymous().get("/.well-known/jwks.json").header("if-none-match", "\"other\"");
    other.send().await.json(200);
}

#[tokio::test]
async fn instances_over_one_database_sign_with_one_key_and_others_with_their_own() {
    let app = TestApp::spawn().await;
    let (same, foreign) = (app.another_instance(|_| ()).await, TestApp::spawn().await);
    assert_eq!(jwks(&app).await, jwks(&same).await);
    let ada = app.member("ada").await;
    same.me(&ada.tokens.access).await.json(200);
    assert_ne!(jwks(&app).await, jwks(&foreign).await);
    foreign.me(&ada.tokens.access).await.assert_refused(401, "invalid_token");
}

#[tokio::test]
async fn another_algorithm_is_published_before_it_signs_and_the_earlier_one_is_taken_to_its_end() {
    let app = TestApp::spawn().await;
    let mut ada = app.member("ada").await;
    let algorithm = "EdDSA".parse().expect("an algorithm");
    let switched = app.another_instance(|settings| settings.keys.algorithm = algorithm).await;
    let algorithms = async || {
        let keys = jwks(&switched).await["keys"].as_array().expect("keys").clone();
        keys.iter().map(|key| key["alg"].as_str().expect("alg").to_owned()).collect::<Vec<_>>()
    };
    let mut published = algorithms().await;
    assert_eq!(published[0], "ES256");
    published.sort();
    assert_eq!(published, ["ES256", "ES256", "EdDSA"]);
    ada.app = switched.clone();
    ada.refresh().await;
    assert_eq!(jwt::header(&ada.tokens.access)["alg"], "ES256");

    app.advance(DAY);
    ada.refresh().await;
    let earlier = ada.tokens.access.clone();
    switched.catch_up().await;
    ada.refresh().await;
    assert_eq!(jwt::header(&ada.tokens.access)["alg"], "EdDSA");
    assert_eq!(algorithms().await[0], "EdDSA");
    for token in [&ada.tokens.access, &earlier] {
        switched.me(token).await.json(200);
        check(&switched, token).await.expect("a valid token");
    }
    app.advance(MINUTE * 16);
    switched.me(&earlier).await.assert_refused(401, "token_expired");
}

#[tokio::test]
async fn a_token_is_right_for_a_verifier_of_another_make() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let key: jsonwebtoken::jwk::Jwk =
        serde_json::from_value(jwks(&app).await["keys"][0].clone()).expect("a key");
    let key = jsonwebtoken::DecodingKey::from_jwk(&key).expect("a key");
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[ISSUER]);
    rules.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    // It reads the machine's clock; these tests have their own.
    (rules.validate_exp, rules.validate_nbf) = (false, false);
    let token = jsonwebtoken::decode::<Value>(&ada.tokens.access, &key, &rules).expect("a valid token");
    assert_eq!(token.claims["sub"], ada.id.to_string());
}

/// The time that `SystemTime` and the tests' clock mean by a second is the same one.
#[tokio::test]
async fn times_are_seconds_since_the_unix_epoch() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    let claims = check(&app, &ada.tokens.access).await.expect("a valid token");
    let issued = SystemTime::UNIX_EPOCH + Duration::from_secs(claims.iat.cast_unsigned());
    assert_eq!(issued, crate::support::START.to_system_time());
}
