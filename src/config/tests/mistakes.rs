//! What cannot be taken, and how that is said.

use super::*;

#[test]
fn a_compat_api_that_is_none_is_refused() {
    for text in ["rest", "nest,", "nest;access-tokens", "Nest"] {
        let mistakes = given().variable("HALLPASS_COMPAT", text).mistakes_in_dev();
        assert_says(
            &mistakes,
            &["compat (variable HALLPASS_COMPAT)", "compat APIs", "write nest, access-tokens"],
        );
    }
    for file in ["compat = [7]", "compat = [['nest']]", "compat = true", "listen = ['127.0.0.1:1']"] {
        given().file(file).mistakes_in_dev();
    }
}

/// One wrong value each, and a part of what is said about it.
#[test]
fn each_wrong_value_is_named_with_its_origin_and_its_mend() {
    for (name, value, parts) in [
        (
            "HALLPASS_LISTEN",
            "localhost",
            &["listen (variable HALLPASS_LISTEN) = \"localhost\"", "127.0.0.1:8080"][..],
        ),
        ("HALLPASS_PUBLIC_URL", "https://a.example/", &["ends in a slash"]),
        ("HALLPASS_SECRET", "too short to be one", &["secret", "is shorter than 32 bytes", "openssl rand"]),
        ("DATABASE_URL", "mysql://host/db", &["database.url (variable DATABASE_URL) names no database"]),
        ("DATABASE_URL", "postgres://h/d?pgbouncer=true", &["the parameter `pgbouncer`", "leave it out"]),
        ("DATABASE_URL", "postgres://h/d?target_session_attrs=standby", &["hallpass has to write"]),
        ("HALLPASS_DATABASE__MIGRATE_URL", "postgres://h/d", &["one of the two URLs is none"]),
        ("HALLPASS_DATABASE__MAX_CONNECTIONS", "0", &["a whole number from 1 to 10000"]),
        ("HALLPASS_DATABASE__ACQUIRE_TIMEOUT", "10ms", &["out of bounds", "50ms to 1m"]),
        ("HALLPASS_DATABASE__STATEMENT_TIMEOUT", "2m", &["out of bounds"]),
        ("HALLPASS_DATABASE__CONNECT_TIMEOUT", "10m", &["50ms to 5m"]),
        ("REDIS_URL", "redis+sentinel://h", &["names no master", "host,host,host:26379/master"]),
        ("REDIS_URL", "redis+cluster://h/1", &["database 0 alone", "redis+cluster://:password@host"]),
        ("REDIS_URL", "valkey://h", &["Valkey", "write redis://"]),
        ("REDIS_URL", "unix://redis.sock", &["whole path"]),
        ("HALLPASS_REDIS__TLS__CA_FILE", "/dev/null", &["no Redis is"]),
        ("HALLPASS_REDIS__PREFIX", "Prod", &["redis.prefix", "\"Prod\" is no prefix", "1 to 32 characters"]),
        ("HALLPASS_REDIS__PREFIX", "a:{all}", &["is no prefix"]),
        ("HALLPASS_REDIS__WAIT_REPLICAS", "-1", &["redis.wait_replicas", "a whole number from 0 to 100"]),
        ("HALLPASS_TOKEN_STORE", "memory", &["token_store", "write redis or embedded"]),
        ("HALLPASS_TOKEN_STORE", "redis", &["`redis.url` is not set"]),
        ("HALLPASS_TOKENS__ACCESS_TTL", "900", &["\"900\" is no duration", "with a unit"]),
        ("HALLPASS_TOKENS__ACCESS_TTL", "0s", &["\"0s\" is out of bounds", "1s to 1day"]),
        ("HALLPASS_TOKENS__ACCESS_TTL", "25h", &["out of bounds"]),
        ("HALLPASS_TOKENS__ACCESS_TTL", "10500ms", &["fraction"]),
        (
            "HALLPASS_TOKENS__REFRESH__IDLE_TTL",
            "14m",
            &["tokens.access_ttl", "longer than `tokens.refresh.idle_ttl`"],
        ),
        ("HALLPASS_TOKENS__REFRESH__IDLE_TTL", "31d", &["longer than `tokens.refresh.absolute_ttl`"]),
        ("HALLPASS_TOKENS__REFRESH__ABSOLUTE_TTL", "2y", &["out of bounds"]),
        ("HALLPASS_TOKENS__REFRESH__ROTATION_GRACE_PERIOD", "7d", &["not shorter than"]),
        ("HALLPASS_TOKENS__TYP", "at", &["write at+jwt or JWT"]),
        ("HALLPASS_TOKENS__AUDIENCE", "a\nb", &["control character"]),
        ("HALLPASS_TOKENS__LEEWAY", "61s", &["out of bounds"]),
        ("HALLPASS_VALIDATION__MODE", "lax", &["write strict or mirror"]),
        ("HALLPASS_VALIDATION__MODE", "mirror", &["the embedded token store", "set `redis.url`"]),
        ("HALLPASS_VALIDATION__MAX_STALENESS", "100ms", &["out of bounds", "500ms to 30s"]),
        ("HALLPASS_RESET__TTL", "0s", &["1s to 1day"]),
        ("HALLPASS_RESET__DELIVERY", "pigeon", &["write off, response, log or smtp"]),
        ("HALLPASS_RESET__URL", "https://app.example.com/reset", &["exactly once", "{token}"]),
        ("HALLPASS_VERIFICATION__URL", "/confirm#{token}", &["no absolute"]),
        ("HALLPASS_VERIFICATION__TTL", "31d", &["1m to 30days"]),
        ("HALLPASS_REGISTRATION__CONCEAL_EXISTING", "true", &["`registration.verify_email` is not"]),
        ("HALLPASS_SMTP__HOST", "smtp.example.com", &["smtp.from (default) is not set"]),
        ("HALLPASS_SMTP__TLS", "ssl", &["write starttls, implicit or none"]),
        ("HALLPASS_SMTP__PORT", "65536", &["from 1 to 65535"]),
        ("HALLPASS_SMTP__FROM", "Ada", &["is no sender"]),
        ("HALLPASS_SMTP__USERNAME", "ada", &["is set without `smtp.password`"]),
        ("HALLPASS_SMTP__PASSWORD", "hunter2", &["is set without `smtp.username`"]),
        ("HALLPASS_KEYS__ALGORITHM", "HS256", &["write ES256, RS256 or EdDSA"]),
        ("HALLPASS_KEYS__SIGNING_KEY_FILE", "/nowhere/key.pem", &["\"/nowhere/key.pem\" cannot be read"]),
        ("HALLPASS_PASSWORDS__MIN_LENGTH", "65", &["from 1 to 64"]),
        ("HALLPASS_PASSWORDS__REJECT_COMMON", "yes", &["neither `true` nor `false`"]),
        ("HALLPASS_PASSWORDS__ARGON2__MEMORY_KIB", "7", &["passwords.argon2.memory_kib", "cannot be used"]),
        ("HALLPASS_PASSWORDS__HASH_WORKERS", "0", &["from 1 to 1024"]),
        ("HALLPASS_ADMIN__EMAIL", "ada@example.com", &["is set without `admin.password`"]),
        ("HALLPASS_ADMIN__PASSWORD", "tqjzkvwm", &["is set without `admin.email`"]),
        ("HALLPASS_TRUSTED_PROXIES", "proxy.internal", &["trusted_proxies", "like 10.0.0.1, 10.0.0.0/8"]),
        ("HALLPASS_TRUSTED_PROXIES", "10.1.0.0/8", &["not its first", "write 10.0.0.0/8 if you mean all"]),
        (
            "HALLPASS_RATE_LIMITS__LOGIN__PER_IP",
            "60",
            &["\"60\" is no limit", "write it like 60/15m", "or off"],
        ),
        ("HALLPASS_RATE_LIMITS__LOGIN__PER_IP", "0/1m", &["not within 1 and 1000000"]),
        ("HALLPASS_RATE_LIMITS__LOGIN__PER_IP", "1/2d", &["from 1s to 24h"]),
        (
            "HALLPASS_RATE_LIMITS__LOGN__PER_IP",
            "1/1m",
            &["did you mean HALLPASS_RATE_LIMITS__LOGIN__PER_IP?"],
        ),
        ("HALLPASS_LOG__LEVEL", "a=b=c", &["is no log level"]),
        ("HALLPASS_LOG__FORMAT", "xml", &["write pretty or json"]),
        ("HALLPASS_LOG__REQUESTS", "some", &["write changes, all or off"]),
        ("HALLPASS_LOG__CLIENT_ADDRESS", "no", &["neither `true` nor `false`"]),
        ("HALLPASS_SHUTDOWN_GRACE", "2h", &["out of bounds"]),
        ("HALLPASS_KEYS__PUBLISH_AHEAD", "59m", &["out of bounds", "1h to 30days"]),
        ("HALLPASS_KEYS__PUBLISH_AHEAD", "31d", &["out of bounds"]),
        ("HALLPASS_KEYS__ROTATE_EVERY", "23h", &["out of bounds", "0s for no rotation"]),
        ("HALLPASS_KEYS__ROTATE_EVERY", "2y", &["out of bounds"]),
        ("HALLPASS_CONFIG", "/nowhere/hallpass.toml", &["/nowhere/hallpass.toml, which cannot be read"]),
    ] {
        let mistakes = given().variable(name, value).mistakes_in_dev();
        assert_says(&mistakes, parts);
        assert_says(&mistakes, &["1 mistake in the settings"]);
    }
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_settings() {
    let mistakes = given()
        .file("listen = 'here'\nlisten_on = 1\n[tokens]\naccess_ttl = 5\n[resett]\nttl = '1m'")
        .variable("HALLPASS_SECRET", "short")
        .variable("HALLPASS_TOKENS__LEWAY", "5s")
        .set("log.format=xml")
        .set("nonsense")
        .mistakes_in_dev();
    assert_says(
        &mistakes,
        &[
            "8 mistakes",
            "hallpass.toml, line 1) = \"here\"",
            "listen_on (",
            "hallpass.toml, line 2) is no setting",
            "hallpass.toml, line 4) = \"5\" is no duration",
            "resett (",
            "hallpass.toml, line 5) is no setting",
            "secret (variable HALLPASS_SECRET)",
            "did you mean HALLPASS_TOKENS__LEEWAY?",
            "log.format (flag --set)",
            "--set (flag --set) has no `=`",
        ],
    );
    let place = |part| mistakes.find(part).unwrap();
    assert!(place("line 1)") < place("secret (") && place("secret (") < place("tokens.access_ttl ("));
}

#[test]
fn every_syntax_error_of_a_file_is_reported_without_quoting_it() {
    let mistakes = given().file("listen = \nsecret = 'hunter2\nlog = { format = }\n").mistakes_in_dev();
    assert_says(&mistakes, &["line 1) is not TOML", "line 2) is not TOML"]);
    assert!(!mistakes.contains("hunter2"), "{mistakes}");
}

#[test]
fn a_key_in_the_wrong_shape_is_explained() {
    let mistakes = given().file("tokens = 5\nlisten = ['a']\n[secret]\nvalue = 'hunter2'").mistakes_in_dev();
    assert_says(&mistakes, &["is a group of settings", "listen (", "of the kind array", "of the kind table"]);
    assert!(!mistakes.contains("hunter2"), "{mistakes}");
}

#[test]
fn unknown_names_get_a_suggestion() {
    for (name, near) in [
        ("HALLPASS_DATABASE_URL", "HALLPASS_DATABASE__URL?"),
        ("HALLPASS_ACCESS_TTL", "HALLPASS_TOKENS__ACCESS_TTL?"),
        ("HALLPASS_LISTEN_FILE", "HALLPASS_LISTEN?"),
        ("HALLPASS_COLOUR", "unset it"),
    ] {
        assert_says(&given().variable(name, "x").mistakes_in_dev(), &[name, "is no setting", near]);
    }
    for (assignment, near) in [("access_ttl=5m", "`tokens.access_ttl`?"), ("logs.format=x", "`log.format`?")]
    {
        assert_says(&given().set(assignment).mistakes_in_dev(), &["is no setting", near]);
    }
}

#[test]
fn no_error_dump_or_debug_shows_a_secret() {
    let given = given()
        .variable("HALLPASS_SECRET", "hunter2-hunter2-hunter2-0123456789")
        .variable(
            "HALLPASS_SECRET_ACCEPTED",
            "hunter2-hunter2-hunter2-9876543210\nhunter2-1234567890-1234567890-12",
        )
        .variable("DATABASE_URL", "postgres://u:hunter2@localhost/db")
        .variable("REDIS_URL", "redis://:hunter2@localhost")
        .variable("HALLPASS_ADMIN__EMAIL", "ada@example.com")
        .variable("HALLPASS_ADMIN__PASSWORD", "hunter2");
    let loaded = given.load(Profile::Dev, Purpose::Start).unwrap();
    let debug = format!("{loaded:?}");
    let dump = dump(&loaded.values);
    assert!(!debug.contains("hunter2") && !dump.contains("hunter2"), "{debug}\n{dump}");
    let broken = given
        .variable("HALLPASS_SECRET", "hunter2")
        .variable("HALLPASS_SECRET_ACCEPTED", "hunter2")
        .variable("DATABASE_URL", "hunter2")
        .variable("REDIS_URL", "hunter2")
        .variable("HALLPASS_ADMIN__PASSWORD", &"hunter2".repeat(1000));
    let mistakes = broken.mistakes_in_dev();
    assert_says(&mistakes, &["5 mistakes"]);
    assert!(!mistakes.contains("hunter2"), "{mistakes}");
}

#[test]
fn what_is_migrated_is_what_is_served() {
    let both = |served: &str, migrated: &str| {
        production().variable("DATABASE_URL", served).variable("HALLPASS_DATABASE__MIGRATE_URL", migrated)
    };
    let other = both("postgres://localhost/d?schema=a", "postgres://owner@localhost/d").mistakes_in_serve();
    assert_says(&other, &["database.migrate_url", "names another `schema`"]);
    let same = both("postgres://localhost/d?schema=a", "postgres://owner@localhost/d?schema=a");
    assert!(same.warned(Profile::Serve).is_empty());
}

#[test]
fn what_tls_needs_is_there_and_asked_for() {
    let with =
        |url: &str, name: &str, path: &str| production().variable("REDIS_URL", url).variable(name, path);
    let plain = with("redis://localhost", "HALLPASS_REDIS__TLS__CA_FILE", "/dev/null");
    assert_says(&plain.mistakes_in_serve(), &["redis.tls.ca_file", "asks for no TLS", "rediss://"]);
    let plain = with("redis+sentinel://localhost/main", "HALLPASS_REDIS__TLS__CA_FILE", "/dev/null");
    assert_says(&plain.mistakes_in_serve(), &["redis.tls.ca_file", "asks for no TLS", "rediss+sentinel://"]);
    let protected = with("rediss+sentinel://localhost/main", "HALLPASS_REDIS__TLS__CA_FILE", "/dev/null");
    assert!(protected.warned(Profile::Serve).is_empty());
    let plain = with("redis+cluster://localhost", "HALLPASS_REDIS__TLS__CA_FILE", "/dev/null");
    assert_says(&plain.mistakes_in_serve(), &["redis.tls.ca_file", "asks for no TLS", "rediss+cluster://"]);
    let protected = with("rediss+cluster://localhost", "HALLPASS_REDIS__TLS__CA_FILE", "/dev/null");
    assert!(protected.warned(Profile::Serve).is_empty());
    let missing = with("rediss://localhost", "HALLPASS_REDIS__TLS__CA_FILE", "/no/such.pem");
    assert_says(&missing.mistakes_in_serve(), &["redis.tls.ca_file", "cannot be read"]);
    let half = with("rediss://localhost", "HALLPASS_REDIS__TLS__KEY_FILE", "/dev/null");
    assert_says(&half.mistakes_in_serve(), &["redis.tls.key_file", "without `redis.tls.cert_file`"]);
}
