//! Whether a service tells by its answers, or by their times, which addresses have an account.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hyper::StatusCode;
use serde_json::{Value, json};
use url::Url;

use super::client::{Client, Shown};
use super::statistics::{Chance, Comparison, compare};
use crate::app::SystemRandom;
use crate::cli::{Failure, healthcheck, print_line};
use crate::domain::email::Email;
use crate::domain::random::Random;

/// Within these the medians must be to each other.
const RATIO_MIN: f64 = 0.9;
const RATIO_MAX: f64 = 1.1;

/// Answers of each kind that are not counted: the first ones warm things up.
const WARM_UP: usize = 10;

/// What to measure.
#[derive(Args)]
pub(super) struct EnumerationArgs {
    /// Where the service is, like <http://127.0.0.1:8080>
    #[arg(long)]
    url: Url,
    /// The address of an account; that it has one is not checked, since no answer would tell
    #[arg(long, value_name = "EMAIL")]
    known: String,
    /// How many answers of each kind are measured
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    samples: u32,
}

/// An operation that is asked about addresses with and without an account.
struct Operation {
    name: &'static str,
    path: &'static str,
    status: StatusCode,
    body: fn(&str) -> Value,
}

const OPERATIONS: [Operation; 2] = [
    Operation {
        name: "login with a wrong password",
        path: "/auth/login",
        status: StatusCode::UNAUTHORIZED,
        body: |email| json!({"email": email, "password": "not the password of anybody"}),
    },
    Operation {
        name: "request of a password reset",
        path: "/auth/reset-password-request",
        status: StatusCode::OK,
        body: |email| json!({"email": email}),
    },
];

/// Runs the command: exit code 0 when nothing tells, 1 when something does.
pub(super) fn run(args: EnumerationArgs) -> Result<ExitCode, Failure> {
    let known = Email::parse(&args.known).map_err(|error| format!("--known {error}"))?;
    let mut client = Client::new(healthcheck::authority(&args.url)?, args.url.path());
    let samples = usize::try_from(args.samples)?;
    let mut seed = [0; 8];
    SystemRandom.fill(&mut seed);
    let mut chance = Chance::seeded(u64::from_le_bytes(seed));
    // One request at a time: a second core would only add noise.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut silent = true;
    for operation in &OPERATIONS {
        let measured = measure(&mut client, operation, &known, samples, &mut chance);
        let verdict = runtime.block_on(measured)?;
        print_line(&verdict.describe(operation.name, samples));
        silent &= verdict.is_silent();
    }
    Ok(if silent { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What came out of one operation.
enum Verdict {
    /// The answers themselves differ; how.
    Answers(String),
    /// The answers are alike, and their times are these.
    Times(Comparison),
}

impl Verdict {
    /// Whether nothing tells.
    fn is_silent(&self) -> bool {
        match self {
            Self::Answers(_) => false,
            Self::Times(times) => (RATIO_MIN..=RATIO_MAX).contains(&times.ratio),
        }
    }

    fn describe(&self, name: &str, samples: usize) -> String {
        let mut text = format!("{name}, {samples} samples each\n");
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Answers(difference) => writeln!(text, "  TELLS: {difference}"),
            Self::Times(times) => {
                let Comparison { known, unknown, ratio, interval: (low, high) } = times;
                let verdict =
                    match (self.is_silent(), (RATIO_MIN..=RATIO_MAX).contains(low) && *high <= RATIO_MAX) {
                        (true, true) => "ok",
                        (true, false) => "ok, but chance alone could leave the bounds: take more samples",
                        (false, _) => "TELLS",
                    };
                writeln!(
                    text,
                    "  answers alike; median of known {:.3} ms, of unknown {:.3} ms\n  \
                     ratio {ratio:.3} (95 %: {low:.3} to {high:.3}; bounds {RATIO_MIN} to {RATIO_MAX}): {verdict}",
                    milliseconds(known),
                    milliseconds(unknown),
                )
            }
        };
        text.trim_end().to_owned()
    }
}

fn milliseconds(span: &Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

async fn measure(
    client: &mut Client,
    operation: &Operation,
    known: &Email,
    samples: usize,
    chance: &mut Chance,
) -> Result<Verdict, Failure> {
    let mut order: Vec<bool> = [true, false].repeat(samples);
    chance.shuffle(&mut order);
    order.splice(0..0, [true, false].repeat(WARM_UP));
    let mut times = (Vec::with_capacity(samples), Vec::with_capacity(samples));
    let mut first: Option<Shown> = None;
    for (number, is_known) in order.into_iter().enumerate() {
        let email = if is_known { known.as_str().to_owned() } else { unknown_like(known, chance) };
        let (shown, took) = client.post(operation.path, &(operation.body)(&email), operation.status).await?;
        match &first {
            None => first = Some(shown),
            Some(first) => {
                if let Some(difference) = difference(first, &shown) {
                    return Ok(Verdict::Answers(difference));
                }
            }
        }
        if number >= 2 * WARM_UP {
            if is_known { times.0.push(took) } else { times.1.push(took) }
        }
    }
    Ok(Verdict::Times(compare(&times.0, &times.1, chance)))
}

/// What two answers differ in, if anything.
fn difference(one: &Shown, other: &Shown) -> Option<String> {
    if one.headers != other.headers {
        let names: Vec<&str> = one
            .headers
            .keys()
            .chain(other.headers.keys())
            .filter(|name| one.headers.get(*name) != other.headers.get(*name))
            .map(String::as_str)
            .collect();
        return Some(format!("the answers differ in the headers {}", names.join(", ")));
    }
    (one.body != other.body).then(|| format!("the answers differ: {} and {}", one.body, other.body))
}

/// An address that has no account, as long as the known one so that it costs the same to read.
fn unknown_like(known: &Email, chance: &mut Chance) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let domain = known.as_str().rsplit_once('@').map_or("example.com", |(_, domain)| domain);
    // Short names may be taken.
    let length = known.as_str().len().saturating_sub(domain.len() + 1).max(8);
    let name: String = (0..length).map(|_| char::from(LETTERS[chance.below(LETTERS.len())])).collect();
    format!("{name}@{domain}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn shown(header: &str, body: &str) -> Shown {
        let headers = BTreeMap::from([("cache-control".to_owned(), header.to_owned())]);
        Shown { status: StatusCode::OK, headers, body: body.to_owned() }
    }

    #[test]
    fn answers_that_differ_are_told_apart() {
        assert_eq!(difference(&shown("a", "b"), &shown("a", "b")), None);
        let headers = difference(&shown("a", "b"), &shown("x", "b")).unwrap();
        assert!(headers.contains("cache-control"), "{headers}");
        assert!(difference(&shown("a", "b"), &shown("a", "x")).is_some());
    }

    #[test]
    fn a_ratio_out_of_bounds_tells() {
        let times = |ratio, interval| {
            let known = Duration::from_millis(20);
            Verdict::Times(Comparison { known, unknown: known, ratio, interval })
        };
        assert!(times(1.0, (0.95, 1.05)).is_silent());
        assert!(times(1.0, (0.95, 1.05)).describe("login", 200).ends_with(": ok"));
        assert!(times(1.05, (0.95, 1.15)).describe("login", 20).contains("more samples"));
        for ratio in [0.89, 1.11, 27.0] {
            let verdict = times(ratio, (ratio, ratio));
            assert!(!verdict.is_silent() && verdict.describe("login", 200).ends_with("TELLS"), "{ratio}");
        }
    }

    #[test]
    fn unknown_addresses_are_addresses_each_another_as_long_as_the_known_one() {
        let mut chance = Chance::seeded(1);
        let known = Email::parse("ada.lovelace@example.com").unwrap();
        let unknown = unknown_like(&known, &mut chance);
        assert_eq!(unknown.len(), known.as_str().len());
        assert!(Email::parse(&unknown).is_ok() && unknown.ends_with("@example.com"));
        assert_ne!(unknown_like(&known, &mut chance), unknown);
        let short = Email::parse("a@example.com").unwrap();
        assert_eq!(unknown_like(&short, &mut chance).len(), "12345678@example.com".len());
    }
}
