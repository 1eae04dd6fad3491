//! `/metrics`, on a listener of its own: whoever watches the service reaches it, and visitors do not.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use poem::{EndpointExt, Route, endpoint, get};
use tokio::net::TcpListener;

use super::error::StartError;
use super::token_stores::Stores;
use crate::api::pages::metrics::{self, PATH};
use crate::config::{Profile, Settings};
use crate::domain::causes::with_causes;
use crate::metrics::Moment;
use crate::server::{self, Leaving, Limits, Unbounded};
use crate::service::Services;
use crate::service::readiness::Operation;
use crate::store::Pooled;
use crate::store::journaled::JournaledTokenStore;

/// A few scrapers ask a few times a minute.
fn limits() -> Limits {
    Limits {
        max_connections: 128,
        max_connections_per_address: 64,
        unbounded: Unbounded::default(),
        keep_alive: Duration::from_secs(75),
        header_timeout: Duration::from_secs(5),
        write_timeout: Duration::from_secs(10),
    }
}

/// What is asked how things are, once the service stands.
pub(super) struct Watched {
    services: Services,
    journaled: JournaledTokenStore,
    connections: [Arc<dyn Pooled>; 2],
}

impl Watched {
    pub(super) fn new(services: Services, stores: &Stores) -> Self {
        let connections = [stores.database.connections.clone(), stores.tokens.connections.clone()];
        Self { services, journaled: stores.tokens.journaled.clone(), connections }
    }

    async fn moment(&self) -> Moment {
        Moment {
            journal: self.journaled.journal_lag(),
            pools: self.connections.iter().flat_map(|store| store.pools()).collect(),
            ..self.services.moment().await
        }
    }
}

/// How things are while the database is waited for: ready for nothing.
fn waiting() -> Moment {
    Moment {
        ready: Operation::ALL.iter().map(|operation| (operation.word(), false)).collect(),
        checks: vec![("database", false)],
        ..Moment::default()
    }
}

/// Listens where the settings say, if they do. `dev` goes on without where that is taken: by another one, most likely.
///
/// # Errors
/// [`StartError::Listen`].
pub(super) async fn listen(settings: &Settings) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = settings.metrics.listen else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let bound = listener.local_addr().unwrap_or(address);
            tracing::info!(%bound, "metrics at {PATH}");
            Ok(Some(listener))
        }
        Err(error) if settings.profile == Profile::Dev => {
            tracing::info!(%address, error = %with_causes(&error), "no metrics: the address cannot be had");
            Ok(None)
        }
        Err(source) => Err(StartError::Listen { address, source }),
    }
}

/// Tells whoever asks, for as long as it is polled: before there is anything to watch that the service waits.
pub(super) async fn serve(listener: TcpListener, watched: Arc<OnceLock<Watched>>) {
    let told = get(endpoint::make(move |_| {
        let watched = watched.clone();
        async move {
            let moment = match watched.get() {
                Some(watched) => watched.moment().await,
                None => waiting(),
            };
            Ok::<_, poem::Error>(metrics::answer(&moment))
        }
    }));
    let endpoint = Route::new().at(PATH, told).map_to_response();
    let never = std::future::pending();
    server::serve(listener, endpoint, &limits(), Leaving::default(), never, Duration::ZERO).await;
}
