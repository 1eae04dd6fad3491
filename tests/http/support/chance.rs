//! Chance that repeats itself from run to run, and that can make whoever asks for it wait.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest;
use hallpass::domain::random::Random;

/// Bytes that look like chance and are the same in every run: the digests of a counter. Two fills
/// never get the same ones.
#[derive(Default)]
pub struct SeededRandom {
    drawn: AtomicU64,
    held: AtomicBool,
    hold: Mutex<Option<Hold>>,
}

/// What a held caller says and waits for.
struct Hold {
    arrived: tokio::sync::oneshot::Sender<()>,
    released: mpsc::Receiver<()>,
}

/// Somebody who asked for chance and waits; let go by [`release`](Self::release) or by dropping this.
pub struct Held {
    arrived: tokio::sync::oneshot::Receiver<()>,
    _release: mpsc::Sender<()>,
}

impl SeededRandom {
    /// Makes the next password hash wait for its salt, on a worker of its own, which keeps that worker
    /// busy for as long as a test needs it to be. Whoever else asks gets their bytes: the service draws
    /// chance in the background as well, on the thread that runs the test.
    pub fn hold_next_salt(&self) -> Held {
        let (arrived_tx, arrived) = tokio::sync::oneshot::channel();
        let (release, released) = mpsc::channel();
        let hold = Hold { arrived: arrived_tx, released };
        *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold);
        self.held.store(true, Ordering::SeqCst);
        Held { arrived, _release: release }
    }
}

impl Held {
    /// Resolves when somebody waits.
    pub async fn arrived(&mut self) {
        (&mut self.arrived).await.expect("somebody who asks for chance");
    }

    /// Lets them go on.
    pub fn release(self) {}
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let draws_salt = std::thread::current().name() == Some("hash-password");
        if draws_salt && self.held.swap(false, Ordering::SeqCst) {
            let hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(Hold { arrived, released }) = hold {
                let _ = arrived.send(());
                // Fails when the other end is dropped, which is what lets go.
                let _ = released.recv();
            }
        }
        for chunk in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
            let number = self.drawn.fetch_add(1, Ordering::SeqCst);
            let digest = digest::digest(&digest::SHA256, &number.to_be_bytes());
            chunk.copy_from_slice(&digest.as_ref()[..chunk.len()]);
        }
    }
}
