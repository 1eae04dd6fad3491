//! What is so at one moment: gauges, which are set when somebody asks.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use super::families::{Into, Label};
use super::pools::PoolUse;

type Fraction = Gauge<f64, AtomicU64>;

/// One of it, or none.
type Absent<G> = Family<[(&'static str, &'static str); 0], G>;

/// What is so at one moment.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// What the service is ready for, by the names of the operations of `/health/ready/{operation}`.
    pub ready: Vec<(&'static str, bool)>,
    /// How the things are that it stands on.
    pub checks: Vec<(&'static str, bool)>,
    /// How old the copy of the revocations is; `None` where there is none yet.
    pub feed_age: Option<Duration>,
    /// How many follow the feed.
    pub feed_streams: usize,
    /// How many wait for a password to be hashed.
    pub hash_queue: usize,
    /// By how much the clocks of others are ahead of this replica's, milliseconds.
    pub clock_offsets: Vec<(&'static str, i64)>,
    /// When the signing keys change next, seconds from now; `None` where nothing is planned.
    pub signing_key_change: Option<i64>,
    /// How old the oldest signing key is of each state, seconds.
    pub signing_key_ages: Vec<(&'static str, i64)>,
    /// How many sessions are alive in all replicas, as far as that is known.
    pub sessions: Option<u64>,
    /// What the token store owes to the journal, and the reverse; `None` before the first look.
    pub journal: Option<JournalLag>,
    /// How the connections are used that are shared out.
    pub pools: Vec<PoolUse>,
}

/// What the token store owes to the revocation journal, and the reverse, as of the last look at both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalLag {
    /// Entries that stood in the journal at the look before, and were still not carried out in the token store.
    pub behind: u64,
    /// Revocations that were carried out and are not in the journal yet, as far as this process knows.
    pub owed: u64,
    /// How long ago that look was.
    pub age: Duration,
}

/// What [`Moment`] is told by.
pub(super) struct Gauges {
    ready: Family<Label, Gauge>,
    checks: Family<Label, Gauge>,
    feed_age: Fraction,
    feed_streams: Gauge,
    hash_queue: Gauge,
    clock_offset: Family<Label, Fraction>,
    signing_key_change: Absent<Fraction>,
    signing_key_age: Family<Label, Fraction>,
    sessions: Absent<Gauge>,
    journal_behind: Absent<Gauge>,
    journal_owed: Absent<Gauge>,
    journal_age: Absent<Fraction>,
    pool_connections: Family<[(&'static str, &'static str); 2], Gauge>,
    pool_max: Family<Label, Gauge>,
    began: Instant,
}

impl Gauges {
    pub(super) fn register(into: &mut Into<'_>) -> Self {
        Self {
            ready: into.plain("hallpass_ready", "Whether this replica is ready for an operation: 1 or 0", Family::default()),
            checks: into.plain("hallpass_check", "Whether something that the service stands on is as it should be: 1 or 0", Family::default()),
            feed_age: into.seconds(
                "hallpass_feed_age",
                "How old this replica's copy of the revocations is; before there is one, how old the process is",
                Fraction::default(),
            ),
            feed_streams: into.plain("hallpass_feed_streams", "How many follow the revocation feed", Gauge::default()),
            hash_queue: into.plain("hallpass_password_hash_queue", "How many passwords wait to be hashed", Gauge::default()),
            clock_offset: into.seconds(
                "hallpass_clock_offset",
                "By how much the clock of a store is ahead of this replica's",
                Family::default(),
            ),
            signing_key_change: into.seconds(
                "hallpass_signing_key_next_change",
                "Until the signing keys change next; absent where nothing is planned",
                Family::default(),
            ),
            signing_key_age: into.seconds(
                "hallpass_signing_key_age",
                "Since the oldest signing key of a state was made; absent where the key is a file",
                Family::default(),
            ),
            sessions: into.plain(
                "hallpass_sessions_alive",
                "Sessions that are alive, of all replicas, by a sample of accounts; absent while it cannot be taken",
                Family::default(),
            ),
            journal_behind: into.plain(
                "hallpass_journal_lag_entries",
                "Entries of the revocation journal that were not carried out in the token store by the look after they were written",
                Family::default(),
            ),
            journal_owed: into.plain(
                "hallpass_journal_owed_entries",
                "Revocations that were carried out and are not in the journal yet, as far as this replica knows",
                Family::default(),
            ),
            journal_age: into.seconds(
                "hallpass_journal_look_age",
                "Since this replica last compared the token store with the journal, which it does every second",
                Family::default(),
            ),
            pool_connections: into.plain(
                "hallpass_pool_connections",
                "Connections to a store that are shared out among those who need one",
                Family::default(),
            ),
            pool_max: into.plain("hallpass_pool_connections_max", "How many of them there may be", Family::default()),
            began: Instant::now(),
        }
    }

    pub(super) fn set(&self, moment: &Moment) {
        for (operation, is_ready) in &moment.ready {
            self.ready.get_or_create(&[("operation", operation)]).set(i64::from(*is_ready));
        }
        for (check, is_ok) in &moment.checks {
            self.checks.get_or_create(&[("check", check)]).set(i64::from(*is_ok));
        }
        self.feed_age.set(moment.feed_age.unwrap_or_else(|| self.began.elapsed()).as_secs_f64());
        self.feed_streams.set(number(moment.feed_streams));
        self.hash_queue.set(number(moment.hash_queue));
        for (clock, ahead) in &moment.clock_offsets {
            self.clock_offset.get_or_create(&[("clock", clock)]).set(of_millis(*ahead));
        }
        set_or_remove(&self.signing_key_change, moment.signing_key_change.map(of_seconds), Gauge::set);
        // A state that no key is in any more is not told.
        self.signing_key_age.clear();
        for (state, age) in &moment.signing_key_ages {
            self.signing_key_age.get_or_create(&[("state", state)]).set(of_seconds(*age));
        }
        set_or_remove(&self.sessions, moment.sessions.map(number), Gauge::set);
        let journal = moment.journal;
        set_or_remove(&self.journal_behind, journal.map(|lag| number(lag.behind)), Gauge::set);
        set_or_remove(&self.journal_owed, journal.map(|lag| number(lag.owed)), Gauge::set);
        set_or_remove(&self.journal_age, journal.map(|lag| lag.age.as_secs_f64()), Gauge::set);
        for pool in &moment.pools {
            let name = pool.pool.word();
            for (state, count) in [("in_use", pool.in_use), ("idle", pool.idle)] {
                self.pool_connections.get_or_create(&[("pool", name), ("state", state)]).set(number(count));
            }
            self.pool_max.get_or_create(&[("pool", name)]).set(number(pool.max));
        }
    }
}

/// Sets what there is one of, or takes it away.
fn set_or_remove<G: Default + Clone, N, Before>(
    family: &Absent<G>,
    number: Option<N>,
    set: impl FnOnce(&G, N) -> Before,
) {
    match number {
        Some(number) => drop(set(&family.get_or_create(&[]), number)),
        None => drop(family.remove(&[])),
    }
}

fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of years are exact in a double")]
fn of_seconds(seconds: i64) -> f64 {
    seconds as f64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of years are exact in a double")]
fn of_millis(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}
