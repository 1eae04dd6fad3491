//! `reset.*`: forgotten passwords.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::smtp::{link, review_link};
use crate::config::engine::{Always, Computed, Later, Profile, Review, Values, parse, settings};
use crate::domain::link::LinkTemplate;

/// The page of hallpass' own where a new password is chosen, below the public URL.
pub const RESET_PAGE: &str = "/reset-password";

const TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// How a reset token reaches its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetDelivery {
    /// In the answer to whoever asks: only where nobody but the developer can ask.
    Response,
    /// In the log: dangerous, since whoever reads the log can take over any account.
    Log,
    /// By mail, as a link.
    Smtp,
    /// Not at all: a request is answered as ever, and no token is made.
    Off,
}

const DELIVERIES: [(&str, ResetDelivery); 4] = [
    ("off", ResetDelivery::Off),
    ("response", ResetDelivery::Response),
    ("log", ResetDelivery::Log),
    ("smtp", ResetDelivery::Smtp),
];

settings! {
    /// Password resets.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ResetSettings {
        /// How long a password-reset token lives (1s to 24h).
        ttl: Duration = "reset.ttl" {
            kind: Text, parse: parse::seconds(TTL), default: Always("10m"), example: "30m",
        },
        /// How a reset token reaches its user: `smtp` (a mail with a link; needs `smtp.host`, but in `dev`),
        /// `response` (in the answer: for trying out), `log` (needs `reset.danger_log_tokens`), or `off` (no reset
        /// tokens are made).
        delivery: ResetDelivery = "reset.delivery" {
            kind: Text, parse: parse::choice("is no way to deliver a reset token", DELIVERIES),
            default: Computed {
                says: "`dev`: `response`; `serve`: `smtp` if `smtp.host` is set, else `off`", by: delivery,
            },
            example: "smtp",
        },
        /// The page that the link in a reset mail leads to, with the token in place of `{token}`; behind a `#` it
        /// reaches no server's log.
        url: Option<LinkTemplate> = "reset.url" {
            kind: Text, parse: link,
            default: Later {
                says: "`<public_url>/reset-password#token={token}`, a page of hallpass' own",
                by: |values| Some(format!("{}{RESET_PAGE}#token={{token}}", values.text("public_url")?)),
            },
            example: "https://app.example.com/reset#token={token}",
        },
        /// Allow `reset.delivery = "log"` in `serve`: whoever reads the log can then take over any account.
        danger_log_tokens: bool = "reset.danger_log_tokens" {
            kind: Boolean, parse: parse::boolean, default: Always("false"), example: "true",
        },
    }
}

fn delivery(values: &Values) -> Option<String> {
    let delivery = match values.profile() {
        Profile::Dev => "response",
        Profile::Serve if values.text("smtp.host").is_some() => "smtp",
        Profile::Serve => "off",
    };
    Some(delivery.to_owned())
}

impl ResetSettings {
    /// What keeps `serve` from starting, or deserves a second thought there. `exposed` is whether others than this
    /// machine reach the service.
    pub(crate) fn review_production(&self, exposed: bool, review: &mut Review<'_>) {
        const KEY: &str = "reset.delivery";
        review_link("reset.url", self.url.as_ref(), review);
        match self.delivery {
            ResetDelivery::Response if exposed => {
                let problem = "= \"response\" lets anyone who reaches this service reset any password";
                review.refuse(KEY, problem, "write off; response is for a service on a loopback address");
            }
            ResetDelivery::Log if !self.danger_log_tokens => {
                let problem = "= \"log\" lets anyone who reads the log reset any password";
                let help = "write off, or set `reset.danger_log_tokens` = true if you mean it";
                review.refuse(KEY, problem, help);
            }
            ResetDelivery::Log => {
                let text = "is on: whoever reads the log can take over any account";
                review.warn("reset.danger_log_tokens", text);
            }
            ResetDelivery::Response | ResetDelivery::Smtp | ResetDelivery::Off => {}
        }
    }
}
