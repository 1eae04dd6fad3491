//! `/metrics`, on a listener of its own: whoever watches the service reaches it, and visitors do not.

use std::time::Duration;

use poem::{EndpointExt, Route, endpoint, get};
use tokio::net::TcpListener;

use super::error::StartError;
use crate::api::pages::metrics::{self, PATH};
use crate::config::{Profile, Settings};
use crate::domain::causes::with_causes;
use crate::server::{self, Leaving, Limits};
use crate::service::Services;

/// A few scrapers ask a few times a minute.
const LIMITS: Limits = Limits {
    max_connections: 64,
    max_connections_per_address: 64,
    unbounded: Vec::new(),
    keep_alive: Duration::from_secs(75),
    header_timeout: Duration::from_secs(5),
    write_timeout: Duration::from_secs(10),
};

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

/// Tells whoever asks, for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, services: Services) {
    let told = get(endpoint::make(move |_| {
        let services = services.clone();
        async move { Ok::<_, poem::Error>(metrics::answer(&services.moment().await)) }
    }));
    let endpoint = Route::new().at(PATH, told).map_to_response();
    let never = std::future::pending();
    server::serve(listener, endpoint, &LIMITS, Leaving::default(), never, Duration::ZERO).await;
}
