//! A session: one login on one device, and the rules of its refresh token.

use std::time::Duration;

use super::clock::Timestamp;
use super::email::Email;
use super::ids::{SessionId, UserId};
use super::session_origin::SessionOrigin;
use super::tokens::Generation;
use super::user::{Role, SecurityVersion};

/// How long sessions and their tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLifetimes {
    /// A session ends when it has not been refreshed for this long.
    pub idle: Duration,
    /// A session ends this long after its login, whatever happens (ASVS 5.0 10.4.8).
    pub absolute: Duration,
    /// For this long after a rotation the token before the current one still gets the same
    /// successor: two tabs, or an answer that was lost on the way. Zero turns that off.
    pub rotation_grace_period: Duration,
    /// Lifetime of an access token.
    pub access_token: Duration,
    /// How far the clocks of two machines may differ.
    pub leeway: Duration,
}

impl SessionLifetimes {
    /// How long a revocation must be remembered: until the last access token that it concerns
    /// is refused for its age by every validator.
    pub fn revocation(&self) -> Duration {
        self.access_token + self.leeway
    }

    /// When a session that is used at `now` ends unless it is used again.
    pub fn idle_deadline(&self, now: Timestamp, absolute_deadline: Timestamp) -> Timestamp {
        now.after(self.idle).min(absolute_deadline)
    }
}

/// Whom a session acts for, as its access tokens say it. A change of any of these ends the
/// session (a new [`SecurityVersion`]), so refreshing needs no look at the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Who.
    pub user: UserId,
    /// The address at login.
    pub email: Email,
    /// The role at login.
    pub role: Role,
    /// The version of the credentials that were checked at login.
    pub security_version: SecurityVersion,
}

/// A live session as the token store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which one.
    pub id: SessionId,
    /// Whom it acts for.
    pub subject: Subject,
    /// Where it was opened.
    pub origin: SessionOrigin,
    /// In which incarnation of the token store it was opened: after a loss of the store's data nothing of
    /// an earlier one counts. 0 before it is opened.
    pub incarnation: i64,
    /// The current refresh token.
    pub generation: Generation,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When the refresh token was last rotated; the login counts.
    pub rotated_at: Timestamp,
    /// When its newest access token was minted, and so when it was last used, as far as is known: access
    /// tokens are checked elsewhere too.
    pub issued_at: Timestamp,
    /// When it ends unless refreshed.
    pub idle_deadline: Timestamp,
    /// When it ends in any case.
    pub absolute_deadline: Timestamp,
}

impl Session {
    /// A session that is opened at `now`.
    pub fn open(
        id: SessionId,
        subject: Subject,
        origin: SessionOrigin,
        now: Timestamp,
        lifetimes: &SessionLifetimes,
    ) -> Self {
        let absolute_deadline = now.after(lifetimes.absolute);
        Self {
            id,
            subject,
            origin,
            incarnation: 0,
            generation: Generation::FIRST,
            created_at: now,
            rotated_at: now,
            issued_at: now,
            idle_deadline: lifetimes.idle_deadline(now, absolute_deadline),
            absolute_deadline,
        }
    }

    /// Whether the session has ended by itself at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.timeout(now).is_some()
    }

    /// By which of its deadlines the session has ended at `now`, if it has: by the earlier one.
    pub fn timeout(&self, now: Timestamp) -> Option<Timeout> {
        let (end, timeout) = if self.idle_deadline < self.absolute_deadline {
            (self.idle_deadline, Timeout::Idle)
        } else {
            (self.absolute_deadline, Timeout::Absolute)
        };
        (now >= end).then_some(timeout)
    }
}

/// Why a session has ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// It was not refreshed for too long.
    Idle,
    /// Its time was over, however much it was used.
    Absolute,
}

/// What a presented refresh token is, measured against its session's current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// The current token.
    Current,
    /// The one before, within the grace period: a concurrent refresh or a lost answer.
    Previous,
    /// An older one: whoever presents it took it from somebody.
    Superseded,
    /// Newer than the store knows. The MAC proves it ours, so the store lost a write.
    Ahead,
}

impl Presented {
    /// The rule that every store follows (RFC 9700 4.14.2, with a grace period).
    /// (model: GraceClosesOnUse)
    pub fn judge(
        presented: Generation,
        current: Generation,
        rotated_at: Timestamp,
        now: Timestamp,
        grace: Duration,
    ) -> Self {
        if presented == current {
            Self::Current
        } else if presented > current {
            Self::Ahead
        } else if presented.next() == current && now < rotated_at.after(grace) {
            Self::Previous
        } else {
            Self::Superseded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    fn judge(presented: u32, current: u32, elapsed_ms: i64) -> Presented {
        Presented::judge(
            Generation::new(presented),
            Generation::new(current),
            Timestamp::from_millis(1_000),
            Timestamp::from_millis(1_000 + elapsed_ms),
            GRACE,
        )
    }

    #[test]
    fn the_grace_period_ends_to_the_millisecond() {
        assert_eq!(judge(4, 5, 29_999), Presented::Previous);
        assert_eq!(judge(4, 5, 30_000), Presented::Superseded);
    }

    #[test]
    fn two_generations_back_is_reuse_at_once() {
        assert_eq!(judge(3, 5, 0), Presented::Superseded);
    }

    #[test]
    fn current_and_ahead_do_not_depend_on_time() {
        assert_eq!(judge(5, 5, 1_000_000), Presented::Current);
        assert_eq!(judge(9, 5, 1_000_000), Presented::Ahead);
    }

    #[test]
    fn a_grace_period_of_zero_leaves_no_window() {
        let at = Timestamp::from_millis(0);
        let verdict = Presented::judge(Generation::new(0), Generation::new(1), at, at, Duration::ZERO);
        assert_eq!(verdict, Presented::Superseded);
    }
}
