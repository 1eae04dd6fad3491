//! Which node of a Cluster has which slot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, Value};

use crate::domain::partition::Partition;
use crate::store::redis::keys;

/// One of the parts that a Cluster divides all keys into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store::redis) struct Slot(u16);

/// The slot of each partition, in the order of [`Partition::all`].
static OF_PARTITIONS: LazyLock<Vec<Slot>> =
    LazyLock::new(|| Partition::all().map(|partition| Slot::of_tag(&keys::tag(partition))).collect());

impl Slot {
    /// How many there are.
    pub(super) const COUNT: u16 = 16_384;

    /// That of a key: by its hash tag, the first braces that have something between them.
    pub(in crate::store::redis) fn of_key(key: &str) -> Self {
        let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
        Self::of_tag(tag.filter(|tag| !tag.is_empty()).unwrap_or(key))
    }

    /// That of all keys of a partition.
    pub(in crate::store::redis) fn of_partition(partition: Partition) -> Self {
        OF_PARTITIONS.get(partition.index()).copied().unwrap_or(Self(0))
    }

    /// One by its number.
    pub(super) fn new(number: u16) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    fn of_tag(tag: &str) -> Self {
        Self(crc16(tag.as_bytes()) % Self::COUNT)
    }
}

/// CRC-16/XMODEM, as the specification of Redis Cluster has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// Host and port of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store::redis) struct NodePlace {
    pub(super) host: String,
    pub(super) port: u16,
}

impl NodePlace {
    /// Where a node sends whoever asks it, `host:port`; without a host it is that of the node itself.
    pub(super) fn redirected(text: &str, asked: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { &asked.host } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl std::fmt::Display for NodePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Slots that follow on one another, and who has them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    master: Arc<NodePlace>,
    replicas: Vec<NodePlace>,
}

/// What a node says of all slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SlotMap {
    ranges: Vec<Range>,
    /// Slots that a node has said are elsewhere since.
    moved: BTreeMap<Slot, Arc<NodePlace>>,
    /// How many times the Cluster has changed by then; of two maps the later one is known by it.
    pub(super) epoch: u64,
}

impl SlotMap {
    /// Reads the answer of `CLUSTER SLOTS`, given by `asked`.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn read(answer: Value, asked: &NodePlace, epoch: u64) -> RedisResult<Self> {
        let rows: Vec<Vec<Value>> = redis::from_redis_value(answer)?;
        let ranges = rows.into_iter().filter_map(|row| read_range(row, asked).transpose());
        let mut ranges = ranges.collect::<RedisResult<Vec<_>>>()?;
        ranges.sort_by_key(|range| range.first);
        Ok(Self { ranges, moved: BTreeMap::new(), epoch })
    }

    /// Who has a slot.
    pub(super) fn owner(&self, slot: Slot) -> Option<&Arc<NodePlace>> {
        self.moved.get(&slot).or_else(|| {
            let has = |range: &&Range| (range.first..=range.last).contains(&slot.0);
            self.ranges.iter().find(has).map(|range| &range.master)
        })
    }

    /// The same, with a slot somewhere else.
    pub(super) fn with_moved(mut self, slot: Slot, place: NodePlace) -> Self {
        self.moved.insert(slot, Arc::new(place));
        self
    }

    /// Every master that has slots.
    pub(super) fn masters(&self) -> BTreeSet<NodePlace> {
        let moved = self.moved.values();
        self.ranges
            .iter()
            .map(|range| &range.master)
            .chain(moved)
            .map(|place| NodePlace::clone(place))
            .collect()
    }

    /// Every node, the masters first.
    pub(super) fn nodes(&self) -> Vec<NodePlace> {
        let masters = self.masters();
        let replicas: BTreeSet<NodePlace> =
            self.ranges.iter().flat_map(|range| range.replicas.iter().cloned()).collect();
        let others = replicas.difference(&masters).cloned().collect::<Vec<_>>();
        masters.into_iter().chain(others).collect()
    }

    /// How many replicas a master has.
    pub(super) fn replicas_of(&self, master: &NodePlace) -> usize {
        let own = self.ranges.iter().filter(|range| *range.master == *master);
        own.flat_map(|range| &range.replicas).collect::<BTreeSet<_>>().len()
    }

    /// How many slots somebody has.
    pub(super) fn covered(&self) -> u16 {
        self.ranges.iter().map(|range| range.last.saturating_sub(range.first).saturating_add(1)).sum()
    }
}

fn read_range(row: Vec<Value>, asked: &NodePlace) -> RedisResult<Option<Range>> {
    let lacks = || RedisError::from((ErrorKind::UnexpectedReturnType, "CLUSTER SLOTS is not as it is known"));
    let mut words = row.into_iter();
    let mut number = || -> RedisResult<u16> { Ok(u16::from_redis_value(words.next().ok_or_else(lacks)?)?) };
    let (first, last) = (number()?, number()?);
    let mut nodes = Vec::new();
    for node in words {
        nodes.push(read_node(node, asked)?);
    }
    let mut nodes = nodes.into_iter();
    // A master that does not say where it is cannot be asked.
    let Some(master) = nodes.next().flatten() else { return Ok(None) };
    Ok(Some(Range { first, last, master: Arc::new(master), replicas: nodes.flatten().collect() }))
}

/// Host, port, and what else there is of a node; without a host it is that of whoever was asked.
fn read_node(node: Value, asked: &NodePlace) -> RedisResult<Option<NodePlace>> {
    let mut words = Vec::<Value>::from_redis_value(node)?.into_iter();
    let host: Option<String> = redis::from_redis_value(words.next().unwrap_or(Value::Nil))?;
    let port: u16 = redis::from_redis_value(words.next().unwrap_or(Value::Nil))?;
    Ok(match host.as_deref() {
        None | Some("") => Some(NodePlace { host: asked.host.clone(), port }),
        Some("?") => None,
        Some(host) => Some(NodePlace { host: host.to_owned(), port }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, port: u16) -> NodePlace {
        NodePlace { host: host.to_owned(), port }
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn row(first: i64, last: i64, nodes: &[(Value, i64)]) -> Value {
        let node =
            |(host, port): &(Value, i64)| Value::Array(vec![host.clone(), Value::Int(*port), text("id")]);
        let nodes = nodes.iter().map(node);
        Value::Array([Value::Int(first), Value::Int(last)].into_iter().chain(nodes).collect())
    }

    /// Of the specification, and of a `CLUSTER KEYSLOT`.
    #[test]
    fn a_key_has_the_slot_of_its_hash_tag() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, slot) in [("foo", 12_182), ("{user1000}.following", 3_443), ("{user1000}.followers", 3_443)]
        {
            assert_eq!(Slot::of_key(key), Slot(slot), "{key}");
        }
        // Of empty braces all of the key counts, and of several pairs the first.
        assert_eq!(Slot::of_key("foo{}{bar}"), Slot::of_tag("foo{}{bar}"));
        assert_eq!(Slot::of_key("foo{bar}{zap}"), Slot::of_key("bar"));
        let keys =
            keys::Keys::new(&crate::domain::deployment::DeploymentMark::parse("prod").expect("a mark"));
        for partition in Partition::all() {
            assert_eq!(Slot::of_partition(partition), Slot::of_key(&keys.partition(partition).state()));
        }
    }

    #[test]
    fn who_has_a_slot_is_read_with_its_replicas() {
        let answer = Value::Array(vec![
            row(5_461, 16_383, &[(text("b"), 2), (text("c"), 3)]),
            row(0, 5_459, &[(Value::Nil, 1), (text("?"), 9)]),
        ]);
        let map = SlotMap::read(answer, &place("asked", 7), 4).expect("a map");
        let owner = |slot| map.owner(Slot(slot)).map(|place| place.to_string());
        assert_eq!(owner(0).as_deref(), Some("asked:1"));
        assert_eq!((owner(5_461), owner(16_383)), (Some("b:2".to_owned()), Some("b:2".to_owned())));
        assert_eq!((owner(5_460), map.covered()), (None, 16_383));
        assert_eq!(map.nodes(), [place("asked", 1), place("b", 2), place("c", 3)]);
        assert_eq!((map.replicas_of(&place("b", 2)), map.replicas_of(&place("asked", 1))), (1, 0));
        let moved = map.with_moved(Slot(0), place("b", 2));
        assert_eq!(moved.owner(Slot(0)), moved.owner(Slot(16_383)));
    }

    #[test]
    fn a_node_sends_on_to_a_place_that_may_be_its_own_host() {
        let asked = place("asked", 7);
        assert_eq!(NodePlace::redirected("::1:6381", &asked), Some(place("::1", 6_381)));
        assert_eq!(NodePlace::redirected(":6381", &asked), Some(place("asked", 6_381)));
        assert_eq!(NodePlace::redirected("nowhere", &asked), None);
    }
}
