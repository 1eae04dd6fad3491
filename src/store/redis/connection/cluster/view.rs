//! What a Cluster looks like, for whoever looks after it.

use futures_util::future::join_all;

use super::{Cluster, Told};
use crate::domain::clock::Timestamp;

/// What the nodes of a Cluster say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterView {
    /// The masters that have slots.
    pub masters: Vec<ClusterNode>,
    /// How many of the 16,384 slots somebody has.
    pub covered: u16,
    /// Those that do not find that the Cluster serves (`cluster_state`).
    pub failing: Vec<String>,
}

/// A master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Host and port.
    pub name: String,
    /// How many replicas could take its place.
    pub replicas: usize,
    /// What its clock shows, if it answers.
    pub time: Option<Timestamp>,
    /// Why it does not answer.
    pub silence: Option<String>,
}

impl Cluster {
    /// Asks all masters at once.
    ///
    /// # Errors
    /// No node says who they are.
    pub(in crate::store::redis::connection) async fn view(&self) -> redis::RedisResult<ClusterView> {
        let map = self.look().await?;
        let masters = map.masters();
        let told = join_all(masters.iter().map(|place| self.ask(place))).await;
        let (mut nodes, mut failing) = (Vec::new(), Vec::new());
        for (place, told) in masters.iter().zip(told) {
            if let Ok(Told { is_well: false, .. }) = told {
                failing.push(place.to_string());
            }
            nodes.push(ClusterNode {
                name: place.to_string(),
                replicas: map.replicas_of(place),
                time: told.as_ref().ok().map(|told| told.time),
                silence: told.err().map(|error| error.to_string()),
            });
        }
        Ok(ClusterView { masters: nodes, covered: map.covered(), failing })
    }
}
