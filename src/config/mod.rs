//! Every setting: typed, parsed once, unknown keys refused, every mistake reported at once.
//!
//! - [`Settings`]: the list of them all, in the order of the documentation;
//! - `sections`: one file a subject. A setting has one declaration: its type, key, default, bounds and meaning;
//! - `checks`: what must hold between sections, and what is unsafe to start with;
//! - `server_secret`: the secret that `dev` makes for itself;
//! - `engine`: how any setting is found, read and shown.

mod checks;
mod engine;
mod sections;
mod server_secret;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use ipnet::IpNet;

use engine::{Always, Computed, Later, Nothing, Parsed, Reader, Review, Section, parse, problem, settings};
pub use engine::{
    Catalogue, ConfigError, ConfigErrors, FlagValue, Origin, Profile, Secret, Setting, Sources, Values,
    Warning,
};
pub use sections::admin::{AdminSettings, SAMPLE_ADMIN_EMAIL, SAMPLE_ADMIN_PASSWORD};
pub use sections::audit::AuditSettings;
pub use sections::compat::CompatApi;
pub use sections::cors::{CorsOrigins, CorsSettings};
pub use sections::database::DatabaseSettings;
pub use sections::dev::{DevSettings, SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET};
pub use sections::docs::DocsSettings;
pub use sections::feed::FeedSettings;
pub use sections::forward_auth::ForwardAuthSettings;
pub use sections::http::HttpSettings;
pub use sections::keys::KeySettings;
pub use sections::log::{LogFormat, LogSettings, LoggedRequests};
pub use sections::passwords::PasswordSettings;
pub use sections::proxies::ForwardedHeader;
pub use sections::public_url::PublicUrl;
pub use sections::redis::{RedisSettings, RedisTlsSettings, TokenStoreKind};
pub use sections::registration::RegistrationSettings;
pub use sections::reset::{RESET_PAGE, ResetDelivery, ResetSettings};
pub use sections::sessions::SessionSettings;
pub use sections::smtp::{SmtpFrom, SmtpSettings, SmtpTls};
pub use sections::tokens::TokenSettings;
pub use sections::verification::{VERIFICATION_PAGE, VerificationSettings};
pub use server_secret::{
    SECRET_MIN_BYTES, SecretFileError, ServerSecretError, existing_secret, server_secret,
};

use crate::domain::link::LinkTemplate;
use crate::domain::rate_limit::LimitRules;
use crate::domain::revocation::ValidationMode;
use sections::{compat, proxies, public_url, redis};

const SHUTDOWN_GRACE_MAX: Duration = Duration::from_secs(3600);

settings! {
    /// All settings.
    #[derive(Clone, Debug)]
    pub struct Settings {
        /// Whose defaults and rules hold.
        profile: Profile,
        /// The address and port to listen on.
        listen: SocketAddr = "listen" {
            kind: Text, parse: address, default: Always("127.0.0.1:8080"), example: "0.0.0.0:8080",
        },
        /// Where clients reach this service: the issuer (`iss`) of its tokens, exactly as written.
        public_url: Option<PublicUrl> = "public_url" {
            kind: Text, parse: public_url::public_url,
            default: Later { says: "`http://<listen>`", by: public_url::by_listen },
            example: "https://auth.example.com",
        },
        /// Allow a `public_url` with http:// in `serve` on a name that is not this machine: whoever listens in the
        /// network in between reads passwords and tokens.
        danger_plaintext_public_url: bool = "danger_plaintext_public_url" {
            kind: Boolean, parse: parse::boolean, default: Always("false"), example: "true",
        },
        /// The server secret: refresh tokens and stored signing keys are protected by keys derived from it.
        secret: Option<Secret> = "secret" {
            kind: Secret, parse: server_secret::secret,
            default: Later::unknown("`dev`: made once, kept in `<data_dir>/secret`; `serve`: none"),
            example: "(32 or more random bytes)",
        },
        /// The folder for everything that hallpass itself keeps in files.
        data_dir: PathBuf = "data_dir" {
            kind: Text, parse: parse::path, default: Always("hallpass-data"), example: "/var/lib/hallpass",
        },
        /// `database.*`
        database: DatabaseSettings,
        /// `redis.*`
        redis: RedisSettings,
        /// What keeps sessions and revocations: `redis`, or `embedded` (SQLite files in `data_dir`, for a single
        /// process).
        token_store: TokenStoreKind = "token_store" {
            kind: Text, parse: redis::token_store,
            default: Computed {
                says: "`redis` if `redis.url` is set, else `embedded` (in `serve` only when set)",
                by: redis::token_store_by_url,
            },
            example: "embedded",
        },
        /// `tokens.*`
        tokens: TokenSettings,
        /// `sessions.*`
        sessions: SessionSettings,
        /// `validation.*`
        validation: ValidationMode,
        /// `reset.*`
        reset: ResetSettings,
        /// `registration.*`
        registration: RegistrationSettings,
        /// `verification.*`
        verification: VerificationSettings,
        /// `smtp.*`
        smtp: SmtpSettings,
        /// `keys.*`
        keys: KeySettings,
        /// `passwords.*`
        passwords: PasswordSettings,
        /// `admin.*`
        admin: AdminSettings,
        /// `audit.*`
        audit: AuditSettings,
        /// The compat APIs beside the main one, `nest` and `access-tokens`, with a comma between (a list in the file);
        /// empty for none.
        compat: Vec<CompatApi> = "compat" {
            kind: List, parse: compat::apis, default: Always("nest,access-tokens"), example: "nest",
        },
        /// `docs.*`
        docs: DocsSettings,
        /// `forward_auth.*`
        forward_auth: ForwardAuthSettings,
        /// The proxies in front, as addresses and networks with commas between (a list in the file): what these say in
        /// `forwarded_header` about the client's address counts, from the right; nobody else is believed. They may
        /// open any number of connections.
        trusted_proxies: Vec<IpNet> = "trusted_proxies" {
            kind: List, parse: parse::list(proxies::network), default: Nothing, example: "10.0.0.0/8",
        },
        /// The header that your proxies write: `x-forwarded-for`, or `forwarded` (RFC 7239). The other one is ignored,
        /// since proxies pass on what a client wrote there itself.
        forwarded_header: ForwardedHeader = "forwarded_header" {
            kind: Text, parse: proxies::forwarded_header, default: Always("x-forwarded-for"), example: "forwarded",
        },
        /// `http.*`
        http: HttpSettings,
        /// `feed.*`
        feed: FeedSettings,
        /// `cors.*`
        cors: CorsSettings,
        /// `dev.*`
        dev: DevSettings,
        /// `rate_limits.*`; all off unless `rate_limits.enabled`.
        rate_limits: LimitRules,
        /// `log.*`
        log: LogSettings,
        /// How long requests may take to finish once the service was told to stop (1h at most).
        shutdown_grace: Duration = "shutdown_grace" {
            kind: Text, parse: parse::span(Duration::ZERO..=SHUTDOWN_GRACE_MAX), default: Always("10s"),
            example: "30s",
        },
    }
}

fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse()
        .or_else(|_| problem("is no IP address with a port", "write it like 127.0.0.1:8080 or [::1]:8080"))
}

/// The settings in effect, as a settings file that says where each value came from; secrets are left out.
pub fn dump(values: &Values) -> String {
    engine::dump(catalogue(), values)
}

/// What is known of every setting, in the order of the documentation.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(Settings::NODES));
    &CATALOGUE
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

    /// The address of the Redis that keeps sessions and revocations; `None` for the embedded store.
    pub fn redis_url(&self) -> Option<&Secret> {
        self.redis.url.as_ref().filter(|_| self.token_store == TokenStoreKind::Redis)
    }

    /// Where the link in a reset mail leads.
    pub fn reset_link(&self, issuer: &PublicUrl) -> LinkTemplate {
        let own_page = || LinkTemplate::to_page(&format!("{issuer}{RESET_PAGE}"));
        self.reset.url.clone().unwrap_or_else(own_page)
    }

    /// Where the link in a verification mail leads.
    pub fn verification_link(&self, issuer: &PublicUrl) -> LinkTemplate {
        let own_page = || LinkTemplate::to_page(&format!("{issuer}{VERIFICATION_PAGE}"));
        self.verification.url.clone().unwrap_or_else(own_page)
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
    let (values, mistakes) = engine::collect(catalogue(), profile, sources);
    let mut reader = Reader::new(&values, mistakes);
    let settings = Settings::read(&mut reader);
    let mut review = Review::new(&values, reader.finish());
    if let Some(settings) = &settings {
        checks::contradictions(settings, &mut review);
        if purpose == Purpose::Start {
            checks::unsafe_start(settings, &mut review);
        }
    }
    let (mut mistakes, warnings) = review.finish();
    match settings {
        Some(settings) if mistakes.is_empty() => Ok(Loaded { settings, values, warnings }),
        _ => {
            mistakes.sort_by_key(|mistake| catalogue().position(&mistake.key));
            Err(mistakes.into())
        }
    }
}
