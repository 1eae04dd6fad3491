//! The parts that revocations are kept and counted in.

use std::fmt;

use super::ids::UserId;

/// One of the parts that all revocations are divided into, each with an order of its own.
///
/// Every account belongs to one of [`Self::USERS`], by the remainder of its id: enough to spread
/// accounts over any cluster, few enough that one reader follows all of them. One more,
/// [`Self::EVERYBODY`], is of what is no account's: machines' own tokens, and signing keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u8);

/// The number is no partition's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a partition is a whole number from 0 to 64")]
pub struct PartitionError;

impl Partition {
    /// How many partitions of accounts there are.
    pub const USERS: u8 = 64;

    /// How many partitions there are.
    pub const COUNT: usize = Self::USERS as usize + 1;

    /// What is no account's.
    pub const EVERYBODY: Self = Self(Self::USERS);

    /// The partition of an account.
    pub fn of(user: UserId) -> Self {
        let number = user.get().rem_euclid(i64::from(Self::USERS));
        Self(u8::try_from(number).unwrap_or_default())
    }

    /// The partitions of accounts.
    pub fn users() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..Self::USERS).map(Self)
    }

    /// Every partition, [`Self::EVERYBODY`] last.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=Self::USERS).map(Self)
    }

    /// The number, as it stands in the stores and in the feed.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number as an index into a list of [`Self::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl TryFrom<u8> for Partition {
    type Error = PartitionError;

    fn try_from(number: u8) -> Result<Self, PartitionError> {
        if number <= Self::USERS { Ok(Self(number)) } else { Err(PartitionError) }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: i64) -> u8 {
        Partition::of(UserId::try_from(user).expect("a user id")).number()
    }

    #[test]
    fn an_account_belongs_to_the_remainder_of_its_id() {
        assert_eq!([1, 63, 64, 65, UserId::MAX].map(of), [1, 63, 0, 1, 63]);
    }

    #[test]
    fn everybody_is_no_accounts_partition() {
        assert!(Partition::users().all(|partition| partition != Partition::EVERYBODY));
        assert_eq!(Partition::users().count() + 1, Partition::COUNT);
        assert_eq!(Partition::all().count(), Partition::COUNT);
        assert_eq!(Partition::all().last(), Some(Partition::EVERYBODY));
    }

    #[test]
    fn a_number_past_the_last_is_no_partition() {
        assert_eq!(Partition::try_from(64), Ok(Partition::EVERYBODY));
        assert_eq!(Partition::try_from(65), Err(PartitionError));
        for (index, partition) in Partition::all().enumerate() {
            assert_eq!(partition.index(), index);
            assert_eq!(Partition::try_from(partition.number()), Ok(partition));
        }
    }
}
