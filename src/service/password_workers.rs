//! Password hashing away from the request path: a bounded number of workers, a bounded queue.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{AuthError, AuthResult};
use crate::crypto::password::PasswordHasher;

/// Runs hashing jobs, so many at once and no more. Cheap to clone.
///
/// Each job takes `memory_kib` of memory while it runs, so the workers bound the memory and the
/// queue bounds the wait.
#[derive(Clone)]
pub struct PasswordWorkers {
    hasher: Arc<PasswordHasher>,
    /// Jobs that run or wait.
    places: Arc<Semaphore>,
    /// Jobs that run.
    workers: Arc<Semaphore>,
}

impl PasswordWorkers {
    /// `workers` jobs at once (at least one), and `queue` more may wait.
    pub fn new(hasher: PasswordHasher, workers: usize, queue: usize) -> Self {
        let workers = workers.max(1);
        Self {
            hasher: Arc::new(hasher),
            places: Arc::new(Semaphore::new(workers.saturating_add(queue).min(Semaphore::MAX_PERMITS))),
            workers: Arc::new(Semaphore::new(workers.min(Semaphore::MAX_PERMITS))),
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
    /// [`AuthError::Overloaded`] when the queue is full; the job was not started.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&PasswordHasher) -> T + Send + 'static,
    ) -> AuthResult<T> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| AuthError::Overloaded)?;
        let worker = self.workers.clone().acquire_owned().await.map_err(|_| AuthError::Overloaded)?;
        let hasher = self.hasher.clone();
        tokio::task::spawn_blocking(move || {
            let _held = (place, worker);
            job(&hasher)
        })
        .await
        .map_err(AuthError::Worker)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::crypto::password::Argon2Cost;
    use crate::domain::random::Random;

    struct Zeros;

    impl Random for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn workers(count: usize, queue: usize) -> PasswordWorkers {
        let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
        PasswordWorkers::new(PasswordHasher::new(cost, &Zeros).expect("valid cost"), count, queue)
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_a_finished_job_frees_its_place() {
        let pool = workers(1, 0);
        let (started_tx, started_rx) = tokio::sync::oneshot::channel();
        let (release, released) = mpsc::channel::<()>();
        let running = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move |_| {
                    let _ = started_tx.send(());
                    let _ = released.recv();
                })
                .await
            }
        });
        started_rx.await.expect("the job starts");
        assert!(matches!(pool.run(|_| ()).await, Err(AuthError::Overloaded)));
        release.send(()).expect("the job waits");
        running.await.expect("no panic").expect("the job ran");
        assert!(pool.run(|_| ()).await.is_ok());
    }

    #[tokio::test]
    async fn the_place_stays_with_the_job_when_the_caller_leaves() {
        let pool = workers(1, 0);
        let (started_tx, started_rx) = tokio::sync::oneshot::channel();
        let (release, released) = mpsc::channel::<()>();
        let caller = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move |_| {
                    let _ = started_tx.send(());
                    let _ = released.recv();
                })
                .await
            }
        });
        started_rx.await.expect("the job starts");
        caller.abort();
        assert!(caller.await.is_err());
        assert!(matches!(pool.run(|_| ()).await, Err(AuthError::Overloaded)));
        release.send(()).expect("the job still runs");
    }
}
