//! Accounts as they were read a moment ago: whoever asks again and again who they are costs the database a look now
//! and then, not one each time.
//!
//! Nobody is shown what was otherwise before a change was answered, at any replica:
//!
//! - A security event moves the account's version on, and the caller's token bears one. What was read at another version is
//!   not shown.
//! - Any other change of what is shown (a name, the proof of an address) is answered only after [`LEASE`], by
//!   [`Profiles::settle`]. No replica shows for longer what it has read before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::clock::Clock;
use crate::domain::ids::UserId;
use crate::domain::user::{SecurityVersion, User};
use crate::store::{StoreResult, UserStore};

/// How long after a look began its outcome is shown at most: longer makes changes slower, shorter makes looks more.
const LEASE: Duration = Duration::from_millis(250);

/// Clocks of two machines do not go equally fast.
const SLACK: Duration = Duration::from_millis(10);

/// How many accounts are kept at most of a span of [`LEASE`], about 1 KiB each.
const KEPT: usize = 8_192;

/// The accounts that were read a moment ago. Clones share them.
#[derive(Clone)]
pub(super) struct Profiles(Arc<Shared>);

struct Shared {
    users: Arc<dyn UserStore>,
    clock: Arc<dyn Clock>,
    recent: Mutex<Recent>,
}

/// A moment by two clocks: one of them stops while the machine sleeps.
#[derive(Clone, Copy)]
struct Moment(Instant, Duration);

struct Read {
    user: Arc<User>,
    began: Moment,
}

/// What was read in this span of time, and in the one before.
struct Recent {
    since: Instant,
    now: HashMap<UserId, Read>,
    before: HashMap<UserId, Read>,
}

impl Profiles {
    /// None yet. The clock says for how long the machine slept.
    pub(super) fn new(users: Arc<dyn UserStore>, clock: Arc<dyn Clock>) -> Self {
        let recent = Recent { since: Instant::now(), now: HashMap::new(), before: HashMap::new() };
        Self(Arc::new(Shared { users, clock, recent: Mutex::new(recent) }))
    }

    /// The account of that id, for somebody whose session is of that version.
    pub(super) async fn find(&self, id: UserId, version: SecurityVersion) -> StoreResult<Option<Arc<User>>> {
        let began = self.moment();
        if let Some(known) = self.recall(id, version) {
            return Ok(Some(known));
        }
        let user = self.0.users.find_user(id).await?.map(Arc::new);
        if let Some(user) = user.clone() {
            self.recent().keep(Read { user, began });
        }
        Ok(user)
    }

    /// The same of an account that was read a moment ago.
    pub(super) fn recall(&self, id: UserId, version: SecurityVersion) -> Option<Arc<User>> {
        let now = self.moment();
        self.recent().find(id, now).filter(|user| user.security_version == version)
    }

    /// Returns once nobody is shown any more what was read before now. To be waited for between a change that is no
    /// security event and its answer.
    pub(super) async fn settle(&self) {
        tokio::time::sleep(LEASE + SLACK).await;
    }

    fn moment(&self) -> Moment {
        Moment(Instant::now(), self.0.clock.monotonic())
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.0.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn find(&self, id: UserId, now: Moment) -> Option<Arc<User>> {
        let reads = [&self.now, &self.before].into_iter().filter_map(|reads| reads.get(&id));
        let mut shown = reads.filter(|read| read.began.is_within_lease(now));
        shown.next().map(|read| read.user.clone())
    }

    fn keep(&mut self, read: Read) {
        if self.since.elapsed() >= LEASE || self.now.len() >= KEPT {
            self.before = std::mem::take(&mut self.now);
            self.since = Instant::now();
        }
        self.now.insert(read.user.id, read);
    }
}

impl Moment {
    fn is_within_lease(self, now: Self) -> bool {
        now.0.saturating_duration_since(self.0) < LEASE && now.1.saturating_sub(self.1) < LEASE
    }
}
