//! How long answers took.

use std::time::Duration;

/// The latencies of all phases of one kind.
#[derive(Default)]
pub struct Latencies(pub Vec<Duration>);

impl Latencies {
    /// What so many of a hundred stay within, ms.
    pub fn percentile(&mut self, percent: usize) -> f64 {
        self.0.sort();
        self.0[(self.0.len() - 1) * percent / 100].as_secs_f64() * 1e3
    }

    /// Says how long they took.
    pub fn print(&mut self, what: &str) {
        let [p50, p99, longest] = [50, 99, 100].map(|percent| self.percentile(percent));
        let count = self.0.len();
        println!("{what}: p50 {p50:.2} ms, p99 {p99:.2} ms, at most {longest:.2} ms of {count} requests");
    }
}
