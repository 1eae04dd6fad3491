//! Every setting: typed, parsed once, unknown keys refused, every mistake reported at once.
//!
//! - `table`: the one list of settings, with names, defaults and documentation;
//! - `source` and `file`: which text each setting has (flags over environment over file over the
//!   profile's defaults), and where it came from;
//! - `parse` and `build`: from texts to [`Settings`];
//! - `database`, `redis`, `mail`, `http` and `cors`: the settings of the stores, of mails, of connections and of
//!   pages elsewhere, from their texts to their rules;
//! - `rules` and `plaintext`: contradictions, and what is unsafe to start with;
//! - `dump`: the settings in effect, secrets left out.

mod build;
mod cors;
mod database;
mod dump;
mod error;
mod file;
mod http;
mod mail;
mod parse;
mod plaintext;
mod redis;
mod rules;
mod secret;
mod source;
pub mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hallpass_verify::TokenType;
use ipnet::IpNet;
use url::{Host, Url};

pub use cors::CorsOrigins;
pub use database::DatabaseSettings;
pub use dump::dump;
pub use error::{ConfigError, ConfigErrors, Origin, Warning};
pub use http::{FeedSettings, ForwardedHeader, HttpSettings};
pub use mail::{
    RESET_PAGE, RegistrationSettings, SmtpFrom, SmtpSettings, SmtpTls, VERIFICATION_PAGE,
    VerificationSettings,
};
pub use redis::RedisTlsSettings;
pub use secret::{
    SECRET_MIN_BYTES, Secret, SecretFileError, ServerSecretError, existing_secret, server_secret,
};
pub use source::{FlagValue, Sources, Values};

use crate::crypto::password::Argon2Cost;
use crate::domain::deployment::DeploymentMark;
use crate::domain::email::Email;
use crate::domain::link::LinkTemplate;
use crate::domain::password::{Password, PasswordPolicy};
use crate::domain::rate_limit::LimitRules;
use crate::domain::revocation::ValidationMode;
use crate::domain::session::SessionLifetimes;
use crate::domain::signing_key::SigningAlgorithm;

/// The address of the administrator that `hallpass dev` creates.
pub const SAMPLE_ADMIN_EMAIL: &str = "johndoe@example.com";

/// Its password: known to everyone, so `serve` refuses it.
pub const SAMPLE_ADMIN_PASSWORD: &str = "password";
/// The client that `hallpass dev` makes: that of the example microservice.
pub const SAMPLE_CLIENT_ID: &str = "books";
/// Its secret.
pub const SAMPLE_CLIENT_SECRET: &str = "books-dev-secret";

/// Which defaults hold, and what is safe enough to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `hallpass dev`: works with nothing set, for this machine alone.
    Dev,
    /// `hallpass serve`: production.
    Serve,
}

impl Profile {
    /// The command of that name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Serve => "serve",
        }
    }
}

/// All settings. Each field's variable, default and meaning stand in [`table::SETTINGS`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose defaults and rules hold.
    pub profile: Profile,
    /// The address and port to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The issuer, if set. See [`Settings::issuer`].
    pub public_url: Option<PublicUrl>,
    /// Whether the issuer may be reached in the clear.
    pub danger_plaintext_public_url: bool,
    /// The server secret, if set. See [`server_secret`].
    pub secret: Option<Secret>,
    /// The folder for everything kept in files.
    pub data_dir: PathBuf,
    /// `database.*`
    pub database: DatabaseSettings,
    /// `token_store` and `redis.*`
    pub token_store: TokenStoreSettings,
    /// `tokens.*`
    pub tokens: TokenSettings,
    /// `sessions.*`
    pub sessions: SessionSettings,
    /// `validation.*`
    pub validation: ValidationMode,
    /// `reset.*`
    pub reset: ResetSettings,
    /// `smtp.*`, if `smtp.host` is set.
    pub smtp: Option<SmtpSettings>,
    /// `registration.*`
    pub registration: RegistrationSettings,
    /// `verification.*`
    pub verification: VerificationSettings,
    /// `keys.*`
    pub keys: KeySettings,
    /// `passwords.*`
    pub passwords: PasswordSettings,
    /// `admin.*`: to be created at start if absent.
    pub admin: Option<AdminSettings>,
    /// `audit.*`
    pub audit: AuditSettings,
    /// `compat`: each once, in the order of [`CompatApi::ALL`].
    pub compat: Vec<CompatApi>,
    /// `forward_auth.*`
    pub forward_auth: ForwardAuthSettings,
    /// `trusted_proxies`: believed about where requests come from.
    pub trusted_proxies: Vec<IpNet>,
    /// `forwarded_header`: where those say it.
    pub forwarded_header: ForwardedHeader,
    /// `http.*`
    pub http: HttpSettings,
    /// `feed.*`
    pub feed: FeedSettings,
    /// `cors.origins`: whose pages may use the API from a browser.
    pub cors_origins: CorsOrigins,
    /// `dev.allowed_hosts`: by which further names `hallpass dev` lets itself be called.
    pub dev_allowed_hosts: Vec<String>,
    /// `rate_limits.*`; all off unless `rate_limits.enabled`.
    pub rate_limits: LimitRules,
    /// `log.*`
    pub log: LogSettings,
    /// How long requests may take to finish once the service was told to stop.
    pub shutdown_grace: Duration,
}

/// What keeps sessions and revocations.
#[derive(Clone, Debug)]
pub enum TokenStoreSettings {
    /// SQLite files in the data folder, for a single process.
    Embedded,
    /// A Redis.
    Redis {
        /// `redis://…`, `rediss://…` or `unix://…`; may hold a password.
        url: Secret,
        /// What connections over TLS trust and show.
        tls: RedisTlsSettings,
        /// What all keys begin with; made of the deployment's id where it is not set.
        prefix: Option<DeploymentMark>,
        /// How many replicas must have a revocation before it is acknowledged.
        wait_replicas: u32,
        /// Whether an evicting `maxmemory-policy` is warned about instead of refused.
        danger_allow_eviction: bool,
    },
}

/// How tokens are made and how long they live.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// The audience, if set. See [`Settings::audience`].
    pub audience: Option<String>,
    /// The `typ` of access tokens.
    pub typ: TokenType,
    /// Lifetimes of access tokens and sessions, the grace period and the leeway.
    pub lifetimes: SessionLifetimes,
}

/// Sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// How many an account may have at once.
    pub max_per_account: u32,
}

/// Password resets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetSettings {
    /// How long a reset token lives.
    pub ttl: Duration,
    /// How it reaches its user.
    pub delivery: ResetDelivery,
    /// Whether [`ResetDelivery::Log`] is allowed in production.
    pub danger_log_tokens: bool,
    /// The page that the link in a mail leads to, if set. See [`Settings::reset_link`].
    pub url: Option<LinkTemplate>,
}

/// How a reset token reaches its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetDelivery {
    /// In the answer to whoever asks: only where nobody but the developer can ask.
    Response,
    /// In the log: dangerous, since whoever reads the log can take over any account.
    Log,
    /// By mail, as a link.
    Smtp,
    /// Not at all: a request is answered as ever, and no token is made.
    Off,
}

/// How access tokens are signed.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// The algorithm of new keys.
    pub algorithm: SigningAlgorithm,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
    /// How long a key signs before the next one takes over; `None` for ever.
    pub rotate_every: Option<Duration>,
    /// A PKCS#8 PEM file to sign with, instead of the key ring.
    pub signing_key_file: Option<PathBuf>,
}

/// Which passwords may be chosen, and how they are hashed.
#[derive(Clone, Copy, Debug)]
pub struct PasswordSettings {
    /// Which may be chosen.
    pub policy: PasswordPolicy,
    /// The cost of one hash: such that argon2 takes it.
    pub argon2: Argon2Cost,
    /// How many are hashed at the same time.
    pub hash_workers: usize,
    /// How many requests may wait for a worker.
    pub hash_queue: usize,
}

/// An administrator to be created at start if absent.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// The address.
    pub email: Email,
    /// The first password.
    pub password: Password,
}

/// The audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// How long an entry is kept; `None` is for ever.
    pub retention: Option<Duration>,
}

/// What proxies that ask about each request are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardAuthSettings {
    /// Whether an address is told that its owner has not proven.
    pub unverified_email: bool,
}

/// An API beside the main one, for the clients of another token service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompatApi {
    /// The Nest token API.
    Nest,
    /// The access-tokens service.
    AccessTokens,
}

impl CompatApi {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Nest, Self::AccessTokens];

    /// The name in the setting.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nest => "nest",
            Self::AccessTokens => "access-tokens",
        }
    }
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// What is logged: a level, or directives per target.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object per line.
    Json,
}

/// Where clients reach this service: absolute, http or https, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    https: bool,
    loopback: bool,
}

impl PublicUrl {
    fn from_parsed(url: &Url, text: &str) -> Self {
        Self { text: text.to_owned(), https: url.scheme() == "https", loopback: is_loopback_host(url) }
    }

    /// `http://` and the address: what a service is reached by that has no other name.
    pub fn of_address(address: SocketAddr) -> Self {
        let loopback = address.ip().to_canonical().is_loopback();
        Self { text: format!("http://{address}"), https: false, loopback }
    }

    /// The URL exactly as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host, without port and path: what people call the service.
    pub fn host(&self) -> &str {
        let behind_scheme = self.text.split_once("://").map_or(&*self.text, |(_, rest)| rest);
        let authority = behind_scheme.split('/').next().unwrap_or(behind_scheme);
        match authority.rsplit_once(':') {
            // In [::1] the last colon is none in front of a port.
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        }
    }

    /// Whether it is `https://`.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether it leads to this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a URL leads to this machine; one without a host does.
fn is_loopback_host(url: &Url) -> bool {
    let ip = match url.host() {
        None => return true,
        Some(Host::Domain(name)) => match name.parse() {
            Ok(ip) => ip,
            Err(_) => return name.is_empty() || name == "localhost" || name.ends_with(".localhost"),
        },
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
    };
    ip.to_canonical().is_loopback()
}

impl Settings {
    /// The issuer: the public URL, or else the address that the service is `bound` to. It takes
    /// the bound one because port 0 is a real port only after binding.
    pub fn issuer(&self, bound: SocketAddr) -> PublicUrl {
        self.public_url.clone().unwrap_or_else(|| PublicUrl::of_address(bound))
    }

    /// The audience of access tokens: the one that is set, or else the issuer.
    pub fn audience(&self, issuer: &PublicUrl) -> String {
        self.tokens.audience.clone().unwrap_or_else(|| issuer.as_str().to_owned())
    }
}

/// Settings without a mistake.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Where each came from, for [`dump`].
    pub values: Values,
    /// What works but deserves a second thought.
    pub warnings: Vec<Warning>,
}

/// What the settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To start the service of the profile: what is unsafe is refused.
    Start,
    /// To look at the settings, or for a command that uses a few of them.
    Inspect,
}

/// Reads the settings from all sources.
///
/// # Errors
/// Every mistake at once; with [`Purpose::Start`] also everything that is unsafe to start with.
pub fn load(profile: Profile, purpose: Purpose, sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let (mut values, mut mistakes) = source::collect(profile, sources);
    let settings = build::settings(&mut values, &mut mistakes);
    let mut review = rules::Review { settings: &settings, values: &values, mistakes, warnings: Vec::new() };
    review.contradictions();
    if purpose == Purpose::Start {
        review.unsafe_start();
    }
    let rules::Review { mut mistakes, warnings, .. } = review;
    if mistakes.is_empty() {
        return Ok(Loaded { settings, values, warnings });
    }
    let place = |key: &str| table::SETTINGS.iter().position(|setting| setting.key == key);
    mistakes.sort_by_key(|mistake| place(&mistake.key));
    Err(mistakes.into())
}
