//! What must not be, although each value is well-formed: contradictions, the unsafe and the unwise.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use argon2::Params;

use super::error::{ConfigError, Warning};
use super::source::Values;
use super::{
    AdminSettings, Profile, ResetDelivery, SAMPLE_ADMIN_EMAIL, SAMPLE_ADMIN_PASSWORD, Settings,
    TokenStoreSettings,
};
use crate::domain::password::PasswordPolicy;
use crate::domain::revocation::ValidationMode;
use crate::domain::signing_key::PUBLISH_AHEAD_MIN;

/// How to get a server secret.
pub(super) const SECRET_MEND: &str =
    "make one with `openssl rand -base64 48`, and set HALLPASS_SECRET_FILE (or HALLPASS_SECRET)";

/// 32 random characters have more, even in an alphabet of 16 (hexadecimal); a short word that was
/// repeated until it was long enough has not.
const SECRET_DISTINCT_BYTES_WISE: usize = 8;

/// How to get a token store.
pub(super) const REDIS_MEND: &str =
    "set `redis.url` (REDIS_URL), or `token_store` = \"embedded\" for a single process";

/// A second is the grain of a token's times.
const ACCESS_TTL_MIN: Duration = Duration::from_secs(1);
const ACCESS_TTL_MAX: Duration = Duration::from_secs(24 * 3600);
const LEEWAY_MAX: Duration = Duration::from_secs(60);
/// A leap year: whoever wants more means "for ever".
const SESSION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
const RESET_TTL_MIN: Duration = Duration::from_secs(1);
const RESET_TTL_MAX: Duration = Duration::from_secs(24 * 3600);
const PUBLISH_AHEAD_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Below, more time is spent on announcing keys than on using them.
const ROTATE_EVERY_MIN: Duration = Duration::from_secs(24 * 3600);
const ROTATE_EVERY_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
const SHUTDOWN_GRACE_MAX: Duration = Duration::from_secs(3600);
/// Beyond this a stolen refresh token has time to be used beside the real one.
const ROTATION_GRACE_WISE: Duration = Duration::from_secs(120);
/// The most wrong passwords in a row (NIST SP 800-63B-4 3.2.2).
const FAILURES_WISE: u32 = 100;
/// ASVS 5.0 6.2.1. Whoever goes below it wants words like `secret` taken as well: nearly all that is
/// so short is common.
pub(super) const MIN_LENGTH_WISE: usize = 8;
/// Memory in KiB and passes that are equally strong, each the least (OWASP Password Storage Cheat
/// Sheet, Argon2id).
const ARGON2_WISE: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// The settings under review, and what was found so far.
pub(super) struct Review<'a> {
    pub settings: &'a Settings,
    pub values: &'a Values,
    pub mistakes: Vec<ConfigError>,
    pub warnings: Vec<Warning>,
}

impl Review<'_> {
    pub(super) fn refuse(&mut self, key: &str, problem: impl Into<String>, mend: impl Into<String>) {
        self.mistakes.push(ConfigError::new(key, self.values.origin(key), problem, mend));
    }

    pub(super) fn warn(&mut self, key: &'static str, text: impl Into<String>) {
        self.warnings.push(Warning { key, text: text.into() });
    }

    /// Whether none of these has been refused already: a stand-in proves nothing.
    pub(super) fn sound(&self, keys: &[&str]) -> bool {
        !self.mistakes.iter().any(|mistake| keys.contains(&mistake.key.as_str()))
    }

    /// What holds for every command.
    pub fn contradictions(&mut self) {
        self.spans();
        self.lifetimes();
        self.mirror_of_nothing();
        self.password_hashing();
        self.rotation();
        self.signing_key_file();
        self.weak_secret();
        self.mail_contradictions();
        self.proxies_that_are_anybody();
        self.http_spans();
        self.database_spans();
        self.migrates_what_is_served();
        self.redis_tls();
    }

    fn weak_secret(&mut self) {
        let Some(secret) = &self.settings.secret else { return };
        let different: BTreeSet<u8> = secret.expose().bytes().collect();
        if self.sound(&["secret"]) && different.len() < SECRET_DISTINCT_BYTES_WISE {
            self.warn("secret", "does not look random: it repeats a few characters");
        }
    }

    fn spans(&mut self) {
        let lifetimes = &self.settings.tokens.lifetimes;
        let bounds = [
            ("tokens.access_ttl", lifetimes.access_token, ACCESS_TTL_MIN, ACCESS_TTL_MAX),
            ("tokens.leeway", lifetimes.leeway, Duration::ZERO, LEEWAY_MAX),
            ("tokens.refresh.absolute_ttl", lifetimes.absolute, Duration::ZERO, SESSION_MAX),
            ("reset.ttl", self.settings.reset.ttl, RESET_TTL_MIN, RESET_TTL_MAX),
            ("keys.publish_ahead", self.settings.keys.publish_ahead, PUBLISH_AHEAD_MIN, PUBLISH_AHEAD_MAX),
            ("shutdown_grace", self.settings.shutdown_grace, Duration::ZERO, SHUTDOWN_GRACE_MAX),
        ];
        for (key, span, min, max) in bounds {
            self.within(key, span, min, max);
        }
    }

    /// Refuses a span that is too short or too long.
    pub(super) fn within(&mut self, key: &str, span: Duration, min: Duration, max: Duration) {
        if self.sound(&[key]) && !(min..=max).contains(&span) {
            let [span, min, max] = [span, min, max].map(humantime::format_duration);
            self.refuse(key, format!("= {span} is out of bounds"), format!("write {min} to {max}"));
        }
    }

    fn lifetimes(&mut self) {
        const ACCESS: &str = "tokens.access_ttl";
        const IDLE: &str = "tokens.refresh.idle_ttl";
        const ABSOLUTE: &str = "tokens.refresh.absolute_ttl";
        const GRACE: &str = "tokens.refresh.rotation_grace_period";
        let lifetimes = &self.settings.tokens.lifetimes;
        if self.sound(&[IDLE, ABSOLUTE]) && lifetimes.idle > lifetimes.absolute {
            self.refuse(IDLE, format!("is longer than `{ABSOLUTE}`"), "shorten it, or lengthen the other");
        }
        if self.sound(&[ACCESS, IDLE]) && lifetimes.access_token > lifetimes.idle {
            self.refuse(ACCESS, format!("is longer than `{IDLE}`"), "shorten it, or lengthen the other");
        }
        if self.sound(&[GRACE, IDLE]) && lifetimes.rotation_grace_period >= lifetimes.idle {
            self.refuse(GRACE, format!("is not shorter than `{IDLE}`"), "shorten it; 30s is plenty");
        } else if self.sound(&[GRACE]) && lifetimes.rotation_grace_period > ROTATION_GRACE_WISE {
            self.warn(GRACE, "is long: until it is over, a stolen refresh token works beside the real one");
        }
    }

    fn mirror_of_nothing(&mut self) {
        const MODE: &str = "validation.mode";
        let embedded = matches!(self.settings.token_store, TokenStoreSettings::Embedded);
        let is_mirror = matches!(self.settings.validation, ValidationMode::Mirror { .. });
        if embedded && is_mirror && self.sound(&[MODE, "token_store", "redis.url"]) {
            let problem = "is `mirror`, but the embedded token store is in this process already";
            self.refuse(MODE, problem, "leave it out, or set `redis.url`");
        }
    }

    fn password_hashing(&mut self) {
        const MEMORY: &str = "passwords.argon2.memory_kib";
        const ALL: [&str; 3] = [MEMORY, "passwords.argon2.iterations", "passwords.argon2.parallelism"];
        let passwords = &self.settings.passwords;
        if passwords.policy.min_length < MIN_LENGTH_WISE {
            let common =
                if passwords.policy.reject_common { "" } else { ", and well-known ones are allowed" };
            self.warn("passwords.min_length", format!("is below {MIN_LENGTH_WISE} (ASVS 5.0 6.2.1){common}"));
        } else if !passwords.policy.reject_common {
            self.warn("passwords.reject_common", "is off: the first passwords an attacker tries are allowed");
        }
        if !self.sound(&ALL) {
            return;
        }
        let cost = passwords.argon2;
        if let Err(error) = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None) {
            self.refuse(MEMORY, format!("and its neighbours cannot be used: {error}"), "leave all three out");
        } else if !ARGON2_WISE
            .iter()
            .any(|(memory, passes)| cost.memory_kib >= *memory && cost.iterations >= *passes)
        {
            self.warn(
                MEMORY,
                "and `iterations` are below what OWASP asks for (19456 KiB and 2, or as strong)",
            );
        }
    }

    fn rotation(&mut self) {
        const EVERY: &str = "keys.rotate_every";
        const AHEAD: &str = "keys.publish_ahead";
        let keys = &self.settings.keys;
        let (Some(every), ahead) = (keys.rotate_every, keys.publish_ahead) else { return };
        if !self.sound(&[EVERY]) {
            return;
        }
        if !(ROTATE_EVERY_MIN..=ROTATE_EVERY_MAX).contains(&every) {
            let [span, min, max] =
                [every, ROTATE_EVERY_MIN, ROTATE_EVERY_MAX].map(humantime::format_duration);
            let mend = format!("write {min} to {max}, or 0s for no rotation");
            self.refuse(EVERY, format!("= {span} is out of bounds"), mend);
        } else if self.sound(&[AHEAD]) && every < ahead {
            self.refuse(EVERY, format!("is shorter than `{AHEAD}`"), "lengthen it, or shorten the other");
        }
    }

    fn signing_key_file(&mut self) {
        let Some(path) = &self.settings.keys.signing_key_file else { return };
        if let Err(error) = std::fs::File::open(path) {
            let problem = format!("= {path:?} cannot be read: {error}");
            self.refuse("keys.signing_key_file", problem, "name a readable PKCS#8 PEM file");
        }
    }

    fn proxies_that_are_anybody(&mut self) {
        if self.settings.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
            self.warn("trusted_proxies", "holds every address: anybody can claim to come from anywhere");
        }
    }

    /// What keeps a service from starting.
    pub fn unsafe_start(&mut self) {
        self.unsendable_mail();
        self.stores_in_the_clear();
        match self.settings.profile {
            Profile::Dev => self.unsafe_dev(),
            Profile::Serve => self.unsafe_serve(),
        }
    }

    fn unsafe_dev(&mut self) {
        if self.sound(&["listen"]) && !is_loopback(self.settings.listen.ip()) {
            let problem = "leads beyond this machine, which is not for `hallpass dev`: its administrator has a known \
                password and it answers with reset tokens";
            self.refuse("listen", problem, "listen on 127.0.0.1, or use `hallpass serve`");
        }
        let sample = !self.values.is_set("admin.password");
        if sample && self.sound(&["database.url", "admin.email"]) && !self.database_is_local() {
            let problem = "is the sample administrator's, and the database is on another machine";
            self.refuse("admin.password", problem, "set `admin.email` and `admin.password`");
        }
        if self.settings.public_url.as_ref().is_some_and(|url| !url.is_loopback()) {
            self.warn("public_url", "leads beyond this machine; `hallpass dev` is not for that");
        }
    }

    fn unsafe_serve(&mut self) {
        if self.settings.secret.is_none() && self.sound(&["secret"]) {
            self.refuse("secret", "is not set", SECRET_MEND);
        }
        let embedded = matches!(self.settings.token_store, TokenStoreSettings::Embedded);
        if embedded && !self.values.is_set("token_store") && self.sound(&["token_store", "redis.url"]) {
            self.refuse("redis.url", "is not set", REDIS_MEND);
        }
        self.unsafe_public_url();
        self.unsafe_admin();
        self.unsafe_delivery();
        self.unsafe_mail();
        self.unlimited_guessing();
        self.plaintext_pages();
        if let TokenStoreSettings::Redis { danger_allow_eviction: true, .. } = self.settings.token_store {
            self.warn("redis.danger_allow_eviction", "is on: a full Redis may forget revocations");
        }
    }

    fn unlimited_guessing(&mut self) {
        const PER_ACCOUNT: &str = "rate_limits.login.per_account";
        if !self.sound(&["rate_limits.enabled", PER_ACCOUNT]) {
            return;
        }
        let is_on = self.values.get("rate_limits.enabled").is_none_or(|found| found.text.expose() == "true");
        match self.settings.rate_limits.login.per_account {
            Some(rate) if rate.burst() > FAILURES_WISE => {
                self.warn(
                    PER_ACCOUNT,
                    "allows more than 100 wrong passwords in a row (NIST SP 800-63B-4 3.2.2)",
                );
            }
            None if is_on => self.warn(PER_ACCOUNT, "is off: passwords can be guessed without end"),
            None => self.warn("rate_limits.enabled", "is off: passwords can be guessed without end"),
            Some(_) => {}
        }
    }

    fn unsafe_public_url(&mut self) {
        if !self.sound(&["public_url", "listen"]) {
            return;
        }
        match &self.settings.public_url {
            None if self.settings.listen.ip().is_unspecified() => {
                let mend = "set it to where clients reach this service, like https://auth.example.com";
                self.refuse("public_url", "is not set, and `listen` names no single address", mend);
            }
            _ => self.plaintext_public_url(),
        }
    }

    fn unsafe_admin(&mut self) {
        let Some(AdminSettings { email, .. }) = &self.settings.admin else { return };
        if email.as_str() == SAMPLE_ADMIN_EMAIL {
            self.refuse("admin.email", "is the sample administrator's", "set the address of a real one");
        }
        let found = self.values.get("admin.password");
        let text = found.map_or(SAMPLE_ADMIN_PASSWORD, |found| found.text.expose());
        let policy = PasswordPolicy {
            min_length: self.settings.passwords.policy.min_length.max(MIN_LENGTH_WISE),
            reject_common: true,
        };
        if let Err(error) = policy.choose(text, email.as_str()) {
            self.refuse("admin.password", error.to_string(), "choose another one");
        }
    }

    fn unsafe_delivery(&mut self) {
        let reset = &self.settings.reset;
        match reset.delivery {
            ResetDelivery::Response if self.is_exposed() => {
                let problem = "= \"response\" lets anyone who reaches this service reset any password";
                self.refuse(
                    "reset.delivery",
                    problem,
                    "write off; response is for a service on a loopback address",
                );
            }
            ResetDelivery::Log if !reset.danger_log_tokens => {
                let problem = "= \"log\" lets anyone who reads the log reset any password";
                let mend = "write off, or set `reset.danger_log_tokens` = true if you mean it";
                self.refuse("reset.delivery", problem, mend);
            }
            ResetDelivery::Log => {
                self.warn(
                    "reset.danger_log_tokens",
                    "is on: whoever reads the log can take over any account",
                );
            }
            ResetDelivery::Response | ResetDelivery::Smtp | ResetDelivery::Off => {}
        }
    }

    /// Whether others than this machine reach the service: it listens to them, or a proxy leads
    /// there from outside, as a public URL tells. A setting with a mistake tells nothing, the other
    /// still does.
    fn is_exposed(&self) -> bool {
        let listens = self.sound(&["listen"]) && !is_loopback(self.settings.listen.ip());
        let proxied = self.sound(&["public_url"])
            && self.settings.public_url.as_ref().is_some_and(|url| !url.is_loopback());
        listens || proxied
    }
}

pub(super) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
