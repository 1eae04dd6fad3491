//! Opens connections, and keeps the one that all operations share.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use redis::{ConnectionAddr, RedisConnectionInfo, RedisError, RedisResult};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::live::{Driver, Live};
use super::sentinel::{self, Place, Sentinels};
use super::wiring::{Line, Wiring};
use crate::store::redis::inspection::{self, Identity, Mode};

/// A node of a Cluster that follows another: what it has may be older.
const A_REPLICA: &str = "where a master of the Redis Cluster was, a replica answers";

/// What an address leads to.
pub(super) enum Target {
    /// One server.
    One,
    /// The master that Sentinels name: the address itself means nothing.
    Sentinels(Arc<Sentinels>),
    /// A master of a Cluster.
    NodeOfCluster,
}

/// Opens connections to one address, or to the master that Sentinels name.
pub(super) struct Dialer {
    address: ConnectionAddr,
    account: RedisConnectionInfo,
    target: Target,
    wiring: Wiring,
    /// Follows the master for as long as this is there.
    following: OnceLock<Driver>,
    current: RwLock<Option<Live>>,
    connecting: Mutex<()>,
    next_number: AtomicU64,
}

impl Dialer {
    /// Nothing is sent yet.
    pub(super) fn new(
        address: ConnectionAddr,
        account: RedisConnectionInfo,
        target: Target,
        wiring: Wiring,
    ) -> Self {
        Self {
            address,
            account,
            target,
            wiring,
            following: OnceLock::new(),
            current: RwLock::new(None),
            connecting: Mutex::new(()),
            next_number: AtomicU64::new(0),
        }
    }

    /// Who says where the master is.
    pub(super) fn sentinels(&self) -> Option<&Arc<Sentinels>> {
        match &self.target {
            Target::Sentinels(sentinels) => Some(sentinels),
            Target::One | Target::NodeOfCluster => None,
        }
    }

    /// Opens a connection beside the shared one.
    pub(super) async fn open_another(&self) -> RedisResult<Live> {
        let Some(sentinels) = self.sentinels() else {
            let (live, is_master) = self.open_at(&self.address, None).await?;
            return match self.complaint_of(is_master) {
                Some(error) => Err(error),
                None => Ok(live),
            };
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

    /// What there is to say where a master is meant, and another answers.
    fn complaint_of(&self, is_master: bool) -> Option<RedisError> {
        match &self.target {
            Target::Sentinels(sentinels) if !is_master => Some(sentinels.not_the_master()),
            Target::NodeOfCluster if !is_master => Some(RedisError::from(io::Error::other(A_REPLICA))),
            _ => None,
        }
    }

    /// Answers whether it is a master as well.
    async fn open_at(
        &self,
        address: &ConnectionAddr,
        place: Option<Arc<Place>>,
    ) -> RedisResult<(Live, bool)> {
        let Line { mut handle, wire, driver } = self.wiring.connect(address, &self.account).await?;
        let Identity { server, is_master, mode } = inspection::identity_of(&mut handle).await?;
        mode.must_be(match self.target {
            Target::NodeOfCluster => Mode::NodeOfCluster,
            Target::One | Target::Sentinels(_) => Mode::Standalone,
        })?;
        let live = Live {
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            handle,
            server: server.into(),
            wire,
            opened: Instant::now(),
            address: Arc::new(address.clone()),
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
        live.wire.has_ended() || self.sentinels().is_some_and(has_moved)
    }

    /// Where a master is meant, and another answers, the shared connection may lead to it as well: that one is not used
    /// any more, nor for reading. Answers what there is to say.
    pub(super) fn leave_unless(&self, is_master: bool) -> Option<RedisError> {
        let complaint = self.complaint_of(is_master)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
        Some(complaint)
    }

    /// Lets the next operation open a new connection. Calls that still wait on the old one keep it.
    pub(super) fn discard(&self, used: Option<u64>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().map(|live| live.number) == used {
            *current = None;
        }
    }
}
