//! The registry, with name, type and meaning of each metric.

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};
use tokio::time::Instant;

use super::{Mail, Refresh, Revocation, Store};

/// One label, whose values are words of the program.
type Label = [(&'static str, &'static str); 1];

/// Labels of an answered request: its operation is read out of the documents.
pub(super) type RequestLabels = [(&'static str, std::borrow::Cow<'static, str>); 3];

type Fraction = Gauge<f64, AtomicU64>;

/// Upper bounds in seconds: validations take less than a millisecond, logins wait for a hash, revocations for mirrors.
const SECONDS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Makes a histogram of [`SECONDS`].
#[derive(Clone)]
pub(super) struct OfSeconds;

impl MetricConstructor<Histogram> for OfSeconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

/// All that is counted.
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) requests: Family<RequestLabels, Histogram, OfSeconds>,
    pub(super) events: Family<RequestLabels, Counter>,
    pub(super) refresh: Family<Label, Counter>,
    pub(super) revocations: Family<Label, Counter>,
    pub(super) revocation_lag: Histogram,
    pub(super) hash_wait: Histogram,
    pub(super) mails: Family<Label, Counter>,
    pub(super) store_errors: Family<Label, Counter>,
    pub(super) breaker_openings: Family<Label, Counter>,
    ready: Family<Label, Gauge>,
    checks: Family<Label, Gauge>,
    feed_age: Fraction,
    feed_streams: Gauge,
    hash_queue: Gauge,
    clock_offset: Family<Label, Fraction>,
    /// One, or none.
    signing_key_change: Family<[(&'static str, &'static str); 0], Fraction>,
    began: Instant,
}

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
}

/// The registry of this process.
pub(super) fn families() -> &'static Families {
    static FAMILIES: LazyLock<Families> = LazyLock::new(Families::new);
    &FAMILIES
}

impl Families {
    fn new() -> Self {
        let mut registry = Registry::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("hallpass_build", "The version of the program", build);
        let seconds = || Histogram::new(SECONDS);
        let mut into = Into(&mut registry);
        let families = Self {
            requests: into.seconds(
                "http_server_request_duration",
                "How long requests took, by operation of the OpenAPI document, method and status; an empty operation is none of it",
                Family::new_with_constructor(OfSeconds),
            ),
            events: into.plain(
                "hallpass_auth_events",
                "Requests that change something or check a token, by operation, outcome (success, refused, unavailable) and code of the error",
                Family::default(),
            ),
            refresh: into.plain("hallpass_refresh", "Refresh tokens that were presented, by what became of them", Family::default()),
            revocations: into.plain("hallpass_revocations", "What was taken back, by kind", Family::default()),
            revocation_lag: into.seconds(
                "hallpass_revocation_lag",
                "From the wish to take something back until no replica can be without that",
                seconds(),
            ),
            hash_wait: into.seconds(
                "hallpass_password_hash_wait",
                "How long a password waited for its turn to be hashed",
                seconds(),
            ),
            mails: into.plain("hallpass_mails", "Mails, by what became of each try", Family::default()),
            store_errors: into.plain(
                "hallpass_store_errors",
                "Calls of a store that got no answer, or were not made since the last had got none",
                Family::default(),
            ),
            breaker_openings: into.plain(
                "hallpass_store_breaker_openings",
                "How often a store was not asked any more for a while",
                Family::default(),
            ),
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
            began: Instant::now(),
            registry,
        };
        families.begin();
        families
    }

    /// Nought, and not absent, until it happens: a rate can be told of that.
    fn begin(&self) {
        for result in Refresh::ALL {
            drop(self.refresh.get_or_create(&[("result", result.word())]));
        }
        for kind in Revocation::ALL {
            drop(self.revocations.get_or_create(&[("kind", kind.word())]));
        }
        for result in Mail::ALL {
            drop(self.mails.get_or_create(&[("result", result.word())]));
        }
        for store in Store::ALL {
            drop(self.store_errors.get_or_create(&[("store", store.word())]));
            drop(self.breaker_openings.get_or_create(&[("store", store.word())]));
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
        match moment.signing_key_change {
            Some(seconds) => drop(self.signing_key_change.get_or_create(&[]).set(of_seconds(seconds))),
            None => drop(self.signing_key_change.remove(&[])),
        }
    }
}

/// Where metrics are registered.
struct Into<'a>(&'a mut Registry);

impl Into<'_> {
    fn plain<M: Metric + Clone>(&mut self, name: &str, meaning: &str, metric: M) -> M {
        self.0.register(name, meaning, metric.clone());
        metric
    }

    fn seconds<M: Metric + Clone>(&mut self, name: &str, meaning: &str, metric: M) -> M {
        self.0.register_with_unit(name, meaning, Unit::Seconds, metric.clone());
        metric
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of years are exact in a double")]
fn of_seconds(seconds: i64) -> f64 {
    seconds as f64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of years are exact in a double")]
fn of_millis(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}
