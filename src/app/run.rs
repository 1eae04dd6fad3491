//! The life of a service: from the settings until the process is told to stop.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::database::{Database, open_database};
use super::environment::Environment;
use super::error::StartError;
use super::metrics::Watched;
use super::reload::{Proxies, Reached, Reload};
use super::token_stores::{Stores, open_token_store};
use super::wiring::{Changing, build_with, cors, token_size};
use super::{folder, leftovers, long_tokens, mail, metrics, people, reload, roles, secrets, supervisor};
use crate::api;
use crate::config::{self, Profile, Settings};
use crate::domain::causes::with_causes;
use crate::domain::timekeeper::Timekeeper;
use crate::mail::{RunningQueue, ShownMails};
use crate::server::{self, Listener};
use crate::service::Services;
use crate::service::audit::Audit;
use crate::service::mail::Mailer;
use crate::service::presence::Announcement;
use crate::service::token_size::TokenSize;
use crate::store::UserStore;
use crate::store::journaled::JournaledTokenStore;
use crate::store::sql::DatabaseError;

/// How long a service that stops tries to tell the others that they need not wait for it.
const STEP_BACK_GRACE: Duration = Duration::from_secs(1);

/// How long the requests of the time before may take when the service begins.
const STARTING_GRACE: Duration = Duration::from_secs(1);

/// How long it takes to ask for a database again that is not there yet: at first, and at most.
const WAITING_FIRST: Duration = Duration::from_millis(250);
const WAITING_MAX: Duration = Duration::from_secs(5);

/// What a service starts with.
pub struct Start {
    /// The settings.
    pub settings: Settings,
    /// Whether there are to be example people.
    pub example_people: bool,
    /// How the settings are read again; without, SIGHUP ends the process.
    pub reload: Option<Reload>,
}

/// Where a service listens.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Of everything that visitors reach.
    pub api: SocketAddr,
    /// Of `/metrics`, unless nobody wants them or, in `dev`, their address cannot be had.
    pub metrics: Option<SocketAddr>,
}

/// Runs the service by its settings until the process is told to stop. `listening` is told where, once requests are
/// answered there.
///
/// # Errors
/// [`StartError`]; once the service runs it does not fail.
pub async fn run(start: Start, listening: impl FnOnce(&Settings, Bound)) -> Result<(), StartError> {
    let Start { settings, example_people, reload } = start;
    let environment = Environment::real();
    let secret = config::server_secret(&settings, &*environment.random)?;
    let mut stop = pin!(server::stop_signal().map_err(StartError::Signals)?);
    let reload = match reload {
        Some(reload) => Some((reload::listen()?, reload)),
        None => None,
    };
    let opened = open_database(&settings).await;
    let at_listen = |source| StartError::Listen { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(at_listen)?;
    let bound = listener.local_addr().map_err(at_listen)?;
    let listener = Listener::from(listener);
    let watched = Arc::new(OnceLock::new());
    let mut background = JoinSet::new();
    let metrics = metrics::listen(&settings).await?;
    let metrics_bound = metrics.as_ref().and_then(|listener| listener.local_addr().ok());
    if let Some(listener) = metrics {
        // Answers while the database is waited for, too.
        background.spawn(metrics::serve(listener, watched.clone()));
    }
    let proxies = Proxies::of(&settings);
    let limits = limits(&settings, &proxies);
    let (database, steps) = match opened {
        Err(error) if error.may_pass() => {
            supervisor::waits_for_database();
            let waiting = wait_for_database(&settings, &environment, (&listener, bound), &limits, error);
            tokio::select! {
                found = waiting => found?,
                () = &mut stop => {
                    tracing::info!("stopped while waiting for the database");
                    return Ok(());
                }
            }
        }
        opened => opened?,
    };
    for step in steps {
        tracing::info!(step, "database migrated");
    }
    if settings.profile == Profile::Serve {
        leftovers::refuse_leftovers(&settings, &database, &*environment.random).await?;
    }
    let issuer = settings.issuer(bound);
    let size = token_size(&settings, &issuer);
    long_tokens::refuse_too_long(&size)?;
    roles::refuse_taken_out(&*database.users, &settings.roles).await?;
    let tokens = open_token_store(&settings, &database, &environment).await?;
    match folder::find_openness(&settings.data_dir) {
        Ok(None) => {}
        Ok(Some(openness)) => tracing::warn!("the data folder is open to others: {openness}"),
        Err(error) => tracing::warn!(error = %with_causes(&error), "the data folder cannot be looked at"),
    }
    let stores = Stores { database, tokens };
    let keeper = stores.tokens.keeper.clone();
    let redis = stores.tokens.redis.clone();
    let shown_mails = settings.shows_mails().then(ShownMails::default);
    let started = mail::start(&settings, &settings.issuer(bound), &environment, shown_mails.clone()).await?;
    let (mailer, mail_queue) = started.unzip();
    let mailer = mailer.map(|mailer| Arc::new(mailer) as Arc<dyn Mailer>);
    let environment = Environment { mailer, shown_mails, ..environment };
    let journaled = stores.tokens.journaled.clone();
    let presence = stores.tokens.presence.clone();
    let changing = Changing { cors: cors(&settings), proxies: proxies.believed.clone() };
    let (services, endpoint) =
        build_with(&settings, &secret, bound, stores.clone(), environment, changing.clone()).await?;
    // Nobody else sets it.
    let _ = watched.set(Watched::new(services.clone(), &stores));
    if example_people {
        let made = people::ensure(&services).await.map_err(StartError::ExamplePeople)?;
        tracing::info!(made, "example people are there");
    }
    match leftovers::nobody_administers(&settings, &stores.database).await {
        Ok(None) => {}
        Ok(Some(nobody)) => tracing::warn!("{nobody}"),
        Err(error) => {
            tracing::warn!(error = %with_causes(&error), "it cannot be read from the database whether anybody can administer");
        }
    }
    start_background(&mut background, &settings, &services, journaled, keeper);
    background.spawn(tell_of_long_tokens(stores.database.users.clone(), size));
    let announcement = Announcement {
        store: presence,
        presence: secrets::presence(&secrets::derive(&settings, &secret)?, bound),
    };
    background.spawn(announcement.clone().keep_announcing());
    if let Some(redis) = redis {
        let public_url = settings.public_url.as_ref().map(ToString::to_string);
        background.spawn(redis.keep_claiming(settings.issuer(bound).to_string(), public_url));
    }
    if let Some((hangups, reload)) = reload {
        let reached = Reached { limits: services.limits.clone(), cors: changing.cors, proxies };
        background.spawn(reload::keep_reloading(hangups, reload, reached));
    }
    let closing = services.revocations.clone();
    let (told, leaving) = (OnceLock::new(), server::Leaving::default());
    let stop = async {
        stop.await;
        step_down(&services, &leaving, settings.shutdown_delay).await;
        told.get_or_init(Instant::now);
        // Streams of it would last as long as the grace; by now they are led elsewhere.
        closing.close();
    };
    listening(&settings, Bound { api: bound, metrics: metrics_bound });
    tracing::info!(%bound, "listening");
    supervisor::is_ready();
    if !server::serve(listener, endpoint, &limits, leaving.clone(), stop, settings.shutdown_grace).await {
        tracing::warn!(grace = ?settings.shutdown_grace, "stopped with requests still running");
    }
    // Others would wait for a copy that is in use no more.
    if tokio::time::timeout(STEP_BACK_GRACE, services.revocations.has_stepped_back()).await.is_err() {
        tracing::debug!("stopped without stepping back from the mirrors");
    }
    drop(background);
    if tokio::time::timeout(STEP_BACK_GRACE, announcement.withdraw()).await.is_err() {
        tracing::debug!("stopped without a word to the other replicas");
    }
    let used = told.get().map_or(Duration::ZERO, Instant::elapsed);
    let left = settings.shutdown_grace.saturating_sub(used);
    tokio::join!(close_audit(&services.audit, left), close_mail(mail_queue, left));
    tracing::info!("stopped");
    Ok(())
}

/// Says that the service is not ready, and goes on as before until nobody sends anything more: for `delay`, or
/// until it is told to stop once more.
async fn step_down(services: &Services, leaving: &server::Leaving, delay: Duration) {
    supervisor::is_stopping();
    services.readiness.step_down();
    leaving.begin();
    if delay.is_zero() {
        return;
    }
    let again = server::stop_signal();
    tracing::info!(?delay, "told to stop: not ready from now on");
    match again {
        Ok(again) => drop(tokio::time::timeout(delay, again).await),
        Err(_) => tokio::time::sleep(delay).await,
    }
}

/// Nobody is kept waiting for it, and a login never fails of such a token.
async fn tell_of_long_tokens(users: Arc<dyn UserStore>, size: TokenSize) {
    match long_tokens::find(&*users, &size).await {
        Ok(None) => {}
        Ok(Some(found)) => tracing::warn!("{found}"),
        Err(error) => {
            tracing::warn!(error = %with_causes(&error), "it cannot be read from the database whose tokens would be too long");
        }
    }
}

fn limits(settings: &Settings, proxies: &Proxies) -> server::Limits {
    let http = settings.http;
    server::Limits {
        max_connections: http.max_connections,
        max_connections_per_address: http.max_connections_per_address,
        unbounded: proxies.unbounded.clone(),
        keep_alive: http.keep_alive,
        header_timeout: http.header_timeout,
        write_timeout: http.write_timeout,
    }
}

/// Asks for the database until it answers. Meanwhile the process says that it lives, so that what
/// watches it does not start it anew, and refuses everything else.
///
/// # Errors
/// The database has answered, and with a refusal.
async fn wait_for_database(
    settings: &Settings,
    environment: &Environment,
    (listener, bound): (&Listener, SocketAddr),
    limits: &server::Limits,
    first: DatabaseError,
) -> Result<(Database, Vec<String>), StartError> {
    let (over, is_over) = oneshot::channel::<()>();
    let is_https = settings.issuer(bound).is_https();
    let starting = api::starting(environment.random.clone(), is_https, cors(settings), settings.log.requests);
    // The end of the sender is the word that it is over.
    let over_soon = async { drop(is_over.await) };
    let leaving = server::Leaving::default();
    let serving = server::serve_meanwhile(listener, starting, limits, leaving, over_soon, STARTING_GRACE);
    let asking = async {
        let (mut error, mut pause) = (first, WAITING_FIRST);
        let found = loop {
            tracing::warn!(
                %bound,
                error = %with_causes(&error),
                "the database is not there yet: listening for health checks alone, and asking again"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(WAITING_MAX);
            match open_database(settings).await {
                Err(next) if next.may_pass() => error = next,
                found => break found,
            }
        };
        drop(over);
        found
    };
    let (_, found) = tokio::join!(serving, asking);
    Ok(found?)
}

/// Starts what goes on beside the requests; it ends with `tasks`.
fn start_background(
    tasks: &mut JoinSet<()>,
    settings: &Settings,
    services: &Services,
    journaled: JournaledTokenStore,
    keeper: Arc<Timekeeper>,
) {
    tasks.spawn(services.key_ring.clone().keep_up(services.revocations.listen_for_keys()));
    tasks.spawn(services.clocks.clone().keep_comparing());
    tasks.spawn(services.cut_off.clone().keep_carrying_out(journaled));
    tasks.spawn(services.revocations.clone().keep_following());
    if let Some(retention) = settings.audit.retention {
        tasks.spawn(services.audit.clone().keep_pruning(keeper, retention));
    }
}

/// Writes what the audit log still waits for, within `grace`.
pub async fn close_audit(audit: &Audit, grace: Duration) {
    let left = audit.close(grace).await;
    if left > 0 {
        tracing::warn!(left, "stopped with audit entries that are in this log alone");
    }
}

/// Sends the mails that still wait, within `grace`.
async fn close_mail(queue: Option<RunningQueue>, grace: Duration) {
    let Some(queue) = queue else { return };
    let lost = queue.finish(grace).await;
    if lost > 0 {
        tracing::warn!(lost, "stopped with mails that were not sent");
    }
}
