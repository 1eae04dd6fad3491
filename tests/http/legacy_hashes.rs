//! People who were brought along with the hash that another system made of their password.

use serde_json::json;

use crate::support::{Actor, TestApp, on_both_flavours};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

/// Of [`PASSWORD`], by argon2-cffi, passlib, pyca/bcrypt, Django, Werkzeug and Python's hashlib.
#[rustfmt::skip]
const HASHES: &[&str] = &[
    "$argon2i$v=16$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$GT1FCDFY1cuYlf0Ys7l5xP7ZJmeSIlwHEjLHLGf4DVU",
    "$argon2d$v=19$m=256,t=3,p=2$NMYYg7AWYizFOAcghFAqBQ$+aHxuZ6ZYe50mMczRLUrpmFbfYMHXQUirLOJtYOusvc",
    "argon2$argon2id$v=19$m=102400,t=2,p=8$c29tZXNhbHRzb21lc2FsdA$mNK8ZQcbEhPOTu4tJFqncjxBXJeb6Cjl5Wo3nK3UZTQ",
    "$2a$04$S32e2co4dnZxRFp/eW4BUuYVIh/4M4nRJcRMSKk1/cQpfyV88t62m",
    "$2b$04$NQvTCX1v1gzwC3VafBya/OI6HTnbsnBuqTygSag9Ka3JN7DR4rakS",
    "$2y$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS",
    "bcrypt$$2b$04$CWO5Pb882vqdROlN7veW9uERUArOGpNVRQIi5BFRDpfhO6bCZEqYS",
    "bcrypt_sha256$$2b$04$aUqwl.x3GOE2DaN3qnPy0.cVls6CdHChCg49VtB.Vj4JL3WZcDqMi",
    "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4",
    "$pbkdf2-sha512$1000$mpOylvJ.z/l/7z0HYGwNgQ$YIJtSQTe9Eqe6UAojnMOwAv/UsXRGBISn5MhXvZNmjz7fX/CnQqL9iP6AWo7EMpzok1KlnILA7DGygAAfrSt4Q",
    "pbkdf2_sha256$1000$seasaltseasalt1234567a$efPPzGEpYQKB+mJW+f52QpsatIQmhyaCI/OQQqf8nx0=",
    "$scrypt$ln=10,r=8,p=1$PcfYm5NyLoWw1nrv/V9LCQ$RWrX3QOm93BGS8Jk1HMTsGpP12qXbSVUCol0N5Y/4+k",
    "scrypt$16384$seasaltseasalt$8$5$FM4HCuOyhJ3Wk0THRGLaVRXxJEcd5bVjRklLCmx5Cx2s4403CEsbFpgtbkfYQsp0SNABgOCjy/H8FBtbxqofpA==",
    "scrypt:1024:8:1$J63dgAGk$a5cb514a5a2b6d1660548e02f8abdfd0e008ac4ed3edb3a4b46c86bdc6d9bb24090f63e74de99ea72fa9a1a7906d67b71e2b41d76d9e51bde7405f965c88eb54",
    "pbkdf2:sha1:1000$sFNuR6Iu$1511959b696b0e99ad1bef98276a1febb7543216",
    "AQAAAAIAAAPoAAAAEDAxMjM0NTY3ODlhYmNkZWbsX9jWudZde6ssJ8W8CbKPJe1sAGGDMFME1yb//CWe8Q==",
    "{argon2@SpringSecurity_v5_8}$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$T3PcaJ24NQXQLgFPwsq1O95VXG3/ohGKDVyk0WOwfEE",
    "$P$5zQZpO65YNsxnc3JIj09B.jJ0ATBBb0",
    "$wp$2y$04$7R7PXnuT4yYszVy85wk8nutlPmxm2OjI/rZX4rxcizabbjmRZ6HMS",
];

async fn stored_hash(app: &TestApp, email: &str) -> String {
    app.stored_user(email).await.expect("an account").password.expose().to_owned()
}

on_both_flavours! {
    the_first_login_turns_every_kind_of_hash_into_argon2id,
    a_password_that_changes_meanwhile_wins_over_the_rehash,
}

async fn the_first_login_turns_every_kind_of_hash_into_argon2id(app: TestApp) {
    for (number, hash) in HASHES.iter().enumerate() {
        let email = format!("user{number}@example.com");
        app.import(&email, hash).await;
        app.log_in(&email, "correct horse").await.assert_refused(401, "invalid_credentials");
        assert_eq!(stored_hash(&app, &email).await, *hash, "only a login that works knows the password");

        app.log_in(&email, PASSWORD).await.json(200);
        let upgraded = stored_hash(&app, &email).await;
        assert!(upgraded.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash} became {upgraded}");

        app.log_in(&email, PASSWORD).await.json(200);
        assert_eq!(stored_hash(&app, &email).await, upgraded);
        app.log_in(&email, "correct horse").await.assert_refused(401, "invalid_credentials");
    }
}

async fn a_password_that_changes_meanwhile_wins_over_the_rehash(app: TestApp) {
    // One worker is held; the new password needs another.
    let app = app.another_instance(|settings| settings.passwords.hash_workers = 2).await;
    app.import(EMAIL, HASHES[4]).await;
    let reset_token = app.reset_token(EMAIL).await;

    let mut held = app.chance().hold_next_salt();
    let logging_in = tokio::spawn({
        let app = app.clone();
        async move { app.log_in(EMAIL, PASSWORD).await }
    });
    held.arrived().await;
    let new = "a better one this time";
    let body = json!({"resetToken": reset_token, "newPassword": new});
    app.anonymous().post("/auth/reset-password").json(&body).send().await.json(200);
    let chosen = stored_hash(&app, EMAIL).await;
    held.release();
    logging_in.await.expect("no panic").json(200);

    assert_eq!(stored_hash(&app, EMAIL).await, chosen);
    app.log_in(EMAIL, PASSWORD).await.assert_refused(401, "invalid_credentials");
    app.log_in(EMAIL, new).await.json(200);
}

#[tokio::test]
async fn bcrypt_s_cut_at_72_bytes_ends_with_the_first_login() {
    let app = TestApp::spawn().await;
    // pyca/bcrypt 4.0.1, of 72 times "x".
    app.import(EMAIL, "$2b$04$codYTHS8UV.ScUNi97wuKeEYd6HCw97v/ahVHiyYivbwtjelMlpfO").await;
    let long = "x".repeat(100);
    app.log_in(EMAIL, &"x".repeat(71)).await.assert_refused(401, "invalid_credentials");
    app.log_in(EMAIL, &long).await.json(200);
    app.log_in(EMAIL, &"x".repeat(72)).await.assert_refused(401, "invalid_credentials");
    app.log_in(EMAIL, &long).await.json(200);
}

#[tokio::test]
async fn a_hash_that_somebody_made_too_dear_is_not_computed() {
    let app = TestApp::spawn().await;
    let dear = format!("$argon2id$v=19$m=4194304,t=100,p=1${}${}", "A".repeat(22), "A".repeat(43));
    app.import(EMAIL, &dear).await;
    app.log_in(EMAIL, PASSWORD).await.assert_refused(500, "internal_error");
    assert_eq!(stored_hash(&app, EMAIL).await, dear);
}
