//! Settings from end to end: layers, mistakes, refusals.

use std::ffi::OsString;
use std::fs;

use super::*;
use crate::domain::rate_limit::Rate;

const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// The sources of one test, put together step by step.
#[derive(Default)]
struct Given {
    sources: Sources,
    folder: Option<tempfile::TempDir>,
}

impl Given {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.to_owned(), OsString::from(value));
        self
    }

    fn set(mut self, assignment: &str) -> Self {
        self.sources.flags.push(FlagValue::Set(assignment.to_owned()));
        self
    }

    fn flag(mut self, flag: &'static str, key: &'static str, text: &str) -> Self {
        self.sources.flags.push(FlagValue::Named { flag, key, text: text.to_owned() });
        self
    }

    fn in_folder(&mut self, name: &str, text: &str) -> PathBuf {
        let folder = self.folder.get_or_insert_with(|| tempfile::tempdir().unwrap());
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn file(mut self, text: &str) -> Self {
        self.sources.config_file = Some(self.in_folder("hallpass.toml", text));
        self
    }

    fn variable_file(mut self, name: &str, text: &str) -> Self {
        let path = self.in_folder(name, text);
        self.sources.environment.insert(name.to_owned(), path.into());
        self
    }

    fn load(&self, profile: Profile, purpose: Purpose) -> Result<Loaded, ConfigErrors> {
        load(profile, purpose, &self.sources)
    }

    fn settings(&self) -> Settings {
        self.load(Profile::Dev, Purpose::Start).unwrap().settings
    }

    /// The mistakes as text, one per line.
    fn mistakes(&self, profile: Profile, purpose: Purpose) -> String {
        self.load(profile, purpose).expect_err("there are mistakes").to_string()
    }

    fn mistakes_in_dev(&self) -> String {
        self.mistakes(Profile::Dev, Purpose::Start)
    }

    fn mistakes_in_serve(&self) -> String {
        self.mistakes(Profile::Serve, Purpose::Start)
    }

    /// The keys that warnings are about.
    fn warned(&self, profile: Profile) -> Vec<&'static str> {
        let loaded = self.load(profile, Purpose::Start).unwrap();
        loaded.warnings.iter().map(|warning| warning.key).collect()
    }
}

fn given() -> Given {
    Given::default()
}

/// All that production needs.
fn production() -> Given {
    given()
        .variable("HALLPASS_SECRET", SECRET)
        .variable("REDIS_URL", "redis://redis")
        .variable("HALLPASS_PUBLIC_URL", "https://auth.example.com")
        .variable("HALLPASS_LISTEN", "0.0.0.0:8080")
}

/// Fails unless the text holds all parts.
#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn dev_works_with_nothing_set() {
    let settings = given().settings();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.database.url.expose(), "sqlite://hallpass-data/hallpass.db");
    assert!(matches!(settings.token_store, TokenStoreSettings::Embedded));
    assert_eq!(settings.tokens.lifetimes.access_token, Duration::from_secs(900));
    assert_eq!(settings.reset.delivery, ResetDelivery::Response);
    assert_eq!(settings.admin.map(|admin| admin.email.to_string()).as_deref(), Some(SAMPLE_ADMIN_EMAIL));
    assert_eq!(settings.log.format, LogFormat::Pretty);
    assert!(settings.secret.is_none() && settings.public_url.is_none());
}

#[test]
fn serve_has_no_administrator_and_logs_json() {
    let settings = production().load(Profile::Serve, Purpose::Start).unwrap().settings;
    assert!(settings.admin.is_none());
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.reset.delivery, ResetDelivery::Off);
    assert!(matches!(settings.token_store, TokenStoreSettings::Redis { danger_allow_eviction: false, .. }));
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = given().file("[tokens]\naccess_ttl = '1m'\nleeway = '1s'\nrefresh.idle_ttl = '1h'");
    let environment =
        file.variable("HALLPASS_TOKENS__LEEWAY", "2s").variable("HALLPASS_TOKENS__REFRESH__IDLE_TTL", "2h");
    let lifetimes = environment.set("tokens.refresh.idle_ttl=3h").settings().tokens.lifetimes;
    assert_eq!(lifetimes.access_token, Duration::from_secs(60));
    assert_eq!(lifetimes.leeway, Duration::from_secs(2));
    assert_eq!(lifetimes.idle, Duration::from_secs(3 * 3600));
    assert_eq!(lifetimes.absolute, Duration::from_secs(30 * 24 * 3600));
}

#[test]
fn a_variable_can_name_the_settings_file_and_the_flag_wins() {
    let mut given = given().file("listen = '127.0.0.1:1'");
    let other = given.in_folder("other.toml", "listen = '127.0.0.1:2'");
    given.sources.environment.insert("HALLPASS_CONFIG".to_owned(), other.into());
    assert_eq!(given.settings().listen.port(), 1);
    given.sources.config_file = None;
    assert_eq!(given.settings().listen.port(), 2);
}

#[test]
fn a_settings_file_holds_every_kind_of_value() {
    let settings = given()
        .file("passwords.argon2.memory_kib = 19_456\npasswords.hash_queue = 0x10\npasswords.reject_common = false")
        .settings();
    assert_eq!(settings.passwords.argon2.memory_kib, 19_456);
    assert_eq!(settings.passwords.hash_queue, 16);
    assert!(!settings.passwords.policy.reject_common);
}

#[test]
fn the_compat_apis_are_named_one_by_one() {
    use CompatApi::{AccessTokens, Nest};
    assert_eq!(given().settings().compat, [Nest, AccessTokens]);
    for (text, apis) in [
        ("nest", &[Nest][..]),
        ("access-tokens", &[AccessTokens]),
        (" access-tokens , nest,nest", &[Nest, AccessTokens]),
        ("", &[]),
        (" ", &[]),
    ] {
        assert_eq!(given().variable("HALLPASS_COMPAT", text).settings().compat, apis, "{text:?}");
        assert_eq!(given().set(&format!("compat={text}")).settings().compat, apis, "{text:?}");
    }
    for (file, apis) in [
        ("compat = []", &[][..]),
        ("compat = ['nest']", &[Nest]),
        ("compat = ['access-tokens', 'nest']", &[Nest, AccessTokens]),
        ("compat = 'nest'", &[Nest]),
    ] {
        let given = given().file(file);
        assert_eq!(given.settings().compat, apis, "{file}");
        let loaded = given.load(Profile::Dev, Purpose::Inspect).unwrap();
        let (entries, mistakes) = file::entries(std::path::Path::new("dump"), &dump(&loaded.values));
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let dumped = entries.iter().find(|(setting, ..)| setting.key == "compat").map(|(_, text, _)| text);
        assert_eq!(parse::compat(dumped.unwrap()).unwrap(), apis, "{file}");
    }
}

#[test]
fn limits_are_set_one_by_one_or_switched_off_together() {
    let limits = |given: Given| given.settings().rate_limits;
    let text = |rate: Option<Rate>| rate.map(|rate| (rate.burst(), rate.period().as_secs()));
    let defaults = limits(given());
    assert_eq!(
        (text(defaults.login.per_ip), text(defaults.login.per_account)),
        (Some((300, 60)), Some((60, 900)))
    );
    assert_eq!((text(defaults.register.per_ip), defaults.register.per_account), (Some((600, 600)), None));
    assert_eq!((text(defaults.refresh.per_ip), defaults.refresh.per_account), (Some((300, 60)), None));
    let reset_request = defaults.reset_request;
    assert_eq!(
        (text(reset_request.per_ip), text(reset_request.per_account)),
        (Some((300, 600)), Some((20, 900)))
    );
    assert_eq!((text(defaults.reset.per_ip), defaults.reset.per_account), (Some((300, 600)), None));

    let changed = limits(given().file("[rate_limits.login]\nper_ip = '5/1s'\nper_account = 'off'"));
    assert_eq!((text(changed.login.per_ip), changed.login.per_account), (Some((5, 1)), None));
    assert_eq!(changed.reset, defaults.reset);
    assert_eq!(limits(given().set("rate_limits.enabled=false")), LimitRules::default());
}

#[test]
fn trusted_proxies_are_a_list() {
    let networks =
        |given: Given| given.settings().trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(networks(given()).is_empty());
    let expected = ["10.0.0.0/8", "127.0.0.1/32"];
    assert_eq!(networks(given().variable("HALLPASS_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")), expected);
    assert_eq!(networks(given().file("trusted_proxies = ['10.0.0.0/8', '127.0.0.1']")), expected);
}

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

#[test]
fn the_data_folder_moves_the_default_database() {
    let settings = given().flag("--data-dir", "data_dir", "/srv/hall?pass").settings();
    assert_eq!(settings.database.url.expose(), "sqlite:///srv/hall%3Fpass/hallpass.db");
}

#[test]
fn aliases_of_variables_are_understood() {
    let settings = given()
        .variable("DATABASE_URL", "postgres://localhost/hallpass")
        .variable("REDIS_URL", "redis://localhost")
        .variable("RUST_LOG", "debug")
        .settings();
    assert_eq!(settings.database.url.expose(), "postgres://localhost/hallpass");
    assert!(matches!(settings.token_store, TokenStoreSettings::Redis { .. }));
    assert_eq!(settings.log.level, "debug");
}

#[test]
fn an_empty_alias_says_nothing_but_an_empty_variable_of_ours_is_a_mistake() {
    assert_eq!(given().variable("RUST_LOG", "").settings().log.level, "info");
    let mistakes = given().variable("HALLPASS_LOG__LEVEL", "").mistakes_in_dev();
    assert_says(&mistakes, &["log.level (variable HALLPASS_LOG__LEVEL) is empty"]);
}

#[test]
fn two_variables_for_one_setting_must_agree() {
    let same = given().variable("REDIS_URL", "redis://a").variable("HALLPASS_REDIS__URL", "redis://a");
    same.settings();
    let mistakes = same.variable("REDIS_URL", "redis://b").mistakes_in_dev();
    assert_says(&mistakes, &["redis.url", "is set twice, by HALLPASS_REDIS__URL and REDIS_URL"]);
}

#[test]
fn a_secret_may_come_from_a_file_less_its_last_line_break() {
    let settings = given()
        .variable_file("HALLPASS_SECRET_FILE", &format!("{SECRET}\n"))
        .variable_file("DATABASE_URL_FILE", "postgres://u:p@localhost/db\r\n")
        .settings();
    assert_eq!(settings.secret, Some(Secret::new(SECRET)));
    assert_eq!(settings.database.url.expose(), "postgres://u:p@localhost/db");
}

#[test]
fn a_secret_and_its_file_twin_exclude_each_other() {
    let mistakes = given()
        .variable("DATABASE_URL", "postgres://localhost/db")
        .variable_file("HALLPASS_DATABASE__URL_FILE", "postgres://localhost/db")
        .mistakes_in_dev();
    assert_says(&mistakes, &["is set twice, by DATABASE_URL and HALLPASS_DATABASE__URL_FILE"]);
}

#[test]
fn a_missing_secret_file_is_named() {
    let mistakes = given().variable("HALLPASS_SECRET_FILE", "/nowhere/secret").mistakes_in_dev();
    assert_says(&mistakes, &["secret (/nowhere/secret, named by HALLPASS_SECRET_FILE) cannot be read"]);
}

#[test]
fn an_endless_secret_file_is_refused() {
    let mistakes = given().variable("HALLPASS_SECRET_FILE", "/dev/zero").mistakes_in_dev();
    assert_says(&mistakes, &["is larger than"]);
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
        ("REDIS_URL", "redis+sentinel://h/m", &["Sentinel"]),
        ("HALLPASS_TOKEN_STORE", "memory", &["token_store", "write redis or embedded"]),
        ("HALLPASS_TOKEN_STORE", "redis", &["`redis.url` is not set"]),
        ("HALLPASS_TOKENS__ACCESS_TTL", "900", &["\"900\" is no duration", "with a unit"]),
        ("HALLPASS_TOKENS__ACCESS_TTL", "0s", &["0s is out of bounds", "1s to 1day"]),
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
        ("HALLPASS_RESET__DELIVERY", "smtp", &["but `smtp.host` is not set", "`smtp.from`"]),
        ("HALLPASS_RESET__URL", "https://app.example.com/reset", &["exactly once", "{token}"]),
        ("HALLPASS_VERIFICATION__URL", "/confirm#{token}", &["no absolute"]),
        ("HALLPASS_VERIFICATION__TTL", "31d", &["1m to 30days"]),
        ("HALLPASS_REGISTRATION__VERIFY_EMAIL", "true", &["could ever log in", "set `smtp.host`"]),
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
fn what_kubernetes_says_about_services_is_not_taken_for_settings() {
    given()
        .variable("HALLPASS_SERVICE_HOST", "10.0.0.1")
        .variable("HALLPASS_SERVICE_PORT", "80")
        .variable("HALLPASS_SERVICE_PORT_HTTP", "80")
        .variable("HALLPASS_PORT", "tcp://10.0.0.1:80")
        .variable("HALLPASS_PORT_80_TCP", "tcp://10.0.0.1:80")
        .variable("HALLPASS_REDIS_PORT_6379_TCP_ADDR", "10.0.0.2")
        .settings();
    assert_says(&given().variable("HALLPASS_PORT", "80").mistakes_in_dev(), &["HALLPASS_PORT"]);
}

#[test]
fn one_setting_twice_on_the_command_line_is_a_mistake() {
    let mistakes =
        given().flag("--listen", "listen", "127.0.0.1:1").set("listen=127.0.0.1:2").mistakes_in_dev();
    assert_says(&mistakes, &["listen (flag --set) is set twice"]);
}

#[test]
fn secrets_are_not_taken_from_the_command_line() {
    for assignment in ["secret=hunter2", "admin.password=hunter2", "database.url=postgres://u:hunter2@h/d"] {
        let mistakes = given().set(assignment).mistakes_in_dev();
        assert_says(&mistakes, &["anyone on the machine can read a command line", "_FILE"]);
        assert!(!mistakes.contains("hunter2"), "{mistakes}");
    }
    given().set("database.url=sqlite://other.db").set("redis.url=redis://localhost").settings();
}

#[test]
fn no_error_dump_or_debug_shows_a_secret() {
    let given = given()
        .variable("HALLPASS_SECRET", "hunter2-hunter2-hunter2-0123456789")
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
        .variable("DATABASE_URL", "hunter2")
        .variable("REDIS_URL", "hunter2")
        .variable("HALLPASS_ADMIN__PASSWORD", &"hunter2".repeat(1000));
    let mistakes = broken.mistakes_in_dev();
    assert_says(&mistakes, &["4 mistakes"]);
    assert!(!mistakes.contains("hunter2"), "{mistakes}");
}

#[test]
fn a_dump_says_where_each_value_came_from_and_is_a_settings_file() {
    let loaded = given()
        .file("log.level = 'debug'")
        .variable("HALLPASS_SECRET", SECRET)
        .flag("--listen", "listen", "127.0.0.1:9000")
        .load(Profile::Dev, Purpose::Start)
        .unwrap();
    let dump = dump(&loaded.values);
    assert_says(
        &dump,
        &[
            "listen = \"127.0.0.1:9000\" # flag --listen\n",
            "public_url = \"http://127.0.0.1:9000\" # default\n",
            "secret = \"…\" # variable HALLPASS_SECRET\n",
            "log.level = \"debug\" # ",
            "hallpass.toml, line 1\n",
            "passwords.min_length = 8 # default\n",
            "token_store = \"embedded\" # default\n",
            "# redis.url is not set\n",
        ],
    );
    let (entries, mistakes) = file::entries(std::path::Path::new("dump"), &dump);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let unset = [
        "redis.url",
        "keys.signing_key_file",
        "trusted_proxies",
        "smtp.host",
        "smtp.port",
        "smtp.ca_file",
        "smtp.username",
        "smtp.password",
        "smtp.from",
    ];
    assert_eq!(entries.len(), table::SETTINGS.len() - unset.len(), "all but {unset:?}");
}

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
    assert!(matches!(settings.token_store, TokenStoreSettings::Embedded));
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
        (&[("HALLPASS_RESET__DELIVERY", "smtp")], &["but `smtp.host` is not set"]),
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
        ("HALLPASS_PUBLIC_URL", "http://auth.example.com", "public_url"),
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

#[test]
fn the_issuer_is_the_public_url_or_the_bound_address() {
    let bound = "127.0.0.1:40001".parse().unwrap();
    let settings = given().variable("HALLPASS_LISTEN", "127.0.0.1:0").settings();
    let issuer = settings.issuer(bound);
    assert_eq!(issuer.as_str(), "http://127.0.0.1:40001");
    assert_eq!(settings.audience(&issuer), "http://127.0.0.1:40001");
    let settings = given()
        .variable("HALLPASS_PUBLIC_URL", "https://auth.example.com")
        .variable("HALLPASS_TOKENS__AUDIENCE", "api")
        .settings();
    let issuer = settings.issuer(bound);
    assert_eq!(issuer.as_str(), "https://auth.example.com");
    assert_eq!(settings.audience(&issuer), "api");
}

#[test]
fn every_default_and_every_example_is_a_value() {
    for setting in table::SETTINGS.iter().filter(|setting| !setting.example.starts_with('(')) {
        // Files that this machine need not have, and values that hold together with others only.
        if matches!(
            setting.key,
            "keys.signing_key_file"
                | "validation.mode"
                | "admin.email"
                | "smtp.host"
                | "smtp.username"
                | "smtp.ca_file"
        ) {
            continue;
        }
        let result =
            given().variable(&setting.variable(), setting.example).load(Profile::Serve, Purpose::Inspect);
        assert!(result.is_ok(), "{}: {}", setting.key, result.unwrap_err());
    }
}

#[test]
fn a_mirror_has_a_bound_and_a_redis() {
    let given = || given().variable("REDIS_URL", "redis://127.0.0.1");
    assert_eq!(given().settings().validation, ValidationMode::Strict);
    let mirror = given().variable("HALLPASS_VALIDATION__MODE", "mirror");
    let max_staleness = Duration::from_secs(2);
    assert_eq!(mirror.settings().validation, ValidationMode::Mirror { max_staleness });
}

#[test]
fn keys_rotate_unless_that_is_turned_off_and_never_faster_than_they_are_announced() {
    let every = |text| given().variable("HALLPASS_KEYS__ROTATE_EVERY", text);
    assert_eq!(given().settings().keys.rotate_every, Some(Duration::from_secs(90 * 24 * 3600)));
    assert_eq!(every("0s").settings().keys.rotate_every, None);
    let mistakes = every("24h").variable("HALLPASS_KEYS__PUBLISH_AHEAD", "48h").mistakes_in_dev();
    assert_says(&mistakes, &["keys.rotate_every", "shorter than `keys.publish_ahead`"]);
    assert_eq!(
        every("48h").variable("HALLPASS_KEYS__PUBLISH_AHEAD", "48h").settings().keys.publish_ahead.as_secs(),
        172_800
    );
}

/// A mail server that production may use.
fn with_smtp() -> Given {
    production()
        .variable("HALLPASS_SMTP__HOST", "smtp.example.com")
        .variable("HALLPASS_SMTP__FROM", "Example <no-reply@example.com>")
}

#[test]
fn serve_mails_reset_tokens_once_it_knows_a_mail_server() {
    let settings = with_smtp().load(Profile::Serve, Purpose::Start).unwrap().settings;
    assert_eq!(settings.reset.delivery, ResetDelivery::Smtp);
    let smtp = settings.smtp.unwrap();
    assert_eq!((smtp.port, smtp.tls), (587, SmtpTls::StartTls));
    let off = with_smtp().variable("HALLPASS_RESET__DELIVERY", "off").load(Profile::Serve, Purpose::Start);
    assert_eq!(off.unwrap().settings.reset.delivery, ResetDelivery::Off);
    let in_dev = given()
        .variable("HALLPASS_SMTP__HOST", "localhost")
        .variable("HALLPASS_SMTP__FROM", "a@b.example")
        .variable("HALLPASS_SMTP__TLS", "none")
        .settings();
    assert_eq!(in_dev.reset.delivery, ResetDelivery::Response);
    assert_eq!(in_dev.smtp.unwrap().port, 25);
}

#[test]
fn mails_go_in_the_clear_to_this_machine_or_where_somebody_means_it() {
    let plain = || with_smtp().variable("HALLPASS_SMTP__TLS", "none");
    assert_says(&plain().mistakes_in_serve(), &["1 mistake", "smtp.tls", "in the clear"]);
    for host in ["localhost", "127.0.0.1", "::1"] {
        assert!(plain().variable("HALLPASS_SMTP__HOST", host).warned(Profile::Serve).is_empty(), "{host}");
    }
    let meant = plain().variable("HALLPASS_SMTP__DANGER_PLAINTEXT", "true");
    assert_eq!(meant.warned(Profile::Serve), ["smtp.danger_plaintext"]);
}

#[test]
fn links_lead_below_the_public_url_unless_somebody_says_otherwise() {
    let settings = with_smtp().load(Profile::Serve, Purpose::Start).unwrap().settings;
    let issuer = settings.issuer("127.0.0.1:80".parse().unwrap());
    let links =
        [settings.reset_link(&issuer), settings.verification_link(&issuer)].map(|link| link.with("T"));
    let page = |name| format!("https://auth.example.com/{name}#token=T");
    assert_eq!(links, [page("reset-password"), page("verify-email")]);
    for (key, url, warned) in [
        ("HALLPASS_RESET__URL", "https://app.example.com/#/reset/{token}", &[][..]),
        ("HALLPASS_RESET__URL", "https://app.example.com/reset?token={token}", &["reset.url"]),
        ("HALLPASS_VERIFICATION__URL", "http://app.example.com/#{token}", &["verification.url"]),
    ] {
        assert_eq!(with_smtp().variable(key, url).warned(Profile::Serve), warned, "{url}");
    }
}

#[test]
fn concealment_stands_on_verification_and_that_on_mails() {
    let both = |given: Given| {
        given
            .variable("HALLPASS_REGISTRATION__VERIFY_EMAIL", "true")
            .variable("HALLPASS_REGISTRATION__CONCEAL_EXISTING", "true")
    };
    both(with_smtp()).load(Profile::Serve, Purpose::Start).unwrap();
    assert_says(&both(production()).mistakes_in_serve(), &["1 mistake", "registration.verify_email"]);
}
