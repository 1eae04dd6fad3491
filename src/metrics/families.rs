//! The registry, with name, type and meaning of what is counted and measured.

use std::sync::LazyLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::moment::Gauges;
use super::{Mail, Refresh, Revocation, Store};

/// One label, whose values are words of the program.
pub(super) type Label = [(&'static str, &'static str); 1];

/// Labels of an answered request: its operation is read out of the documents.
pub(super) type RequestLabels = [(&'static str, std::borrow::Cow<'static, str>); 3];

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
    pub(super) breakers_open: Family<Label, Gauge>,
    pub(super) pool_wait: Family<Label, Histogram, OfSeconds>,
    pub(super) gauges: Gauges,
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
            breakers_open: into.plain(
                "hallpass_store_breakers_open",
                "Kinds of calls of a store that are not made just now, since the last ones had failed",
                Family::default(),
            ),
            pool_wait: into.seconds(
                "hallpass_pool_wait",
                "How long a connection was waited for, where all were in use",
                Family::new_with_constructor(OfSeconds),
            ),
            gauges: Gauges::register(&mut into),
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
            drop(self.breakers_open.get_or_create(&[("store", store.word())]));
        }
    }
}

/// Where metrics are registered.
pub(super) struct Into<'a>(&'a mut Registry);

impl Into<'_> {
    pub(super) fn plain<M: Metric + Clone>(&mut self, name: &str, meaning: &str, metric: M) -> M {
        self.0.register(name, meaning, metric.clone());
        metric
    }

    pub(super) fn seconds<M: Metric + Clone>(&mut self, name: &str, meaning: &str, metric: M) -> M {
        self.0.register_with_unit(name, meaning, Unit::Seconds, metric.clone());
        metric
    }
}
