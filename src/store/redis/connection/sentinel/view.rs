//! What all Sentinels say, for whoever looks after them.

use futures_util::future::join_all;

use super::{SentinelReport, Sentinels};

/// What all Sentinels of a master say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelView {
    /// What they call it.
    pub master: String,
    /// Host and port of each, and what it says, or why it does not.
    pub told: Vec<(String, Result<SentinelReport, String>)>,
}

impl Sentinels {
    /// Asks all at once.
    pub(in crate::store::redis::connection) async fn view(&self) -> SentinelView {
        let asked = (0..self.watched.sentinels.len()).map(|index| async move {
            let told = self.ask_one(index).await;
            (self.name(index), told.map(|heard| heard.report).map_err(|silence| silence.to_string()))
        });
        SentinelView { master: self.watched.master.clone(), told: join_all(asked).await }
    }
}
