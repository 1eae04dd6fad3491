//! The revocation journal: every revocation as it is written down before it is acknowledged.
//!
//! A token store may go back in time: a snapshot that is restored, a replica that is promoted before
//! it has everything. The journal lies in SQL, outside it, and tells what has to be carried out once
//! more. Each [`Partition`] has an order of its own: an entry has a [position](Mark::position), and
//! the store a [`Mark`] up to which it has carried everything out.

use super::client::ClientId;
use super::clock::Timestamp;
use super::ids::{Jti, SessionId, UserId};
use super::partition::Partition;
use super::random::Random;
use super::user::SecurityVersion;

/// Which vouching it was that the token store's data was found whole by: 63 random bits, so that two
/// are never the same, whatever was restored in between.
/// (model: VouchingsAreNew)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VouchingId(i64);

/// What tells one entry of the journal from any other, also from one that stood at its position in a
/// database that has been restored since: 63 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId(i64);

macro_rules! random_number {
    ($name:ident) => {
        impl $name {
            /// What stands before the first one.
            pub const NONE: Self = Self(0);

            /// A new one out of `random`.
            pub fn generate(random: &dyn Random) -> Self {
                let mut bytes = [0; 8];
                random.fill(&mut bytes);
                Self((i64::from_be_bytes(bytes) & i64::MAX).max(1))
            }

            /// From a stored number.
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// The number to store.
            pub const fn get(self) -> i64 {
                self.0
            }
        }
    };
}

random_number!(EntryId);
random_number!(VouchingId);

/// A place in the journal of a partition: a position, and which entry stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Counts the entries of the partition from 1 on, in the order of their commits; 0 stands before
    /// the first.
    pub position: i64,
    /// The entry there.
    pub entry: EntryId,
}

impl Mark {
    /// Before the first entry.
    pub const START: Self = Self { position: 0, entry: EntryId::NONE };
}

/// A place in the journal, and the entry that stands before it: a chain, by which one history is told
/// from another that counts the same.
/// (model: MarkFollowsTheChain)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The place.
    pub at: Mark,
    /// The entry at the position before.
    pub previous: EntryId,
}

/// What an entry takes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Journaled {
    /// A session, with all its tokens.
    Session {
        /// Whose.
        user: UserId,
        /// Which one.
        session: SessionId,
    },
    /// Everything of a user from before a version: a security event.
    User {
        /// Whose.
        user: UserId,
        /// The first version that counts.
        below: SecurityVersion,
    },
    /// One access token of a user.
    Token {
        /// Whose.
        user: UserId,
        /// Which one.
        token: Jti,
    },
    /// One access token of a machine.
    MachineToken(Jti),
    /// Everything of a client that was deleted.
    Client(ClientId),
}

impl Journaled {
    /// Where it is written down.
    pub fn partition(&self) -> Partition {
        match self {
            Self::Session { user, .. } | Self::User { user, .. } | Self::Token { user, .. } => {
                Partition::of(*user)
            }
            Self::MachineToken(_) | Self::Client(_) => Partition::EVERYBODY,
        }
    }
}

/// A revocation that is to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// What tells it from any other.
    pub id: EntryId,
    /// What it takes back.
    pub revoked: Journaled,
    /// Until when it matters: what it takes back has ended by itself then.
    pub until: Timestamp,
}

/// A revocation that is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Where.
    pub link: Link,
    /// What it takes back.
    pub revoked: Journaled,
    /// Until when it matters.
    pub until: Timestamp,
}

/// How the entry of a security event is to be written, together with the change of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventEntry {
    /// What tells it from any other.
    pub id: EntryId,
    /// When it happens.
    pub at: Timestamp,
    /// Until when it matters.
    pub until: Timestamp,
}

/// What SQL knows about a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// Which one.
    pub partition: Partition,
    /// The newest entry.
    pub newest: Mark,
    /// The number of the present incarnation: a greater one with each loss of the token store's data.
    pub incarnation: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(u8);

    impl Random for Bytes {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn an_id_is_positive_whatever_the_bytes() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            assert!(EntryId::generate(&Bytes(byte)).get() > 0, "{byte}");
        }
    }

    #[test]
    fn an_entry_stands_in_the_partition_of_its_user() {
        let user = UserId::try_from(71).expect("a user id");
        let session = Journaled::Session { user, session: uuid::Uuid::nil().into() };
        assert_eq!(session.partition(), Partition::of(user));
        for revoked in [
            Journaled::MachineToken(uuid::Uuid::nil().into()),
            Journaled::Client("orders".parse().expect("a client id")),
        ] {
            assert_eq!(revoked.partition(), Partition::EVERYBODY);
        }
    }
}
