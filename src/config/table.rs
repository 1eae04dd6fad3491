//! The one list of settings. Names, unknown-key detection, `config dump` and the table in the
//! README all come from it.

use std::fmt::Write;

use super::Profile;

/// What a setting holds, and how far its value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text: durations, addresses, names.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Names with commas between, none of them where it is empty; a list in a settings file.
    List,
    /// Never shown; may come from a file (`_FILE`).
    Secret,
    /// A URL that may hold a password, shown without it; may come from a file (`_FILE`).
    SecretUrl,
}

impl Kind {
    /// Whether a value may hold a secret.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretUrl)
    }
}

/// The value of a setting that nobody has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// The same everywhere.
    Always(&'static str),
    /// One for `dev`, another for `serve`; `None` is no value.
    PerProfile {
        /// For `hallpass dev`.
        dev: Option<&'static str>,
        /// For `hallpass serve`.
        serve: Option<&'static str>,
    },
    /// Worked out from other settings or the machine; the text says how.
    Computed(&'static str),
    /// No value.
    Nothing,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key in the settings file; dots part the levels.
    pub key: &'static str,
    /// A variable that is known by this name elsewhere, besides our own.
    pub alias: Option<&'static str>,
    /// What it holds.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub default: DefaultValue,
    /// A value one might write.
    pub example: &'static str,
    /// What it means, in a sentence.
    pub doc: &'static str,
}

use DefaultValue::{Always, Computed, Nothing, PerProfile};

const fn setting(
    key: &'static str,
    kind: Kind,
    default: DefaultValue,
    example: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { key, alias: None, kind, default, example, doc }
}

const fn aliased(alias: &'static str, setting: Setting) -> Setting {
    Setting { alias: Some(alias), ..setting }
}

/// Every setting, in the order of the documentation.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("listen", Kind::Text, Always("127.0.0.1:8080"), "0.0.0.0:8080",
        "The address and port to listen on."),
    setting("public_url", Kind::Text, Computed("`http://<listen>`"), "https://auth.example.com",
        "Where clients reach this service: the issuer (`iss`) of its tokens, exactly as written."),
    setting("danger_plaintext_public_url", Kind::Boolean, Always("false"), "true",
        "Allow a `public_url` with http:// in `serve` on a name that is not this machine: whoever listens in the network in between reads passwords and tokens."),
    setting("secret", Kind::Secret, Computed("`dev`: made once, kept in `<data_dir>/secret`; `serve`: none"), "(32 or more random bytes)",
        "The server secret: refresh tokens and stored signing keys are protected by keys derived from it."),
    setting("data_dir", Kind::Text, Always("hallpass-data"), "/var/lib/hallpass",
        "The folder for everything that hallpass itself keeps in files."),
    aliased("DATABASE_URL", setting("database.url", Kind::SecretUrl, Computed("`sqlite://<data_dir>/hallpass.db`"), "postgres://hallpass@db/hallpass",
        "The SQL database, SQLite or Postgres: accounts and signing keys. Postgres: several hosts with commas between (the first that takes writes is used), `?schema=`, `?sslmode=verify-full&sslrootcert=`; see [docs/stores.md](docs/stores.md).")),
    setting("database.migrate_url", Kind::SecretUrl, Nothing, "postgres://hallpass_owner@db/hallpass",
        "The same Postgres by a role that owns the tables: with it the schema is brought up to date, and the role of `database.url` gets the rights that it needs, so that it need not own anything."),
    setting("database.max_connections", Kind::Number, Always("10"), "20",
        "The most connections to Postgres that one replica has (1 to 10000). When all are in use for longer than `database.acquire_timeout` the answer is 503, and the log says so."),
    setting("database.acquire_timeout", Kind::Text, Always("400ms"), "2s",
        "How long a call waits for a connection to Postgres, making one included (50ms to 1m). Together with `database.statement_timeout` it bounds how long a request hangs while Postgres does."),
    setting("database.statement_timeout", Kind::Text, Always("400ms"), "1s",
        "How long a statement in Postgres may take, waiting for locks included (50ms to 1m); migrations are not held to it."),
    setting("database.connect_timeout", Kind::Text, Always("5s"), "15s",
        "How long the first connection to Postgres at start, and those of migrations, may take (50ms to 5m)."),
    aliased("REDIS_URL", setting("redis.url", Kind::SecretUrl, Nothing, "redis://127.0.0.1:6379/0",
        "The Redis that keeps sessions and revocations: `redis://`, `rediss://` for TLS, or `unix://` and the path of a socket; see [docs/stores.md](docs/stores.md).")),
    setting("redis.tls.ca_file", Kind::Text, Nothing, "/etc/hallpass/redis-ca.pem",
        "A PEM file with the certificate authorities to trust for Redis instead of the system's; read at start."),
    setting("redis.tls.cert_file", Kind::Text, Nothing, "/etc/hallpass/redis-client.pem",
        "A PEM file with the certificate to show to Redis, where that asks for one; read at start."),
    setting("redis.tls.key_file", Kind::Text, Nothing, "/etc/hallpass/redis-client.key",
        "A PEM file with that certificate's key; read at start."),
    setting("redis.danger_allow_eviction", Kind::Boolean, Always("false"), "true",
        "Start although Redis may evict keys when its memory is full, which forgets sessions and revocations; a warning is logged instead."),
    setting("redis.prefix", Kind::Text, Computed("made of the deployment's id, see `hallpass deployment show`"), "staging",
        "What all keys in Redis begin with (1 to 32 characters of a-z, 0-9 and -). Deployments that share one Redis database need different ones; changing it logs everybody out."),
    setting("redis.wait_replicas", Kind::Number, Always("0"), "1",
        "How many replicas of Redis must have a revocation before it is acknowledged (WAIT); too few within 250ms are 503 `revocation_pending`. Where Redis can tell (7.2 or later, `appendonly yes`, and `appendfsync` not `no`), its log on disk must have it as well (WAITAOF), which takes up to a second with `everysec`. `0` waits for neither."),
    setting("token_store", Kind::Text, Computed("`redis` if `redis.url` is set, else `embedded` (in `serve` only when set)"), "embedded",
        "What keeps sessions and revocations: `redis`, or `embedded` (SQLite files in `data_dir`, for a single process)."),
    setting("tokens.access_ttl", Kind::Text, Always("15m"), "5m",
        "How long an access token lives (1s to 24h)."),
    setting("tokens.audience", Kind::Text, Computed("the `public_url`"), "https://api.example.com",
        "The audience (`aud`) of access tokens."),
    setting("tokens.typ", Kind::Text, Always("at+jwt"), "JWT",
        "The `typ` of access tokens: `at+jwt` (RFC 9068), or `JWT` for validators that refuse it."),
    setting("tokens.leeway", Kind::Text, Always("5s"), "30s",
        "How far the clocks of two machines may differ (60s at most)."),
    setting("tokens.refresh.idle_ttl", Kind::Text, Always("7d"), "24h",
        "A session ends when it has not been refreshed for this long."),
    setting("tokens.refresh.absolute_ttl", Kind::Text, Always("30d"), "90d",
        "A session ends this long after its login in any case (366d at most)."),
    setting("tokens.refresh.rotation_grace_period", Kind::Text, Always("30s"), "0s",
        "For this long a refresh token that was just used still gets the same successor (two tabs, a lost answer); `0s` turns that off."),
    setting("sessions.max_per_account", Kind::Number, Always("100"), "20",
        "How many sessions an account may have (1 to 1000). A login beyond that ends another one: sessions that were never refreshed first, the oldest before all, then the longest unused."),
    setting("validation.mode", Kind::Text, Always("strict"), "mirror",
        "Whom a replica asks whether an access token was revoked: `strict` (Redis, each time) or `mirror` (its own copy of the revocation feed in memory; needs Redis). Both are exact: with `mirror`, a logout is answered only once no replica can accept the token any more."),
    setting("validation.max_staleness", Kind::Text, Always("2s"), "5s",
        "How long such a copy is used after it was last confirmed, before Redis is asked instead (500ms to 30s). A logout waits this long for a replica that has died."),
    setting("reset.ttl", Kind::Text, Always("10m"), "30m",
        "How long a password-reset token lives (1s to 24h)."),
    setting("reset.delivery", Kind::Text, Computed("`dev`: `response`; `serve`: `smtp` if `smtp.host` is set, else `off`"), "smtp",
        "How a reset token reaches its user: `smtp` (a mail with a link; needs `smtp.host`), `response` (in the answer: for trying out), `log` (needs `reset.danger_log_tokens`), or `off` (no reset tokens are made)."),
    setting("reset.url", Kind::Text, Computed("`<public_url>/reset-password#token={token}`, a page of hallpass' own"), "https://app.example.com/reset#token={token}",
        "The page that the link in a reset mail leads to, with the token in place of `{token}`; behind a `#` it reaches no server's log."),
    setting("reset.danger_log_tokens", Kind::Boolean, Always("false"), "true",
        "Allow `reset.delivery = \"log\"` in `serve`: whoever reads the log can then take over any account."),
    setting("registration.verify_email", Kind::Boolean, Always("false"), "true",
        "Whether people must prove their e-mail address, by a link in a mail, before they can log in (needs `smtp.host`)."),
    setting("registration.conceal_existing", Kind::Boolean, Always("false"), "true",
        "Whether `POST /auth/register` answers alike for an address that has an account already, whose owner gets a mail about it (needs `registration.verify_email`)."),
    setting("verification.ttl", Kind::Text, Always("24h"), "1h",
        "How long the link that proves an e-mail address works (1m to 30d)."),
    setting("verification.url", Kind::Text, Computed("`<public_url>/verify-email#token={token}`, a page of hallpass' own"), "https://app.example.com/confirm#token={token}",
        "The page that the link in a verification mail leads to, with the token in place of `{token}`."),
    setting("smtp.host", Kind::Text, Nothing, "smtp.example.com",
        "The mail server that takes hallpass' mails."),
    setting("smtp.port", Kind::Number, Computed("by `smtp.tls`: 587, 465 or 25"), "2525",
        "Its port."),
    setting("smtp.tls", Kind::Text, Always("starttls"), "implicit",
        "How the connection to it is protected: `starttls` (nothing is sent without), `implicit` (TLS from the first byte), or `none` (in `serve` for a server on this machine only)."),
    setting("smtp.danger_plaintext", Kind::Boolean, Always("false"), "true",
        "Allow `smtp.tls = \"none\"` in `serve` to a server elsewhere: whoever listens in the network in between can then take over any account."),
    setting("smtp.ca_file", Kind::Text, Nothing, "/etc/hallpass/mail-ca.pem",
        "A PEM file with the certificate authorities to trust for the mail server instead of the system's."),
    setting("smtp.username", Kind::Text, Nothing, "hallpass",
        "The user name at the mail server, if it wants one."),
    setting("smtp.password", Kind::Secret, Nothing, "(a password)",
        "The password at the mail server."),
    setting("smtp.from", Kind::Text, Nothing, "Example <no-reply@example.com>",
        "Whom mails are from."),
    setting("smtp.timeout", Kind::Text, Always("10s"), "30s",
        "How long the mail server may take for each step (1s to 5m)."),
    setting("keys.algorithm", Kind::Text, Always("ES256"), "RS256",
        "How access tokens are signed: `ES256`, `RS256` or `EdDSA`. Another one takes over as the next key does."),
    setting("keys.publish_ahead", Kind::Text, Always("24h"), "48h",
        "How long a key is published before it signs (1h to 30d)."),
    setting("keys.rotate_every", Kind::Text, Always("90d"), "30d",
        "How long a key signs before the next one takes over by itself (1d to 366d, and no less than `keys.publish_ahead`); `0s` turns that off."),
    setting("keys.signing_key_file", Kind::Text, Nothing, "/run/secrets/signing-key.pem",
        "A PKCS#8 PEM file to sign with instead of the key ring: one key, with no rotation and no `hallpass keys`."),
    setting("passwords.min_length", Kind::Number, Always("8"), "15",
        "The fewest characters of a new password (1 to 64)."),
    setting("passwords.reject_common", Kind::Boolean, Computed("`true`, unless `passwords.min_length` is below 8"), "false",
        "Whether well-known passwords are refused."),
    setting("passwords.argon2.memory_kib", Kind::Number, Always("19456"), "47104",
        "Argon2id: memory in KiB."),
    setting("passwords.argon2.iterations", Kind::Number, Always("2"), "1",
        "Argon2id: passes over the memory."),
    setting("passwords.argon2.parallelism", Kind::Number, Always("1"), "2",
        "Argon2id: lanes."),
    setting("passwords.hash_workers", Kind::Number, Computed("one less than there are cores, at least `1`"), "2",
        "How many passwords are hashed at the same time. Each takes `passwords.argon2.memory_kib`; to check a hash that was imported, as much as that was made with."),
    setting("passwords.hash_queue", Kind::Number, Always("64"), "16",
        "How many requests may wait for a hash worker; beyond, the answer is 503, which bounds the wait. Addresses take turns, and no address and no account has more than 8 of these places, so that nobody keeps others from logging in."),
    setting("admin.email", Kind::Text, PerProfile { dev: Some(super::SAMPLE_ADMIN_EMAIL), serve: None }, "ada@example.com",
        "The address of an administrator that is created at start if absent."),
    setting("admin.password", Kind::Secret, PerProfile { dev: Some(super::SAMPLE_ADMIN_PASSWORD), serve: None }, "(a password)",
        "That administrator's first password."),
    setting("audit.retention", Kind::Text, Always("90d"), "365d",
        "How long the audit log keeps an entry; `0s` keeps them for ever."),
    setting("compat", Kind::List, Always("nest,access-tokens"), "nest",
        "The compat APIs beside the main one, `nest` and `access-tokens`, with a comma between (a list in the file); empty for none."),
    setting("forward_auth.unverified_email", Kind::Boolean, Always("false"), "true",
        "Whether `/forward-auth` tells an e-mail address that nobody has proven (`Remote-Email`), which is empty otherwise. Anybody can register with anybody's address: services that know people by it hand over accounts then."),
    setting("trusted_proxies", Kind::List, Nothing, "10.0.0.0/8",
        "The proxies in front, as addresses and networks with commas between (a list in the file): what these say in `forwarded_header` about the client's address counts, from the right; nobody else is believed. They may open any number of connections."),
    setting("forwarded_header", Kind::Text, Always("x-forwarded-for"), "forwarded",
        "The header that your proxies write: `x-forwarded-for`, or `forwarded` (RFC 7239). The other one is ignored, since proxies pass on what a client wrote there itself."),
    setting("http.max_connections", Kind::Number, Always("8192"), "20000",
        "The most connections at once (128 or more), which bounds memory and file descriptors. 64 of them are kept for `/health/*`, so that a crowd does not get the service restarted; whoever comes beyond gets 503 `overloaded` or a reset at once."),
    setting("http.max_connections_per_address", Kind::Number, Always("2048"), "500",
        "The most of them from one address, so that one host does not keep everybody else out. IPv6 addresses count by their network of 64 bits; `trusted_proxies` are not counted."),
    setting("http.keep_alive", Kind::Text, Always("75s"), "5m",
        "How long a connection without a request is kept (1s to 1h). Longer than proxies and browsers keep theirs, so that none sends a request into one that just closes."),
    setting("http.header_timeout", Kind::Text, Always("10s"), "5s",
        "How long a request's line and headers may take from their first byte on (1s to 5m): half-sent ones hold no connection."),
    setting("http.write_timeout", Kind::Text, Always("30s"), "10s",
        "How long an answer waits for a client that takes nothing of it (1s to 1h), before the connection is reset: nobody holds one by not reading."),
    setting("feed.max_streams", Kind::Number, Always("6000"), "500",
        "How many streams of revocations may be open at once; beyond, the answer is 503, which leaves connections to everybody else."),
    setting("feed.max_streams_per_client", Kind::Number, Always("6000"), "100",
        "How many of those one client may have open, so that one that opens too many takes none from others."),
    setting("cors.origins", Kind::List, Computed("none; `dev` takes the pages of this machine in any case"), "https://app.example.com",
        "The origins of pages elsewhere that may use the API from a browser, as `scheme://host[:port]` with commas between (a list in the file), or `*` for all, then without credentials (cookies). See [docs/browser.md](docs/browser.md)."),
    setting("dev.allowed_hosts", Kind::List, Nothing, "hallpass.test",
        "Further names by which `hallpass dev` may be called, without ports, with commas between (a list in the file). Addresses, `localhost` and the `public_url`'s host always may; others get 421, since a web page elsewhere could have its own name lead here."),
    setting("rate_limits.enabled", Kind::Boolean, Always("true"), "false",
        "Whether attempts are limited; the bounds of queues hold in any case. Each limit below is a count and a duration: so many at once, refilled evenly over the duration (24h at most), or `off`. IPv6 addresses count by their network of 64 bits."),
    setting("rate_limits.login.per_ip", Kind::Text, Always("300/1m"), "60/1m",
        "Wrong passwords from one address."),
    setting("rate_limits.login.per_account", Kind::Text, Always("60/15m"), "10/15m",
        "Wrong passwords for one account, from everywhere but the places that it has logged in from in the last 30 days. No place has more than a third of it, those included: one stranger locks no owner out."),
    setting("rate_limits.login_success.per_ip", Kind::Text, Always("1200/1m"), "300/1m",
        "Right passwords from one address, which cost a hash, a session and an audit entry each: it protects the hash workers and the token store from whoever has accounts of their own."),
    setting("rate_limits.login_success.per_account", Kind::Text, Always("120/1m"), "30/1m",
        "Right passwords for one account."),
    setting("rate_limits.register.per_ip", Kind::Text, Always("600/10m"), "20/1h",
        "Registrations from one address."),
    setting("rate_limits.refresh.per_ip", Kind::Text, Always("300/1m"), "off",
        "Refreshes from one address that fail; those that succeed are never limited."),
    setting("rate_limits.reset_request.per_ip", Kind::Text, Always("300/10m"), "20/1h",
        "Mails requested from one address: password resets and verifications."),
    setting("rate_limits.reset_request.per_account", Kind::Text, Always("20/15m"), "5/1h",
        "Mails requested for one account: password resets and verifications. No place has more than a third of it: one stranger keeps no owner from a mail."),
    setting("rate_limits.reset.per_ip", Kind::Text, Always("300/10m"), "20/1h",
        "Reset tokens from one address that are no good."),
    aliased("RUST_LOG", setting("log.level", Kind::Text, Always("info"), "hallpass=debug,info",
        "What is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives per target.")),
    setting("rate_limits.introspect.per_ip", Kind::Text, Always("300/1m"), "60/1m",
        "How many wrong client secrets may come from one address, at introspection and the other OAuth operations."),
    setting("log.format", Kind::Text, PerProfile { dev: Some("pretty"), serve: Some("json") }, "json",
        "How log lines look: `pretty` or `json`."),
    setting("shutdown_grace", Kind::Text, Always("10s"), "30s",
        "How long requests may take to finish once the service was told to stop (1h at most)."),
];

impl Setting {
    /// The setting of that key.
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// The environment variable: `tokens.access_ttl` is `HALLPASS_TOKENS__ACCESS_TTL`.
    pub fn variable(&self) -> String {
        format!("HALLPASS_{}", self.key.replace('.', "__").to_uppercase())
    }

    /// All variables that may hold the value: our own and, where there is one, the alias.
    pub fn variables(&self) -> Vec<String> {
        let alias = self.alias.map(str::to_owned);
        std::iter::once(self.variable()).chain(alias).collect()
    }

    /// The variables that may name a file with the value; none unless the value may be secret.
    pub fn file_variables(&self) -> Vec<String> {
        if !self.kind.is_secret() {
            return Vec::new();
        }
        self.variables().into_iter().map(|name| format!("{name}_FILE")).collect()
    }

    /// The literal default in a profile; `None` when there is none or when it is worked out.
    pub fn default_for(&self, profile: Profile) -> Option<&'static str> {
        match (self.default, profile) {
            (Always(text), _) => Some(text),
            (PerProfile { dev, .. }, Profile::Dev) => dev,
            (PerProfile { serve, .. }, Profile::Serve) => serve,
            (Computed(_) | Nothing, _) => None,
        }
    }

    fn documented_default(&self) -> String {
        let quoted = |text: Option<&str>| match text {
            Some(text) => format!("`{text}`"),
            None => "none".to_owned(),
        };
        match self.default {
            Always(text) => quoted(Some(text)),
            PerProfile { dev, serve } => format!("`dev`: {}; `serve`: {}", quoted(dev), quoted(serve)),
            Computed(text) => text.to_owned(),
            Nothing => quoted(None),
        }
    }
}

/// The table for the README, in Markdown.
pub fn markdown() -> String {
    let mut table = String::from(
        "| setting | environment | default | example | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for setting in SETTINGS {
        let mut names = setting.variables();
        names.extend(setting.file_variables());
        let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
        let example = match setting.example {
            words if words.starts_with('(') => words.to_owned(),
            value => format!("`{value}`"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} |",
            setting.key,
            names.join(", "),
            setting.documented_default(),
            example,
            setting.doc
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const START: &str = "<!-- settings:start -->\n";
    const END: &str = "<!-- settings:end -->";

    #[test]
    fn every_name_is_used_once() {
        let mut seen = BTreeSet::new();
        for setting in SETTINGS {
            for name in setting.variables().into_iter().chain(setting.file_variables()) {
                assert!(seen.insert(name.clone()), "{name} is used twice");
            }
        }
    }

    #[test]
    fn levels_are_parted_by_two_underscores() {
        let setting = Setting::find("tokens.refresh.idle_ttl").unwrap();
        assert_eq!(setting.variable(), "HALLPASS_TOKENS__REFRESH__IDLE_TTL");
    }

    #[test]
    fn only_secrets_have_a_file_twin() {
        assert_eq!(Setting::find("secret").unwrap().file_variables(), ["HALLPASS_SECRET_FILE"]);
        assert_eq!(
            Setting::find("database.url").unwrap().file_variables(),
            ["HALLPASS_DATABASE__URL_FILE", "DATABASE_URL_FILE"]
        );
        assert!(Setting::find("listen").unwrap().file_variables().is_empty());
    }

    #[test]
    fn the_readme_lists_exactly_these_settings() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).expect("README.md is there");
        let (_, rest) = readme.split_once(START).expect("README.md has the marker settings:start");
        let (table, _) = rest.split_once(END).expect("README.md has the marker settings:end");
        let wanted = markdown();
        assert!(
            table.trim() == wanted.trim(),
            "the settings table in README.md is out of date; put this between its markers:\n\n{wanted}"
        );
    }
}
