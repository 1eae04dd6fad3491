//! A Redis Cluster of a test's own.

use std::time::Duration;

use super::redis::RedisServer;

/// How long a node is silent that is dead. Less would be taken for death on a machine that is busy with other tests.
const NODE_TIMEOUT_MS: u32 = 2_000;

const MASTERS: usize = 3;

/// More keys than a test has in a slot.
const KEYS_MAX: &str = "100000";
const SLOTS: u32 = 16_384;

/// A slot that nobody has stops none of the others.
const PARTLY: &str = "--cluster-require-full-coverage no";

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Three masters with a third of the slots each, in turn, and replicas of them.
pub struct RedisCluster {
    /// The masters first, then a replica of each, if any: as it was at the start.
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Three masters alone: one that is gone costs what it has.
    ///
    /// # Panics
    /// When one of them does not start.
    pub async fn start() -> Self {
        Self::of(MASTERS, PARTLY, false).await
    }

    /// The same, each of which keeps a log.
    pub async fn with_logs() -> Self {
        Self::of(MASTERS, PARTLY, true).await
    }

    /// The same, of nodes that serve nothing while one slot has nobody, as Redis has it by itself.
    pub async fn all_or_nothing() -> Self {
        Self::of(MASTERS, "", false).await
    }

    /// The same, with a replica of each.
    pub async fn with_replicas() -> Self {
        let cluster = Self::of(2 * MASTERS, PARTLY, false).await;
        for replica in MASTERS..2 * MASTERS {
            let master = cluster.id_of(replica - MASTERS).await;
            let node = &cluster.nodes[replica];
            // It has to have heard of the master.
            until(async || node.try_command::<()>(&["CLUSTER", "REPLICATE", &master]).await.is_ok()).await;
        }
        for replica in MASTERS..2 * MASTERS {
            let is_up =
                async || cluster.nodes[replica].info("replication").await.contains("master_link_status:up");
            until(is_up).await;
        }
        let knows_all = async |node: usize| {
            let said: String = cluster.nodes[node].command(&["CLUSTER", "NODES"]).await;
            // A replica is told of once it is known how much it has.
            let slots: Vec<Vec<redis::Value>> = cluster.nodes[node].command(&["CLUSTER", "SLOTS"]).await;
            said.matches("slave").count() == MASTERS && slots.iter().all(|range| range.len() == 4)
        };
        for node in 0..cluster.nodes.len() {
            until(async || knows_all(node).await).await;
        }
        cluster
    }

    async fn of(count: usize, further: &str, has_log: bool) -> Self {
        let further =
            format!("--cluster-node-timeout {NODE_TIMEOUT_MS} --cluster-replica-validity-factor 0 {further}");
        let nodes: Vec<_> =
            (0..count).map(|_| RedisServer::node_of_a_cluster_with(&further, has_log)).collect();
        let cluster = Self { nodes };
        for (index, node) in cluster.nodes.iter().enumerate() {
            node.command::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]).await;
            if index < MASTERS {
                let (first, last) = Self::slots_of(index);
                node.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])
                    .await;
            }
        }
        for other in &cluster.nodes[1..] {
            let port = other.port().to_string();
            cluster.nodes[0].command::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port]).await;
        }
        for node in &cluster.nodes {
            let known = format!("cluster_known_nodes:{count}\r\n");
            let is_ready = async || {
                let said: String = node.command(&["CLUSTER", "INFO"]).await;
                said.contains("cluster_state:ok") && said.contains(&known)
            };
            until(is_ready).await;
        }
        cluster
    }

    /// Waits until a master that was started again takes commands: for two seconds Redis has it refuse them, so that the
    /// others can tell it whether its slots are somebody else's by now (CLUSTERDOWN).
    pub async fn serves_again(&self, master: usize) {
        let node = &self.nodes[master];
        until(async || node.command::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok")).await;
    }

    /// The first and the last slot of a master at the start.
    pub fn slots_of(master: usize) -> (u32, u32) {
        let [first, next] =
            [master, master + 1].map(|number| u32::try_from(number).expect("small") * SLOTS / 3);
        (first, next - 1)
    }

    /// The address of all nodes.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The id of a node.
    pub async fn id_of(&self, node: usize) -> String {
        self.nodes[node].command(&["CLUSTER", "MYID"]).await
    }

    /// Cuts a replica off from its master: it keeps what it has.
    pub async fn falls_behind(&self, replica: usize, master: usize) {
        for (setting, value) in [("masteruser", "nobody"), ("masterauth", "wrong")] {
            self.nodes[replica].command::<()>(&["CONFIG", "SET", setting, value]).await;
        }
        self.nodes[master].command::<u32>(&["CLIENT", "KILL", "TYPE", "replica"]).await;
    }

    /// Waits until a node is a master in the place of one that is gone, and all others know.
    pub async fn is_promoted(&self, node: usize, gone: usize) {
        let id = self.id_of(node).await;
        for (_, other) in self.nodes.iter().enumerate().filter(|(index, _)| *index != gone) {
            let knows = async || {
                let said = other.try_command::<String>(&["CLUSTER", "NODES"]).await.unwrap_or_default();
                let line = said.lines().find(|line| line.starts_with(&id)).unwrap_or_default().to_owned();
                line.contains("master") && !line.contains("fail") && line.split(' ').count() > 8
            };
            until(knows).await;
        }
    }

    /// Gives an empty or a full slot of one master to another, as `redis-cli --cluster` does it.
    pub async fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_move(slot, from, to).await;
        self.move_keys(slot, from, to).await;
        self.end_move(slot, from, to).await;
    }

    /// Opens a slot to be moved.
    pub async fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let (slot, source, target) = (slot.to_string(), self.id_of(from).await, self.id_of(to).await);
        self.nodes[to].command::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]).await;
        self.nodes[from].command::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).await;
    }

    /// Moves all of its keys that are left.
    pub async fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let count = KEYS_MAX;
        let keys: Vec<String> =
            self.nodes[from].command(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), count]).await;
        for key in keys {
            self.move_key(&key, from, to).await;
        }
    }

    /// Moves one of its keys.
    pub async fn move_key(&self, key: &str, from: usize, to: usize) {
        let port = self.nodes[to].port().to_string();
        self.nodes[from].command::<()>(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).await;
    }

    /// It is the other's from now on.
    pub async fn end_move(&self, slot: u16, from: usize, to: usize) {
        let (slot, target) = (slot.to_string(), self.id_of(to).await);
        for node in [to, from] {
            self.nodes[node].command::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]).await;
        }
    }

    /// How many commands all nodes have carried out.
    pub async fn commands(&self) -> u64 {
        let mut count = 0;
        for node in &self.nodes {
            let said = node.info("stats").await;
            let line = said.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
            count += line.expect("a count").trim().parse::<u64>().expect("a number");
        }
        count
    }
}

/// Looks until it is so.
pub async fn until(is_so: impl AsyncFn() -> bool) {
    while !is_so().await {
        tokio::time::sleep(LOOK).await;
    }
}
