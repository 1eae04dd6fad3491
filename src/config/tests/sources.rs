//! Where values come from, and which one wins.

use super::*;

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
    assert!(settings.redis_url().is_some());
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
fn what_is_empty_beside_its_twin_counts_as_absent() {
    let by_file = given().variable("HALLPASS_SECRET", "").variable_file("HALLPASS_SECRET_FILE", SECRET);
    assert_eq!(by_file.settings().secret, Some(Secret::new(SECRET)));
    let direct = given().variable("HALLPASS_SECRET", SECRET).variable("HALLPASS_SECRET_FILE", "");
    assert_eq!(direct.settings().secret, Some(Secret::new(SECRET)));
    // Under a name that others use too, and beside one of ours.
    let url = "postgres://localhost/db";
    let mixed = given().variable("HALLPASS_DATABASE__URL", "").variable_file("DATABASE_URL_FILE", url);
    assert_eq!(mixed.settings().database.url.expose(), url);
    // Alone it is a mistake as before: it was meant to say something.
    let alone = given().variable("HALLPASS_SECRET_FILE", "").mistakes_in_dev();
    assert_says(&alone, &["HALLPASS_SECRET_FILE", "cannot be read"]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_secret() {
    let text = format!("\u{feff}{SECRET}\r\n");
    let settings = given().variable_file("HALLPASS_SECRET_FILE", &text).settings();
    assert_eq!(settings.secret, Some(Secret::new(SECRET)));

    let folder = tempfile::tempdir().unwrap();
    let wide = folder.path().join("wide");
    let utf16 = SECRET.encode_utf16().flat_map(u16::to_le_bytes);
    fs::write(&wide, [0xFF, 0xFE].into_iter().chain(utf16).collect::<Vec<u8>>()).unwrap();
    let mistakes = given().variable("HALLPASS_SECRET_FILE", wide.to_str().unwrap()).mistakes_in_dev();
    assert_says(&mistakes, &["cannot be read: it is UTF-16; save it as UTF-8"]);
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
    let (entries, mistakes) = entries(catalogue(), std::path::Path::new("dump"), &dump);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let unset = [
        "secret_accepted",
        "database.migrate_url",
        "redis.url",
        "redis.tls.ca_file",
        "redis.tls.cert_file",
        "redis.tls.key_file",
        "redis.prefix",
        "tokens.audiences",
        "tokens.claims",
        "tokens.claims_cut_off",
        "roles",
        "role_scopes",
        "keys.signing_key_file",
        "trusted_proxies",
        "cors.origins",
        "dev.allowed_hosts",
        "app.url",
        "smtp.host",
        "smtp.port",
        "smtp.ca_file",
        "smtp.username",
        "smtp.password",
        "smtp.from",
        "smtp.helo_name",
    ];
    assert_eq!(entries.len(), catalogue().len() - unset.len(), "all but {unset:?}");
}

#[test]
fn every_default_and_every_example_is_a_value() {
    for setting in catalogue().iter().filter(|setting| !setting.example.starts_with('(')) {
        // Files that this machine need not have, and values that hold together with others only.
        if matches!(
            setting.key,
            "database.migrate_url"
                | "redis.tls.ca_file"
                | "redis.tls.cert_file"
                | "redis.tls.key_file"
                | "keys.signing_key_file"
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
