//! Opens connections, and keeps the one that all operations share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use redis::{ConnectionAddr, ConnectionInfo, RedisResult};
use rustls::ClientConfig;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::live::{Driver, Live};
use super::sentinel::{self, Place, Sentinels};
use super::wiring::{Line, Wiring};
use crate::store::redis::inspection::{self, Identity};

/// Opens connections to one address, or to the master that Sentinels name.
pub(super) struct Dialer {
    info: ConnectionInfo,
    wiring: Wiring,
    sentinels: Option<Arc<Sentinels>>,
    /// Follows the master for as long as this is there.
    following: OnceLock<Driver>,
    current: RwLock<Option<Live>>,
    connecting: Mutex<()>,
    next_number: AtomicU64,
}

impl Dialer {
    /// With `own_tls` where TLS is not as the system has it. Where there are Sentinels they say the address,
    /// and `info` the rest.
    pub(super) fn new(
        info: ConnectionInfo,
        sentinels: Option<sentinel::Watched>,
        own_tls: Option<Arc<ClientConfig>>,
    ) -> Self {
        let wiring = Wiring::new(own_tls);
        Self {
            info,
            sentinels: sentinels.map(|watched| Arc::new(Sentinels::new(watched, wiring.clone()))),
            wiring,
            following: OnceLock::new(),
            current: RwLock::new(None),
            connecting: Mutex::new(()),
            next_number: AtomicU64::new(0),
        }
    }

    /// As whom it connects and to which database; where to, too, unless Sentinels say that.
    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Who says where the master is.
    pub(super) fn sentinels(&self) -> Option<&Sentinels> {
        self.sentinels.as_deref()
    }

    /// Opens a connection beside the shared one.
    pub(super) async fn open_another(&self) -> RedisResult<Live> {
        let Some(sentinels) = &self.sentinels else {
            return self.open_at(self.info.addr(), None).await.map(|(live, _)| live);
        };
        self.following.get_or_init(|| sentinel::follow(sentinels.clone()));
        for _ in 0..sentinel::LOOKS {
            let place = sentinels.find().await?;
            let (live, is_master) = self.open_at(&place.address, Some(place.clone())).await?;
            if is_master {
                sentinels.confirm(place);
                return Ok(live);
            }
            // It was demoted, or is not promoted yet: who says where the master is will know better soon.
            tokio::time::sleep(sentinel::LOOK_PAUSE).await;
        }
        Err(sentinels.not_the_master())
    }

    /// Answers whether it is a master as well.
    async fn open_at(
        &self,
        address: &ConnectionAddr,
        place: Option<Arc<Place>>,
    ) -> RedisResult<(Live, bool)> {
        let Line { mut handle, wire, driver } =
            self.wiring.connect(address, self.info.redis_settings()).await?;
        let Identity { server, is_master } = inspection::identity_of(&mut handle).await?;
        let live = Live {
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            handle,
            server: server.into(),
            wire,
            opened: Instant::now(),
            place,
            _driver: Arc::new(driver),
        };
        Ok((live, is_master))
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

    /// The open connection, unless it is of no use any more.
    fn current(&self) -> Option<Live> {
        let live = self.current.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        if self.is_over(&live) {
            self.discard(Some(live.number));
            return None;
        }
        Some(live)
    }

    /// Whether the other end has closed it, or the master is somewhere else by now.
    pub(super) fn is_over(&self, live: &Live) -> bool {
        let has_moved = |sentinels: &Arc<Sentinels>| sentinels.has_moved_from(live.place.as_deref());
        live.wire.has_ended() || self.sentinels.as_ref().is_some_and(has_moved)
    }

    /// The server that the shared connection may lead to is no master: that one is not used any more, nor for reading.
    pub(super) fn leave(&self) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Lets the next operation open a new connection. Calls that still wait on the old one keep it.
    pub(super) fn discard(&self, used: Option<u64>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().map(|live| live.number) == used {
            *current = None;
        }
    }
}
