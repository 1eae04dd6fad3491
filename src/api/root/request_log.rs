//! The log's line about a request: one, flat, for each that changes something or is refused.
//!
//! - It names the operation, and of the path what the document has of it: no ids, no query. Where no document
//!   has the path, pieces of it that may be secrets are left out.
//! - Tokens are checked far more often than anything changes, and health is asked for all the time. Those have
//!   lines only for whoever asks for `hallpass::requests=debug`, and are counted.
//! - Whatever else is logged while a request is answered has the same fields, by way of the span.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poem::Response;
use poem::http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Span;
use tracing::field::{Empty, display};

use crate::api::errors::ErrorCode;
use crate::api::main::health;
use crate::api::root::operations::{Kind, Operation, Operations, Served};
use crate::config::LoggedRequests;
use crate::metrics::{self, RequestSeries};

/// What `log.level` knows these lines by.
const TARGET: &str = "hallpass::requests";

/// How often the validations are told.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The longest piece of an unknown path that is logged, bytes: every token and every secret is longer.
const PIECE_MAX_BYTES: usize = 32;

/// The most of an unknown path that is logged, characters.
const PATH_MAX_CHARS: usize = 120;

/// The most of a method that is logged, characters: anybody can make one up.
const METHOD_MAX_CHARS: usize = 16;

/// Writes the lines about requests.
pub(crate) struct RequestLog {
    logged: LoggedRequests,
    operations: Operations,
    counts: Counts,
}

impl RequestLog {
    /// One that knows the operations of the documents.
    pub(crate) fn of(documents: &[Value], logged: LoggedRequests) -> Self {
        Self { logged, operations: Operations::of(documents), counts: Counts::new(Instant::now()) }
    }

    /// What a request is about.
    pub(crate) fn look_at(&self, method: &Method, path: &str) -> Asked<'_> {
        let served = self.operations.at(method, path);
        let kind = match served {
            Some(served) => served.operation.kind,
            None if health::is_check(path) => Kind::Probe,
            // Pages and documents, and what there is not.
            None => Kind::Read,
        };
        Asked { served, kind, method: metrics::method(method.as_str()) }
    }

    /// Writes the line about a request that was answered, or counts it. To be called within its span.
    pub(crate) fn answered(&self, asked: &Asked<'_>, response: &Response, took: Duration) {
        let status = response.status();
        let code = response.extensions().get::<ErrorCode>().copied();
        self.measure(asked, status, code, took);
        let is_verdict = self.counts.count(asked.kind, status, code);
        let is_told = match self.logged {
            LoggedRequests::Off => return,
            LoggedRequests::All => true,
            LoggedRequests::Changes => match asked.kind {
                Kind::Change => true,
                Kind::Validation => is_failure(status) && !is_verdict,
                Kind::Read | Kind::Probe => is_failure(status),
            },
        };
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let status = status.as_u16();
        // Written only where the line is.
        let code = code.map(|code| display(Name(code)));
        match is_told {
            true => tracing::info!(target: TARGET, status, code, ms, "answered"),
            false => tracing::debug!(target: TARGET, status, code, ms, "answered"),
        }
    }

    fn measure(&self, asked: &Asked<'_>, status: StatusCode, code: Option<ErrorCode>, took: Duration) {
        let name = code.map(|code| code.name());
        let request = metrics::Request {
            operation: asked.operation().map_or("", |operation| &operation.id),
            method: asked.served.map_or(asked.method, |served| served.method),
            status: status.as_u16(),
            code: name.as_deref(),
            took,
            is_event: matches!(asked.kind, Kind::Change | Kind::Validation),
        };
        match asked.served {
            Some(served) => served.series.count(&request),
            None => RequestSeries::default().count(&request),
        }
    }

    /// Whether each validation has a line, at whatever level.
    pub(crate) fn has_lines_for_validations(&self) -> bool {
        self.logged == LoggedRequests::All
            || (self.logged == LoggedRequests::Changes
                && tracing::enabled!(target: TARGET, tracing::Level::DEBUG))
    }

    /// Counts a validation that said yes.
    pub(crate) fn validated(&self, method: &Method, path: &str, took: Duration) {
        self.counts.count(Kind::Validation, StatusCode::OK, None);
        self.measure(&self.look_at(method, path), StatusCode::OK, None, took);
    }

    /// Tells how many were counted, if the last time is a minute ago. To be called outside all spans.
    pub(crate) fn report(&self, now: Instant) {
        if self.logged == LoggedRequests::Off {
            return;
        }
        let Some(Report { validations, refused, probes, seconds }) = self.counts.due(now) else { return };
        tracing::info!(
            target: TARGET,
            validations,
            refused,
            probes,
            seconds,
            "tokens were checked, and health checks answered"
        );
    }
}

/// Whether an answer says that what was asked for was not done.
fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// What a request asks for.
pub(crate) struct Asked<'a> {
    served: Option<&'a Served>,
    kind: Kind,
    method: &'static str,
}

impl Asked<'_> {
    fn operation(&self) -> Option<&Operation> {
        self.served.map(|served| &served.operation)
    }

    /// What all lines about a request say, at whatever level. Who is behind it the service records once it
    /// is known.
    pub(crate) fn span(
        &self,
        id: &str,
        trace_id: Option<&str>,
        method: &Method,
        path: &str,
        address: Option<IpAddr>,
    ) -> Span {
        let path = match self.operation() {
            Some(operation) => Cow::Borrowed(&*operation.path),
            None => without_secrets(path),
        };
        tracing::error_span!(
            "request",
            request_id = id,
            trace_id,
            operation = self.operation().map(|operation| &*operation.id),
            method = method.as_str().get(..METHOD_MAX_CHARS).unwrap_or(method.as_str()),
            path = &*path,
            address = address.map(display),
            account = Empty,
            client = Empty,
            email_mark = Empty,
        )
    }
}

/// The trace that a request belongs to, by its one `traceparent` (W3C Trace Context 3.2); one that is malformed is
/// as good as none.
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all("traceparent").iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let mut parts = line.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, length| is_hex(text, length) && text.bytes().any(|b| b != b'0');
    let is_known = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    (is_known && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)).then_some(trace)
}

/// A path as the log may have it: pieces that are as long as a token are left out, and the end of a novel.
fn without_secrets(path: &str) -> Cow<'_, str> {
    let is_short = |piece: &str| piece.len() <= PIECE_MAX_BYTES;
    if path.len() <= PATH_MAX_CHARS && path.split('/').all(is_short) {
        return Cow::Borrowed(path);
    }
    let pieces = path.split('/').map(|piece| if is_short(piece) { piece } else { "…" });
    let path = pieces.collect::<Vec<_>>().join("/");
    Cow::Owned(match path.char_indices().nth(PATH_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path,
    })
}

/// An error's code as the API has it.
struct Name(ErrorCode);

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.name())
    }
}

/// How many came that have no line.
struct Counts {
    validations: AtomicU64,
    refused: AtomicU64,
    probes: AtomicU64,
    began: Instant,
    /// When the last report was, milliseconds since `began`.
    reported_ms: AtomicU64,
}

/// What came since the last one.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    validations: u64,
    /// Validations that said no.
    refused: u64,
    probes: u64,
    seconds: u64,
}

impl Counts {
    fn new(began: Instant) -> Self {
        Self {
            validations: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            probes: AtomicU64::new(0),
            began,
            reported_ms: AtomicU64::new(0),
        }
    }

    /// Counts a validation or a health check; answers whether it is a validation that gave a verdict on a
    /// token. A wrong client secret is none: it is a guess.
    fn count(&self, kind: Kind, status: StatusCode, code: Option<ErrorCode>) -> bool {
        let is_no = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            && code != Some(ErrorCode::InvalidClient);
        match kind {
            Kind::Validation if is_no => {
                self.validations.fetch_add(1, Ordering::Relaxed);
                self.refused.fetch_add(1, Ordering::Relaxed);
                true
            }
            Kind::Validation if !is_failure(status) => {
                self.validations.fetch_add(1, Ordering::Relaxed);
                true
            }
            Kind::Probe => {
                self.probes.fetch_add(1, Ordering::Relaxed);
                false
            }
            Kind::Validation | Kind::Change | Kind::Read => false,
        }
    }

    /// What has come in the last minute or longer, told to one caller. That health was asked for is not
    /// worth a line of its own.
    fn due(&self, now: Instant) -> Option<Report> {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let now = ms(now.saturating_duration_since(self.began));
        let last = self.reported_ms.load(Ordering::Relaxed);
        let since = now.saturating_sub(last);
        if since < ms(REPORT_EVERY) || self.validations.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.reported_ms.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Some(Report {
            validations: take(&self.validations),
            refused: take(&self.refused),
            probes: take(&self.probes),
            seconds: since / 1_000,
        })
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderName;

    use super::*;

    #[test]
    fn a_path_that_no_document_has_is_logged_without_what_may_be_a_secret() {
        assert_eq!(without_secrets("/docs/swagger-ui-bundle.js"), "/docs/swagger-ui-bundle.js");
        let token = "hp_pr_AZz5qjVtdDyAtyUPgVq0WwAAAAAAAAABc";
        assert_eq!(without_secrets(&format!("/reset-password/{token}")), "/reset-password/…");
        assert_eq!(without_secrets(&format!("/{token}/x")), "/…/x");
        let long = "/a".repeat(500);
        assert_eq!(without_secrets(&long).chars().count(), PATH_MAX_CHARS + 1);
    }

    #[test]
    fn the_trace_is_that_of_a_traceparent_that_is_whole() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let of = |lines: &[&'static str]| {
            let pairs = lines.iter().map(|line| (HeaderName::from_static("traceparent"), line.parse()));
            let pairs = pairs.map(|(name, line)| (name, line.expect("a value")));
            trace_id(&pairs.collect()).map(str::to_owned)
        };
        let whole = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(of(&[whole]).as_deref(), Some(TRACE));
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes";
        assert_eq!(of(&[later]).as_deref(), Some(TRACE));
        assert_eq!(of(&[whole, whole]), None, "two are none");
        for malformed in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47366-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert_eq!(of(&[malformed]), None, "{malformed}");
        }
    }

    #[test]
    fn validations_and_probes_are_counted_and_told_once_a_minute() {
        let began = Instant::now();
        let counts = Counts::new(began);
        let later = |seconds| began + Duration::from_secs(seconds);
        for (kind, status, code, is_verdict) in [
            (Kind::Validation, 200, None, true),
            (Kind::Validation, 304, None, true),
            (Kind::Validation, 401, Some(ErrorCode::TokenExpired), true),
            (Kind::Validation, 403, Some(ErrorCode::Forbidden), true),
            (Kind::Validation, 401, Some(ErrorCode::InvalidClient), false),
            (Kind::Validation, 429, Some(ErrorCode::RateLimited), false),
            (Kind::Validation, 503, Some(ErrorCode::DependencyUnavailable), false),
            (Kind::Probe, 503, None, false),
            (Kind::Change, 401, Some(ErrorCode::InvalidCredentials), false),
            (Kind::Read, 200, None, false),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(counts.count(kind, status, code), is_verdict, "{kind:?} {status} {code:?}");
        }
        assert_eq!(counts.due(later(59)), None);
        let report = Report { validations: 4, refused: 2, probes: 1, seconds: 60 };
        assert_eq!(counts.due(later(60)), Some(report));
        assert_eq!(counts.due(later(60)), None, "told once");
        counts.count(Kind::Probe, StatusCode::OK, None);
        assert_eq!(counts.due(later(200)), None, "no line for health checks alone");
        counts.count(Kind::Validation, StatusCode::OK, None);
        let report = Report { validations: 1, refused: 0, probes: 1, seconds: 140 };
        assert_eq!(counts.due(later(200)), Some(report));
    }
}
