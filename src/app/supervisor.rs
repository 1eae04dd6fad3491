//! What a service tells the process that watches it (systemd's sd_notify(3)): what it is up to, and from when on it
//! answers. Where nobody watches (`NOTIFY_SOCKET` is not set) nothing is told.

use sd_notify::NotifyState;

use crate::domain::causes::with_causes;

/// Requests are answered from now on.
pub(super) fn is_ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("answers requests")]);
}

/// The process lives, and waits for its database.
pub(super) fn waits_for_database() {
    tell(&[NotifyState::Status("waits for the database, and answers health checks alone")]);
}

/// It was told to stop, and finishes what it has begun.
pub(super) fn is_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishes what it has begun")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %with_causes(&error), "the service manager cannot be told");
    }
}
