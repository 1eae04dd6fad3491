//! From text to value, one parser per kind. A parser never repeats the text: whether it may be
//! shown is for the caller to know.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hallpass_verify::TokenType;
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::secret::{SECRET_MIN_BYTES, Secret};
use super::{CompatApi, LogFormat, PublicUrl, ResetDelivery};
use crate::domain::deployment::{DEPLOYMENT_MARK_MAX, DeploymentMark};
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::rate_limit::Rate;
use crate::domain::signing_key::SigningAlgorithm;

/// Why a text is no value: a phrase that follows the text, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub problem: String,
    pub mend: String,
}

pub(super) type Parsed<T> = Result<T, Problem>;

fn problem<T>(problem: impl Into<String>, mend: impl Into<String>) -> Parsed<T> {
    Err(Problem { problem: problem.into(), mend: mend.into() })
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse()
        .or_else(|_| problem("is no IP address with a port", "write it like 127.0.0.1:8080 or [::1]:8080"))
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    text.parse().or_else(|_| problem("is neither `true` nor `false`", "write one of them"))
}

pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Parsed<T>
where
    T: FromStr + PartialOrd + Display,
{
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => problem(
            "is not within the bounds",
            format!("write a whole number from {} to {}", range.start(), range.end()),
        ),
    }
}

pub(super) fn duration(text: &str) -> Parsed<Duration> {
    humantime::parse_duration(text)
        .or_else(|_| problem("is no duration", "write it with a unit, like 30s, 15m or 7d"))
}

/// A duration that ends up as a whole number of seconds in a token.
pub(super) fn seconds(text: &str) -> Parsed<Duration> {
    match duration(text)? {
        span if span.subsec_nanos() == 0 => Ok(span),
        _ => problem("is a fraction of a second", "write whole seconds, like 30s"),
    }
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(text))
}

pub(super) fn text(text: &str) -> Parsed<String> {
    if text.chars().any(char::is_control) {
        return problem("holds a control character", "take it out");
    }
    Ok(text.to_owned())
}

/// `scheme://host[:port][/path]`, in the spelling that any client computes as well: the issuer is
/// compared as text (RFC 8414 3.3).
pub(super) fn public_url(text: &str) -> Parsed<PublicUrl> {
    const MEND: &str = "write it like https://auth.example.com";
    let Ok(url) = Url::parse(text) else {
        return problem("is no absolute URL", MEND);
    };
    if !matches!(url.scheme(), "http" | "https") {
        return problem("is neither http:// nor https://", MEND);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return problem("holds a user name", MEND);
    }
    if text.contains(['?', '#']) {
        return problem("holds a query or a fragment (RFC 8414 2)", MEND);
    }
    if text.ends_with('/') {
        return problem("ends in a slash", "leave the last slash out");
    }
    let canonical = url.as_str().trim_end_matches('/');
    if canonical != text {
        return problem("is not in its canonical spelling", format!("write {canonical}"));
    }
    Ok(PublicUrl::from_parsed(&url, text))
}

/// At least [`SECRET_MIN_BYTES`] bytes.
pub(super) fn secret(text: &str) -> Parsed<Secret> {
    const MEND: &str = super::rules::SECRET_MEND;
    if text.len() < SECRET_MIN_BYTES {
        return problem(format!("is shorter than {SECRET_MIN_BYTES} bytes"), MEND);
    }
    Ok(Secret::new(text))
}

pub(super) fn redis_prefix(text: &str) -> Parsed<DeploymentMark> {
    DeploymentMark::parse(text).or_else(|_| {
        problem("is no prefix", format!("write 1 to {DEPLOYMENT_MARK_MAX} characters of a-z, 0-9 and -"))
    })
}

/// What keeps sessions and revocations; the Redis one needs `redis.url`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenStoreName {
    Redis,
    Embedded,
}

pub(super) fn token_store(text: &str) -> Parsed<TokenStoreName> {
    match text {
        "redis" => Ok(TokenStoreName::Redis),
        "embedded" => Ok(TokenStoreName::Embedded),
        _ => problem("is no token store", "write redis or embedded"),
    }
}

/// Whom to ask about revocations; the mirror has a span beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValidationModeName {
    Strict,
    Mirror,
}

pub(super) fn validation_mode(text: &str) -> Parsed<ValidationModeName> {
    match text {
        "strict" => Ok(ValidationModeName::Strict),
        "mirror" => Ok(ValidationModeName::Mirror),
        _ => problem("is no mode of validation", "write strict or mirror"),
    }
}

/// A copy that is confirmed four times a second cannot promise less than two of these; beyond half a
/// minute a logout waits longer for a dead replica than anybody does for an answer.
pub(super) fn max_staleness(text: &str) -> Parsed<Duration> {
    match duration(text)? {
        span if (Duration::from_millis(500)..=Duration::from_secs(30)).contains(&span) => Ok(span),
        _ => problem("is out of bounds", "write 500ms to 30s"),
    }
}

pub(super) fn token_type(text: &str) -> Parsed<TokenType> {
    [TokenType::AtJwt, TokenType::Jwt]
        .into_iter()
        .find(|typ| typ.as_str() == text)
        .map_or_else(|| problem("is no type of an access token", "write at+jwt or JWT"), Ok)
}

pub(super) fn reset_delivery(text: &str) -> Parsed<ResetDelivery> {
    match text {
        "response" => Ok(ResetDelivery::Response),
        "log" => Ok(ResetDelivery::Log),
        "smtp" => Ok(ResetDelivery::Smtp),
        "off" => Ok(ResetDelivery::Off),
        _ => problem("is no way to deliver a reset token", "write off, response, log or smtp"),
    }
}

pub(super) fn algorithm(text: &str) -> Parsed<SigningAlgorithm> {
    text.parse().or_else(|_| problem("is no signing algorithm", "write ES256, RS256 or EdDSA"))
}

pub(super) fn email(text: &str) -> Parsed<Email> {
    Email::parse(text).or_else(|error| problem(error.to_string(), "write it like ada@example.com"))
}

pub(super) fn password(text: &str) -> Parsed<Password> {
    Password::parse(text).or_else(|error| problem(error.to_string(), "choose a shorter one"))
}

/// The compat APIs whose names stand there with commas between; none of them where nothing stands.
pub(super) fn compat(text: &str) -> Parsed<Vec<CompatApi>> {
    let names: Vec<&str> = match text.trim() {
        "" => Vec::new(),
        names => names.split(',').map(str::trim).collect(),
    };
    if !names.iter().all(|name| CompatApi::ALL.iter().any(|api| api.as_str() == *name)) {
        return problem(
            "names something else than compat APIs",
            "write nest, access-tokens, both with a comma between, or nothing",
        );
    }
    Ok(CompatApi::ALL.into_iter().filter(|api| names.contains(&api.as_str())).collect())
}

/// `COUNT/DURATION`, or `off` for no limit.
pub(super) fn limit(text: &str) -> Parsed<Option<Rate>> {
    const MEND: &str = "write it like 60/15m (60 at once, refilled over 15 minutes), or off";
    if text == "off" {
        return Ok(None);
    }
    let parts = text.split_once('/').and_then(|(count, span)| {
        // The standard library's parser would take a sign.
        let count = count.parse().ok().filter(|_| count.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some((count, humantime::parse_duration(span).ok()?))
    });
    let Some((count, span)) = parts else { return problem("is no limit", MEND) };
    Rate::new(count, span).map(Some).or_else(|error| problem(error.to_string(), MEND))
}

/// Addresses and networks with commas between; none where nothing stands. An IPv4 network in IPv6
/// clothes is IPv4, as the addresses are that it is compared with.
pub(super) fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|network| self::network(network.trim())).collect()
}

fn network(text: &str) -> Parsed<IpNet> {
    const MEND: &str = "write addresses and networks like 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32";
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().or_else(|_| problem("names something else than networks", MEND))?,
    };
    if network.trunc() != network {
        return problem(
            "names a network by an address that is not its first",
            format!("write {} if you mean all of it", network.trunc()),
        );
    }
    let mapped = match network.addr() {
        IpAddr::V6(address) if network.prefix_len() >= 96 => address.to_ipv4_mapped(),
        _ => None,
    };
    let unwrapped = mapped.and_then(|address| IpNet::new(address.into(), network.prefix_len() - 96).ok());
    Ok(unwrapped.unwrap_or(network))
}

pub(super) fn log_level(text: &str) -> Parsed<String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => problem("is no log level", "write it like info, or hallpass=debug,info"),
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => problem("is no log format", "write pretty or json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["900", "", "-5s", "soon", "99999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert!(seconds("1500ms").is_err());
    }

    #[test]
    fn a_public_url_has_one_spelling() {
        for good in ["https://auth.example.com", "http://127.0.0.1:8080", "https://example.com/auth"] {
            assert_eq!(public_url(good).map(|url| url.as_str().to_owned()).as_deref(), Ok(good));
        }
        for bad in [
            "auth.example.com",
            "https://auth.example.com/",
            "https://example.com/auth/",
            "https://auth.example.com?x=1",
            "https://auth.example.com/#top",
            "https://user@auth.example.com",
            "https://Auth.Example.com",
            "https://auth.example.com:443",
            "ftp://auth.example.com",
            "https://",
            " https://auth.example.com",
        ] {
            assert!(public_url(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_long_enough() {
        assert!(secret("0123456789abcdef0123456789abcdef").is_ok());
        assert!(secret("0123456789abcdef0123456789abcde").is_err());
    }

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

    #[test]
    fn networks_are_addresses_or_prefixes() {
        let texts = |text| {
            networks(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        for (text, found) in [
            ("", ""),
            (" ", ""),
            ("127.0.0.1", "127.0.0.1/32"),
            ("::1", "::1/128"),
            ("10.0.0.0/8, 2001:db8::/32", "10.0.0.0/8 2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::/0,0.0.0.0/0", "::/0 0.0.0.0/0"),
        ] {
            assert_eq!(texts(text).as_deref(), Ok(found), "{text:?}");
        }
        for bad in
            ["10.0.0.1/8", "10.0.0.0/33", "10.0.0", "proxy.internal", "10.0.0.0/8,", "10.0.0.0/8 ::1", "*"]
        {
            assert!(networks(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_keep_within_their_bounds() {
        let parse = number(1_usize..=64);
        assert_eq!((parse("1"), parse("64")), (Ok(1), Ok(64)));
        for bad in ["0", "65", "-1", "1.0", "eight", ""] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_parser_repeats_a_secret() {
        assert!(!format!("{:?}", secret("hunter2").err()).contains("hunter2"));
    }
}
