//! Accounts, in SQL.

use async_trait::async_trait;

use super::cut_offs::CutOffOrder;
use super::error::StoreResult;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::journal::{EventEntry, Link};
use crate::domain::password::PasswordHash;
use crate::domain::roles::Roles;
use crate::domain::user::{AccountChange, ImportedUser, NewUser, ProfileChange, SecurityVersion, User};
use crate::domain::user_filter::{UserFilter, UserOrder};

/// What became of a registration.
#[derive(Clone, Debug)]
pub enum InsertUserOutcome {
    /// The account exists now.
    Inserted(Box<User>),
    /// Another account has the address. Of several concurrent inserts exactly one wins.
    EmailTaken,
}

/// What became of a change of an account.
#[derive(Clone, Debug)]
pub enum ChangeOutcome {
    /// The account as it was and as it is now, at a new security version.
    Changed {
        /// Before the change.
        before: User,
        /// After it.
        after: Box<SecurityEvent>,
    },
    /// The account as it is now; nothing about it changed that its sessions stand for.
    SessionsStay(User),
    /// The account was like that already; nothing was written.
    Unchanged(User),
    /// There is no such account.
    NotFound,
    /// It would leave nobody who can log in as an administrator; nothing was written. Of several
    /// concurrent changes that would together, one is refused.
    LastAdmin,
    /// Another account has the address; nothing was written.
    EmailTaken,
    /// Another account has the external id; nothing was written.
    ExternalIdTaken,
}

/// What became of deleting an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The account is gone.
    Deleted(CutOffOrder),
    /// There is no such account.
    NotFound,
    /// It would leave nobody who can log in as an administrator; nothing was written.
    LastAdmin,
}

/// A change of an account that moved its security version on.
#[derive(Clone, Debug)]
pub struct SecurityEvent {
    /// The account as it is now.
    pub user: User,
    /// Where its cut-off stands in the journal.
    pub link: Link,
    /// Until when that matters.
    pub until: Timestamp,
}

impl From<&SecurityEvent> for CutOffOrder {
    fn from(event: &SecurityEvent) -> Self {
        Self {
            user: event.user.id,
            version: event.user.security_version,
            link: event.link,
            until: event.until,
        }
    }
}

/// Accounts, in SQL. What moves a security version on writes the entry of the journal in the same
/// commit.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// Adds an account. The unique constraint on the address decides, not a look before.
    async fn insert_user(&self, user: &NewUser) -> StoreResult<InsertUserOutcome>;

    /// Adds the accounts whose address and external id nobody has, in one transaction, and answers how many
    /// these are. The others are left as they stand, so that the same call can be made again. Their security
    /// versions are of `now`, whenever they were made where they come from.
    async fn insert_users(&self, users: &[ImportedUser], now: Timestamp) -> StoreResult<u64>;

    /// How many of these accounts [`insert_users`](Self::insert_users) would leave out, since somebody has
    /// the address or the external id.
    async fn count_there(&self, users: &[ImportedUser]) -> StoreResult<u64>;

    /// The account of that id.
    async fn find_user(&self, id: UserId) -> StoreResult<Option<User>>;

    /// The account of that mailbox; where two accounts have it, the one whose address is spelled so.
    async fn find_user_by_email(&self, email: &Email) -> StoreResult<Option<User>>;

    /// At most `limit` accounts, in the order of their ids from the one after `after` on, whose mailbox is not
    /// written down ([`Email::mailbox`]): those of before mailboxes were
    /// compared that are not ASCII, as long as [`set_mailbox`](Self::set_mailbox) was not called, and those
    /// that share theirs with another account.
    async fn list_users_without_mailbox(&self, after: Option<UserId>, limit: u32) -> StoreResult<Vec<User>>;

    /// At most `limit` accounts, in the order of their ids from the one after `after` on, about whom something is noted
    /// down or who have other roles than `admin` or `member` alone.
    async fn list_users_with_more_in_tokens(
        &self,
        after: Option<UserId>,
        limit: u32,
    ) -> StoreResult<Vec<User>>;

    /// Writes down the mailbox of an account that has this address; `false` when it has another by now, or
    /// another account has the mailbox.
    async fn set_mailbox(&self, id: UserId, email: &Email) -> StoreResult<bool>;

    /// At most `limit` of these accounts in the order of their ids, from the one after `after` on.
    async fn list_users(
        &self,
        filter: &UserFilter,
        order: UserOrder,
        after: Option<UserId>,
        limit: u32,
    ) -> StoreResult<Vec<User>>;

    /// How many of these there are.
    async fn count_users(&self, filter: &UserFilter) -> StoreResult<u64>;

    /// How many accounts have these roles, for each of those that are not `admin` or `member` alone.
    async fn count_by_roles(&self) -> StoreResult<Vec<(Roles, u64)>>;

    /// Whether there is an administrator whose account is enabled and has a password; with `verified`, one whose address is
    /// proven as well.
    async fn has_administrator(&self, verified: bool) -> StoreResult<bool>;

    /// Changes names; `None` when there is no such account.
    async fn update_profile(&self, id: UserId, change: &ProfileChange) -> StoreResult<Option<User>>;

    /// Sets a new password and moves the security version on, if it still is `expected`; answers
    /// the account as it is then. Of several concurrent changes exactly one wins, the others get
    /// `None`.
    async fn change_password(
        &self,
        id: UserId,
        expected: SecurityVersion,
        password: &PasswordHash,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>>;

    /// Sets a new password whatever the version, moves it on, and answers the account as it is
    /// then; `None` when there is none.
    async fn set_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>>;

    /// Changes roles, state, address, external id, metadata or names; where it changes what sessions stand for, it moves the
    /// security version on.
    async fn change_account(
        &self,
        id: UserId,
        change: &AccountChange,
        entry: EventEntry,
    ) -> StoreResult<ChangeOutcome>;

    /// Moves the security version on and changes nothing else: a kick, or a log-out everywhere.
    /// Answers the account as it is then; `None` when there is none.
    async fn advance_security_version(
        &self,
        id: UserId,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>>;

    /// Moves the security version on to `version` where it is behind that: the token store has ended
    /// what is older. `None` when it is there already, or there is no such account.
    async fn raise_security_version(
        &self,
        id: UserId,
        version: SecurityVersion,
        entry: EventEntry,
    ) -> StoreResult<Option<SecurityEvent>>;

    /// Deletes an account. Its id is never given again.
    async fn delete_user(&self, id: UserId, entry: EventEntry) -> StoreResult<DeleteOutcome>;

    /// Notes that the owner has proven the address theirs; answers whether the account still has it.
    async fn verify_email(&self, id: UserId, email: &Email) -> StoreResult<bool>;

    /// Replaces the hash of an unchanged password (higher cost parameters), if it still is `from`.
    /// The security version stays. Answers whether the hash was replaced.
    async fn rehash_password(&self, id: UserId, from: &PasswordHash, to: &PasswordHash) -> StoreResult<bool>;

    /// What the database's own clock shows; `None` where it has none: a file is on this machine.
    async fn time(&self) -> StoreResult<Option<Timestamp>>;

    /// Whether the database answers.
    async fn ping(&self) -> StoreResult<()>;
}
