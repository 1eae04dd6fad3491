//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): what is allowed, and
//! how much of it is left.

use std::time::Duration;

use poem::http::{HeaderMap, HeaderName, HeaderValue};

use crate::service::quotas::{Quota, QuotaLog};

/// The limits that hold for an operation.
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The limit that is nearest to its end.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds both headers to the answer, if the request came under a limit.
pub(crate) fn announce(headers: &mut HeaderMap, quota_log: &QuotaLog) {
    let quotas = quota_log.quotas();
    let mut set = |name, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    if !quotas.is_empty() {
        set(RATE_LIMIT_POLICY, quotas.iter().map(policy).collect::<Vec<_>>().join(", "));
    }
    let counted = quotas.iter().filter_map(|quota| Some((quota.name, quota.level?)));
    if let Some((name, level)) = counted.min_by_key(|(_, level)| level.remaining) {
        set(RATE_LIMIT, format!("\"{name}\";r={};t={}", level.remaining, seconds(level.more_in)));
    }
}

fn policy(quota: &Quota) -> String {
    format!("\"{}\";q={};w={}", quota.name, quota.rate.burst(), quota.rate.period().as_secs())
}

/// Whole seconds, rounded up: a client that waits so long does not come too early.
pub(crate) fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up() {
        for (ms, expected) in [(0, 0), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(seconds(Duration::from_millis(ms)), expected, "{ms} ms");
        }
    }

    #[test]
    fn a_request_under_no_limit_has_no_header() {
        let mut headers = HeaderMap::new();
        announce(&mut headers, &QuotaLog::default());
        assert!(headers.is_empty());
    }
}
