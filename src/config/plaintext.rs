//! What would travel through a network in the clear.

use url::Url;

use super::rules::{Review, is_loopback};
use super::{PublicUrl, TokenStoreSettings, is_loopback_host};
use crate::domain::postgres_url::PostgresUrl;

/// The modes in which Postgres is never spoken to in the clear. Without one of them (`prefer` is the
/// default) whoever sits in between has only to say that there is no TLS.
const ENCRYPTED: [&str; 3] = ["require", "verify-ca", "verify-full"];

impl Review<'_> {
    /// What keeps `serve` from starting: clients that are to come over http:// from elsewhere.
    pub(super) fn plaintext_public_url(&mut self) {
        const KEY: &str = "public_url";
        const DANGER: &str = "danger_plaintext_public_url";
        if !self.sound(&[KEY, "listen", DANGER]) {
            return;
        }
        let by_address = PublicUrl::of_address(self.settings.listen);
        let is_set = self.settings.public_url.is_some();
        let url = self.settings.public_url.as_ref().unwrap_or(&by_address);
        if url.is_https() || url.is_loopback() {
            return;
        }
        if self.settings.danger_plaintext_public_url {
            self.warn(DANGER, "is on: passwords and tokens travel in the clear");
            return;
        }
        let problem = match is_set {
            true => "is http:// on a name that is not this machine".to_owned(),
            false => format!("is not set, so that it is {url}, which is not this machine"),
        };
        let problem = format!("{problem}: passwords and tokens would travel in the clear");
        let mend = format!(
            "write https:// (a proxy in front has the certificate), or set `{DANGER}` = true if you mean it"
        );
        self.refuse(KEY, problem, mend);
    }

    /// What deserves a second thought: stores on other machines that are spoken to without TLS.
    pub(super) fn stores_in_the_clear(&mut self) {
        let database = &self.settings.database;
        for (key, url) in
            [("database.url", Some(&database.url)), ("database.migrate_url", database.migrate_url.as_ref())]
        {
            if self.sound(&[key]) && url.is_some_and(|url| is_spoken_to_in_the_clear(url.expose())) {
                self.warn(
                    key,
                    "leads to another machine and does not insist on TLS: accounts and password hashes may travel in \
                     the clear; add `?sslmode=verify-full` (or `require`, which checks no certificate)",
                );
            }
        }
        let TokenStoreSettings::Redis { url, .. } = &self.settings.token_store else { return };
        let is_plain = |url: Url| url.scheme() == "redis" && !is_loopback_host(&url);
        if self.sound(&["redis.url"]) && Url::parse(url.expose()).is_ok_and(is_plain) {
            self.warn(
                "redis.url",
                "leads to another machine without TLS: its password and everybody's sessions travel in the clear; \
                 write rediss://",
            );
        }
    }

    /// A file, a socket, or a server on this machine.
    pub(super) fn database_is_local(&self) -> bool {
        is_local(self.settings.database.url.expose())
    }
}

fn is_spoken_to_in_the_clear(database: &str) -> bool {
    !is_local(database)
        && PostgresUrl::parse(database).is_ok_and(|url| url.hosts().iter().any(|host| may_be_clear(host)))
}

/// Of the URL of one host.
fn may_be_clear(host: &str) -> bool {
    let Ok(url) = Url::parse(host) else { return false };
    // As sqlx reads it: the last one counts.
    let modes = url.query_pairs().filter(|(name, _)| matches!(&**name, "sslmode" | "ssl-mode"));
    let mode = modes.last().map(|(_, mode)| mode.to_ascii_lowercase());
    !mode.is_some_and(|mode| ENCRYPTED.contains(&mode.as_str()))
}

/// A file, or sockets and servers on this machine alone.
fn is_local(database: &str) -> bool {
    if database.starts_with("sqlite:") {
        return true;
    }
    PostgresUrl::parse(database).is_ok_and(|url| url.hosts().iter().all(|host| host_is_local(host)))
}

fn host_is_local(host: &str) -> bool {
    let Ok(url) = Url::parse(host) else { return false };
    let host = url.query_pairs().find(|(name, _)| matches!(&**name, "host" | "hostaddr"));
    match host {
        Some((_, host)) => {
            host.starts_with('/') || host.parse().is_ok_and(is_loopback) || host == "localhost"
        }
        None => is_loopback_host(&url),
    }
}
