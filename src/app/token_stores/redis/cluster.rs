//! Whether the nodes of a Cluster can do what they are there for.

use std::time::Duration;

use crate::app::finding::{Condition, Finding};
use crate::domain::clock::Timestamp;
use crate::store::StoreResult;
use crate::store::redis::{CLUSTER_SLOTS, ClusterNode, ClusterView, RedisTokenStore};

const SUBJECT: &str = "cluster";

/// So many masters can agree on a failover when one is missing.
const MASTERS_WANTED: usize = 3;

/// What the nodes say, where the address is theirs. Their clocks may differ by `leeway`.
pub(super) async fn check(store: &RedisTokenStore, leeway: Duration) -> Option<Finding> {
    store.ask_cluster().await.map(|view| judge(view, leeway))
}

fn judge(view: StoreResult<ClusterView>, leeway: Duration) -> Finding {
    let ClusterView { masters, covered, failing } = match view {
        Ok(view) => view,
        Err(error) => return Finding::bad(SUBJECT, &error),
    };
    let mut faults: Vec<String> =
        masters.iter().filter_map(|node| Some(format!("{} {}", node.name, node.silence.as_ref()?))).collect();
    if covered < CLUSTER_SLOTS {
        let lacking = CLUSTER_SLOTS - covered;
        faults.push(format!("{lacking} slots have nobody: whoever is in them gets 503"));
    }
    if !failing.is_empty() {
        faults.push(format!("cluster_state is not ok by {}", failing.join(", ")));
    }
    faults.extend(odd_clocks(&masters, leeway));
    let mut doubts = Vec::new();
    if masters.len() < MASTERS_WANTED {
        doubts.push(format!("with fewer than {MASTERS_WANTED} masters there is no failover"));
    }
    let alone: Vec<&str> =
        masters.iter().filter(|node| node.replicas == 0).map(|node| node.name.as_str()).collect();
    if !alone.is_empty() {
        doubts.push(format!("no replica could take the place of {}", alone.join(", ")));
    }
    let condition = match (faults.is_empty(), doubts.is_empty()) {
        (false, _) => Condition::Bad,
        (true, false) => Condition::Warning,
        (true, true) => Condition::Good,
    };
    let text =
        format!("{} have {covered} of {CLUSTER_SLOTS} slots: {}", count(masters.len()), names(&masters));
    Finding::new(SUBJECT, condition, [vec![text], faults, doubts].concat().join("; "))
}

/// Those whose clock is further from that of the others than `leeway`: sessions and revocations of the accounts that a
/// node has end by its clock. Of two that differ nobody knows which is right.
fn odd_clocks(masters: &[ClusterNode], leeway: Duration) -> Vec<String> {
    let mut times: Vec<Timestamp> = masters.iter().filter_map(|node| node.time).collect();
    times.sort_unstable();
    let Some(middle) = times.get(times.len() / 2).copied() else { return Vec::new() };
    let odd = |node: &ClusterNode| {
        let ahead = node.time?.as_millis().saturating_sub(middle.as_millis());
        let span = Duration::from_millis(ahead.unsigned_abs());
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        let text =
            format!("the clock of {} is {} {side} the others", node.name, humantime::format_duration(span));
        (span > leeway).then_some(text)
    };
    masters.iter().filter_map(odd).collect()
}

fn count(masters: usize) -> String {
    format!("{masters} {}", if masters == 1 { "master" } else { "masters" })
}

fn names(masters: &[ClusterNode]) -> String {
    let name = |node: &ClusterNode| {
        let replicas = if node.replicas == 1 { "replica" } else { "replicas" };
        format!("{} ({} {replicas})", node.name, node.replicas)
    };
    masters.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_000_000;
    const LEEWAY: Duration = Duration::from_secs(5);

    fn node(number: u16, replicas: usize) -> ClusterNode {
        ClusterNode {
            name: format!("10.0.0.{number}:6379"),
            replicas,
            time: Some(Timestamp::from_millis(NOON)),
            silence: None,
        }
    }

    fn view(masters: Vec<ClusterNode>) -> ClusterView {
        ClusterView { masters, covered: CLUSTER_SLOTS, failing: Vec::new() }
    }

    fn judged(view: ClusterView) -> (Condition, String) {
        let found = judge(Ok(view), LEEWAY);
        (found.condition, found.text)
    }

    #[test]
    fn three_masters_with_a_replica_each_are_good() {
        let (condition, text) = judged(view(vec![node(1, 1), node(2, 2), node(3, 1)]));
        assert_eq!(condition, Condition::Good, "{text}");
        let expected = "3 masters have 16384 of 16384 slots: 10.0.0.1:6379 (1 replica), 10.0.0.2:6379 (2 replicas), \
                        10.0.0.3:6379 (1 replica)";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_amiss_is_named() {
        let three = || vec![node(1, 1), node(2, 1), node(3, 1)];
        let off = |by: i64| ClusterNode { time: Some(Timestamp::from_millis(NOON + by)), ..node(2, 1) };
        let with_one_off = |by| view(vec![node(1, 1), off(by), node(3, 1)]);
        let silent = ClusterNode { time: None, silence: Some("does not answer".to_owned()), ..node(3, 1) };
        use Condition::{Bad, Warning};
        for (view, condition, said) in [
            (view(vec![node(1, 1), node(2, 1), silent]), Bad, "10.0.0.3:6379 does not answer"),
            (ClusterView { covered: 16_000, ..view(three()) }, Bad, "384 slots have nobody"),
            (ClusterView { failing: vec!["a:1".to_owned()], ..view(three()) }, Bad, "not ok by a:1"),
            (
                view(vec![node(1, 0), node(2, 1), node(3, 0)]),
                Warning,
                "place of 10.0.0.1:6379, 10.0.0.3:6379",
            ),
            (view(vec![node(1, 1)]), Warning, "no failover"),
            (with_one_off(6_000), Bad, "the clock of 10.0.0.2:6379 is 6s ahead of the others"),
            (with_one_off(-90_000), Bad, "the clock of 10.0.0.2:6379 is 1m 30s behind the others"),
            (view(vec![node(1, 1), off(5_001)]), Bad, "is 5s 1ms behind the others"),
        ] {
            let (found, text) = judged(view);
            assert!(found == condition && text.contains(said), "{found:?}: {text}");
        }
    }
}
