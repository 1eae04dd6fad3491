//! The settings of connections: how many, how long, from where and by which name, from their texts to their
//! rules.

use std::time::Duration;

use url::Host;

use super::build::Reader;
use super::parse::{self, Parsed, Problem};
use super::rules::Review;

/// Fewer would leave little beside the 64 that are kept for health checks.
const CONNECTIONS_MIN: usize = 128;
/// What no machine has.
const COUNT_MAX: usize = 1_000_000;

const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(60 * 60);
/// A head that takes longer is none that anybody waits for.
const HEADER_TIMEOUT_MAX: Duration = Duration::from_secs(5 * 60);

/// How much of the service one client may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// The most connections at once.
    pub max_connections: usize,
    /// The most of them from one address.
    pub max_connections_per_address: usize,
    /// How long a connection without a request is kept.
    pub keep_alive: Duration,
    /// How long a request's line and headers may take.
    pub header_timeout: Duration,
    /// How long an answer waits for a client that takes nothing of it.
    pub write_timeout: Duration,
}

/// How many may follow the revocation feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedSettings {
    /// The most streams at once.
    pub max_streams: usize,
    /// The most of them of one client.
    pub max_streams_per_client: usize,
}

/// The header in which proxies say where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

pub(super) fn http(read: &mut Reader<'_>) -> HttpSettings {
    let count = |min| parse::number(min..=COUNT_MAX);
    HttpSettings {
        max_connections: read.get("http.max_connections", count(CONNECTIONS_MIN), 0),
        max_connections_per_address: read.get("http.max_connections_per_address", count(1), 0),
        keep_alive: read.get("http.keep_alive", parse::duration, Duration::ZERO),
        header_timeout: read.get("http.header_timeout", parse::duration, Duration::ZERO),
        write_timeout: read.get("http.write_timeout", parse::duration, Duration::ZERO),
    }
}

pub(super) fn feed(read: &mut Reader<'_>) -> FeedSettings {
    FeedSettings {
        max_streams: read.get("feed.max_streams", parse::number(1..=COUNT_MAX), 0),
        max_streams_per_client: read.get("feed.max_streams_per_client", parse::number(1..=COUNT_MAX), 0),
    }
}

pub(super) fn forwarded_header(text: &str) -> Parsed<ForwardedHeader> {
    match text {
        "x-forwarded-for" => Ok(ForwardedHeader::XForwardedFor),
        "forwarded" => Ok(ForwardedHeader::Forwarded),
        _ => Err(Problem {
            problem: "is no header that says where a request comes from".to_owned(),
            mend: "write x-forwarded-for or forwarded".to_owned(),
        }),
    }
}

/// Names without ports, with commas between.
pub(super) fn hosts(text: &str) -> Parsed<Vec<String>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let host = |name: &str| match Host::parse(name.trim()) {
        Ok(host) => Ok(host.to_string()),
        Err(_) => Err(Problem {
            problem: "names something else than hosts".to_owned(),
            mend: "write names without a port, like hallpass or auth.test, with a comma between".to_owned(),
        }),
    };
    text.split(',').map(host).collect()
}

impl Review<'_> {
    /// What holds for every command.
    pub(super) fn http_spans(&mut self) {
        let http = self.settings.http;
        self.within("http.keep_alive", http.keep_alive, TIMEOUT_MIN, TIMEOUT_MAX);
        self.within("http.header_timeout", http.header_timeout, TIMEOUT_MIN, HEADER_TIMEOUT_MAX);
        self.within("http.write_timeout", http.write_timeout, TIMEOUT_MIN, TIMEOUT_MAX);
    }
}
