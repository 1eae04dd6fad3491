//! What would travel in the clear.

use super::*;

#[test]
fn serve_refuses_a_public_url_in_the_clear_unless_somebody_means_it() {
    for (variables, parts) in [
        (&[("HALLPASS_PUBLIC_URL", "http://auth.example.com")][..], "is http://"),
        (&[("HALLPASS_PUBLIC_URL", "http://10.0.0.1:8080")], "is http://"),
        // The name of the loopback address is this machine's; one that begins like it is not.
        (&[("HALLPASS_PUBLIC_URL", "http://localhost.example.com")], "is http://"),
    ] {
        let given = variables.iter().fold(production(), |given, (name, value)| given.variable(name, value));
        assert_says(&given.mistakes_in_serve(), &["1 mistake", "public_url", parts, "in the clear"]);
        let meant = given.variable("HALLPASS_DANGER_PLAINTEXT_PUBLIC_URL", "true");
        assert_eq!(meant.warned(Profile::Serve), ["danger_plaintext_public_url"]);
    }
    // Nothing is set, and what holds then is no better.
    let by_address = given()
        .variable("HALLPASS_SECRET", SECRET)
        .variable("REDIS_URL", "rediss://redis")
        .variable("HALLPASS_LISTEN", "10.0.0.1:8080");
    assert_says(&by_address.mistakes_in_serve(), &["public_url", "http://10.0.0.1:8080", "in the clear"]);
    for url in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "http://a.localhost"] {
        assert!(production().variable("HALLPASS_PUBLIC_URL", url).warned(Profile::Serve).is_empty(), "{url}");
    }
}

#[test]
fn dev_takes_such_a_public_url_with_a_warning() {
    let given = given().variable("HALLPASS_PUBLIC_URL", "http://hallpass.test");
    assert_eq!(given.warned(Profile::Dev), ["public_url"]);
}

#[test]
fn stores_in_the_clear_on_other_machines_are_warned_about() {
    let warned = |name: &str, url: &str| production().variable(name, url).warned(Profile::Serve);
    for url in [
        "postgres://db/hallpass",
        "postgresql://hallpass:pw@db.example.com:5432/hallpass",
        "postgres://db/hallpass?sslmode=prefer",
        "postgres://db/hallpass?sslmode=allow",
        "postgres://db/hallpass?sslmode=disable",
        "postgres://db/hallpass?sslmode=require&sslmode=disable",
        "postgres:///hallpass?host=db.example.com",
        "postgres://10.0.0.1/hallpass",
        "postgres://localhost:5432,db:5432/hallpass",
    ] {
        assert_eq!(warned("DATABASE_URL", url), ["database.url"], "{url}");
    }
    for url in [
        "sqlite://hallpass.db",
        "postgres://localhost/hallpass",
        "postgres://[::1]/hallpass?sslmode=disable",
        "postgres:///hallpass?host=/run/postgresql",
        "postgres://db/hallpass?sslmode=require",
        "postgres://db/hallpass?ssl-mode=VERIFY-CA",
        "postgres://db/hallpass?sslmode=verify-full",
        "postgres://localhost:5432,[::1]:5433/hallpass",
        "postgres://one:5432,two:5432/hallpass?sslmode=verify-full",
    ] {
        assert!(warned("DATABASE_URL", url).is_empty(), "{url}");
    }
    let by_another = given()
        .variable("HALLPASS_SECRET", SECRET)
        .variable("HALLPASS_PUBLIC_URL", "https://auth.example.com")
        .variable("REDIS_URL", "rediss://redis")
        .variable("DATABASE_URL", "postgres://db/hallpass?sslmode=verify-full")
        .variable("HALLPASS_DATABASE__MIGRATE_URL", "postgres://owner@db/hallpass");
    assert_eq!(by_another.warned(Profile::Serve), ["database.migrate_url"]);
    for url in [
        "redis://redis",
        "redis://:pw@10.0.0.1:6379/0",
        "redis+sentinel://localhost,10.0.0.1/main",
        "redis+cluster://localhost,10.0.0.1",
    ] {
        assert_eq!(warned("REDIS_URL", url), ["redis.url"], "{url}");
    }
    for url in [
        "redis://localhost",
        "redis://127.0.0.1:6379",
        "redis://[::1]/1",
        "rediss://redis",
        "redis+sentinel://localhost,127.0.0.1:1,[::1]/main",
        "rediss+sentinel://one,two/main",
        "redis+cluster://localhost,127.0.0.1:1,[::1]",
        "rediss+cluster://one,two",
    ] {
        assert!(warned("REDIS_URL", url).is_empty(), "{url}");
    }
    let dev = given().variable("REDIS_URL", "redis://redis");
    assert_eq!(dev.warned(Profile::Dev), ["redis.url"]);
}
