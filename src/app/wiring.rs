//! From settings and stores to the wired service.

use std::net::SocketAddr;
use std::sync::Arc;

use poem::{Endpoint, Response};

use super::database::open_database;
use super::environment::Environment;
use super::error::StartError;
use super::secrets;
use super::token_stores::{self, Reach, Stores};
use crate::api;
use crate::api::main::forward_auth::UnverifiedEmail;
use crate::api::pages::docs_page::{DocsPage, SampleAccount, SampleClient, Samples};
use crate::api::pages::mails::App;
use crate::api::root::cors::{AllowedOrigins, Cors};
use crate::api::root::door::AllowedHosts;
use crate::api::wire::client_address::TrustedProxies;
use crate::config::{self, Profile, PublicUrl, Secret, Settings};
use crate::crypto::keys::SigningKey;
use crate::crypto::password::PasswordHasher;
use crate::crypto::secret::DerivedKeys;
use crate::domain::client::REVOCATIONS_READ;
use crate::domain::signing_key::KeyLife;
use crate::domain::tokens::ClientSecret;
use crate::service::audit::Audit;
use crate::service::clock_watch::ClockWatch;
use crate::service::key_ring::{KeyRing, KeyRingDependencies};
use crate::service::password_workers::PasswordWorkers;
use crate::service::token_size::TokenSize;
use crate::service::{self, Dependencies, Services};

/// Wires the operations over their stores.
///
/// # Errors
/// [`StartError`].
pub async fn services(
    settings: &Settings,
    secret: &Secret,
    bound: SocketAddr,
    stores: Stores,
    environment: Environment,
) -> Result<Services, StartError> {
    let issuer = settings.issuer(bound);
    let secrets = secrets::derive(settings, secret)?;
    // Before the first signing key is made, which tells a database that was in use from a new one.
    let mark_key = secrets::open_mark_key(&secrets, &stores.database, &environment).await?;
    let audit = Audit::start(stores.database.audit_log.clone());
    let key_ring = open_key_ring(settings, &secrets, &stores, &audit, &environment).await?;
    let hasher = PasswordHasher::new(settings.passwords.argon2, &*environment.random)?;
    let workers =
        PasswordWorkers::new(hasher, settings.passwords.hash_workers, settings.passwords.hash_queue);
    let keeper = stores.tokens.keeper;
    let dependencies = Dependencies {
        clock: keeper.clone(),
        clocks: ClockWatch::new(keeper, stores.database.users.clone(), environment.laid_over.database),
        random: environment.random,
        audit,
        users: stores.database.users,
        clients: stores.database.clients,
        token_store: stores.tokens.token_store,
        revocation_feed: stores.tokens.revocation_feed,
        rate_limits: stores.tokens.rate_limits,
        secrets,
        mark_key,
        mailer: environment.mailer,
        key_ring: Arc::new(key_ring),
        workers,
    };
    let audience = settings.audience(&issuer);
    Ok(Services::new(settings, issuer.as_str().to_owned(), audience, dependencies))
}

/// Builds the service over its stores: the operations, and the HTTP surface over them.
///
/// # Errors
/// [`StartError`].
pub async fn build(
    settings: &Settings,
    secret: &Secret,
    bound: SocketAddr,
    stores: Stores,
    environment: Environment,
) -> Result<(Services, impl Endpoint<Output = Response> + 'static), StartError> {
    let changing = Changing { cors: cors(settings), proxies: proxies(settings) };
    build_with(settings, secret, bound, stores, environment, changing).await
}

/// What of the HTTP surface can change while it answers.
#[derive(Clone)]
pub(super) struct Changing {
    /// Which pages may read the answers.
    pub(super) cors: Cors,
    /// Who is believed about where a request comes from.
    pub(super) proxies: TrustedProxies,
}

/// The same with what can change then.
///
/// # Errors
/// [`StartError`].
pub(super) async fn build_with(
    settings: &Settings,
    secret: &Secret,
    bound: SocketAddr,
    stores: Stores,
    environment: Environment,
    changing: Changing,
) -> Result<(Services, impl Endpoint<Output = Response> + 'static), StartError> {
    let (random, shown_mails) = (environment.random.clone(), environment.shown_mails.clone());
    let services = services(settings, secret, bound, stores, environment).await?;
    // Two keys are published from the first day on.
    services.key_ring.catch_up().await?;
    if let Some((email, password)) = settings.admin.account() {
        let created = services
            .accounts
            .ensure_admin(email.clone(), password.clone())
            .await
            .map_err(StartError::Admin)?;
        if created {
            tracing::info!("administrator created");
        }
    }
    if settings.profile == Profile::Dev {
        ensure_sample_client(&services).await.map_err(StartError::SampleClient)?;
    }
    let Changing { cors, proxies } = changing;
    let issuer = settings.issuer(bound);
    let hosts = (settings.profile == Profile::Dev).then(|| {
        let own = std::iter::once(issuer.host().to_owned());
        AllowedHosts::new(own.chain(settings.dev.allowed_hosts.iter().cloned()))
    });
    let unverified_email = match settings.forward_auth.unverified_email {
        true => UnverifiedEmail::Told,
        false => UnverifiedEmail::Withheld,
    };
    let surroundings = api::Surroundings {
        proxies,
        hosts,
        cors,
        docs: docs_page(settings),
        shown_mails,
        app: App { name: settings.app_name(&issuer), url: settings.app.url.clone() },
        logged: settings.log.requests,
        cookie_name: Some(settings.cookie.name.clone()),
    };
    let endpoint = api::build(
        services.clone(),
        random,
        issuer.is_https(),
        surroundings,
        unverified_email,
        &settings.compat,
    );
    Ok((services, endpoint))
}

/// What measures the tokens that these settings make.
pub fn token_size(settings: &Settings, issuer: &PublicUrl) -> TokenSize {
    TokenSize::new(settings, issuer.as_str().to_owned(), &settings.audience(issuer))
}

/// Who is believed about where a request comes from.
pub(super) fn proxies(settings: &Settings) -> TrustedProxies {
    TrustedProxies::new(&settings.trusted_proxies, settings.forwarded_header)
}

/// Whose pages may read the answers. `dev` lets those of this machine, where web apps are written.
pub(super) fn cors(settings: &Settings) -> Cors {
    Cors::new(allowed_origins(settings))
}

/// The same by itself.
pub(super) fn allowed_origins(settings: &Settings) -> AllowedOrigins {
    match &settings.cors.origins {
        config::CorsOrigins::Any => AllowedOrigins::Any,
        config::CorsOrigins::Listed(origins) => {
            AllowedOrigins::Listed { origins: origins.clone(), loopback: settings.profile == Profile::Dev }
        }
    }
}

/// What the docs page fills in: what everybody knows of `dev`, and nothing that was chosen.
fn docs_page(settings: &Settings) -> DocsPage {
    match (settings.docs.enabled, settings.profile) {
        (false, _) => DocsPage::Off,
        (true, Profile::Serve) => DocsPage::On,
        (true, Profile::Dev) => {
            let email = settings.admin.email.as_ref().filter(|_| settings.admin.has_sample_password());
            DocsPage::Filled(Samples {
                account: email.map(|email| SampleAccount {
                    email: email.as_str().to_owned(),
                    password: config::SAMPLE_ADMIN_PASSWORD,
                }),
                client: SampleClient {
                    client_id: config::SAMPLE_CLIENT_ID,
                    client_secret: config::SAMPLE_CLIENT_SECRET,
                },
            })
        }
    }
}

/// The client that the example microservice is, so that it runs against `hallpass dev` as it is.
async fn ensure_sample_client(services: &Services) -> Result<(), service::Error> {
    let (Ok(id), Ok(scopes)) = (config::SAMPLE_CLIENT_ID.parse(), REVOCATIONS_READ.parse()) else {
        return Ok(());
    };
    services.clients.ensure(id, scopes, &ClientSecret::new(config::SAMPLE_CLIENT_SECRET)).await
}

/// The operations as a command has them that an operator runs beside the service.
pub struct BesideService {
    /// The operations.
    pub services: Services,
    /// Whether the token store is in the process of the running service, out of reach from here. What a command
    /// changes then is carried out by the service.
    pub store_is_in_service: bool,
}

/// Opens what such a command needs: the operations over the same stores.
///
/// # Errors
/// [`StartError`].
pub async fn open_beside_service(settings: &Settings) -> Result<BesideService, StartError> {
    let environment = Environment::real();
    let secret = config::existing_secret(settings, &*environment.random)?;
    let (database, _) = open_database(settings).await?;
    let (tokens, reach) = token_stores::open_beside_service(settings, &database, &environment).await?;
    let stores = Stores { database, tokens };
    let services = services(settings, &secret, settings.listen, stores, environment).await?;
    Ok(BesideService { services, store_is_in_service: reach == Reach::InService })
}

async fn open_key_ring(
    settings: &Settings,
    secrets: &DerivedKeys,
    stores: &Stores,
    audit: &Audit,
    environment: &Environment,
) -> Result<KeyRing, StartError> {
    let Some(path) = &settings.keys.signing_key_file else {
        let lifetimes = &settings.tokens.lifetimes;
        let dependencies = KeyRingDependencies {
            store: stores.database.signing_keys.clone(),
            feed: stores.tokens.revocation_feed.clone(),
            clock: stores.tokens.keeper.clone(),
            keeper: stores.tokens.keeper.clone(),
            random: environment.random.clone(),
            secrets: secrets.clone(),
            audit: audit.clone(),
            life: KeyLife {
                algorithm: settings.keys.algorithm,
                publish_ahead: settings.keys.publish_ahead,
                rotate_every: settings.keys.rotate_every,
                access_token: lifetimes.revocation(),
                session: lifetimes.absolute,
            },
        };
        return Ok(KeyRing::open(dependencies).await?);
    };
    let file = tokio::fs::read(path)
        .await
        .map_err(|source| StartError::SigningKeyFile { path: path.clone(), source })?;
    Ok(KeyRing::fixed(SigningKey::from_file(settings.keys.algorithm, &file)?)?)
}
