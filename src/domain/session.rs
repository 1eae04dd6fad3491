//! A session: one login on one device, and the rules of its refresh token.

use std::time::Duration;

use super::audiences::Audiences;
use super::clock::Timestamp;
use super::ids::{SessionId, UserId};
use super::session_carried::Carried;
use super::session_origin::SessionOrigin;
use super::tokens::Generation;
use super::user::{SecurityVersion, User};

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
    /// How long a revocation must be remembered: until the last access token that it concerns is refused
    /// for its age by every validator. It was minted by a clock that may be ahead by the leeway, and is
    /// judged by one that may be behind by it.
    /// (model: DenialsOutliveTokens)
    pub fn revocation(&self) -> Duration {
        self.access_token + 2 * self.leeway
    }

    /// When a session that is used at `now` ends unless it is used again.
    pub fn idle_deadline(&self, now: Timestamp, absolute_deadline: Timestamp) -> Timestamp {
        now.after(self.idle).min(absolute_deadline)
    }
}

/// A session that is to be opened. When it begins and ends the token store says, by its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Which one.
    pub id: SessionId,
    /// Whom it acts for.
    pub user: UserId,
    /// The version of the credentials that were checked at login.
    pub security_version: SecurityVersion,
    /// What its tokens say besides, and where it is opened.
    pub carried: Carried,
}

impl NewSession {
    /// One for this account as it is now, whose owner has proven at `proven_at` who they are.
    pub fn of(user: &User, id: SessionId, proven_at: Timestamp, origin: SessionOrigin) -> Self {
        let carried = Carried::of(user, proven_at, origin);
        Self { id, user: user.id, security_version: user.security_version, carried }
    }

    /// The same for those that its login has asked for.
    #[must_use]
    pub fn granted(mut self, grant: Audiences) -> Self {
        self.carried.grant = grant;
        self
    }

    /// The session as it is when it is opened at `now`, in that incarnation.
    pub fn at(&self, now: Timestamp, incarnation: i64, lifetimes: &SessionLifetimes) -> Session {
        let Self { id, user, security_version, carried } = self.clone();
        let absolute_deadline = now.after(lifetimes.absolute);
        Session {
            id,
            user,
            security_version,
            carried,
            incarnation,
            generation: Generation::FIRST,
            created_at: now,
            rotated_at: now,
            issued_at: now,
            idle_deadline: lifetimes.idle_deadline(now, absolute_deadline),
            absolute_deadline,
        }
    }
}

/// A live session as the token store keeps it: what the store judges by, each field by itself, and what the session
/// carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which one.
    pub id: SessionId,
    /// Whom it acts for.
    pub user: UserId,
    /// The version of the credentials that were checked at login.
    pub security_version: SecurityVersion,
    /// What it was opened with and no store judges.
    pub carried: Carried,
    /// In which incarnation of the token store it was opened: after a loss of the store's data nothing of
    /// an earlier one counts.
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
    /// When its owner proved who they are, seconds since the Unix epoch: when it was opened, where nothing is
    /// written.
    pub fn auth_time(&self) -> i64 {
        self.carried.auth_time.unwrap_or_else(|| self.created_at.as_secs())
    }

    /// Moments that lie ahead of `now` cannot be true: the clock was put back. They count from now on, and
    /// what hangs on them keeps its length. Answers by how much they lay ahead, if they did.
    /// (model: StoresClockDecides)
    pub fn bring_back(&mut self, now: Timestamp) -> Option<Duration> {
        let ahead = self.rotated_at.max(self.created_at).since(now);
        if ahead.is_zero() {
            return None;
        }
        if self.rotated_at > now {
            self.idle_deadline = now.after(self.idle_deadline.since(self.rotated_at));
            self.rotated_at = now;
        }
        if self.created_at > now {
            self.absolute_deadline = now.after(self.absolute_deadline.since(self.created_at));
            self.created_at = now;
        }
        self.idle_deadline = self.idle_deadline.min(self.absolute_deadline);
        Some(ahead)
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
    use crate::domain::email::Email;
    use crate::domain::user::Role;

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
    fn what_lies_ahead_of_the_clock_counts_from_now_on_and_keeps_its_length() {
        let lifetimes = SessionLifetimes {
            idle: GRACE * 10,
            absolute: GRACE * 100,
            rotation_grace_period: GRACE,
            access_token: GRACE,
            leeway: Duration::ZERO,
        };
        let new = NewSession {
            id: uuid::Uuid::nil().into(),
            user: UserId::try_from(7).expect("a user id"),
            security_version: SecurityVersion::FIRST,
            carried: Carried::new(
                Email::parse("ada@example.com").expect("an address"),
                Role::Member,
                SessionOrigin::new(None, None, "hallpass"),
            ),
        };
        let (now, later) = (Timestamp::from_millis(1_000_000), Timestamp::from_millis(9_000_000));
        let mut session = new.at(now, 3, &lifetimes);
        assert_eq!(session.bring_back(now), None);
        session.rotated_at = later;
        session.idle_deadline = later.after(lifetimes.idle);
        assert_eq!(session.bring_back(now), Some(later.since(now)));
        assert_eq!(session, new.at(now, 3, &lifetimes), "what was opened in time keeps its end");
        let mut session = new.at(later, 3, &lifetimes);
        assert_eq!(session.bring_back(now), Some(later.since(now)));
        assert_eq!(session, Session { issued_at: later, ..new.at(now, 3, &lifetimes) });
    }

    #[test]
    fn a_grace_period_of_zero_leaves_no_window() {
        let at = Timestamp::from_millis(0);
        let verdict = Presented::judge(Generation::new(0), Generation::new(1), at, at, Duration::ZERO);
        assert_eq!(verdict, Presented::Superseded);
    }
}
