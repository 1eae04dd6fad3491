//! What is counted of every request.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use super::families::families;

/// The status of most answers.
const OK: u16 = 200;

/// An answered request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The id of its operation, empty where it is none of a document.
    pub operation: &'a str,
    /// Its method, one of the standard ones or `other`.
    pub method: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// The code of the error, where it is one.
    pub code: Option<&'a str>,
    /// How long it took.
    pub took: Duration,
    /// Whether it changes something or checks a token.
    pub is_event: bool,
}

/// What is counted of one operation by one method. It remembers where that is of answers that say yes, so that a
/// validation does not look for it.
#[derive(Debug, Default)]
pub struct RequestSeries {
    took: OnceLock<Histogram>,
    successes: OnceLock<Counter>,
}

impl RequestSeries {
    /// Counts a request.
    pub fn count(&self, request: &Request<'_>) {
        let Request { status, took, is_event, .. } = *request;
        match status {
            OK => self.took.get_or_init(|| histogram_of(request)).observe(took.as_secs_f64()),
            _ => histogram_of(request).observe(took.as_secs_f64()),
        }
        match is_event {
            true if status == OK => drop(self.successes.get_or_init(|| counter_of(request)).inc()),
            true => drop(counter_of(request).inc()),
            false => {}
        }
    }
}

fn histogram_of(request: &Request<'_>) -> Histogram {
    let labels = [
        ("operation", Cow::Owned(request.operation.to_owned())),
        ("method", Cow::Borrowed(request.method)),
        ("status", Cow::Owned(request.status.to_string())),
    ];
    families().requests.get_or_create_owned(&labels)
}

fn counter_of(request: &Request<'_>) -> Counter {
    let outcome = match request.status {
        500.. => "unavailable",
        400.. => "refused",
        _ => "success",
    };
    let labels = [
        ("event", Cow::Owned(request.operation.to_owned())),
        ("outcome", Cow::Borrowed(outcome)),
        ("reason", Cow::Owned(request.code.unwrap_or_default().to_owned())),
    ];
    families().events.get_or_create_owned(&labels)
}

/// The word for a method in a label: anybody can make one up.
pub fn method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}
