//! The life of a service: from the settings until the process is told to stop.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{StartError, Stores, World, build, mail, open_database, open_token_store};
use crate::config::{self, Settings};
use crate::domain::clock::Clock;
use crate::mail::RunningQueue;
use crate::server;
use crate::service::Services;
use crate::service::audit::Audit;
use crate::service::mail::Mailer;

/// How long a service that stops tries to tell the others that they need not wait for it.
const STEP_BACK_GRACE: Duration = Duration::from_secs(1);

/// Runs the service by its settings until the process is told to stop. `listening` is told the
/// address once requests are answered there.
///
/// # Errors
/// [`StartError`]; once the service runs it does not fail.
pub async fn run(
    settings: Settings,
    listening: impl FnOnce(&Settings, SocketAddr),
) -> Result<(), StartError> {
    let world = World::real();
    let secret = config::server_secret(&settings, &*world.random)?;
    let stores = open_stores(&settings, &world).await?;
    let at_listen = |source| StartError::Listen { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(at_listen)?;
    let bound = listener.local_addr().map_err(at_listen)?;
    let clock = world.clock.clone();
    let (mailer, mail_queue) = mail::start(&settings, &settings.issuer(bound), &world).await?.unzip();
    let world = World { mailer: mailer.map(|mailer| Arc::new(mailer) as Arc<dyn Mailer>), ..world };
    let (services, endpoint) = build(&settings, &secret, bound, stores, world).await?;
    let stop = server::stop_signal().map_err(StartError::Signals)?;
    let background = start_background(&settings, &services, clock);
    let closing = services.revocations.clone();
    let told = OnceLock::new();
    let stop = async {
        stop.await;
        told.get_or_init(Instant::now);
        // Streams of it would last as long as the grace.
        closing.close();
    };
    listening(&settings, bound);
    tracing::info!(%bound, "listening");
    if !server::serve(listener, endpoint, stop, settings.shutdown_grace).await {
        tracing::warn!(grace = ?settings.shutdown_grace, "stopped with requests still running");
    }
    // Others would wait for a copy that is in use no more.
    if tokio::time::timeout(STEP_BACK_GRACE, services.revocations.has_stepped_back()).await.is_err() {
        tracing::debug!("stopped without stepping back from the mirrors");
    }
    drop(background);
    let used = told.get().map_or(Duration::ZERO, Instant::elapsed);
    let left = settings.shutdown_grace.saturating_sub(used);
    tokio::join!(close_audit(&services.audit, left), close_mail(mail_queue, left));
    tracing::info!("stopped");
    Ok(())
}

async fn open_stores(settings: &Settings, world: &World) -> Result<Stores, StartError> {
    let (database, steps) = open_database(settings).await?;
    for step in steps {
        tracing::info!(step, "database migrated");
    }
    let tokens = open_token_store(settings, world.clock.clone()).await?;
    Ok(Stores { database, tokens })
}

/// Starts what goes on beside the requests; it ends with what is returned.
fn start_background(settings: &Settings, services: &Services, clock: Arc<dyn Clock>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(services.key_ring.clone().keep_up(services.revocations.listen_for_keys()));
    tasks.spawn(services.cut_off.clone().keep_settling());
    tasks.spawn(services.revocations.clone().keep_following());
    if let Some(retention) = settings.audit.retention {
        tasks.spawn(services.audit.clone().keep_pruning(clock, retention));
    }
    tasks
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
