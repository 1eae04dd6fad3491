//! Password hashing away from the request path: a bounded number of workers, a bounded queue.

mod threads;

use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use self::threads::{Done, Threads};
use super::{AuthError, AuthResult};
use crate::crypto::password::{HashMemory, PasswordHashError, PasswordHasher};
use crate::domain::causes::with_causes;
use crate::domain::password::{NewPassword, Password, PasswordHash};
use crate::domain::random::Random;

/// A worker ended without an answer: its job panicked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a password worker ended without an answer")]
pub struct WorkerLost;

/// Runs hashing jobs, so many at once and no more. Cheap to clone.
///
/// Each job takes memory while it runs, so the workers bound the memory and the queue bounds the
/// wait. What a job takes is `passwords.argon2.memory_kib`; to check a hash that was imported, it is
/// as much as that hash was made with, 256 MiB at most
/// ([`LEGACY_MEMORY_MAX_KIB`](crate::crypto::password::LEGACY_MEMORY_MAX_KIB)). The workers' threads
/// give way to all others of the process, so that a flood of logins holds up nobody else.
#[derive(Clone)]
pub struct PasswordWorkers {
    hasher: Arc<PasswordHasher>,
    /// Jobs that run or wait.
    places: Arc<Semaphore>,
    /// Jobs that run.
    workers: Arc<Semaphore>,
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
        let workers = workers.max(1);
        Self {
            hasher: Arc::new(hasher),
            places: Arc::new(Semaphore::new(workers.saturating_add(queue).min(Semaphore::MAX_PERMITS))),
            workers: Arc::new(Semaphore::new(workers.min(Semaphore::MAX_PERMITS))),
            threads: Arc::default(),
        }
    }

    /// The hasher, for questions that cost nothing.
    pub fn hasher(&self) -> &PasswordHasher {
        &self.hasher
    }

    /// Runs one job. A caller that goes away while its job waits gives up its place; once the job
    /// runs, the place belongs to the job.
    ///
    /// # Errors
    /// [`AuthError::Overloaded`] when the queue is full or the system has no thread left; the job
    /// was not started. [`AuthError::Worker`] when the job panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Worker<'_>) -> T + Send + 'static,
    ) -> AuthResult<T> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| AuthError::Overloaded)?;
        let worker = self.workers.clone().acquire_owned().await.map_err(|_| AuthError::Overloaded)?;
        let hasher = self.hasher.clone();
        let (answer, answered) = oneshot::channel();
        let started = self.threads.start(Box::new(move |memory| {
            let held = (place, worker);
            let outcome = job(&mut Worker { hasher: &hasher, memory });
            Box::new(move || {
                drop(held);
                // The caller may have gone.
                let _ = answer.send(outcome);
            }) as Done
        }));
        if let Err(error) = started {
            tracing::error!(error = %with_causes(&error), "no thread to hash a password on");
            return Err(AuthError::Overloaded);
        }
        answered.await.map_err(|_| AuthError::Worker(WorkerLost))
    }
}

#[cfg(test)]
mod tests;
