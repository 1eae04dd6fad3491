//! Following the master: a task of its own, for as long as the store is there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{MissedTickBehavior, interval};

use super::report::{Place, Silence};
use super::{ANSWER_WAIT, Sentinels};
use crate::store::patience;
use crate::store::redis::connection::live::Driver;
use crate::store::redis::connection::wiring::Line;

/// How often each Sentinel is asked.
const EVERY: Duration = Duration::from_millis(500);

/// Asks every Sentinel again and again, until the answer is dropped.
pub(in crate::store::redis::connection) fn follow(sentinels: Arc<Sentinels>) -> Driver {
    let following = async move {
        let mut lines: Vec<Option<Line>> = sentinels.watched.sentinels.iter().map(|_| None).collect();
        let mut rounds = interval(EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            let asked = lines.iter_mut().enumerate().map(|(index, line)| sentinels.ask_again(index, line));
            let answers: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
            sentinels.agree(&answers);
        }
    };
    Driver(tokio::spawn(following).abort_handle())
}

impl Sentinels {
    /// Asks one over the connection that it has, or over a new one; one that does not answer loses it.
    async fn ask_again(&self, index: usize, line: &mut Option<Line>) -> Option<Arc<Place>> {
        let asking = async {
            let mut open = match line.take() {
                Some(open) => open,
                None => self.connect(index).await?,
            };
            let heard = self.ask_over(&mut open).await?;
            *line = Some(open);
            Ok::<Arc<Place>, Silence>(heard.place)
        };
        let place = match patience::within(ANSWER_WAIT, asking).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) | Err(_) => return None,
        };
        if self.known().is_none_or(|known| known.epoch < place.epoch) {
            // At once: others may take their time.
            self.know(place.clone());
        }
        Some(place)
    }

    /// What most of them say is so, also when they count from fewer failovers than were known: they were set up
    /// anew then.
    fn agree(&self, answers: &[Arc<Place>]) {
        if answers.len() * 2 <= self.watched.sentinels.len() {
            return;
        }
        let votes = |place: &Place| answers.iter().filter(|other| other.address == place.address).count();
        let newest = answers.iter().max_by_key(|place| (place.epoch, votes(place)));
        if let Some(newest) = newest.filter(|newest| self.known().as_ref() != Some(newest)) {
            self.know(newest.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::ConnectionAddr;

    use super::*;
    use crate::domain::sentinel_url::SentinelUrl;
    use crate::store::redis::connection::sentinel::Watched;
    use crate::store::redis::connection::wiring::Wiring;

    fn sentinels() -> Sentinels {
        let url = SentinelUrl::parse("redis+sentinel://one,two,three/main").expect("a URL");
        Sentinels::new(Watched::by(&url), Wiring::new(None))
    }

    fn place(host: &str, epoch: u64) -> Arc<Place> {
        Arc::new(Place { address: ConnectionAddr::Tcp(host.to_owned(), 6379), epoch })
    }

    #[test]
    fn a_sentinel_that_missed_a_failover_moves_nobody() {
        let sentinels = sentinels();
        sentinels.know(place("new", 2));
        sentinels.agree(&[place("old", 1)]);
        sentinels.agree(&[place("old", 1), place("new", 2)]);
        sentinels.confirm(place("old", 1));
        assert_eq!(sentinels.known(), Some(place("new", 2)));
        assert!(sentinels.has_moved_from(Some(&place("old", 1))));
        assert!(!sentinels.has_moved_from(Some(&place("new", 1))));
    }

    #[test]
    fn most_sentinels_count_though_they_begin_to_count_anew() {
        let sentinels = sentinels();
        sentinels.know(place("old", 9));
        sentinels.agree(&[place("new", 0)]);
        assert_eq!(sentinels.known(), Some(place("old", 9)), "one of three");
        sentinels.agree(&[place("new", 0), place("new", 0)]);
        assert_eq!(sentinels.known(), Some(place("new", 0)));
    }

    #[test]
    fn of_the_same_failover_most_voices_count() {
        let sentinels = sentinels();
        sentinels.agree(&[place("a", 1), place("b", 1), place("b", 1)]);
        assert_eq!(sentinels.known(), Some(place("b", 1)));
    }
}
