//! Opens connections, and keeps the one that all operations share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionInfo, RedisResult};
use rustls::ClientConfig;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::live::{Driver, Live};
use crate::store::redis::inspection;
use crate::store::redis::wire::{self, RedisTls};

/// How many commands may wait to be sent; the default of 50 makes callers queue under load.
const PIPELINE_BUFFER: usize = 1024;

/// Opens connections to one address.
pub(super) struct Dialer {
    info: ConnectionInfo,
    config: AsyncConnectionConfig,
    tls: Arc<OnceLock<Arc<ClientConfig>>>,
    current: RwLock<Option<Live>>,
    connecting: Mutex<()>,
    next_number: AtomicU64,
}

impl Dialer {
    /// With `own_tls` where TLS is not as the system has it.
    pub(super) fn new(info: ConnectionInfo, own_tls: Option<Arc<ClientConfig>>) -> Self {
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(PIPELINE_BUFFER);
        Self {
            info,
            config,
            tls: Arc::new(own_tls.map_or_else(OnceLock::new, OnceLock::from)),
            current: RwLock::new(None),
            connecting: Mutex::new(()),
            next_number: AtomicU64::new(0),
        }
    }

    /// Where it leads to, and as whom.
    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Opens a connection beside the shared one.
    pub(super) async fn open_another(&self) -> RedisResult<Live> {
        let stream = wire::open(self.info.addr(), async || self.tls_config().await).await?;
        let wire = stream.wire();
        let redis = self.info.redis_settings();
        let (mut handle, driver) =
            MultiplexedConnection::new_with_config(redis, stream, self.config.clone()).await?;
        let driver = Arc::new(Driver(tokio::spawn(driver).abort_handle()));
        let server = inspection::server_of(&mut handle).await?.into();
        Ok(Live {
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            handle,
            server,
            wire,
            opened: Instant::now(),
            _driver: driver,
        })
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

    /// The open connection; the first who finds none opens one, the others wait for that.
    pub(super) async fn live(&self) -> RedisResult<Live> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let live = self.open_another().await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
        Ok(live)
    }

    /// The open connection, unless the other end has closed it.
    fn current(&self) -> Option<Live> {
        let live = self.current.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        if live.wire.has_ended() {
            self.discard(Some(live.number));
            return None;
        }
        Some(live)
    }

    /// Lets the next operation open a new connection. Calls that still wait on the old one keep it.
    pub(super) fn discard(&self, used: Option<u64>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().map(|live| live.number) == used {
            *current = None;
        }
    }
}
