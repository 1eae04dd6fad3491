//! What is unsafe to start with, and what is unwise.

use super::*;

#[test]
fn serve_names_everything_that_is_missing_at_once() {
    let mistakes = given().variable("HALLPASS_LISTEN", "0.0.0.0:8080").mistakes_in_serve();
    assert_says(
        &mistakes,
        &[
            "3 mistakes",
            "secret (default) is not set",
            "redis.url (default) is not set",
            "public_url (default) is not set",
        ],
    );
}

#[test]
fn serve_takes_the_embedded_store_only_when_told() {
    let given = given().variable("HALLPASS_SECRET", SECRET).variable("HALLPASS_TOKEN_STORE", "embedded");
    let settings = given.load(Profile::Serve, Purpose::Start).unwrap().settings;
    assert!(matches!(settings.token_store, TokenStoreKind::Embedded));
    let both = given.variable("REDIS_URL", "redis://redis").mistakes_in_serve();
    assert_says(&both, &["token_store", "`redis.url` is set as well"]);
}

#[test]
fn serve_refuses_what_is_unsafe() {
    for (variables, parts) in [
        (
            &[("HALLPASS_ADMIN__EMAIL", "johndoe@example.com"), ("HALLPASS_ADMIN__PASSWORD", "password")][..],
            &["2 mistakes", "is the sample administrator's", "is too common"][..],
        ),
        (
            &[("HALLPASS_ADMIN__EMAIL", "ada@example.com"), ("HALLPASS_ADMIN__PASSWORD", "iloveyou")],
            &["is too common"],
        ),
        (
            &[
                ("HALLPASS_ADMIN__EMAIL", "ada@example.com"),
                ("HALLPASS_ADMIN__PASSWORD", "x9"),
                ("HALLPASS_PASSWORDS__MIN_LENGTH", "1"),
            ],
            &["admin.password", "shorter than 8"],
        ),
        (&[("HALLPASS_RESET__DELIVERY", "response")], &["reset.delivery", "reset any password"]),
        // The address is private, but a proxy leads there.
        (
            &[("HALLPASS_RESET__DELIVERY", "response"), ("HALLPASS_LISTEN", "127.0.0.1:8080")],
            &["reset any password"],
        ),
        (&[("HALLPASS_RESET__DELIVERY", "log")], &["reads the log", "`reset.danger_log_tokens`"]),
        (&[("HALLPASS_RESET__DELIVERY", "smtp")], &["but `smtp.host` is not set", "`smtp.from`"]),
        (&[("HALLPASS_REGISTRATION__VERIFY_EMAIL", "true")], &["could ever log in", "set `smtp.host`"]),
        (
            &[("HALLPASS_SMTP__HOST", "smtp.example.com"), ("HALLPASS_SMTP__TLS", "none")],
            &["2 mistakes", "smtp.from", "in the clear", "`smtp.danger_plaintext`"],
        ),
    ] {
        let given = variables.iter().fold(production(), |given, (name, value)| given.variable(name, value));
        assert_says(&given.mistakes_in_serve(), parts);
    }
}

#[test]
fn one_mistake_does_not_hide_an_exposed_delivery() {
    let given =
        given().variable("HALLPASS_RESET__DELIVERY", "response").variable("HALLPASS_LISTEN", "0.0.0.0:80");
    let mistakes = given.mistakes_in_serve();
    assert_says(&mistakes, &["secret", "public_url", "redis.url", "reset.delivery", "reset any password"]);
}

#[test]
fn an_accepted_secret_that_repeats_itself_is_warned_about() {
    let with = |text: &str| production().variable("HALLPASS_SECRET_ACCEPTED", text).warned(Profile::Serve);
    assert!(with("0123456789abcdef0123456789abcdef").is_empty());
    let weak = format!("0123456789abcdef0123456789abcdef\n{}", "ab".repeat(20));
    assert_eq!(with(&weak), ["secret_accepted"]);
}

#[test]
fn a_secret_that_repeats_itself_is_warned_about() {
    let given = given().variable("HALLPASS_SECRET", "abababababababababababababababababab");
    let warnings = given.load(Profile::Dev, Purpose::Start).unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.key == "secret"), "{warnings:?}");
}

#[test]
fn serve_allows_what_is_safe() {
    production()
        .variable("HALLPASS_ADMIN__EMAIL", "ada@example.com")
        .variable("HALLPASS_ADMIN__PASSWORD", "correct horse battery staple")
        .load(Profile::Serve, Purpose::Start)
        .unwrap();
    production()
        .variable("HALLPASS_RESET__DELIVERY", "response")
        .variable("HALLPASS_LISTEN", "127.0.0.1:8080")
        .variable("HALLPASS_PUBLIC_URL", "http://localhost:8080")
        .load(Profile::Serve, Purpose::Start)
        .unwrap();
}

#[test]
fn what_is_unsafe_does_not_keep_other_commands_from_working() {
    given().load(Profile::Serve, Purpose::Inspect).unwrap();
}

#[test]
fn dev_is_for_this_machine_alone() {
    for address in ["0.0.0.0:8080", "192.168.1.2:8080", "[::]:8080"] {
        let mistakes = given().variable("HALLPASS_LISTEN", address).mistakes_in_dev();
        assert_says(&mistakes, &["listen", "leads beyond this machine", "hallpass serve"]);
    }
    for address in ["127.0.0.2:0", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
        given().variable("HALLPASS_LISTEN", address).settings();
    }
}

#[test]
fn dev_puts_no_sample_administrator_into_a_database_elsewhere() {
    for url in ["postgres://db.example.com/hallpass", "postgres:///hallpass?host=db.example.com"] {
        let remote = given().variable("DATABASE_URL", url);
        assert_says(&remote.mistakes_in_dev(), &["admin.password", "the database is on another machine"]);
        remote
            .variable("HALLPASS_ADMIN__EMAIL", "ada@example.com")
            .variable("HALLPASS_ADMIN__PASSWORD", "tqjzkvwm")
            .settings();
    }
    for url in ["postgres://127.0.0.1/hallpass", "postgres:///hallpass?host=/run/postgresql"] {
        given().variable("DATABASE_URL", url).settings();
    }
}

#[test]
fn the_unwise_is_warned_about() {
    for (name, value, key) in [
        ("HALLPASS_PASSWORDS__MIN_LENGTH", "7", "passwords.min_length"),
        ("HALLPASS_PASSWORDS__REJECT_COMMON", "false", "passwords.reject_common"),
        ("HALLPASS_PASSWORDS__ARGON2__MEMORY_KIB", "19455", "passwords.argon2.memory_kib"),
        ("HALLPASS_PASSWORDS__ARGON2__ITERATIONS", "1", "passwords.argon2.memory_kib"),
        ("HALLPASS_TOKENS__REFRESH__ROTATION_GRACE_PERIOD", "1h", "tokens.refresh.rotation_grace_period"),
        ("HALLPASS_REDIS__DANGER_ALLOW_EVICTION", "true", "redis.danger_allow_eviction"),
        ("HALLPASS_TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0", "trusted_proxies"),
        ("HALLPASS_RATE_LIMITS__ENABLED", "false", "rate_limits.enabled"),
        ("HALLPASS_RATE_LIMITS__LOGIN__PER_ACCOUNT", "off", "rate_limits.login.per_account"),
        ("HALLPASS_RATE_LIMITS__LOGIN__PER_ACCOUNT", "101/15m", "rate_limits.login.per_account"),
    ] {
        assert_eq!(production().variable(name, value).warned(Profile::Serve), [key], "{name}={value}");
    }
    let log = production()
        .variable("HALLPASS_RESET__DELIVERY", "log")
        .variable("HALLPASS_RESET__DANGER_LOG_TOKENS", "true");
    assert_eq!(log.warned(Profile::Serve), ["reset.danger_log_tokens"]);
    assert!(production().warned(Profile::Serve).is_empty());
    assert!(given().warned(Profile::Dev).is_empty());
}

#[test]
fn a_lower_minimum_length_allows_common_passwords_unless_somebody_says_otherwise() {
    let reject_common = |given: Given| given.settings().passwords.policy.reject_common;
    let min_length = |text| given().variable("HALLPASS_PASSWORDS__MIN_LENGTH", text);
    assert!(reject_common(given()));
    assert!(reject_common(min_length("8")));
    assert!(!reject_common(min_length("6")));
    assert!(reject_common(min_length("6").variable("HALLPASS_PASSWORDS__REJECT_COMMON", "true")));
}
