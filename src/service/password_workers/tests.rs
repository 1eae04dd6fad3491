use std::sync::mpsc;

use futures_util::FutureExt;

use super::*;
use crate::crypto::password::Argon2Cost;
use crate::domain::place::Place;

const ANYBODY: Requester = Requester { place: Place::Unknown, account: None };

pub(super) struct Zeros;

impl Random for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn workers(count: usize, queue: usize) -> PasswordWorkers {
    let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
    PasswordWorkers::new(PasswordHasher::new(cost, &Zeros).expect("valid cost"), count, queue)
}

/// A job that runs until it is told to end, and whoever waits for it.
struct Running {
    caller: tokio::task::JoinHandle<Result<()>>,
    release: mpsc::Sender<()>,
}

impl Running {
    /// Answers once the job runs.
    async fn start(pool: &PasswordWorkers) -> Self {
        let (started, has_started) = oneshot::channel();
        let (release, released) = mpsc::channel();
        let pool = pool.clone();
        let caller = tokio::spawn(async move {
            pool.run(ANYBODY, move |_| {
                let _ = started.send(());
                let _ = released.recv();
            })
            .await
        });
        has_started.await.expect("the job starts");
        Self { caller, release }
    }

    async fn finish(self) {
        self.release.send(()).expect("the job still runs");
        self.caller.await.expect("no panic").expect("the job ran");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_a_finished_job_frees_its_place() {
    let pool = workers(1, 0);
    let running = Running::start(&pool).await;
    assert!(matches!(pool.run(ANYBODY, |_| ()).await, Err(Error::Overloaded)));
    running.finish().await;
    assert!(pool.run(ANYBODY, |_| ()).await.is_ok());
}

#[tokio::test]
async fn as_many_jobs_run_at_once_as_there_are_workers() {
    let pool = workers(3, 1);
    let running = [Running::start(&pool).await, Running::start(&pool).await, Running::start(&pool).await];
    assert_eq!(pool.queue.free(), 0, "each job holds a worker");
    let mut fourth = Box::pin(pool.run(ANYBODY, |_| ()));
    assert!((&mut fourth).now_or_never().is_none(), "it waits");
    assert!(matches!(pool.run(ANYBODY, |_| ()).await, Err(Error::Overloaded)));
    for job in running {
        job.finish().await;
    }
    fourth.await.expect("its turn");
    assert_eq!(pool.queue.free(), 3);
}

#[tokio::test]
async fn the_place_stays_with_the_job_when_the_caller_leaves() {
    let pool = workers(1, 0);
    let Running { caller, release } = Running::start(&pool).await;
    caller.abort();
    assert!(caller.await.is_err());
    assert!(matches!(pool.run(ANYBODY, |_| ()).await, Err(Error::Overloaded)));
    release.send(()).expect("the job still runs");
}

#[tokio::test]
async fn a_caller_that_leaves_the_queue_gives_up_its_place_and_its_job() {
    let pool = workers(1, 1);
    let running = Running::start(&pool).await;
    let (ran, has_run) = mpsc::channel();
    let mut queued = Box::pin(pool.run(ANYBODY, move |_| ran.send(())));
    assert!((&mut queued).now_or_never().is_none(), "it waits");
    assert!(matches!(pool.run(ANYBODY, |_| ()).await, Err(Error::Overloaded)));
    drop(queued);
    let mut next = Box::pin(pool.run(ANYBODY, |_| "the next"));
    assert!((&mut next).now_or_never().is_none(), "it has the place");
    running.finish().await;
    assert_eq!(next.await.expect("its turn"), "the next");
    assert!(has_run.recv().is_err(), "nobody wanted it any more");
}

#[tokio::test]
async fn a_job_that_panics_frees_its_place() {
    let pool = workers(1, 0);
    let outcome: Result<()> = pool.run(ANYBODY, |_| panic!("as if a hash had")).await;
    assert!(matches!(outcome, Err(Error::Worker(_))), "{outcome:?}");
    // Whose permits may be dropped a moment after the answer is known to be lost.
    let mut next = pool.run(ANYBODY, |_| ()).await;
    while matches!(next, Err(Error::Overloaded)) {
        tokio::task::yield_now().await;
        next = pool.run(ANYBODY, |_| ()).await;
    }
    assert!(next.is_ok());
}
