//! Password hashing away from the request path: a bounded number of workers, a bounded queue.

mod queue;
mod threads;

use std::sync::Arc;

use tokio::sync::oneshot;

pub use self::queue::Requester;
use self::queue::{Full, Queue};
use self::threads::{Done, Threads};
use super::error::{Error, Result, WorkerLost};
use crate::crypto::password::{HashMemory, PasswordHashError, PasswordHasher};
use crate::domain::causes::with_causes;
use crate::domain::password::{NewPassword, Password, PasswordHash};
use crate::domain::random::Random;
use crate::metrics;

/// How many jobs may wait that come from one place: with the default cost and one worker, a tenth of a
/// second's work, and a third of that with AVX-512.
pub const WAITING_PER_PLACE: usize = 8;

/// How many may wait that are about one account.
pub const WAITING_PER_ACCOUNT: usize = 8;

/// Runs hashing jobs, so many at once and no more. Cheap to clone.
///
/// Each job takes memory while it runs, so the workers bound the memory and the queue bounds the
/// wait. Places are served in turn, and none has more than [`WAITING_PER_PLACE`] jobs in the queue: what
/// somebody sends holds up nobody else by more than one job. What a job takes is `passwords.argon2.memory_kib`; to check a hash that was imported, it is
/// as much as that hash was made with, 256 MiB at most
/// ([`LEGACY_MEMORY_MAX_KIB`](crate::crypto::password::LEGACY_MEMORY_MAX_KIB)). The workers' threads
/// give way to all others of the process, so that a flood of logins holds up nobody else.
#[derive(Clone)]
pub struct PasswordWorkers {
    hasher: Arc<PasswordHasher>,
    queue: Queue,
    threads: Arc<Threads>,
}

/// What a job hashes with: the hasher, in the memory of the thread it runs on.
pub struct Worker<'a> {
    hasher: &'a PasswordHasher,
    memory: &'a mut HashMemory,
}

impl Worker<'_> {
    /// As [`PasswordHasher::hash`].
    ///
    /// # Errors
    /// [`PasswordHashError::Hash`].
    pub fn hash(
        &mut self,
        password: &NewPassword,
        random: &dyn Random,
    ) -> Result<PasswordHash, PasswordHashError> {
        self.hasher.hash(password, random, self.memory)
    }

    /// As [`PasswordHasher::verify`].
    ///
    /// # Errors
    /// [`PasswordHashError::Stored`], [`PasswordHashError::Hash`].
    pub fn verify(
        &mut self,
        password: &Password,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, PasswordHashError> {
        self.hasher.verify(password, hash, self.memory)
    }
}

impl PasswordWorkers {
    /// `workers` jobs at once (at least one), and `queue` more may wait.
    pub fn new(hasher: PasswordHasher, workers: usize, queue: usize) -> Self {
        let queue = Queue::new(workers.max(1), queue);
        Self { hasher: Arc::new(hasher), queue, threads: Arc::default() }
    }

    /// How many jobs wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// The hasher, for questions that cost nothing.
    pub fn hasher(&self) -> &PasswordHasher {
        &self.hasher
    }

    /// Runs one job for somebody. A caller that goes away while its job waits gives up its place; once
    /// the job runs, the turn belongs to the job.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when too many wait, in all, from this place or for this account, or the
    /// system has no thread left; the job was not started. [`Error::Worker`] when the job panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        requester: Requester,
        job: impl FnOnce(&mut Worker<'_>) -> T + Send + 'static,
    ) -> Result<T> {
        let began = tokio::time::Instant::now();
        let turn = self.queue.turn(requester).await.map_err(|Full| Error::Overloaded)?;
        metrics::hashed(began.elapsed());
        let hasher = self.hasher.clone();
        let (answer, answered) = oneshot::channel();
        let started = self.threads.start(Box::new(move |memory| {
            let held = turn;
            let outcome = job(&mut Worker { hasher: &hasher, memory });
            Box::new(move || {
                drop(held);
                // The caller may have gone.
                let _ = answer.send(outcome);
            }) as Done
        }));
        if let Err(error) = started {
            tracing::error!(error = %with_causes(&error), "no thread to hash a password on");
            return Err(Error::Overloaded);
        }
        answered.await.map_err(|_| Error::Worker(WorkerLost))
    }
}

#[cfg(test)]
mod tests;
