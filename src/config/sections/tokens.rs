//! `tokens.*`: what tokens say, and how long they live.

use std::ops::RangeInclusive;
use std::time::Duration;

use hallpass_verify::TokenType;

use super::claims::{self, ClaimsCutOff};
use crate::config::engine::{Always, Later, Nothing, Parsed, Review, parse, problem, settings};
use crate::domain::audiences::{Audiences, is_resource};
use crate::domain::mapped_claims::MappedClaims;
use crate::domain::session::SessionLifetimes;

/// A second is the grain of a token's times.
const ACCESS_TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

const LEEWAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);

/// A leap year at most: whoever wants more means "for ever".
const ABSOLUTE_TTL: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(366 * 24 * 3600);

/// Beyond this a stolen refresh token has time to be used beside the real one.
const ROTATION_GRACE_WISE: Duration = Duration::from_secs(120);

settings! {
    /// What tokens say, and how long they live.
    #[derive(Clone, Debug)]
    pub struct TokenSettings {
        /// Lifetimes of access tokens and sessions, the grace period and the leeway.
        lifetimes: SessionLifetimes,
        /// The audience (`aud`) of access tokens.
        audience: Option<String> = "tokens.audience" {
            kind: Text, parse: parse::text,
            default: Later { says: "the `public_url`", by: |values| values.text("public_url").map(str::to_owned) },
            example: "https://api.example.com",
        },
        /// Whom else logins may ask for tokens for (`resource`), as absolute URIs with commas between (a list in the
        /// file). See [docs/tokens.md](docs/tokens.md).
        audiences: Audiences = "tokens.audiences" {
            kind: List, parse: audiences, default: Nothing, example: "https://orders.example.com",
        },
        /// The `typ` of access tokens: `at+jwt` (RFC 9068), or `JWT` for validators that refuse it.
        typ: TokenType = "tokens.typ" {
            kind: Text,
            parse: parse::choice("is no type of an access token", [("at+jwt", TokenType::AtJwt), ("JWT", TokenType::Jwt)]),
            default: Always("at+jwt"), example: "JWT",
        },
        /// Claims of your own, by name: a path like `account.metadata.tenant`, or a table with `value` or `from`, and
        /// `audiences`; in the environment one JSON object. See [docs/claims.md](docs/claims.md).
        claims: MappedClaims = "tokens.claims" {
            kind: Table, parse: claims::claims, default: Nothing, example: "{\"tenant\": \"account.metadata.tenant\"}",
        },
        /// Claims of your own whose change of value ends the account's sessions, with commas between (a list in the
        /// file), or `true` for all. Without, tokens have the new value from the next refresh on.
        claims_cut_off: ClaimsCutOff = "tokens.claims_cut_off" {
            kind: List, parse: claims::cut_off, default: Nothing, example: "true",
        },
    }
}

settings! {
    for SessionLifetimes {
        /// How long an access token lives (1s to 24h).
        access_token: Duration = "tokens.access_ttl" {
            kind: Text, parse: parse::seconds(ACCESS_TTL), default: Always("15m"), example: "5m",
        },
        /// How far the clocks of two machines may differ (60s at most).
        leeway: Duration = "tokens.leeway" {
            kind: Text, parse: parse::seconds(LEEWAY), default: Always("5s"), example: "30s",
        },
        /// A session ends when it has not been refreshed for this long.
        idle: Duration = "tokens.refresh.idle_ttl" {
            kind: Text, parse: parse::duration, default: Always("7d"), example: "24h",
        },
        /// A session ends this long after its login in any case (366d at most).
        absolute: Duration = "tokens.refresh.absolute_ttl" {
            kind: Text, parse: parse::span(ABSOLUTE_TTL), default: Always("30d"), example: "90d",
        },
        /// For this long a refresh token that was just used still gets the same successor (two tabs, a lost answer);
        /// `0s` turns that off.
        rotation_grace_period: Duration = "tokens.refresh.rotation_grace_period" {
            kind: Text, parse: parse::duration, default: Always("30s"), example: "0s",
        },
    }
}

fn audiences(text: &str) -> Parsed<Audiences> {
    let listed = parse::list(resource)(text)?;
    Audiences::listed(listed)
        .or_else(|error| problem(error.to_string(), "name fewer of them, or shorter ones"))
}

fn resource(text: &str) -> Parsed<String> {
    match is_resource(text) {
        true => Ok(text.to_owned()),
        false => problem(
            format!("names {text:?}, which no login can ask for"),
            "write absolute URIs without a fragment, like https://orders.example.com, with a comma between",
        ),
    }
}

impl TokenSettings {
    pub(crate) fn review(&self, review: &mut Review<'_>) {
        const ACCESS: &str = "tokens.access_ttl";
        const IDLE: &str = "tokens.refresh.idle_ttl";
        const ABSOLUTE: &str = "tokens.refresh.absolute_ttl";
        const GRACE: &str = "tokens.refresh.rotation_grace_period";
        const HELP: &str = "shorten it, or lengthen the other";
        self.claims_cut_off.review(&self.claims, review);
        let lifetimes = &self.lifetimes;
        if review.sound(&[IDLE, ABSOLUTE]) && lifetimes.idle > lifetimes.absolute {
            review.refuse(IDLE, format!("is longer than `{ABSOLUTE}`"), HELP);
        }
        if review.sound(&[ACCESS, IDLE]) && lifetimes.access_token > lifetimes.idle {
            review.refuse(ACCESS, format!("is longer than `{IDLE}`"), HELP);
        }
        if review.sound(&[GRACE, IDLE]) && lifetimes.rotation_grace_period >= lifetimes.idle {
            review.refuse(GRACE, format!("is not shorter than `{IDLE}`"), "shorten it; 30s is plenty");
        } else if review.sound(&[GRACE]) && lifetimes.rotation_grace_period > ROTATION_GRACE_WISE {
            let text = "is long: until it is over, a stolen refresh token works beside the real one";
            review.warn(GRACE, text);
        }
    }
}
