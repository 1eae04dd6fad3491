//! How any connection is made: stream, TLS, greeting.

use std::sync::{Arc, OnceLock};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, RedisConnectionInfo, RedisResult};
use rustls::ClientConfig;

use super::live::Driver;
use crate::store::redis::wire::{self, RedisTls, Wire};

/// How many commands may wait to be sent; the default of 50 makes callers queue under load.
const PIPELINE_BUFFER: usize = 1024;

/// A connection, just made.
pub(super) struct Line {
    pub(super) handle: MultiplexedConnection,
    pub(super) wire: Arc<Wire>,
    pub(super) driver: Driver,
}

/// What all connections have in common.
#[derive(Clone)]
pub(super) struct Wiring {
    config: AsyncConnectionConfig,
    tls: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Wiring {
    /// With `own_tls` where TLS is not as the system has it.
    pub(super) fn new(own_tls: Option<Arc<ClientConfig>>) -> Self {
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(PIPELINE_BUFFER);
        Self { config, tls: Arc::new(own_tls.map_or_else(OnceLock::new, OnceLock::from)) }
    }

    /// Connects to an address and logs in there.
    pub(super) async fn connect(
        &self,
        address: &ConnectionAddr,
        redis: &RedisConnectionInfo,
    ) -> RedisResult<Line> {
        let stream = wire::open(address, async || self.tls_config().await).await?;
        let wire = stream.wire();
        let (handle, driver) =
            MultiplexedConnection::new_with_config(redis, stream, self.config.clone()).await?;
        Ok(Line { handle, wire, driver: Driver(tokio::spawn(driver).abort_handle()) })
    }

    /// What connections over TLS trust. Reading a hundred certificates takes its time, the first time:
    /// it goes on though the operation that needs them is given up.
    async fn tls_config(&self) -> RedisResult<Arc<ClientConfig>> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let tls = self.tls.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let config = wire::tls_config(&RedisTls::default())?;
            Ok(tls.get_or_init(|| config).clone())
        });
        reading.await.map_err(std::io::Error::other)?
    }
}
