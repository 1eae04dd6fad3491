//! All settings, in the order of the documentation.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use ipnet::IpNet;

use super::engine::{
    Always, Catalogue, Computed, Later, Nothing, Parsed, PerProfile, Profile, Secret, Section, parse,
    problem, settings,
};
use super::sections::admin::AdminSettings;
use super::sections::app::AppSettings;
use super::sections::audit::AuditSettings;
use super::sections::compat::CompatApi;
use super::sections::cookie::CookieSettings;
use super::sections::cors::CorsSettings;
use super::sections::database::DatabaseSettings;
use super::sections::dev::DevSettings;
use super::sections::docs::DocsSettings;
use super::sections::feed::FeedSettings;
use super::sections::forward_auth::ForwardAuthSettings;
use super::sections::http::HttpSettings;
use super::sections::keys::KeySettings;
use super::sections::log::LogSettings;
use super::sections::metrics::MetricsSettings;
use super::sections::passwords::PasswordSettings;
use super::sections::proxies::ForwardedHeader;
use super::sections::public_url::PublicUrl;
use super::sections::redis::RedisSettings;
use super::sections::registration::RegistrationSettings;
use super::sections::reset::{RESET_PAGE, ResetSettings};
use super::sections::roles::RoleScopes;
use super::sections::sessions::SessionSettings;
use super::sections::smtp::SmtpSettings;
use super::sections::tokens::TokenSettings;
use super::sections::verification::{VERIFICATION_PAGE, VerificationSettings};
use super::sections::{compat, proxies, public_url, redis, roles, secret};
use crate::domain::link::LinkTemplate;
use crate::domain::rate_limit::LimitRules;
use crate::domain::revocation::ValidationMode;
use crate::domain::roles::KnownRoles;
use crate::store::TokenStoreKind;

const SHUTDOWN_DELAY_MAX: Duration = Duration::from_secs(300);
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
            kind: Secret, parse: secret::secret,
            default: Later::unknown("`dev`: made once, kept in `<data_dir>/secret`; `serve`: none"),
            example: "(32 or more random bytes)",
        },
        /// Other server secrets that are accepted and do not mint, one on each line: the next one before it mints,
        /// the one before as long as what it minted is good; see [docs/keys.md](docs/keys.md). At most 8.
        secret_accepted: Vec<Secret> = "secret_accepted" {
            kind: Secret, parse: secret::accepted, default: Nothing, example: "(the secret before)",
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
        /// The roles that accounts may have besides `admin` and `member`, with commas between (a list in the file); see
        /// [docs/claims.md](docs/claims.md).
        roles: KnownRoles = "roles" {
            kind: List, parse: roles::roles, default: Nothing, example: "editor,support",
        },
        /// By role, the scopes (`scope`) that tokens of its people have; in the environment one JSON object.
        role_scopes: RoleScopes = "role_scopes" {
            kind: Table, parse: roles::role_scopes, default: Nothing, example: "{\"member\": [\"articles:read\"]}",
        },
        /// `sessions.*`
        sessions: SessionSettings,
        /// `metrics.*`
        metrics: MetricsSettings,
        /// `validation.*`
        validation: ValidationMode,
        /// `reset.*`
        reset: ResetSettings,
        /// `registration.*`
        registration: RegistrationSettings,
        /// `verification.*`
        verification: VerificationSettings,
        /// `app.*`
        app: AppSettings,
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
        /// `cookie.*`
        cookie: CookieSettings,
        /// `dev.*`
        dev: DevSettings,
        /// `rate_limits.*`; all off unless `rate_limits.enabled`.
        rate_limits: LimitRules,
        /// `log.*`
        log: LogSettings,
        /// How long a service that was told to stop goes on as before, but for saying that it is not ready (5m at most):
        /// balancers take that long to send nothing more. A second signal ends it.
        shutdown_delay: Duration = "shutdown_delay" {
            kind: Text, parse: parse::span(Duration::ZERO..=SHUTDOWN_DELAY_MAX),
            default: PerProfile { dev: "0s", serve: "5s" }, example: "15s",
        },
        /// How long requests may take to finish after that, once the service was told to stop (1h at most).
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

    /// The address of the Redis that keeps sessions and revocations; `None` where something else does.
    pub fn redis_url(&self) -> Option<&Secret> {
        self.redis.url.as_ref().filter(|_| self.token_store == TokenStoreKind::Redis)
    }

    /// What people call the app: as it is set, or else the host that they see in links.
    pub fn app_name(&self, issuer: &PublicUrl) -> String {
        self.app.name.clone().unwrap_or_else(|| issuer.host().to_owned())
    }

    /// Whether mails are kept for a page of this process instead of sent: in `dev`, where no server is named.
    pub fn shows_mails(&self) -> bool {
        self.profile == Profile::Dev && self.smtp.host.is_none()
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
