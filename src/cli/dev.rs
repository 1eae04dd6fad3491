//! `hallpass dev`: a service with nothing to set up, for this machine alone.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;

use super::{Failure, ListenArgs};
use crate::api::pages::dev_mails::PATH as MAILS;
use crate::api::pages::metrics::PATH as METRICS;
use crate::app::{self, Bound, EXAMPLE_PASSWORD, EXAMPLE_PEOPLE, ExamplePerson, Start};
use crate::config::{
    Profile, ResetDelivery, SAMPLE_ADMIN_PASSWORD, SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET, Settings,
};

/// The arguments of the command.
#[derive(Args)]
pub(super) struct DevArgs {
    /// Make example people, with a password that everybody knows
    #[arg(long)]
    seed: bool,
    #[command(flatten)]
    pub(super) settings: ListenArgs,
}

/// People with a known password are not for a database that others have, too.
#[derive(Debug, thiserror::Error)]
#[error("--seed makes people whose password everybody knows, and the database is on another machine")]
pub(super) struct SeedElsewhere;

/// Runs the command.
pub(super) fn run(args: DevArgs) -> Result<ExitCode, Failure> {
    let example_people = args.seed;
    let settings = super::load_to_start(args.settings, Profile::Dev)?.settings;
    if example_people && !settings.database.is_local() {
        return Err(SeedElsewhere.into());
    }
    super::block_on(async {
        let listening = |settings: &Settings, bound| {
            let people = if example_people { people() } else { String::new() };
            super::print_line(&(banner(settings, bound) + &people + PRODUCTION));
        };
        Ok(app::run(Start { settings, example_people, reload: None }, listening).await?)
    })
}

/// Who is there to try things out with.
fn people() -> String {
    let mut text =
        format!("\n  People, all with the password \"{EXAMPLE_PASSWORD}\" unless it was changed:\n\n");
    for ExamplePerson { email, name: [first, last], role, disabled } in EXAMPLE_PEOPLE {
        let shut = if disabled { ", disabled" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {email:<19}{first} {last}, {role}{shut}");
    }
    text
}

/// What `hallpass dev` says once it listens: where things are, and what to try first.
pub fn banner(settings: &Settings, bound: Bound) -> String {
    let url = settings.issuer(bound.api);
    let database = match settings.database.url.expose().split_once(':') {
        Some(("sqlite", _)) => "SQLite",
        _ => "Postgres",
    };
    let token_store = settings.token_store.title();
    let docs = settings.docs.enabled.then(|| ("Docs", format!("{url}/docs")));
    let mut rows: Vec<_> = docs.into_iter().collect();
    rows.push(("API", format!("{url}/openapi.json")));
    if let Some((email, _)) = settings.admin.account() {
        // Only the password that everybody knows is printed.
        let password = if settings.admin.has_sample_password() { SAMPLE_ADMIN_PASSWORD } else { "(as set)" };
        rows.push(("Admin", format!("{email} / {password}")));
    }
    rows.push(("Client", format!("{SAMPLE_CLIENT_ID} / {SAMPLE_CLIENT_SECRET}")));
    rows.push(("Data", settings.data_dir.display().to_string()));
    rows.push(("Stores", format!("accounts: {database}, sessions: {token_store}")));
    let resets = match settings.reset.delivery {
        ResetDelivery::Response => "tokens come in the answer",
        ResetDelivery::Log => "tokens are logged",
        ResetDelivery::Smtp => "tokens are mailed",
        ResetDelivery::Off => "off",
    };
    rows.push(("Resets", resets.to_owned()));
    if settings.shows_mails() {
        rows.push(("Mails", format!("{url}{MAILS}")));
    }
    match (bound.metrics, settings.metrics.listen) {
        (Some(at), _) => rows.push(("Metrics", format!("http://{at}{METRICS}"))),
        (None, Some(wanted)) => rows.push(("Metrics", format!("none: {wanted} cannot be had"))),
        (None, None) => {}
    }
    if !url.is_https() {
        rows.push(("Cookies", COOKIES.to_owned()));
    }

    let mut banner = format!("\n  hallpass {} for development\n\n", env!("CARGO_PKG_VERSION"));
    for (name, text) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(banner, "    {name:<8}{text}");
    }
    if let Some(email) = sample_account(settings) {
        banner.push_str(&commands(url.as_str(), email, settings.shows_mails()));
    }
    banner
}

/// The administrator whose password everybody knows, if that is the one.
fn sample_account(settings: &Settings) -> Option<&str> {
    let (email, _) = settings.admin.account()?;
    settings.admin.has_sample_password().then(|| email.as_str())
}

/// What to try first, to be copied into a shell as it stands.
fn commands(url: &str, email: &str, shows_mails: bool) -> String {
    let json = "-H 'Content-Type: application/json'";
    let mut text = format!(
        r#"
  Log in, and ask who that is; then forget the password:

TOKEN=$(curl -s {url}/auth/login {json} \
  -d '{{"email": "{email}", "password": "{SAMPLE_ADMIN_PASSWORD}"}}' | sed 's/.*"accessToken":"\([^"]*\)".*/\1/')
curl -s {url}/auth/auth-me -H "Authorization: Bearer $TOKEN"
curl -s {url}/auth/reset-password-request {json} -d '{{"email": "{email}"}}'
"#
    );
    if shows_mails {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "curl -s {url}{MAILS}   # better in a browser");
    }
    text
}

/// Of `Hallpass-Mode: cookie` (RFC 6265 8.5).
const COOKIES: &str = "know no ports without TLS: a page's session goes to whatever runs on localhost";

const PRODUCTION: &str = "
  Not for production: it answers on this machine only, and its defaults are known to everyone.
  Production is `hallpass serve`. It needs HALLPASS_SECRET (32 random bytes or more),
  HALLPASS_PUBLIC_URL and REDIS_URL; `hallpass config check` says what is missing.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FlagValue, Purpose, Sources, load};

    fn banner_with(assignments: &[&str]) -> String {
        let flags = assignments.iter().map(|text| FlagValue::Set((*text).to_owned())).collect();
        let sources = Sources { flags, ..Sources::default() };
        let settings = load(Profile::Dev, Purpose::Start, &sources).unwrap().settings;
        banner(&settings, Bound { api: "127.0.0.1:40001".parse().unwrap(), metrics: settings.metrics.listen })
    }

    #[test]
    fn the_banner_says_where_things_are() {
        let banner = banner_with(&["listen=127.0.0.1:0"]);
        for part in [
            "http://127.0.0.1:40001/docs",
            "http://127.0.0.1:40001/openapi.json",
            "johndoe@example.com / password",
            "books / books-dev-secret",
            "hallpass-data",
            "accounts: SQLite, sessions: embedded",
            "tokens come in the answer",
            "Cookies know no ports",
            "Mails   http://127.0.0.1:40001/dev/mails",
            "Metrics http://127.0.0.1:9464/metrics",
            "TOKEN=$(curl -s http://127.0.0.1:40001/auth/login",
        ] {
            assert!(banner.contains(part), "{part:?} is missing in:\n{banner}");
        }
    }

    #[test]
    fn the_banner_follows_the_settings() {
        assert!(banner_with(&[]).contains("Docs  "));
        let banner =
            banner_with(&["redis.url=redis://localhost", "reset.delivery=off", "docs.enabled=false"]);
        assert!(!banner.contains("Docs") && banner.contains("/openapi.json"), "{banner}");
        assert!(banner.contains("sessions: Redis"), "{banner}");
        assert!(banner.contains("Resets  off"), "{banner}");
        assert!(!banner_with(&["public_url=https://auth.example.com"]).contains("Cookies"));
        assert!(!banner_with(&["metrics.listen=off"]).contains("Metrics"));
        let mailed = banner_with(&["smtp.host=127.0.0.1", "smtp.from=a@example.com"]);
        assert!(!mailed.contains("/dev/mails") && mailed.contains("TOKEN="), "{mailed}");
    }

    #[test]
    fn the_banner_hides_a_password_that_somebody_chose() {
        let environment = [("EMAIL", "ada@example.com"), ("PASSWORD", "hunter2")]
            .map(|(name, value)| (format!("HALLPASS_ADMIN__{name}"), value.into()))
            .into();
        let sources = Sources { environment, ..Sources::default() };
        let settings = load(Profile::Dev, Purpose::Start, &sources).unwrap().settings;
        let banner = banner(&settings, Bound { api: settings.listen, metrics: None });
        assert!(banner.contains("ada@example.com / (as set)") && !banner.contains("hunter2"), "{banner}");
        assert!(!banner.contains("TOKEN="), "nobody could log in like this: {banner}");
    }
}
