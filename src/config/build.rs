//! From the texts that were found to [`Settings`].

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hallpass_verify::TokenType;

use super::error::ConfigError;
use super::parse::{self, Parsed, Problem, TokenStoreName, ValidationModeName};
use super::rules::MIN_LENGTH_WISE;
use super::source::Values;
use super::table::{Kind, Setting};
use super::{
    AdminSettings, AuditSettings, ForwardAuthSettings, KeySettings, LogFormat, LogSettings, PasswordSettings,
    ResetDelivery, ResetSettings, SessionSettings, Settings, TokenSettings, TokenStoreSettings,
};
use super::{cors, database, http, mail, redis};
use crate::crypto::password::Argon2Cost;
use crate::domain::password::PasswordPolicy;
use crate::domain::rate_limit::{ActionLimits, LimitRules};
use crate::domain::revocation::ValidationMode;
use crate::domain::session::SessionLifetimes;
use crate::domain::signing_key::SigningAlgorithm;

/// The most characters of a value that an error repeats.
const SHOWN_CHARS: usize = 80;

/// The most replicas that a revocation can wait for; nobody has as many.
const WAIT_REPLICAS_MAX: u32 = 100;

/// Parses every value and works out the remaining defaults. Where a value is refused, its field
/// holds a stand-in: such settings serve to look for further mistakes and are never handed out.
pub(super) fn settings(values: &mut Values, mistakes: &mut Vec<ConfigError>) -> Settings {
    let profile = values.profile();
    let listen = Reader::new(values, mistakes).get("listen", parse::address, any_port());
    let data_dir = Reader::new(values, mistakes).get("data_dir", parse::path, "hallpass-data".into());
    compute_defaults(values, listen, &data_dir.to_string_lossy());
    let mut read = Reader::new(values, mistakes);
    Settings {
        profile,
        listen,
        public_url: read.find_set("public_url", parse::public_url),
        danger_plaintext_public_url: read.get("danger_plaintext_public_url", parse::boolean, false),
        secret: read.find("secret", parse::secret),
        data_dir,
        database: database::database(&mut read),
        token_store: token_store(&mut read),
        tokens: tokens(&mut read),
        sessions: SessionSettings {
            max_per_account: read.get("sessions.max_per_account", parse::number(1..=1_000), 100),
        },
        validation: validation(&mut read),
        reset: ResetSettings {
            ttl: read.get("reset.ttl", parse::seconds, Duration::ZERO),
            delivery: read.get("reset.delivery", parse::reset_delivery, ResetDelivery::Off),
            danger_log_tokens: read.get("reset.danger_log_tokens", parse::boolean, false),
            url: read.find_set("reset.url", mail::link),
        },
        smtp: mail::smtp(&mut read),
        registration: mail::registration(&mut read),
        verification: mail::verification(&mut read),
        keys: KeySettings {
            algorithm: read.get("keys.algorithm", parse::algorithm, SigningAlgorithm::Es256),
            publish_ahead: read.get("keys.publish_ahead", parse::duration, Duration::ZERO),
            rotate_every: Some(read.get("keys.rotate_every", parse::duration, Duration::ZERO))
                .filter(|span| !span.is_zero()),
            signing_key_file: read.find("keys.signing_key_file", parse::path),
        },
        passwords: passwords(&mut read),
        admin: admin(&mut read),
        audit: AuditSettings {
            retention: Some(read.get("audit.retention", parse::duration, Duration::ZERO))
                .filter(|retention| !retention.is_zero()),
        },
        compat: read.get("compat", parse::compat, Vec::new()),
        forward_auth: ForwardAuthSettings {
            unverified_email: read.get("forward_auth.unverified_email", parse::boolean, false),
        },
        trusted_proxies: read.get("trusted_proxies", parse::networks, Vec::new()),
        forwarded_header: read.get(
            "forwarded_header",
            http::forwarded_header,
            super::ForwardedHeader::XForwardedFor,
        ),
        http: http::http(&mut read),
        feed: http::feed(&mut read),
        cors_origins: cors::origins(&mut read),
        dev_allowed_hosts: read.get("dev.allowed_hosts", http::hosts, Vec::new()),
        rate_limits: rate_limits(&mut read),
        log: LogSettings {
            level: read.get("log.level", parse::log_level, String::new()),
            format: read.get("log.format", parse::log_format, LogFormat::Json),
        },
        shutdown_grace: read.get("shutdown_grace", parse::duration, Duration::ZERO),
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn compute_defaults(values: &mut Values, listen: SocketAddr, data_dir: &str) {
    // In a sqlite: URL only these two would end the path or begin an escape.
    let folder = data_dir.replace('%', "%25").replace('?', "%3F");
    values.computed("database.url", format!("sqlite://{folder}/hallpass.db"));
    values.computed("token_store", if values.get("redis.url").is_some() { "redis" } else { "embedded" });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // One core is left to everybody who does not log in.
    let hash_workers = cores.saturating_sub(1).max(1);
    values.computed("passwords.hash_workers", hash_workers.to_string());
    let lowered = values
        .get("passwords.min_length")
        .and_then(|found| found.text.expose().parse::<usize>().ok())
        .is_some_and(|min_length| min_length < MIN_LENGTH_WISE);
    values.computed("passwords.reject_common", (!lowered).to_string());
    if listen.port() != 0 && !listen.ip().is_unspecified() {
        values.computed("public_url", format!("http://{listen}"));
    }
    if let Some(url) = values.get("public_url").map(|found| found.text.expose().to_owned()) {
        values.computed("tokens.audience", url);
    }
    mail::compute_defaults(values);
}

fn token_store(read: &mut Reader<'_>) -> TokenStoreSettings {
    let danger_allow_eviction = read.get("redis.danger_allow_eviction", parse::boolean, false);
    let prefix = read.find("redis.prefix", parse::redis_prefix);
    let wait_replicas = read.get("redis.wait_replicas", parse::number(0..=WAIT_REPLICAS_MAX), 0);
    let tls = redis::tls(read);
    let url = read.find("redis.url", redis::url);
    let name = read.get("token_store", parse::token_store, TokenStoreName::Embedded);
    match (name, url) {
        (TokenStoreName::Redis, Some(url)) => {
            TokenStoreSettings::Redis { url, tls, prefix, wait_replicas, danger_allow_eviction }
        }
        (TokenStoreName::Redis, None) => {
            if read.values.get("redis.url").is_none() {
                read.refuse(
                    "token_store",
                    "is `redis`, but `redis.url` is not set",
                    super::rules::REDIS_MEND,
                );
            }
            TokenStoreSettings::Embedded
        }
        (TokenStoreName::Embedded, Some(_)) if !read.is_broken("token_store") => {
            let mend = "leave one of the two out";
            read.refuse("token_store", "is `embedded`, but `redis.url` is set as well", mend);
            TokenStoreSettings::Embedded
        }
        (TokenStoreName::Embedded, _) => TokenStoreSettings::Embedded,
    }
}

fn validation(read: &mut Reader<'_>) -> ValidationMode {
    let max_staleness = read.get("validation.max_staleness", parse::max_staleness, Duration::ZERO);
    match read.get("validation.mode", parse::validation_mode, ValidationModeName::Strict) {
        ValidationModeName::Strict => ValidationMode::Strict,
        ValidationModeName::Mirror => ValidationMode::Mirror { max_staleness },
    }
}

fn tokens(read: &mut Reader<'_>) -> TokenSettings {
    TokenSettings {
        audience: read.find_set("tokens.audience", parse::text),
        typ: read.get("tokens.typ", parse::token_type, TokenType::AtJwt),
        lifetimes: SessionLifetimes {
            idle: read.get("tokens.refresh.idle_ttl", parse::duration, Duration::ZERO),
            absolute: read.get("tokens.refresh.absolute_ttl", parse::duration, Duration::ZERO),
            rotation_grace_period: read.get(
                "tokens.refresh.rotation_grace_period",
                parse::duration,
                Duration::ZERO,
            ),
            access_token: read.get("tokens.access_ttl", parse::seconds, Duration::ZERO),
            leeway: read.get("tokens.leeway", parse::seconds, Duration::ZERO),
        },
    }
}

fn passwords(read: &mut Reader<'_>) -> PasswordSettings {
    PasswordSettings {
        policy: PasswordPolicy {
            min_length: read.get("passwords.min_length", parse::number(1..=64), 8),
            reject_common: read.get("passwords.reject_common", parse::boolean, true),
        },
        argon2: Argon2Cost {
            memory_kib: read.get("passwords.argon2.memory_kib", parse::number(1..=u32::MAX), 0),
            iterations: read.get("passwords.argon2.iterations", parse::number(1..=u32::MAX), 0),
            parallelism: read.get("passwords.argon2.parallelism", parse::number(1..=u32::MAX), 0),
        },
        hash_workers: read.get("passwords.hash_workers", parse::number(1..=1024), 1),
        hash_queue: read.get("passwords.hash_queue", parse::number(0..=65_536), 0),
    }
}

fn rate_limits(read: &mut Reader<'_>) -> LimitRules {
    let mut limit = |key| read.get(key, parse::limit, None);
    let rules = LimitRules {
        login: ActionLimits {
            per_ip: limit("rate_limits.login.per_ip"),
            per_account: limit("rate_limits.login.per_account"),
        },
        login_success: ActionLimits {
            per_ip: limit("rate_limits.login_success.per_ip"),
            per_account: limit("rate_limits.login_success.per_account"),
        },
        register: ActionLimits { per_ip: limit("rate_limits.register.per_ip"), per_account: None },
        refresh: ActionLimits { per_ip: limit("rate_limits.refresh.per_ip"), per_account: None },
        reset_request: ActionLimits {
            per_ip: limit("rate_limits.reset_request.per_ip"),
            per_account: limit("rate_limits.reset_request.per_account"),
        },
        reset: ActionLimits { per_ip: limit("rate_limits.reset.per_ip"), per_account: None },
        introspect: ActionLimits { per_ip: limit("rate_limits.introspect.per_ip"), per_account: None },
    };
    match read.get("rate_limits.enabled", parse::boolean, true) {
        true => rules,
        false => LimitRules::default(),
    }
}

fn admin(read: &mut Reader<'_>) -> Option<AdminSettings> {
    let email = read.find("admin.email", parse::email);
    let password = read.find("admin.password", parse::password);
    let set = |key| read.values.is_set(key);
    match (set("admin.email"), set("admin.password")) {
        (true, false) => read.refuse("admin.email", "is set without `admin.password`", "set both or neither"),
        (false, true) => read.refuse("admin.password", "is set without `admin.email`", "set both or neither"),
        _ => {}
    }
    Some(AdminSettings { email: email?, password: password? })
}

/// Reads values one by one and notes what is wrong with them.
pub(super) struct Reader<'a> {
    values: &'a Values,
    mistakes: &'a mut Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    fn new(values: &'a Values, mistakes: &'a mut Vec<ConfigError>) -> Self {
        Self { values, mistakes }
    }

    pub(super) fn refuse(&mut self, key: &str, problem: impl Into<String>, mend: impl Into<String>) {
        self.mistakes.push(ConfigError::new(key, self.values.origin(key), problem, mend));
    }

    /// Whether somebody set it, as opposed to a default.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.values.is_set(key)
    }

    fn is_broken(&self, key: &str) -> bool {
        self.mistakes.iter().any(|mistake| mistake.key == key)
    }

    /// The value of a setting that has a default.
    pub(super) fn get<T>(&mut self, key: &str, parse: impl Fn(&str) -> Parsed<T>, stand_in: T) -> T {
        self.find(key, parse).unwrap_or(stand_in)
    }

    /// The value, if somebody set one: a computed default stays open.
    pub(super) fn find_set<T>(&mut self, key: &str, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        self.values.is_set(key).then(|| self.find(key, parse)).flatten()
    }

    pub(super) fn find<T>(&mut self, key: &str, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        let text = self.values.get(key)?.text.expose();
        let setting = Setting::find(key);
        if text.is_empty() && setting.is_none_or(|setting| setting.kind != Kind::List) {
            self.refuse(key, "is empty", "leave it out to have the default");
            return None;
        }
        match parse(text) {
            Ok(value) => Some(value),
            Err(Problem { problem, mend }) => {
                let problem = match setting {
                    Some(setting) if !setting.kind.is_secret() => format!("= {} {problem}", shown(text)),
                    _ => problem,
                };
                self.refuse(key, problem, mend);
                None
            }
        }
    }
}

/// A value as an error repeats it: on one line, and not all of a novel.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
