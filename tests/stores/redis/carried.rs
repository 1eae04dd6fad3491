//! What a session carries: how it stands in Redis now, and how builds before wrote it.

use std::collections::BTreeMap;

use hallpass::domain::email::Email;
use hallpass::domain::session::{NewSession, Session, Timeout};
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::user::Role;
use hallpass::store::{AccessStatus, OnReuse, OpenOutcome, RefreshOutcome, SessionStore};
use redis::aio::MultiplexedConnection;

use super::keys;
use super::layout::{alone, assert_corrupt, set_field};
use crate::token_store::support::*;

/// A longer field, or more of them, would make Redis keep the hash in three times the room.
#[tokio::test]
async fn a_session_is_kept_as_a_list_of_short_fields_however_much_it_carries() {
    let (_server, store, mut redis, _clock) = alone().await;
    let ada = Person::new();
    let email = format!("{}@{}.example.com", "ü".repeat(32), "long".repeat(15));
    let origin = SessionOrigin::new("2001:db8::7".parse().ok(), Some(&"\"🦀".repeat(99)), "c".repeat(64));
    let carried = Carried::new(Email::parse(&email).expect("an address"), Role::Admin, origin);
    let new = NewSession { carried: Carried { email_verified: true, ..carried }, ..ada.session() };
    let outcome = store.open_session(&new, &LIFETIMES).await.expect("open_session");
    let OpenOutcome::Opened(session) = outcome else { panic!("{outcome:?}") };
    assert_eq!(session.carried, new.carried);
    let key = keys().of_user(ada.user).session(session.id);
    let fields: BTreeMap<String, String> =
        redis::cmd("HGETALL").arg(&key).query_async(&mut redis).await.expect("HGETALL");
    assert!(fields.contains_key("5"), "{fields:?}");
    assert!(fields.values().all(|value| value.len() <= 64), "{fields:?}");
    let encoding: String =
        redis::cmd("OBJECT").arg("ENCODING").arg(&key).query_async(&mut redis).await.expect("OBJECT");
    assert_eq!(encoding, "listpack");
}

/// Writes a session as builds before did: a field for each part of what it carries.
async fn write_as_before(redis: &mut MultiplexedConnection, session: &Session) {
    let key = keys().of_user(session.user).session(session.id);
    let mut pieces = redis::cmd("HDEL");
    pieces.arg(&key);
    for piece in 0..10 {
        pieces.arg(piece);
    }
    let removed: i64 = pieces.query_async(redis).await.expect("HDEL");
    assert!(removed > 0, "it was written as now");
    let carried = &session.carried;
    let origin = &carried.origin;
    let address = origin.address.map(|address| address.to_string()).unwrap_or_default();
    for (field, value) in [
        ("e", carried.email.as_str()),
        ("r", carried.role.as_str()),
        ("p", &address),
        ("w", origin.user_agent.as_deref().unwrap_or_default()),
        ("k", &origin.client),
    ] {
        set_field(redis, &key, field, value).await;
    }
    if carried.email_verified {
        set_field(redis, &key, "m", "1").await;
    }
}

#[tokio::test]
async fn a_session_that_an_earlier_build_has_opened_goes_on_until_it_ends() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let known = |email_verified, origin| NewSession {
        carried: Carried { email_verified, origin, ..ada.carried() },
        ..ada.session()
    };
    let nowhere = SessionOrigin::new(None, None, "hallpass");
    for new in [known(true, origin()), known(false, nowhere)] {
        let outcome = store.open_session(&new, &LIFETIMES).await.expect("open_session");
        let OpenOutcome::Opened(session) = outcome else { panic!("{outcome:?}") };
        write_as_before(&mut redis, &session).await;

        let checked = check(&store, session.token(0)).await;
        assert_eq!(checked, RefreshOutcome::Current(session.clone()));
        assert_eq!(status(&store, &session.access_token()).await, AccessStatus::Live);
        let listed = store.list_sessions(ada.user, None, 10).await.expect("list_sessions");
        assert_eq!(listed, std::slice::from_ref(&session));
        let found = store.find_session(ada.user, session.id).await.expect("find_session");
        assert_eq!(found.as_ref(), Some(&session));

        clock.advance(DAY);
        let rotated = rotate(&store, session.token(0)).await.session().expect("a live session");
        assert_eq!((rotated.generation.get(), &rotated.carried), (1, &session.carried));
        let again = rotate(&store, rotated.token(1)).await.session().expect("a live session");
        assert_eq!((again.generation.get(), &again.carried), (2, &session.carried));
        assert_eq!(rotate(&store, session.token(0)).await, RefreshOutcome::Reused);
        assert_eq!(status(&store, &session.access_token()).await, AccessStatus::Revoked);
    }
}

/// The builds before those noted nothing of it: such a session goes on, and the account is asked. What cannot be
/// read of either is named.
#[tokio::test]
async fn a_session_of_before_without_a_note_is_one_of_an_unproven_address_and_what_is_missing_is_named() {
    let (_server, store, mut redis, _clock) = alone().await;
    let ada = Person::new();
    let carried = Carried { email_verified: true, ..ada.carried() };
    let new = NewSession { carried, ..ada.session() };
    let outcome = store.open_session(&new, &LIFETIMES).await.expect("open_session");
    let OpenOutcome::Opened(session) = outcome else { panic!("{outcome:?}") };
    write_as_before(&mut redis, &session).await;
    let key = keys().of_user(ada.user).session(session.id);
    redis::cmd("HDEL").arg(&key).arg("m").query_async::<()>(&mut redis).await.expect("HDEL");
    let listed = store.list_sessions(ada.user, None, 1_000).await.expect("list_sessions");
    let rotated = rotate(&store, session.token(0)).await.session().expect("a live session");
    for session in [&listed[0], &rotated] {
        assert!(!session.carried.email_verified, "{session:?}");
    }
    set_field(&mut redis, &key, "m", "yes").await;
    assert_corrupt(&store.rotate(&session.token(1), &LIFETIMES).await.expect_err("corrupt"), &key);
    redis::cmd("HDEL").arg(&key).arg("m").arg("e").query_async::<()>(&mut redis).await.expect("HDEL");
    assert_corrupt(&store.rotate(&session.token(2), &LIFETIMES).await.expect_err("corrupt"), &key);
}

/// All of a hash.
async fn stored(redis: &mut MultiplexedConnection, key: &str) -> BTreeMap<String, Vec<u8>> {
    redis::cmd("HGETALL").arg(key).query_async(redis).await.expect("HGETALL")
}

/// Redeemed first and read afterwards, a token would be spent for an answer that nobody gets.
#[tokio::test]
async fn what_cannot_be_read_is_refused_before_anything_is_written() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let new = NewSession { carried: Carried { email_verified: true, ..ada.carried() }, ..ada.session() };
    let mut broken: Vec<(&str, Vec<u8>)> = BROKEN_CARRIED.map(|text| ("0", text.into())).into();
    broken.push(("0", b"\xff".to_vec()));
    broken.push(("1", b"\"".to_vec()));
    // Of the kind of number that scripts take, and not of the kind that is read.
    broken.extend([("g", b"4294967296".to_vec()), ("g", b"-1".to_vec())]);
    for layout in ["now", "before"] {
        if layout == "before" {
            broken = [
                ("e", "nobody"),
                ("r", "root"),
                ("p", "300.0.2.7"),
                ("w", "a\n"),
                ("k", "\u{7f}"),
                ("m", "0"),
            ]
            .map(|(field, value)| (field, value.into()))
            .into();
        }
        for (field, value) in &broken {
            let OpenOutcome::Opened(session) =
                store.open_session(&new, &LIFETIMES).await.expect("open_session")
            else {
                panic!("it was refused");
            };
            if layout == "before" {
                write_as_before(&mut redis, &session).await;
            }
            let whole = rotate(&store, session.token(0)).await.session().expect("a live session");
            clock.advance(SECOND);
            let key = keys().of_user(ada.user).session(session.id);
            let before = stored(&mut redis, &key).await;
            let deadline = async |redis: &mut MultiplexedConnection| {
                let mut command = redis::cmd("ZRANGE");
                command.arg(keys().of_user(ada.user).sessions()).arg(0).arg(-1).arg("WITHSCORES");
                command.query_async::<Vec<String>>(redis).await.expect("ZRANGE")
            };
            let set = deadline(&mut redis).await;
            let mut command = redis::cmd("HSET");
            command.arg(&key).arg(field).arg(value).query_async::<()>(&mut redis).await.expect("HSET");
            let after = stored(&mut redis, &key).await;
            let case = format!("{layout} {field} {}", String::from_utf8_lossy(value));
            // The current one, the one before within its time of grace, and one from ahead.
            for generation in [1, 0, 7] {
                let token = session.token(generation);
                let errors = [
                    store.rotate(&token, &LIFETIMES).await.expect_err(&case),
                    store.check_refresh(&token, &LIFETIMES, OnReuse::Refuse).await.expect_err(&case),
                    store.check_refresh(&token, &LIFETIMES, OnReuse::Revoke).await.expect_err(&case),
                ];
                for error in errors {
                    assert_corrupt(&error, &key);
                }
                assert_eq!(stored(&mut redis, &key).await, after, "{case}");
                assert_eq!(deadline(&mut redis).await, set, "{case}");
            }
            // Somebody mends it: nothing was spent.
            let mut command = redis::cmd("HSET");
            command.arg(&key).arg(field);
            match before.get(*field) {
                Some(kept) => command.arg(kept).query_async::<()>(&mut redis).await.expect("HSET"),
                None => {
                    let mut command = redis::cmd("HDEL");
                    command.arg(&key).arg(field).query_async::<()>(&mut redis).await.expect("HDEL");
                }
            }
            let outcome = rotate(&store, session.token(1)).await;
            let RefreshOutcome::Current(next) = outcome else { panic!("{case}: {outcome:?}") };
            assert_eq!((next.generation.get(), next.carried), (2, whole.carried), "{case}");
        }
    }
}

/// What is known of it without reading it stays a verdict.
#[tokio::test]
async fn a_session_that_has_ended_has_ended_also_where_it_cannot_be_read() {
    let (_server, store, mut redis, clock) = alone().await;
    let (ada, grace) = (Person::new(), Person::new());
    let (session, of_grace) = (ada.log_in(&store, &clock).await, grace.log_in(&store, &clock).await);
    let key = keys().of_user(ada.user).session(session.id);
    set_field(&mut redis, &key, "0", "{").await;
    clock.advance(LIFETIMES.idle);
    assert_eq!(rotate(&store, session.token(0)).await, RefreshOutcome::Expired(Timeout::Idle));
    let key = keys().of_user(grace.user).session(of_grace.id);
    redis::cmd("DEL").arg(&key).query_async::<()>(&mut redis).await.expect("DEL");
    assert_eq!(rotate(&store, of_grace.token(0)).await, RefreshOutcome::Unknown);
}

/// How many scripts Redis has run for us so far.
async fn scripts_run(redis: &mut MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.expect("INFO");
    let of = |line: &str| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next()?.parse().ok();
    info.lines().find_map(of).unwrap_or_default()
}

/// A session that is as it was written costs one call; one that has no mark, or another format's, is read first, and one
/// without gets the mark of whoever has read it.
#[tokio::test]
async fn a_session_is_read_before_its_token_is_redeemed_unless_it_is_as_it_was_written() {
    let (_server, store, mut redis, clock) = alone().await;
    let ada = Person::new();
    let session = ada.log_in(&store, &clock).await;
    let key = keys().of_user(ada.user).session(session.id);
    let mark = stored(&mut redis, &key).await["d"].clone();
    assert_eq!(mark.first(), Some(&b'1'));
    rotate(&store, session.token(0)).await;
    let mut without = redis::cmd("HDEL");
    without.arg(&key).arg("d");
    let of_a_later_build = redis::cmd("HSET").arg(&key).arg("d").arg("2abcdef").to_owned();
    let with_more = redis::cmd("HSET").arg(&key).arg("later").arg("x").to_owned();
    let as_it_was = redis::cmd("HDEL").arg(&key).arg("later").to_owned();
    let marked = redis::cmd("HSET").arg(&key).arg("d").arg(&mark).to_owned();
    let (is_read, is_not) = (2, 1);
    let rounds = [
        (None, is_not, &mark[..]),
        (Some(&without), is_read, &mark),
        (None, is_not, &mark),
        (Some(&with_more), is_read, &mark),
        (Some(&as_it_was), is_not, &mark),
        (Some(&of_a_later_build), is_read, b"2abcdef"),
        (None, is_read, b"2abcdef"),
        (Some(&marked), is_not, &mark),
    ];
    for (generation, (change, calls, kept)) in (1..).zip(rounds) {
        if let Some(change) = change {
            change.query_async::<()>(&mut redis).await.expect("an answer");
        }
        let before = scripts_run(&mut redis).await;
        let checked = check(&store, session.token(generation)).await;
        assert!(matches!(checked, RefreshOutcome::Current(_)), "{checked:?}");
        assert_eq!(scripts_run(&mut redis).await - before, calls, "{change:?}");
        let rotated = rotate(&store, session.token(generation)).await;
        let RefreshOutcome::Current(rotated) = rotated else { panic!("{rotated:?}") };
        assert_eq!(rotated.carried, session.carried);
        assert_eq!(scripts_run(&mut redis).await - before, 2 * calls, "{change:?}");
        assert_eq!(stored(&mut redis, &key).await["d"], kept, "{change:?}");
    }
}
