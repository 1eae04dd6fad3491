//! What would travel through a network in the clear.

use url::Url;

use super::rules::{Review, is_loopback};
use super::{PublicUrl, TokenStoreSettings, is_loopback_host};

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
        if self.sound(&["database.url"]) && self.speaks_to_database_in_the_clear() {
            self.warn(
                "database.url",
                "leads to another machine and does not insist on TLS: accounts and password hashes may travel in the \
                 clear; add `?sslmode=verify-full` (or `require`, which checks no certificate)",
            );
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

    fn speaks_to_database_in_the_clear(&self) -> bool {
        if self.database_is_local() {
            return false;
        }
        let Ok(url) = Url::parse(self.settings.database.url.expose()) else { return false };
        // As sqlx reads it: the last one counts.
        let modes = url.query_pairs().filter(|(name, _)| matches!(&**name, "sslmode" | "ssl-mode"));
        let mode = modes.last().map(|(_, mode)| mode.to_ascii_lowercase());
        !mode.is_some_and(|mode| ENCRYPTED.contains(&mode.as_str()))
    }

    /// A file, a socket, or a server on this machine.
    pub(super) fn database_is_local(&self) -> bool {
        let text = self.settings.database.url.expose();
        if text.starts_with("sqlite:") {
            return true;
        }
        let Ok(url) = Url::parse(text) else { return false };
        let host = url.query_pairs().find(|(name, _)| matches!(&**name, "host" | "hostaddr"));
        match host {
            Some((_, host)) => {
                host.starts_with('/') || host.parse().is_ok_and(is_loopback) || host == "localhost"
            }
            None => is_loopback_host(&url),
        }
    }
}
