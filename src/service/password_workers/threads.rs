//! Threads that hash: few, of low priority, each with its memory.
//!
//! Not tokio's blocking threads: those have the priority of everything else, so on a machine whose
//! cores all hash, a request that takes microseconds would wait for its turn of the scheduler behind
//! hashes that take milliseconds.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use std::{io, thread};

use crate::crypto::password::HashMemory;
use crate::domain::causes::with_causes;

/// A thread that has had no work for so long gives its memory back.
const KEEPS_MEMORY: Duration = Duration::from_secs(10);

/// How much lower than the process' own the priority is (`man 7 sched`: "the nice value"). Ten steps
/// are a tenth of the weight: hashing gets what the others leave, and a tenth of a core when they
/// leave nothing.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// What a thread has to do, in its memory; it answers what to do once the thread is free again.
pub(super) type Job = Box<dyn FnOnce(&mut HashMemory) -> Done + Send>;

/// What makes a job's end known.
pub(super) type Done = Box<dyn FnOnce() + Send>;

/// A job, and the way to the thread itself, which it leaves for the next one.
struct Task {
    job: Job,
    way_back: Sender<Task>,
}

/// The threads that have nothing to do, the one that came last on top: its memory is warm.
type Idle = Mutex<Vec<Sender<Task>>>;

/// The threads. They end when this is dropped, each after its work.
#[derive(Default)]
pub(super) struct Threads {
    idle: Arc<Idle>,
}

impl Threads {
    /// Gives a job to a thread that is free, or to a new one. So there never are more threads than
    /// there were jobs at once; to bound these is the caller's part.
    ///
    /// # Errors
    /// When the system has no thread for it; the job was not started.
    pub(super) fn start(&self, job: Job) -> io::Result<()> {
        let mut job = job;
        // One that panicked has gone: then the next.
        while let Some(way) = pop(&self.idle) {
            match way.send(Task { job, way_back: way.clone() }) {
                Ok(()) => return Ok(()),
                Err(returned) => job = returned.0.job,
            }
        }
        let (way, tasks) = mpsc::channel();
        let idle = Arc::downgrade(&self.idle);
        thread::Builder::new()
            .name("hash-password".to_owned())
            .spawn(move || work(&tasks, &idle, KEEPS_MEMORY))?;
        // The thread has just begun to wait for it.
        let task = Task { job, way_back: way.clone() };
        way.send(task).map_err(|_| io::Error::other("a thread ended before it began"))
    }
}

fn lock(idle: &Idle) -> MutexGuard<'_, Vec<Sender<Task>>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Not in the head of a `while let`, which would hold the lock through its body.
fn pop(idle: &Idle) -> Option<Sender<Task>> {
    lock(idle).pop()
}

/// A thread's life.
fn work(tasks: &Receiver<Task>, idle: &Weak<Idle>, keeps_memory: Duration) {
    lower_priority();
    let mut memory = HashMemory::default();
    while let Some(Task { job, way_back }) = next(tasks, &mut memory, keeps_memory) {
        let done = job(&mut memory);
        // First free, then known to be: who learns of the end may start the next job at once.
        match idle.upgrade() {
            Some(idle) => lock(&idle).push(way_back),
            None => drop(way_back),
        }
        done();
    }
}

/// The next task; `None` once nobody can send one any more.
fn next(tasks: &Receiver<Task>, memory: &mut HashMemory, keeps_memory: Duration) -> Option<Task> {
    match tasks.recv_timeout(keeps_memory) {
        Ok(task) => Some(task),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            memory.release();
            tasks.recv().ok()
        }
    }
}

/// Lets everything else of the process go first. Linux has a nice value per thread; elsewhere it
/// would be the whole process'.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(error = %with_causes(&error), "password hashing has the priority of everything else");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Zeros;
    use super::*;
    use crate::crypto::password::{Argon2Cost, PasswordHasher};
    use crate::domain::password::Password;

    /// A job that tells which thread it ran on, and how nice that one is.
    fn telling(answer: Sender<(thread::ThreadId, Option<i32>)>) -> Job {
        Box::new(move |_| {
            #[cfg(target_os = "linux")]
            let niceness = rustix::process::getpriority_process(None).ok();
            #[cfg(not(target_os = "linux"))]
            let niceness = None;
            Box::new(move || answer.send((thread::current().id(), niceness)).expect("somebody asks"))
        })
    }

    #[test]
    fn a_free_thread_is_used_again() {
        let threads = Threads::default();
        let (answer, answers) = mpsc::channel();
        threads.start(telling(answer.clone())).expect("a thread");
        let (first, _) = answers.recv().expect("an answer");
        threads.start(telling(answer)).expect("a thread");
        assert_eq!(answers.recv().expect("an answer").0, first);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn hashing_steps_back_behind_everything_else() {
        let own = rustix::process::getpriority_process(None).expect("a nice value");
        let (answer, answers) = mpsc::channel();
        Threads::default().start(telling(answer)).expect("a thread");
        let (_, niceness) = answers.recv().expect("an answer");
        assert_eq!(niceness, Some((own + NICENESS).min(19)));
        assert_eq!(rustix::process::getpriority_process(None), Ok(own));
    }

    #[test]
    fn a_thread_that_panicked_is_replaced() {
        let threads = Threads::default();
        let (answer, answers) = mpsc::channel::<()>();
        threads
            .start(Box::new(move |_| {
                let _dropped_on_the_way = answer;
                panic!("as if a hash had");
            }))
            .expect("a thread");
        assert!(answers.recv().is_err());
        let (answer, answers) = mpsc::channel();
        threads.start(telling(answer)).expect("another thread");
        answers.recv().expect("an answer");
    }

    #[test]
    fn a_thread_that_has_no_work_for_long_gives_its_memory_back() {
        let (way, tasks) = mpsc::channel();
        let thread = thread::spawn(move || work(&tasks, &Weak::new(), Duration::ZERO));
        let (answer, answers) = mpsc::channel();
        let held_after = |hash: Box<dyn FnOnce(&mut HashMemory) + Send>| {
            let answer = answer.clone();
            let job: Job = Box::new(move |memory| {
                hash(memory);
                let held = memory.held_kib();
                Box::new(move || answer.send(held).expect("somebody asks"))
            });
            assert!(way.send(Task { job, way_back: way.clone() }).is_ok());
            answers.recv().expect("an answer")
        };
        let hash = Box::new(|memory: &mut HashMemory| {
            let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
            let hasher = PasswordHasher::new(cost, &Zeros).expect("a cost");
            let password = Password::parse("a password").expect("one");
            assert!(!hasher.verify(&password, None, memory).expect("memory"));
        });
        assert_eq!(held_after(hash), 64);
        // It may be asked before it has seen that there is nothing to do, but not for ever.
        assert!((0..10_000).any(|_| held_after(Box::new(|_| ())) == 0));
        drop(way);
        thread.join().expect("no panic");
    }

    #[test]
    fn threads_end_when_nobody_can_give_them_work() {
        let threads = Threads::default();
        let (held, dropped) = mpsc::channel::<()>();
        let (way, tasks) = mpsc::channel();
        let idle = Arc::downgrade(&threads.idle);
        let thread = thread::spawn(move || {
            let _held = held;
            work(&tasks, &idle, KEEPS_MEMORY);
        });
        lock(&threads.idle).push(way);
        drop(threads);
        assert!(dropped.recv().is_err());
        thread.join().expect("no panic");
    }
}
