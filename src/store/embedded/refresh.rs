//! What a presented refresh token does to its session: decided here, without a statement.

use super::fault::Fault;
use super::session_row::{Change, SessionRow};
use crate::domain::clock::Timestamp;
use crate::domain::session::{Presented, Session, SessionLifetimes};
use crate::domain::tokens::{Generation, RefreshClaims};
use crate::store::sessions::{OnReuse, RefreshOutcome};

/// What stands under the id of the session that a token names.
pub(super) enum Found {
    /// The session; it may have ended by itself.
    Session(Box<SessionRow>),
    /// That it was ended since its account had too many.
    Evicted {
        /// Until when that matters.
        until: Timestamp,
    },
    /// Nothing.
    Nothing,
}

/// What the caller hears, and what becomes of the session.
pub(super) struct Decision {
    pub(super) outcome: RefreshOutcome,
    pub(super) change: Change,
}

impl Decision {
    fn unchanged(outcome: RefreshOutcome) -> Self {
        Self { outcome, change: Change::None }
    }

    /// The session is written as it is given here.
    fn kept(session: Session, outcome: fn(Session) -> RefreshOutcome) -> Self {
        Self { outcome: outcome(session.clone()), change: Change::Keep(session) }
    }

    /// The session stays as it is, but for the access token that is minted for it now. `issued_at`
    /// has the grain of that token's `iat`: within one second there is nothing new to write, unless it has `changed`.
    fn minted(
        session: Session,
        changed: bool,
        now: Timestamp,
        outcome: fn(Session) -> RefreshOutcome,
    ) -> Self {
        let is_noted = !changed && session.issued_at.as_secs() >= now.as_secs();
        let minted = Self::kept(Session { issued_at: now, ..session }, outcome);
        if is_noted { Self::unchanged(minted.outcome) } else { minted }
    }

    fn reused(change: Change) -> Self {
        Self { outcome: RefreshOutcome::Reused, change }
    }
}

/// Redeems the token.
/// (model: AheadMovesForward, ReuseEndsTheSession)
pub(super) fn rotate(
    row: Found,
    token: &RefreshClaims,
    now: Timestamp,
    lifetimes: &SessionLifetimes,
) -> Result<Decision, Fault> {
    let successor = |session| successor(session, token.generation, now, lifetimes);
    Ok(match judge(row, token, now, lifetimes)? {
        Judged::Settled(outcome) => Decision::unchanged(outcome),
        Judged::Stands(Presented::Current, session, _) => {
            Decision::kept(successor(session), RefreshOutcome::Current)
        }
        Judged::Stands(Presented::Ahead, session, _) => {
            Decision::kept(successor(session), RefreshOutcome::Recovered)
        }
        Judged::Stands(Presented::Previous, session, changed) => {
            Decision::minted(session, changed, now, RefreshOutcome::Previous)
        }
        Judged::Stands(Presented::Superseded, session, _) => Decision::reused(Change::end(&session)),
    })
}

/// Judges the token without rotating it.
/// (model: AheadMovesForward, ReuseEndsTheSession)
pub(super) fn check(
    row: Found,
    token: &RefreshClaims,
    now: Timestamp,
    lifetimes: &SessionLifetimes,
    on_reuse: OnReuse,
) -> Result<Decision, Fault> {
    Ok(match judge(row, token, now, lifetimes)? {
        Judged::Settled(outcome) => Decision::unchanged(outcome),
        Judged::Stands(Presented::Current, session, changed) => {
            Decision::minted(session, changed, now, RefreshOutcome::Current)
        }
        Judged::Stands(Presented::Previous, session, changed) => {
            Decision::minted(session, changed, now, RefreshOutcome::Previous)
        }
        Judged::Stands(Presented::Ahead, session, _) => {
            let moved_on =
                Session { generation: token.generation, rotated_at: now, issued_at: now, ..session };
            Decision::kept(moved_on, RefreshOutcome::Recovered)
        }
        Judged::Stands(Presented::Superseded, session, _) => Decision::reused(match on_reuse {
            OnReuse::Revoke => Change::end(&session),
            OnReuse::Refuse => Change::None,
        }),
    })
}

/// A presented token and the session that it names.
enum Judged {
    /// There is no such session, or it has ended by itself.
    Settled(RefreshOutcome),
    /// There is one, and this is what the token is to it; and whether the clock was put back since.
    Stands(Presented, Session, bool),
}

fn judge(
    row: Found,
    token: &RefreshClaims,
    now: Timestamp,
    lifetimes: &SessionLifetimes,
) -> Result<Judged, Fault> {
    let mut session = match row {
        Found::Session(row) => Session::try_from(*row)?,
        Found::Evicted { until } if now < until => return Ok(Judged::Settled(RefreshOutcome::Evicted)),
        Found::Evicted { .. } | Found::Nothing => return Ok(Judged::Settled(RefreshOutcome::Unknown)),
    };
    if let Some(timeout) = session.timeout(now) {
        return Ok(Judged::Settled(RefreshOutcome::Expired(timeout)));
    }
    let ahead = session.bring_back(now);
    if let Some(ahead) = ahead {
        let (session, ahead_ms) = (session.id, ahead.as_millis());
        tracing::warn!(%session, ahead_ms, "the clock was put back: a session counts from now on");
    }
    let grace = lifetimes.rotation_grace_period;
    let presented = Presented::judge(token.generation, session.generation, session.rotated_at, now, grace);
    Ok(Judged::Stands(presented, session, ahead.is_some()))
}

/// The session once the token of `redeemed` has been exchanged for the next.
fn successor(
    session: Session,
    redeemed: Generation,
    now: Timestamp,
    lifetimes: &SessionLifetimes,
) -> Session {
    Session {
        generation: redeemed.next(),
        rotated_at: now,
        issued_at: now,
        idle_deadline: lifetimes.idle_deadline(now, session.absolute_deadline),
        ..session
    }
}
