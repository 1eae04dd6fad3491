//! How many sessions an account may have at once, and which of them end when there are more.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::clock::Timestamp;
use super::ids::SessionId;
use super::session::Session;
use super::tokens::Generation;

/// What of a live session tells whether others are to stay before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionUse {
    /// Where it stands in a list.
    pub at: SessionCursor,
    /// Whether its refresh token was ever used, for a successor or for an access token alone.
    pub is_refreshed: bool,
    /// When its newest access token was minted.
    pub issued_at: Timestamp,
}

impl From<&Session> for SessionUse {
    fn from(session: &Session) -> Self {
        let is_refreshed = session.generation != Generation::FIRST || session.issued_at > session.created_at;
        Self { at: session.into(), is_refreshed, issued_at: session.issued_at }
    }
}

/// Which sessions end so that `max` are left, those first that end first: sessions that were never
/// refreshed, the oldest of them first, then the longest unused.
///
/// The one that was just `opened` stays, and so does each that was opened after it: whoever opened that one
/// ends what it is too many. Of two that were opened in the same millisecond each may be named for the other;
/// the store ends no session that is not too many when its turn comes.
pub fn surplus(mut sessions: Vec<SessionUse>, opened: SessionCursor, max: u32) -> Vec<SessionId> {
    let surplus = sessions.len().saturating_sub(usize::try_from(max).unwrap_or(usize::MAX));
    if surplus == 0 {
        return Vec::new();
    }
    sessions.retain(|session| session.at.created_at <= opened.created_at && session.at.id != opened.id);
    let rank = |session: &SessionUse| match session.is_refreshed {
        false => (false, session.at.created_at, session.at.id),
        true => (true, session.issued_at, session.at.id),
    };
    sessions.sort_unstable_by_key(rank);
    sessions.truncate(surplus);
    sessions.into_iter().map(|session| session.at.id).collect()
}

/// Where a session stands among those of its account: by when it was opened, and by its id among those
/// that were opened in the same millisecond. As text it is `<milliseconds>.<id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionCursor {
    /// When it was opened.
    pub created_at: Timestamp,
    /// Which one.
    pub id: SessionId,
}

impl From<&Session> for SessionCursor {
    fn from(session: &Session) -> Self {
        Self { created_at: session.created_at, id: session.id }
    }
}

impl fmt::Display for SessionCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created_at.as_millis(), self.id)
    }
}

/// The text is no place in a list of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not what a list of sessions has given")]
pub struct SessionCursorError;

impl FromStr for SessionCursor {
    type Err = SessionCursorError;

    fn from_str(text: &str) -> Result<Self, SessionCursorError> {
        let (created_at, id) = text.split_once('.').ok_or(SessionCursorError)?;
        let created_at = created_at.parse().map_err(|_| SessionCursorError)?;
        let id = Uuid::try_parse(id).map_err(|_| SessionCursorError)?;
        Ok(Self { created_at: Timestamp::from_millis(created_at), id: id.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> SessionId {
        Uuid::from_u128(number).into()
    }

    fn at(created_at: i64, number: u128) -> SessionCursor {
        SessionCursor { created_at: Timestamp::from_millis(created_at), id: id(number) }
    }

    fn opened(created_at: i64) -> SessionUse {
        let number = created_at.unsigned_abs().into();
        SessionUse {
            at: at(created_at, number),
            is_refreshed: false,
            issued_at: Timestamp::from_millis(created_at),
        }
    }

    fn used(created_at: i64, issued_at: i64) -> SessionUse {
        SessionUse { is_refreshed: true, issued_at: Timestamp::from_millis(issued_at), ..opened(created_at) }
    }

    fn ids(numbers: &[u128]) -> Vec<SessionId> {
        numbers.iter().map(|number| id(*number)).collect()
    }

    #[test]
    fn nothing_ends_where_there_is_room() {
        let sessions = vec![opened(1), opened(2), opened(3)];
        assert_eq!(surplus(sessions.clone(), at(3, 3), 3), []);
        assert_eq!(surplus(sessions, at(3, 3), 100), []);
    }

    #[test]
    fn never_refreshed_ones_end_first_and_the_oldest_of_them_before_all() {
        let sessions = vec![used(1, 10), opened(4), used(2, 9), opened(3), opened(5)];
        assert_eq!(surplus(sessions.clone(), at(5, 5), 4), ids(&[3]));
        assert_eq!(surplus(sessions.clone(), at(5, 5), 3), ids(&[3, 4]));
        assert_eq!(surplus(sessions.clone(), at(5, 5), 2), ids(&[3, 4, 2]), "then the longest unused");
        assert_eq!(surplus(sessions, at(5, 5), 1), ids(&[3, 4, 2, 1]));
    }

    #[test]
    fn the_one_that_was_just_opened_stays_and_so_does_what_was_opened_later() {
        let sessions = vec![used(1, 1), opened(2), opened(3), opened(4)];
        assert_eq!(surplus(sessions, at(3, 3), 1), ids(&[2, 1]));
        let (first, second) = (opened(7), opened(8));
        assert_eq!(surplus(vec![first, second], first.at, 1), []);
        assert_eq!(surplus(vec![first, second], second.at, 1), [first.at.id]);
    }

    #[test]
    fn of_two_of_one_millisecond_each_is_named_for_the_other() {
        let both = vec![SessionUse { at: at(7, 1), ..opened(7) }, SessionUse { at: at(7, 2), ..opened(7) }];
        let ended: Vec<_> = [at(7, 1), at(7, 2)].map(|opened| surplus(both.clone(), opened, 1)).concat();
        assert_eq!(ended, ids(&[2, 1]));
    }

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let cursor = at(1_796_169_600_123, 0xabc);
        assert_eq!(cursor.to_string(), "1796169600123.00000000-0000-0000-0000-000000000abc");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in [
            "",
            ".",
            "1",
            "1.x",
            "x.00000000-0000-0000-0000-000000000abc",
            "00000000-0000-0000-0000-000000000abc",
        ] {
            assert_eq!(text.parse::<SessionCursor>(), Err(SessionCursorError), "{text:?}");
        }
    }
}
