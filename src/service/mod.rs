//! The operations. They decide; `store` remembers, `crypto` computes, `api` speaks HTTP.
//!
//! Each room takes the parts that it needs; this one hands them out, and no other knows it.

pub mod access_tokens;
pub mod accounts;
pub mod administration;
pub mod audit;
pub mod caller;
pub mod clients;
pub mod clock_watch;
pub mod cut_off;
pub mod error;
pub mod exchange;
pub mod explain;
pub mod feed_readers;
mod fields;
pub mod key_ring;
pub mod limits;
pub mod mail;
mod moment;
mod named_in_log;
pub mod oauth;
pub mod password_reset;
pub mod password_workers;
mod passwords;
pub mod presence;
mod profiles;
pub mod quotas;
pub mod readiness;
pub mod revocations;
pub mod secret_rotation;
mod session_cap;
pub mod session_sample;
pub mod sessions;
pub mod signing_keys;
pub mod token_size;
mod trail;
pub mod user_import;
pub mod verification;
pub mod visitor;

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;

pub use self::error::{Error, Field, FieldProblem, Kind, Result};

use self::access_tokens::AccessTokens;
use self::accounts::Accounts;
use self::administration::Administration;
use self::audit::Audit;
use self::clients::Clients;
use self::clock_watch::ClockWatch;
use self::cut_off::CutOff;
use self::exchange::Exchange;
use self::explain::TokenInspector;
use self::feed_readers::FeedReaders;
use self::key_ring::KeyRing;
use self::limits::Limits;
use self::mail::{Mailer, Outbox};
use self::oauth::OAuth;
use self::password_reset::PasswordResets;
use self::password_workers::PasswordWorkers;
use self::passwords::Passwords;
use self::profiles::Profiles;
use self::readiness::ReadinessCheck;
use self::revocations::Revocations;
use self::session_cap::SessionCap;
use self::session_sample::SessionSample;
use self::sessions::Sessions;
use self::signing_keys::SigningKeys;
use self::token_size::TokenSize;
use self::trail::AuditTrail;
use self::verification::Verifications;
use crate::config::Settings;
use crate::crypto::rate_limit::MarkKey;
use crate::crypto::secret::DerivedKeys;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::random::Random;
use crate::domain::roles::KnownRoles;
use crate::store::clients::ClientStore;
use crate::store::revocations::RevocationStore;
use crate::store::{RateLimitStore, TokenStore, UserStore};

/// What the operations need from outside.
pub struct Dependencies {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whose clock is odd.
    pub clocks: ClockWatch,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Sessions, the denylist and reset tokens.
    pub token_store: Arc<dyn TokenStore>,
    /// OAuth clients.
    pub clients: Arc<dyn ClientStore>,
    /// What tells of revocations.
    pub revocation_feed: Arc<dyn RevocationStore>,
    /// What counts attempts.
    pub rate_limits: Arc<dyn RateLimitStore>,
    /// What happened, for later.
    pub audit: Audit,
    /// The keys that come of the server's secrets.
    pub secrets: DerivedKeys,
    /// What limits are keyed by.
    pub mark_key: MarkKey,
    /// Carries mails, if there is a way to send any.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// The signing keys.
    pub key_ring: Arc<KeyRing>,
    /// What hashes passwords.
    pub workers: PasswordWorkers,
}

/// All operations, wired. Cheap to clone.
#[derive(Clone)]
pub struct Services(Arc<Operations>);

/// The operations.
pub struct Operations {
    /// Registration, profiles, password change.
    pub accounts: Accounts,
    /// Other people's accounts, for administrators.
    pub administration: Administration,
    /// Login, refresh, logout.
    pub sessions: Sessions,
    /// Minting and checking access tokens.
    pub access_tokens: AccessTokens,
    /// OAuth clients.
    pub clients: Clients,
    /// Introspection and revocation of tokens.
    pub oauth: OAuth,
    /// Token exchange.
    pub exchange: Exchange,
    /// This process's copy of the revocation feed.
    pub revocations: Revocations,
    /// Those who follow it.
    pub feed_readers: FeedReaders,
    /// Forgotten passwords.
    pub password_resets: PasswordResets,
    /// Proving addresses.
    pub verifications: Verifications,
    /// How often what may be tried.
    pub limits: Limits,
    /// What security events bring about.
    pub cut_off: CutOff,
    /// Whose clock is odd.
    pub clocks: ClockWatch,
    /// The audit log.
    pub audit: Audit,
    /// Tokens that an operator presents.
    pub inspector: TokenInspector,
    /// The signing keys.
    pub key_ring: Arc<KeyRing>,
    /// What an operator does to them.
    pub signing_keys: SigningKeys,
    /// Whether the service can do its work.
    pub readiness: ReadinessCheck,
    /// How many sessions are alive.
    pub session_sample: SessionSample,
    /// What hashes passwords.
    workers: PasswordWorkers,
    issuer: String,
    roles: KnownRoles,
    clock: Arc<dyn Clock>,
}

impl Deref for Services {
    type Target = Operations;

    fn deref(&self) -> &Operations {
        &self.0
    }
}

impl Services {
    /// Wires the operations, by these settings. `issuer` is claim `iss` of access tokens, the service's public
    /// URL exactly; `audience` is claim `aud`.
    pub fn new(settings: &Settings, issuer: String, audience: String, dependencies: Dependencies) -> Self {
        let Dependencies {
            clock,
            clocks,
            random,
            users,
            token_store,
            clients: registry,
            revocation_feed,
            rate_limits,
            audit,
            secrets,
            mark_key,
            mailer,
            key_ring,
            workers,
        } = dependencies;
        let lifetimes = settings.tokens.lifetimes;
        let trail = AuditTrail { audit: audit.clone(), clock: clock.clone(), random: random.clone() };
        let outbox = Outbox(mailer);
        let profiles = Profiles::new(users.clone(), clock.clone());
        let passwords =
            Passwords { policy: settings.passwords.policy, workers: workers.clone(), random: random.clone() };
        let cut_off = CutOff {
            users: users.clone(),
            token_store: token_store.clone(),
            trail: trail.clone(),
            absolute_lifetime: lifetimes.absolute,
        };
        let revocations = Revocations::new(
            revocation_feed,
            clocks.keeper(),
            random.clone(),
            lifetimes.revocation(),
            settings.validation,
        );
        let access_tokens = AccessTokens::new(access_tokens::Parts {
            users: users.clone(),
            profiles: profiles.clone(),
            clients: registry.clone(),
            token_store: token_store.clone(),
            clock: clock.clone(),
            clocks: clocks.clone(),
            random: random.clone(),
            secrets: secrets.clone(),
            trail: trail.clone(),
            key_ring: key_ring.clone(),
            revocations: revocations.clone(),
            issuer: issuer.clone(),
            audience: audience.clone(),
            settings: settings.tokens.clone(),
            role_scopes: settings.role_scopes.clone(),
            claims: settings.tokens.claims.clone(),
        });
        let watched = settings.tokens.claims_cut_off.watched(&settings.tokens.claims);
        let size = TokenSize::new(settings, issuer.clone(), &audience);
        let limits =
            Limits { rate_limits, mark_key, rules: Arc::new(ArcSwap::from_pointee(settings.rate_limits)) };
        let sessions = Sessions {
            users: users.clone(),
            token_store: token_store.clone(),
            clock: clock.clone(),
            clocks: clocks.clone(),
            random: random.clone(),
            secrets: secrets.clone(),
            trail: trail.clone(),
            passwords: passwords.clone(),
            access_tokens: access_tokens.clone(),
            cut_off: cut_off.clone(),
            limits: limits.clone(),
            cap: SessionCap {
                token_store: token_store.clone(),
                trail: trail.clone(),
                max: settings.sessions.max_per_account,
                under_way: Arc::default(),
            },
            registration: settings.registration,
            lifetimes,
        };
        let feed_readers = FeedReaders::new(registry.clone(), settings.feed);
        let clients = Clients {
            clients: registry.clone(),
            token_store: token_store.clone(),
            denial: lifetimes.revocation(),
            clock: clock.clone(),
            random: random.clone(),
            trail: trail.clone(),
            access_tokens: access_tokens.clone(),
            limits: limits.clone(),
            feed_readers: feed_readers.clone(),
            size: size.clone(),
        };
        let password_resets = PasswordResets {
            users: users.clone(),
            profiles: profiles.clone(),
            token_store: token_store.clone(),
            clock: clock.clone(),
            random: random.clone(),
            secrets: secrets.clone(),
            trail: trail.clone(),
            outbox: outbox.clone(),
            passwords: passwords.clone(),
            cut_off: cut_off.clone(),
            limits: limits.clone(),
            settings: settings.reset.clone(),
        };
        let verifications = Verifications {
            users: users.clone(),
            profiles: profiles.clone(),
            clock: clock.clone(),
            secrets: secrets.clone(),
            trail: trail.clone(),
            outbox: outbox.clone(),
            limits: limits.clone(),
            settings: settings.verification.clone(),
        };
        let administration = Administration {
            users: users.clone(),
            token_store: token_store.clone(),
            clock: clock.clone(),
            trail: trail.clone(),
            passwords: passwords.clone(),
            cut_off: cut_off.clone(),
            password_resets: password_resets.clone(),
            reset: settings.reset.clone(),
            roles: settings.roles.clone(),
            watched: watched.clone(),
            size: size.clone(),
        };
        let accounts = Accounts {
            users: users.clone(),
            profiles: profiles.clone(),
            token_store: token_store.clone(),
            clock: clock.clone(),
            clocks: clocks.clone(),
            trail: trail.clone(),
            outbox,
            passwords,
            sessions: sessions.clone(),
            cut_off: cut_off.clone(),
            verifications: verifications.clone(),
            limits: limits.clone(),
            registration: settings.registration,
            verification: settings.verification.clone(),
            lifetimes,
            watched,
            size,
        };
        let inspector = TokenInspector {
            users: users.clone(),
            token_store: token_store.clone(),
            clients: registry.clone(),
            clock: clock.clone(),
            secrets: secrets.clone(),
            trail: trail.clone(),
            access_tokens: access_tokens.clone(),
            administration: administration.clone(),
            lifetimes,
        };
        let exchange = Exchange {
            clients: registry,
            registry: clients.clone(),
            clock: clock.clone(),
            access_tokens: access_tokens.clone(),
            audience: audience.clone(),
        };
        let oauth = OAuth {
            token_store: token_store.clone(),
            clock: clock.clone(),
            secrets,
            trail,
            access_tokens: access_tokens.clone(),
            clients: clients.clone(),
            audience,
            lifetimes,
        };
        let session_sample = SessionSample {
            users: users.clone(),
            token_store: token_store.clone(),
            clock: clock.clone(),
            random,
            last: Arc::default(),
        };
        let readiness = ReadinessCheck {
            users,
            token_store,
            revocations: revocations.clone(),
            clocks: clocks.clone(),
            is_stopping: Arc::default(),
        };
        Self(Arc::new(Operations {
            accounts,
            administration,
            sessions,
            access_tokens,
            clients,
            oauth,
            exchange,
            revocations,
            feed_readers,
            password_resets,
            verifications,
            limits,
            cut_off,
            clocks,
            audit,
            inspector,
            signing_keys: SigningKeys::new(key_ring.clone()),
            key_ring,
            readiness,
            session_sample,
            workers,
            issuer,
            roles: settings.roles.clone(),
            clock,
        }))
    }
}

impl Operations {
    /// The issuer (`iss`) of all tokens: the service's public URL, exactly.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The service's own audience (`aud`).
    pub fn audience(&self) -> &str {
        self.exchange.audience()
    }

    /// The roles that there are.
    pub fn roles(&self) -> &KnownRoles {
        &self.roles
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
