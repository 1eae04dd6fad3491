//! SIGHUP: the settings are read again, and those that can change in a running service do.

use tokio::signal::unix::Signal;

use crate::api::root::cors::Cors;
use crate::api::wire::client_address::TrustedProxies;
use crate::config::{Loaded, Settings, Values, catalogue};
use crate::domain::causes::with_causes;
use crate::server::Unbounded;
use crate::service::limits::Limits;

use super::error::{BoxedError, StartError};
use super::wiring::{allowed_origins, proxies};

/// What changes in a running service: keys, or sections with a dot at the end.
const RELOADABLE: [&str; 5] =
    ["log.level", "cors.origins", "rate_limits.", "trusted_proxies", "forwarded_header"];

/// How the settings are read again.
pub struct Reload {
    /// As the service has started with them.
    pub started: Values,
    /// Reads them from where they came from, and refuses what would keep a service from starting.
    pub read: Box<dyn Fn() -> Result<Loaded, BoxedError> + Send>,
    /// Sets what is logged, as `log.level` writes it.
    pub set_log_level: fn(&str) -> Result<(), BoxedError>,
}

/// What a reload reaches.
pub(super) struct Reached {
    pub(super) limits: Limits,
    pub(super) cors: Cors,
    pub(super) proxies: Proxies,
}

/// The proxies in front of the service, by what they are known for.
pub(super) struct Proxies {
    /// They are believed about where a request comes from.
    pub(super) believed: TrustedProxies,
    /// They may have all connections.
    pub(super) unbounded: Unbounded,
}

impl Proxies {
    pub(super) fn of(settings: &Settings) -> Self {
        Self { believed: proxies(settings), unbounded: Unbounded::new(settings.trusted_proxies.clone()) }
    }

    fn change(&self, settings: &Settings) {
        self.believed.change(&settings.trusted_proxies, settings.forwarded_header);
        self.unbounded.change(settings.trusted_proxies.clone());
    }
}

/// Hears of SIGHUP from now on, which ends the process otherwise.
///
/// # Errors
/// [`StartError::Signals`].
pub(super) fn listen() -> Result<Signal, StartError> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::hangup()).map_err(StartError::Signals)
}

/// Reads the settings again at each SIGHUP.
pub(super) async fn keep_reloading(mut hangups: Signal, reload: Reload, reached: Reached) {
    let mut last = reload.started.clone();
    while hangups.recv().await.is_some() {
        match (reload.read)() {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    tracing::warn!(setting = warning.key, "{warning}");
                }
                apply(&reload, &reached, &last, &loaded);
                last = loaded.values;
            }
            Err(error) => {
                tracing::error!(error = %with_causes(&*error), "settings not reloaded: all stay as they were");
            }
        }
    }
}

/// Carries out what changed since the `last` time, and says which changes wait for a restart.
fn apply(reload: &Reload, reached: &Reached, last: &Values, loaded: &Loaded) {
    let changed: Vec<_> = changes(last, &loaded.values).filter(|key| is_reloadable(key)).collect();
    let waiting: Vec<_> =
        changes(&reload.started, &loaded.values).filter(|key| !is_reloadable(key)).collect();
    // The new level may be one at which this is not logged, or the old one was.
    tracing::info!(changed = %changed.join(", "), "reloading settings");
    change(reload, reached, &loaded.settings);
    tracing::info!(changed = %changed.join(", "), "settings reloaded");
    for setting in waiting {
        tracing::warn!(setting, "changed, and takes effect after a restart");
    }
}

fn change(reload: &Reload, reached: &Reached, settings: &Settings) {
    reached.limits.change_rules(settings.rate_limits);
    reached.cors.change(allowed_origins(settings));
    reached.proxies.change(settings);
    if let Err(error) = (reload.set_log_level)(&settings.log.level) {
        tracing::error!(error = %with_causes(&*error), "log.level stays as it was");
    }
}

/// The keys of the settings that two readings differ in; never what they say.
fn changes(one: &Values, other: &Values) -> impl Iterator<Item = &'static str> {
    let keys = catalogue().iter().map(|setting| setting.key);
    keys.filter(|key| one.text(key) != other.text(key))
}

fn is_reloadable(key: &str) -> bool {
    RELOADABLE.iter().any(|known| match known.strip_suffix('.') {
        Some(_) => key.starts_with(known),
        None => key == *known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_are_settings_that_there_are() {
        let keys: Vec<_> =
            catalogue().iter().map(|setting| setting.key).filter(|key| is_reloadable(key)).collect();
        for known in RELOADABLE {
            assert!(keys.iter().any(|key| key.starts_with(known)), "{known}");
        }
        assert!(!is_reloadable("log.format") && !is_reloadable("secret") && keys.len() > 10, "{keys:?}");
    }
}
