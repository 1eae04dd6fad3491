//! What values mean.

use super::*;

#[test]
fn dev_works_with_nothing_set() {
    let settings = given().settings();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.database.url.expose(), "sqlite://hallpass-data/hallpass.db");
    assert!(settings.token_store == TokenStoreKind::Embedded);
    assert_eq!(settings.tokens.lifetimes.access_token, Duration::from_secs(900));
    assert_eq!(settings.reset.delivery, ResetDelivery::Response);
    assert_eq!(settings.admin.email.as_ref().map(|email| email.as_str()), Some(SAMPLE_ADMIN_EMAIL));
    assert_eq!(settings.log.format, LogFormat::Pretty);
    assert!(settings.secret.is_none() && settings.public_url.is_none());
}

#[test]
fn serve_has_no_administrator_and_logs_json() {
    let settings = production().load(Profile::Serve, Purpose::Start).unwrap().settings;
    assert!(settings.admin.account().is_none());
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!((settings.log.requests, settings.log.client_address), (LoggedRequests::Changes, true));
    assert_eq!(settings.reset.delivery, ResetDelivery::Off);
    assert!(settings.redis_url().is_some() && !settings.redis.danger_allow_eviction);
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
        let (entries, mistakes) = entries(catalogue(), std::path::Path::new("dump"), &dump(&loaded.values));
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let dumped = entries.iter().find(|(setting, ..)| setting.key == "compat").map(|(_, text, _)| text);
        assert_eq!(compat::apis(dumped.unwrap()).unwrap(), apis, "{file}");
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
fn a_mirror_has_a_bound_and_a_redis() {
    let given = || given().variable("REDIS_URL", "redis://127.0.0.1");
    assert_eq!(given().settings().validation, ValidationMode::Strict);
    let mirror = given().variable("HALLPASS_VALIDATION__MODE", "mirror");
    let max_staleness = Duration::from_secs(2);
    assert_eq!(mirror.settings().validation, ValidationMode::Mirror { max_staleness });
}

#[test]
fn keys_in_redis_begin_with_what_is_set() {
    let prefix = |given: Given| {
        let settings = given.variable("REDIS_URL", "redis://127.0.0.1").settings();
        settings.redis.prefix.map(|prefix| prefix.to_string())
    };
    assert_eq!(prefix(given()), None, "the deployment's id decides");
    assert_eq!(prefix(given().variable("HALLPASS_REDIS__PREFIX", "staging-2")).as_deref(), Some("staging-2"));
    assert_eq!(prefix(given().file("[redis]\nprefix = 'eu'")).as_deref(), Some("eu"));
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

#[test]
fn there_are_two_roles_and_those_that_are_named() {
    let known = |text: &str| {
        let names = given().set(&format!("roles={text}")).settings().roles;
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(given().settings().roles, Default::default());
    assert_eq!(known(""), "admin member");
    assert_eq!(known("support, editor,admin,editor"), "admin editor member support");
    let file = given().file("roles = [\"editor\"]\n").settings().roles;
    assert!(file.contains("editor") && file.contains("admin"));
    for bad in ["Editor", "a b", "editor,,support", "ä"] {
        given().set(&format!("roles={bad}")).refused("roles");
    }
    let many: Vec<String> = (0..63).map(|n| format!("r{n}")).collect();
    given().set(&format!("roles={}", many.join(","))).refused("roles");
}

#[test]
fn roles_give_scopes_in_a_table_or_in_one_json_object() {
    let file = given()
        .file("roles = [\"editor\"]\n[role_scopes]\neditor = [\"b:write\", \"a:read\"]\nmember = []\n");
    let json = r#"{"editor": ["a:read", "b:write"], "member": []}"#;
    let variables = given().variable("HALLPASS_ROLES", "editor").variable("HALLPASS_ROLE_SCOPES", json);
    for settings in [file.settings(), variables.settings()] {
        let scopes = |roles: &str| {
            settings.role_scopes.of(roles.parse::<crate::domain::roles::Roles>().unwrap().iter()).to_string()
        };
        assert_eq!(scopes("editor member"), "a:read b:write");
        assert_eq!((scopes("member"), scopes("admin")), (String::new(), String::new()));
    }
    for bad in [
        r#"{"support": ["a"]}"#,
        r#"{"member": "a"}"#,
        r#"{"member": ["a b"]}"#,
        r#"{"member": ["ä"]}"#,
        r#"{"member": [1]}"#,
        r#"["member"]"#,
        r#"{"#,
        "member",
    ] {
        given().set(&format!("role_scopes={bad}")).refused("role_scopes");
    }
    given().file("[role_scopes]\nmember = [1979-05-27]\n").refused("role_scopes");
    given().file("role_scopes = 7\n").refused("role_scopes");
}

#[test]
fn a_table_is_dumped_as_a_text_that_reads_back() {
    let file = "roles = [\"editor\"]\n[role_scopes]\neditor = [\"a:read\"]\n";
    let loaded = given().file(file).load(Profile::Dev, Purpose::Inspect).unwrap();
    let again = given().file(&dump(&loaded.values)).settings();
    assert_eq!(again.role_scopes, loaded.settings.role_scopes);
}

#[test]
fn claims_of_ones_own_are_paths_or_tables() {
    let file = "[tokens.claims]\ntenant = \"account.metadata.tenant\"\nenv = { value = \"prod\" }\n\
                \"https://example.com/plan\" = { from = \"account.metadata.plan\", audiences = [\"https://a\"] }\n";
    let json = r#"{"tenant": "account.metadata.tenant", "env": {"value": "prod"},
        "https://example.com/plan": {"from": "account.metadata.plan", "audiences": ["https://a"]}}"#;
    let by_file = given().file(file).settings().tokens.claims;
    assert_eq!(by_file, given().variable("HALLPASS_TOKENS__CLAIMS", json).settings().tokens.claims);
    let names: Vec<&str> = by_file.names().map(|name| name.as_str()).collect();
    assert_eq!(names, ["env", "https://example.com/plan", "tenant"]);
    let plan = by_file.get("https://example.com/plan").unwrap();
    assert_eq!(plan.audiences, Some(["https://a".to_owned()].into()));
    assert!(given().settings().tokens.claims.is_empty());
}

#[test]
fn what_no_token_can_say_is_refused() {
    for bad in [
        r#"{"tenant": "prod"}"#,
        r#"{"tenant": "account.password"}"#,
        r#"{"tenant": 7}"#,
        r#"{"tenant": ["account.id"]}"#,
        r#"{"tenant": {}}"#,
        r#"{"tenant": {"value": "a", "from": "account.id"}}"#,
        r#"{"tenant": {"value": null}}"#,
        r#"{"tenant": {"from": "prod"}}"#,
        r#"{"tenant": {"from": 7}}"#,
        r#"{"tenant": {"value": "a", "audience": ["x"]}}"#,
        r#"{"tenant": {"value": "a", "audiences": []}}"#,
        r#"{"tenant": {"value": "a", "audiences": "x"}}"#,
        r#"{"": "account.id"}"#,
        r#"{"may_act": {"value": "orders"}}"#,
        r#"{"may_act": {"value": {"client": "orders"}}}"#,
        r#"["tenant"]"#,
        "tenant",
    ] {
        given().variable("HALLPASS_TOKENS__CLAIMS", bad).refused("tokens.claims");
    }
    for taken in [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "sid",
        "client_id",
        "scope",
        "roles",
        "email",
        "email_verified",
        "auth_time",
        "amr",
        "acr",
        "act",
        "cnf",
        "sv",
        "inc",
    ] {
        let claims = format!(r#"{{"{taken}": {{"value": "x"}}}}"#);
        given().variable("HALLPASS_TOKENS__CLAIMS", &claims).refused("tokens.claims");
    }
    let may_act = r#"{"may_act": {"value": {"sub": "orders"}}}"#;
    assert_eq!(
        given().variable("HALLPASS_TOKENS__CLAIMS", may_act).settings().tokens.claims.names().count(),
        1
    );
}

#[test]
fn claims_that_cut_off_are_all_or_those_that_are_named() {
    let claims = r#"{"plan": "account.metadata.plan", "env": {"value": "prod"}}"#;
    let cut_off = |text: &str| {
        given().variable("HALLPASS_TOKENS__CLAIMS", claims).set(&format!("tokens.claims_cut_off={text}"))
    };
    let read = |given: Given| {
        let tokens = given.settings().tokens;
        (tokens.claims_cut_off.clone(), tokens.claims_cut_off.watched(&tokens.claims).is_empty())
    };
    assert_eq!(read(cut_off("true")), (ClaimsCutOff::All, false));
    assert_eq!(read(cut_off("false")), (ClaimsCutOff::default(), true));
    assert_eq!(read(cut_off("")), (ClaimsCutOff::default(), true));
    assert!(!read(cut_off("plan, env")).1 && read(cut_off("env")).1);
    for bad in ["tenant", "plan,,env", "sub"] {
        cut_off(bad).refused("tokens.claims_cut_off");
    }
    let file = "[tokens]\nclaims_cut_off = true\n";
    assert_eq!(given().file(file).settings().tokens.claims_cut_off, ClaimsCutOff::All);
}
