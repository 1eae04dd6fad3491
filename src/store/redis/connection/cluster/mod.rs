//! A Redis Cluster: who has which slot, and a connection to each node.
//!
//! The map of slots is asked for when it is first needed, and anew whenever a node sends us elsewhere, does not answer,
//! or is a master no more: of any node that answers, and of several answers the one of the later epoch counts. What is
//! known of a node (its server, its history, whether it answers) is known of it alone, so that one that fails costs the
//! others nothing. Only masters are asked: a replica may be behind.
//!
//! The driver's own client for a Cluster is not used. It follows a redirection and repeats what may have been done
//! without a word, and never says which server an answer is from: nobody could vouch for it.

mod slots;
mod view;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use redis::{ConnectionAddr, ErrorKind, RedisConnectionInfo, RedisError, RedisResult, Value};
use tokio::time::Instant;

use super::in_turn::{Unanswered, in_turn};
use super::node::{Node, Patience};
use super::wiring::Wiring;
use crate::domain::clock::Timestamp;
use crate::domain::cluster_url::ClusterUrl;
use crate::domain::partition::Partition;
use crate::store::patience;
use crate::store::redis::time::{Time, moment};

use self::slots::SlotMap;
pub(in crate::store::redis) use self::slots::{NodePlace, Slot};
pub use self::view::{ClusterNode, ClusterView};

/// How many slots a Cluster has.
pub const CLUSTER_SLOTS: u16 = Slot::COUNT;

/// How long one node has to say where the slots are, connecting included.
const ANSWER_WAIT: Duration = Duration::from_millis(250);

/// How long a map is not asked for again after it was: what fails meanwhile would fail by the next one as well.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Whom to ask, and over what.
pub(in crate::store::redis) struct Seeds {
    places: Vec<NodePlace>,
    tls: bool,
}

impl Seeds {
    /// Those of a URL.
    pub(in crate::store::redis) fn by(url: &ClusterUrl) -> Self {
        let places = url.nodes().map(|(host, port)| NodePlace { host, port }).collect();
        Self { places, tls: url.is_tls() }
    }
}

/// All nodes.
pub(super) struct Cluster {
    seeds: Seeds,
    /// As whom every node is asked.
    account: RedisConnectionInfo,
    wiring: Wiring,
    patience: Patience,
    map: RwLock<Option<Arc<SlotMap>>>,
    nodes: Mutex<HashMap<NodePlace, Arc<Node>>>,
    /// Held by whoever asks for the map: when that was done last.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

impl Cluster {
    pub(super) fn new(
        seeds: Seeds,
        account: RedisConnectionInfo,
        wiring: Wiring,
        patience: Patience,
    ) -> Self {
        let (map, nodes, looked) = (RwLock::default(), Mutex::default(), tokio::sync::Mutex::default());
        Self { seeds, account, wiring, patience, map, nodes, looked }
    }

    /// The node that has a slot; `None` before the map is known.
    ///
    /// # Errors
    /// Nobody has it.
    pub(super) fn known_node(self: &Arc<Self>, slot: Slot) -> Option<RedisResult<Arc<Node>>> {
        let map = self.map()?;
        Some(match map.owner(slot) {
            Some(place) => Ok(self.node_at(place)),
            None => {
                self.look_soon();
                Err(RedisError::from(io::Error::other(NOBODY)))
            }
        })
    }

    /// The same, and asks for the map where it is not known.
    pub(super) async fn node(self: &Arc<Self>, slot: Slot) -> RedisResult<Arc<Node>> {
        if let Some(known) = self.known_node(slot) {
            return known;
        }
        self.look().await?;
        self.known_node(slot).unwrap_or_else(|| Err(RedisError::from(io::Error::other(NOBODY))))
    }

    /// The partitions that each node has; those that nobody has are left out.
    pub(super) async fn groups(self: &Arc<Self>) -> RedisResult<Vec<Vec<Partition>>> {
        let map = match self.map() {
            Some(map) => map,
            None => self.look().await?,
        };
        let mut groups: Vec<(&NodePlace, Vec<Partition>)> = Vec::new();
        for partition in Partition::all() {
            let Some(owner) = map.owner(Slot::of_partition(partition)) else {
                self.look_soon();
                continue;
            };
            match groups.iter_mut().find(|(place, _)| *place == &**owner) {
                Some((_, group)) => group.push(partition),
                None => groups.push((owner, vec![partition])),
            }
        }
        Ok(groups.into_iter().map(|(_, group)| group).collect())
    }

    /// Whether a slot is elsewhere than at this address.
    pub(super) fn has_moved_from(&self, slot: Slot, address: &ConnectionAddr) -> bool {
        self.map().is_some_and(|map| map.owner(slot).is_none_or(|owner| self.address(owner) != *address))
    }

    /// The node there.
    pub(super) fn node_at(&self, place: &NodePlace) -> Arc<Node> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            Arc::new(Node::of_cluster(
                place.clone(),
                self.address(place),
                self.account.clone(),
                self.wiring.clone(),
                self.patience,
            ))
        };
        nodes.entry(place.clone()).or_insert_with(make).clone()
    }

    /// A node says that a slot is elsewhere; answers where.
    pub(super) fn redirected(self: &Arc<Self>, error: &RedisError, asked: &NodePlace) -> Option<NodePlace> {
        let (place, slot) = error.redirect_node()?;
        let (place, slot) = (NodePlace::redirected(place, asked)?, Slot::new(slot)?);
        if error.kind() == ErrorKind::Server(redis::ServerErrorKind::Moved) {
            let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
            *map = map.take().map(|map| Arc::new(SlotMap::clone(&map).with_moved(slot, place.clone())));
            drop(map);
            self.look_soon();
        }
        Some(place)
    }

    /// Asks for the map beside whoever calls this.
    pub(super) fn look_soon(self: &Arc<Self>) {
        let cluster = self.clone();
        tokio::spawn(async move {
            // One who asks is enough.
            if let Ok(looked) = cluster.looked.try_lock() {
                drop(looked);
                drop(cluster.look().await);
            }
        });
    }

    /// Asks for the map, unless somebody has just done so.
    async fn look(&self) -> RedisResult<Arc<SlotMap>> {
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|looked| looked.elapsed() < LOOK_PAUSE) {
            let known = self.map();
            return known.ok_or_else(|| RedisError::from(io::Error::other(NO_MAP)));
        }
        let found = self.find_map().await;
        *looked = Some(Instant::now());
        let found = Arc::new(found?);
        self.know(found.clone());
        Ok(found)
    }

    fn know(&self, found: Arc<SlotMap>) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let before = map.replace(found.clone());
        drop(map);
        let masters = found.masters();
        if before.is_some_and(|before| before.masters() != masters) {
            let masters: Vec<String> = masters.iter().map(ToString::to_string).collect();
            tracing::warn!(masters = masters.join(" "), "the Redis Cluster has other masters than before");
        }
        let nodes = found.nodes();
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).retain(|place, _| nodes.contains(place));
    }

    fn map(&self) -> Option<Arc<SlotMap>> {
        self.map.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those that are known, and those that the settings name.
    fn candidates(&self) -> Vec<NodePlace> {
        let mut places = self.map().map(|map| map.nodes()).unwrap_or_default();
        let unknown =
            self.seeds.places.iter().filter(|seed| !places.contains(seed)).cloned().collect::<Vec<_>>();
        places.extend(unknown);
        places
    }

    /// One that finds the Cluster well, and knows of no less than is known here; or else the latest.
    async fn find_map(&self) -> RedisResult<SlotMap> {
        let candidates = self.candidates();
        let known = self.map().map_or(0, |map| map.epoch);
        let mut latest: Option<SlotMap> = None;
        let questions = candidates.iter().map(|place| self.ask(place)).enumerate();
        let found = in_turn(questions, |_, told: &Told| {
            if told.is_well && told.map.epoch >= known {
                return true;
            }
            if latest.as_ref().is_none_or(|latest| latest.epoch < told.map.epoch) {
                latest = Some(told.map.clone());
            }
            false
        });
        match found.await {
            Ok(told) => Ok(told.map),
            Err(unanswered) => latest.ok_or_else(|| nobody_says(&candidates, unanswered)),
        }
    }

    /// Asks one over a new connection: what is open may be hung.
    async fn ask(&self, place: &NodePlace) -> RedisResult<Told> {
        let asking = async {
            let mut line = self.wiring.connect(&self.address(place), &self.account).await?;
            let mut pipeline = redis::pipe();
            pipeline.cmd("CLUSTER").arg("SLOTS").cmd("CLUSTER").arg("INFO").cmd("TIME");
            let (slots, info, time): (Value, String, Time) = pipeline.query_async(&mut line.handle).await?;
            Told::read(slots, &info, time, place)
        };
        let answer = patience::within(ANSWER_WAIT, asking).await;
        answer.unwrap_or_else(|slow| Err(RedisError::from(io::Error::new(io::ErrorKind::TimedOut, slow))))
    }

    fn address(&self, place: &NodePlace) -> ConnectionAddr {
        let (host, port) = (place.host.clone(), place.port);
        match self.seeds.tls {
            false => ConnectionAddr::Tcp(host, port),
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        }
    }
}

/// What a node says.
struct Told {
    map: SlotMap,
    /// Whether it finds that the Cluster serves (`cluster_state`): one that is cut off does not.
    is_well: bool,
    /// What its clock shows.
    time: Timestamp,
}

impl Told {
    fn read(slots: Value, info: &str, time: Time, asked: &NodePlace) -> RedisResult<Self> {
        let value = |name: &str| {
            let mut pairs = info.lines().filter_map(|line| line.split_once(':'));
            pairs.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
        };
        let epoch = value("cluster_current_epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
        let map = SlotMap::read(slots, asked, epoch)?;
        Ok(Self { map, is_well: value("cluster_state") == Some("ok"), time: moment(time) })
    }
}

const NOBODY: &str = "no node of the Redis Cluster has that slot";
const NO_MAP: &str = "no node of the Redis Cluster has said so far where the slots are";

/// One mistake that all report is one of the settings: waiting mends nothing.
fn nobody_says(asked: &[NodePlace], Unanswered { silent }: Unanswered<RedisError>) -> RedisError {
    let is_mistake = silent.len() == asked.len() && silent.iter().all(|(_, error)| is_mistake(error));
    let said = silent.iter().map(|(index, error)| {
        let said = if has_no_cluster(error) { NO_CLUSTER.to_owned() } else { error.to_string() };
        format!("{} {said}", asked.get(*index).map(ToString::to_string).unwrap_or_default())
    });
    let text = format!("no node says where the slots are: {}", said.collect::<Vec<_>>().join("; "));
    match is_mistake {
        true => RedisError::from((ErrorKind::InvalidClientConfig, "Redis Cluster", text)),
        false => RedisError::from(io::Error::other(text)),
    }
}

const NO_CLUSTER: &str = "is a Redis and no node of a Cluster: write redis://";

fn has_no_cluster(error: &RedisError) -> bool {
    error.to_string().contains("cluster support disabled")
}

fn is_mistake(error: &RedisError) -> bool {
    let refused = matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::Server(redis::ServerErrorKind::NoPerm)
    );
    has_no_cluster(error) || refused
}
