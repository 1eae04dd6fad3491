//! How many sessions are alive, as metrics tell it.

use std::collections::BTreeMap;

use hallpass::domain::email::Email;
use hallpass::domain::ids::{SessionId, UserId};
use hallpass::domain::password::PasswordHash;
use hallpass::domain::session::NewSession;
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::user::{ImportedUser, NewUser, Role, SecurityVersion};
use hallpass::service::session_sample::{EVERY, SAMPLE};
use uuid::Uuid;

use crate::support::{MILLISECOND, START, TestApp, on_both_flavours};

on_both_flavours! {
    sessions_are_counted_once_a_minute,
    sessions_of_many_accounts_are_reckoned_from_a_sample,
}

async fn sample(app: &TestApp) -> Option<u64> {
    app.services().session_sample.estimate().await
}

async fn sessions_are_counted_once_a_minute(app: TestApp) {
    assert_eq!(sample(&app).await, Some(0));
    let ada = app.member("ada").await;
    ada.on_another_device().await;
    let grace = app.member("grace").await;
    app.advance(EVERY - MILLISECOND);
    assert_eq!(sample(&app).await, Some(0), "as of the last minute");
    app.advance(MILLISECOND);
    assert_eq!(sample(&app).await, Some(3));
    app.log_out(&ada.tokens.access).await.json(200);
    app.advance(EVERY);
    assert_eq!(sample(&app).await, Some(2));
    if app.has_redis() {
        let before = app.redis_commands().await;
        app.advance(EVERY);
        assert_eq!((sample(&app).await, sample(&app).await), (Some(2), Some(2)));
        let after = app.redis_commands().await;
        let of = |counts: &BTreeMap<String, u64>, name| counts.get(name).copied().unwrap_or_default();
        let sent = |name| of(&after, name) - of(&before, name);
        let ever_made = u64::try_from(grace.id).expect("an id");
        let counts = (sent("zcount"), sent("scan"), sent("keys"));
        assert_eq!(counts, (ever_made, 0, 0), "one for each account that was ever made");
    }
}

/// Makes so many accounts without a password that anybody knows.
async fn make_accounts(app: &TestApp, count: i64) {
    let hash = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
    let account = |number| ImportedUser {
        account: NewUser {
            email: Email::parse(&format!("user{number}@example.com")).expect("an address"),
            first_name: None,
            last_name: None,
            role: Role::Member,
            password: PasswordHash::from_phc(hash),
            email_verified: true,
            metadata: Default::default(),
            created_at: START,
        },
        disabled: false,
        external_id: None,
    };
    let accounts: Vec<_> = (0..count).map(account).collect();
    for batch in accounts.chunks(500) {
        app.users().insert_users(batch, START).await.expect("a database");
    }
}

/// Opens a session of that account.
async fn open_session(app: &TestApp, user: i64) {
    let email = Email::parse("ada@example.com").expect("an address");
    let session = NewSession {
        id: SessionId::from(Uuid::from_u128(user.unsigned_abs().into())),
        user: UserId::try_from(user).expect("an id"),
        security_version: SecurityVersion::FIRST,
        carried: Carried::new(email, Role::Member, SessionOrigin::new(None, None, "hallpass")),
    };
    app.token_store().open_session(&session, &app.lifetimes()).await.expect("a session");
}

async fn sessions_of_many_accounts_are_reckoned_from_a_sample(app: TestApp) {
    let accounts = 3 * SAMPLE;
    make_accounts(&app, accounts).await;
    let mut opened = 0;
    for user in (1..=accounts).step_by(3) {
        open_session(&app, user).await;
        opened += 1;
    }
    let reckoned = sample(&app).await.expect("a number");
    // The standard deviation is 4.5 %.
    assert!((opened * 8 / 10..=opened * 12 / 10).contains(&reckoned), "{reckoned} of {opened}");
    if app.has_redis() {
        let counts = app.redis_commands().await;
        assert_eq!(counts.get("zcount"), Some(&SAMPLE.unsigned_abs()), "and no more");
    }
}
