//! `rate_limits.*`: how often what may be tried.

use crate::config::engine::{Always, Node, Parsed, Reader, Review, Section, parse, problem, settings};
use crate::domain::rate_limit::{ActionLimits, LimitRules, Rate};

/// The most wrong passwords in a row (NIST SP 800-63B-4 3.2.2).
const FAILURES_WISE: u32 = 100;

settings! {
    /// The limits as they are set, one by one.
    #[derive(Clone, Copy, Debug)]
    pub struct RateLimitSettings {
        /// Whether attempts are limited; the bounds of queues hold in any case. Each limit below is a count and a
        /// duration: so many at once, refilled evenly over the duration (24h at most), or `off`. IPv6 addresses count
        /// by their network of 64 bits.
        enabled: bool = "rate_limits.enabled" {
            kind: Boolean, parse: parse::boolean, default: Always("true"), example: "false",
        },
        /// Wrong passwords from one address.
        login_per_ip: Option<Rate> = "rate_limits.login.per_ip" {
            kind: Text, parse: limit, default: Always("300/1m"), example: "60/1m",
        },
        /// Wrong passwords for one account, from everywhere but the places that it has logged in from in the last 30
        /// days. No place has more than a third of it, those included: one stranger locks no owner out.
        login_per_account: Option<Rate> = "rate_limits.login.per_account" {
            kind: Text, parse: limit, default: Always("60/15m"), example: "10/15m",
        },
        /// Right passwords from one address, which cost a hash, a session and an audit entry each: it protects the
        /// hash workers and the token store from whoever has accounts of their own.
        login_success_per_ip: Option<Rate> = "rate_limits.login_success.per_ip" {
            kind: Text, parse: limit, default: Always("1200/1m"), example: "300/1m",
        },
        /// Right passwords for one account.
        login_success_per_account: Option<Rate> = "rate_limits.login_success.per_account" {
            kind: Text, parse: limit, default: Always("120/1m"), example: "30/1m",
        },
        /// Registrations from one address.
        register_per_ip: Option<Rate> = "rate_limits.register.per_ip" {
            kind: Text, parse: limit, default: Always("600/10m"), example: "20/1h",
        },
        /// Refreshes from one address that fail; those that succeed are never limited.
        refresh_per_ip: Option<Rate> = "rate_limits.refresh.per_ip" {
            kind: Text, parse: limit, default: Always("300/1m"), example: "off",
        },
        /// Mails requested from one address: password resets and verifications.
        reset_request_per_ip: Option<Rate> = "rate_limits.reset_request.per_ip" {
            kind: Text, parse: limit, default: Always("300/10m"), example: "20/1h",
        },
        /// Mails requested for one account: password resets and verifications. No place has more than a third of it:
        /// one stranger keeps no owner from a mail.
        reset_request_per_account: Option<Rate> = "rate_limits.reset_request.per_account" {
            kind: Text, parse: limit, default: Always("20/15m"), example: "5/1h",
        },
        /// Reset tokens from one address that are no good.
        reset_per_ip: Option<Rate> = "rate_limits.reset.per_ip" {
            kind: Text, parse: limit, default: Always("300/10m"), example: "20/1h",
        },
        /// How many wrong client secrets may come from one address, at introspection and the other OAuth operations.
        introspect_per_ip: Option<Rate> = "rate_limits.introspect.per_ip" {
            kind: Text, parse: limit, default: Always("300/1m"), example: "60/1m",
        },
    }
}

/// The rules as the domain has them; all off unless `rate_limits.enabled`.
impl Section for LimitRules {
    const NODES: &'static [Node] = RateLimitSettings::NODES;

    fn read(read: &mut Reader<'_>) -> Option<Self> {
        let set = RateLimitSettings::read(read)?;
        if !set.enabled {
            return Some(Self::default());
        }
        let per_ip = |per_ip| ActionLimits { per_ip, per_account: None };
        let both = |per_ip, per_account| ActionLimits { per_ip, per_account };
        Some(Self {
            login: both(set.login_per_ip, set.login_per_account),
            login_success: both(set.login_success_per_ip, set.login_success_per_account),
            register: per_ip(set.register_per_ip),
            refresh: per_ip(set.refresh_per_ip),
            reset_request: both(set.reset_request_per_ip, set.reset_request_per_account),
            reset: per_ip(set.reset_per_ip),
            introspect: per_ip(set.introspect_per_ip),
        })
    }
}

/// `COUNT/DURATION`, or `off` for no limit.
fn limit(text: &str) -> Parsed<Option<Rate>> {
    const HELP: &str = "write it like 60/15m (60 at once, refilled over 15 minutes), or off";
    if text == "off" {
        return Ok(None);
    }
    let parts = text.split_once('/').and_then(|(count, span)| {
        // The standard library's parser would take a sign.
        let count = count.parse().ok().filter(|_| count.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some((count, humantime::parse_duration(span).ok()?))
    });
    let Some((count, span)) = parts else { return problem("is no limit", HELP) };
    Rate::new(count, span).map(Some).or_else(|error| problem(error.to_string(), HELP))
}

/// What production is warned of.
pub(crate) fn review_production(rules: &LimitRules, review: &mut Review<'_>) {
    const ENABLED: &str = "rate_limits.enabled";
    const PER_ACCOUNT: &str = "rate_limits.login.per_account";
    if !review.sound(&[ENABLED, PER_ACCOUNT]) {
        return;
    }
    match rules.login.per_account {
        Some(rate) if rate.burst() > FAILURES_WISE => {
            review
                .warn(PER_ACCOUNT, "allows more than 100 wrong passwords in a row (NIST SP 800-63B-4 3.2.2)");
        }
        None if review.text(ENABLED) == Some("true") => {
            review.warn(PER_ACCOUNT, "is off: passwords can be guessed without end");
        }
        None => review.warn(ENABLED, "is off: passwords can be guessed without end"),
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_count_and_a_duration_or_off() {
        let rate = |text| limit(text).map(|rate| rate.map(|rate| (rate.burst(), rate.period().as_secs())));
        assert_eq!(rate("60/15m"), Ok(Some((60, 900))));
        assert_eq!(rate("1/1s"), Ok(Some((1, 1))));
        assert_eq!(rate("1000000/24h"), Ok(Some((1_000_000, 86_400))));
        assert_eq!(rate("off"), Ok(None));
        for bad in [
            "",
            "60",
            "60/",
            "/1m",
            "60/15",
            "0/1m",
            "-1/1m",
            "+1/1m",
            "1000001/1m",
            "60/0s",
            "60/1500ms",
            "60/25h",
            "60/1m/1m",
            "60 per 1m",
            "Off",
            "none",
        ] {
            assert!(limit(bad).is_err(), "{bad:?}");
        }
    }
}
