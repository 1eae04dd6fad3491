//! `hallpass dev`: a service with nothing to set up, for this machine alone.

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use super::{Failure, ListenArgs};
use crate::app;
use crate::config::{
    Profile, ResetDelivery, SAMPLE_ADMIN_PASSWORD, SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET, Settings,
};

/// Runs the command.
pub(super) fn run(args: ListenArgs) -> Result<ExitCode, Failure> {
    let loaded = super::load_to_start(args, Profile::Dev)?;
    super::block_on(async {
        let listening = |settings: &Settings, bound| super::print_line(&banner(settings, bound));
        Ok(app::run(loaded.settings, listening).await?)
    })
}

/// What `hallpass dev` says once it listens on `bound`: where things are, that this is no
/// production, and what production needs.
pub fn banner(settings: &Settings, bound: SocketAddr) -> String {
    let url = settings.issuer(bound);
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
    if !url.is_https() {
        rows.push(("Cookies", COOKIES.to_owned()));
    }

    let mut banner = format!("\n  hallpass {} for development\n\n", env!("CARGO_PKG_VERSION"));
    for (name, text) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(banner, "    {name:<8}{text}");
    }
    banner.push_str(PRODUCTION);
    banner
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
        banner(&settings, "127.0.0.1:40001".parse().unwrap())
    }

    #[test]
    fn the_banner_says_where_things_are_and_what_production_needs() {
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
            "Not for production",
            "hallpass serve",
            "HALLPASS_SECRET",
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
    }

    #[test]
    fn the_banner_hides_a_password_that_somebody_chose() {
        let environment = [("EMAIL", "ada@example.com"), ("PASSWORD", "hunter2")]
            .map(|(name, value)| (format!("HALLPASS_ADMIN__{name}"), value.into()))
            .into();
        let sources = Sources { environment, ..Sources::default() };
        let settings = load(Profile::Dev, Purpose::Start, &sources).unwrap().settings;
        let banner = banner(&settings, settings.listen);
        assert!(banner.contains("ada@example.com / (as set)") && !banner.contains("hunter2"), "{banner}");
    }
}
