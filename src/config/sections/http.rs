//! `http.*`: how many connections, and how long.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::engine::{Always, parse, settings};

/// Fewer would leave little beside the 64 that are kept for health checks.
const CONNECTIONS_MIN: usize = 128;

/// What no machine has.
pub(super) const COUNT_MAX: usize = 1_000_000;

const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60 * 60);

/// Nobody waits longer for the head of a request.
const HEADER_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(5 * 60);

settings! {
    /// How much of the service one client may have.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct HttpSettings {
        /// The most connections at once (128 or more), which bounds memory and file descriptors. 64 of them are kept
        /// for `/health/*`, so that a crowd does not get the service restarted; whoever comes beyond gets 503
        /// `overloaded` or a reset at once.
        max_connections: usize = "http.max_connections" {
            kind: Number, parse: parse::number(CONNECTIONS_MIN..=COUNT_MAX), default: Always("8192"),
            example: "20000",
        },
        /// The most of them from one address, so that one host does not keep everybody else out. IPv6 addresses count
        /// by their network of 64 bits; `trusted_proxies` are not counted.
        max_connections_per_address: usize = "http.max_connections_per_address" {
            kind: Number, parse: parse::number(1..=COUNT_MAX), default: Always("2048"), example: "500",
        },
        /// How long a connection without a request is kept (1s to 1h). Longer than proxies and browsers keep theirs,
        /// so that none sends a request into one that just closes.
        keep_alive: Duration = "http.keep_alive" {
            kind: Text, parse: parse::span(TIMEOUT), default: Always("75s"), example: "5m",
        },
        /// How long a request's line and headers may take from their first byte on (1s to 5m): half-sent ones hold no
        /// connection.
        header_timeout: Duration = "http.header_timeout" {
            kind: Text, parse: parse::span(HEADER_TIMEOUT), default: Always("10s"), example: "5s",
        },
        /// How long an answer waits for a client that takes nothing of it (1s to 1h), before the connection is reset:
        /// nobody holds one by not reading.
        write_timeout: Duration = "http.write_timeout" {
            kind: Text, parse: parse::span(TIMEOUT), default: Always("30s"), example: "10s",
        },
    }
}
