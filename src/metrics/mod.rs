//! What this process counts and measures, for whoever watches it: one registry, told in the text format of Prometheus
//! (OpenMetrics 1.0).
//!
//! A process has one, whichever part of it counts: threads that hash and tasks that follow a feed would all have to be handed
//! it otherwise. What is set at the moment of asking (gauges) is set by `app`.
//!
//! **No label ever names a person, an address, a client, a session or a token.** Labels are words of the program: ids of
//! operations, codes of errors, kinds.

mod families;
mod moment;
mod pools;
mod requests;

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text::encode;

use self::families::families;
pub use self::moment::{JournalLag, Moment};
pub use self::pools::{Pool, PoolUse, pool_waited};
pub use self::requests::{Request, RequestSeries, method};

/// Everything, as Prometheus reads it.
///
/// # Errors
/// It cannot be written into memory: a defect of ours.
pub fn text() -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, &families().registry)?;
    Ok(text)
}

/// How [`text`] is to be announced (`Content-Type`).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What became of a refresh token that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// It was redeemed for its successor.
    Rotated,
    /// It was redeemed again within the grace period: the same successor.
    Replayed,
    /// It is ahead of what the store knows, which went back in time.
    Recovered,
    /// It was superseded: its session has ended.
    Reused,
    /// It is of no session.
    Unknown,
    /// Its session is over.
    Expired,
    /// Its session has given way to others.
    Evicted,
}

impl Refresh {
    const ALL: [Self; 7] = [
        Self::Rotated,
        Self::Replayed,
        Self::Recovered,
        Self::Reused,
        Self::Unknown,
        Self::Expired,
        Self::Evicted,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Replayed => "replayed",
            Self::Recovered => "recovered",
            Self::Reused => "reused",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
        }
    }
}

/// A refresh token was presented.
pub fn refreshed(result: Refresh) {
    families().refresh.get_or_create(&[("result", result.word())]).inc();
}

/// What was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// A session.
    Session,
    /// One access token of a person.
    AccessToken,
    /// One access token of a client's own.
    MachineToken,
    /// All sessions of an account (a security event).
    User,
    /// All tokens of a client that was deleted.
    Client,
}

impl Revocation {
    const ALL: [Self; 5] = [Self::Session, Self::AccessToken, Self::MachineToken, Self::User, Self::Client];

    fn word(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::AccessToken => "access_token",
            Self::MachineToken => "machine_token",
            Self::User => "user",
            Self::Client => "client",
        }
    }
}

/// Something was taken back, and no replica can be without that any more, this long after it was asked for.
pub fn revoked(kind: Revocation, took: Duration) {
    families().revocations.get_or_create(&[("kind", kind.word())]).inc();
    families().revocation_lag.observe(took.as_secs_f64());
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mail {
    /// The mail server has taken it.
    Sent,
    /// The mail server could not be asked, or wants it later.
    Retried,
    /// Refused for good, or too late.
    GivenUp,
}

impl Mail {
    const ALL: [Self; 3] = [Self::Sent, Self::Retried, Self::GivenUp];

    fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::GivenUp => "given_up",
        }
    }
}

/// A mail was tried.
pub fn mailed(result: Mail) {
    families().mails.get_or_create(&[("result", result.word())]).inc();
}

/// What the service keeps things in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// SQL.
    Database,
    /// Redis, or the embedded one.
    TokenStore,
}

impl Store {
    const ALL: [Self; 2] = [Self::Database, Self::TokenStore];

    fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::TokenStore => "token_store",
        }
    }
}

/// A store gave no answer, or was not asked since the last calls had failed.
pub fn store_failed(store: Store) {
    families().store_errors.get_or_create(&[("store", store.word())]).inc();
}

/// A store is not asked for a while, since the last calls had failed.
pub fn breaker_opened(store: Store) {
    families().breaker_openings.get_or_create(&[("store", store.word())]).inc();
}

/// The calls of one kind of a store are not made any more, or are again.
pub fn breaker_stands(store: Store, open: bool) {
    let open_now = families().breakers_open.get_or_create_owned(&[("store", store.word())]);
    match open {
        true => drop(open_now.inc()),
        false => drop(open_now.dec()),
    }
}

/// A password was hashed, this long after somebody wanted it.
pub fn hashed(waited: Duration) {
    families().hash_wait.observe(waited.as_secs_f64());
}

/// What is so just now.
pub fn set(moment: &Moment) {
    families().gauges.set(moment);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    /// Names, types and meanings, out of the text.
    fn described(text: &str) -> BTreeSet<(String, String, String)> {
        let of = |word: &'static str| {
            let lines = text.lines().filter_map(move |line| line.strip_prefix(word)?.split_once(' '));
            lines
                .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        let meanings = of("# HELP ");
        of("# TYPE ")
            .into_iter()
            .map(|(name, kind)| {
                let meaning = meanings.get(&name).cloned().unwrap_or_default();
                let name = if kind == "counter" { format!("{name}_total") } else { name };
                (name, kind, meaning)
            })
            .collect()
    }

    /// What has no values before something happens.
    fn happen_once() {
        let request = Request {
            operation: "login",
            method: method("POST"),
            status: 401,
            code: Some("invalid_credentials"),
            took: Duration::from_millis(20),
            is_event: true,
        };
        RequestSeries::default().count(&request);
        pool_waited(Pool::Database, Duration::from_millis(3));
        set(&Moment {
            ready: vec![("login", true)],
            checks: vec![("feed", false)],
            clock_offsets: vec![("database", -1_500)],
            signing_key_change: Some(60),
            signing_key_ages: vec![("active", 3_600)],
            sessions: Some(7),
            journal: Some(JournalLag { behind: 2, owed: 1, age: Duration::from_millis(500) }),
            pools: vec![PoolUse { pool: Pool::Database, in_use: 3, idle: 2, max: 10 }],
            ..Moment::default()
        });
    }

    #[test]
    fn what_happened_is_told_and_an_unknown_method_is_no_label() {
        happen_once();
        let text = text().expect("the text");
        for line in [
            "http_server_request_duration_seconds_count{operation=\"login\",method=\"POST\",status=\"401\"}",
            "hallpass_auth_events_total{event=\"login\",outcome=\"refused\",reason=\"invalid_credentials\"}",
            "hallpass_clock_offset_seconds{clock=\"database\"} -1.5",
            "hallpass_check{check=\"feed\"} 0",
            "hallpass_signing_key_next_change_seconds 60.0",
            "hallpass_signing_key_age_seconds{state=\"active\"} 3600.0",
            "hallpass_sessions_alive 7",
            "hallpass_journal_lag_entries 2",
            "hallpass_journal_owed_entries 1",
            "hallpass_journal_look_age_seconds 0.5",
            "hallpass_pool_connections{pool=\"database\",state=\"in_use\"} 3",
            "hallpass_pool_connections{pool=\"database\",state=\"idle\"} 2",
            "hallpass_pool_connections_max{pool=\"database\"} 10",
            "hallpass_pool_wait_seconds_count{pool=\"database\"}",
        ] {
            assert!(text.lines().any(|told| told.starts_with(line)), "{line} is missing in\n{text}");
        }
        assert_eq!([method("PATCH"), method("BREW")], ["PATCH", "other"]);
    }

    #[test]
    fn the_page_lists_exactly_these_metrics() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let page = fs::read_to_string(path).expect("docs/metrics.md");
        let rows =
            page.lines().filter(|line| line.starts_with("| `hallpass_") || line.starts_with("| `http_"));
        let listed: BTreeSet<_> = rows
            .map(|row| {
                let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
                let [name, kind, _labels, meaning] = cells[..] else { panic!("{row}") };
                (name.trim_matches('`').to_owned(), kind.to_owned(), meaning.to_owned())
            })
            .collect();
        happen_once();
        let text = text().expect("the text");
        let there = described(&text);
        let row = |(name, kind, meaning): &(String, String, String)| {
            format!("| `{name}` | {kind} |  | {meaning} |")
        };
        let wanted: Vec<_> = there.iter().map(row).collect();
        assert_eq!(listed, there, "docs/metrics.md is to have these rows:\n{}", wanted.join("\n"));
    }

    #[test]
    fn whatever_has_not_happened_yet_is_told_as_nought() {
        let text = text().expect("the text");
        for line in [
            "hallpass_refresh_total{result=\"reused\"}",
            "hallpass_revocations_total{kind=\"user\"}",
            "hallpass_mails_total{result=\"given_up\"}",
            "hallpass_store_errors_total{store=\"token_store\"}",
            "hallpass_store_breaker_openings_total{store=\"database\"}",
        ] {
            assert!(text.lines().any(|told| told.starts_with(line)), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
