//! What each load cost, and the one table of it.

use std::collections::HashMap;
use std::time::Duration;

/// What a load cost, a figure a round.
#[derive(Default)]
struct Row {
    /// CPU seconds per 1,000 requests, of the server.
    server: Vec<f64>,
    /// The same of Redis.
    redis: Vec<f64>,
    /// Milliseconds.
    p50: Vec<f64>,
    p99: Vec<f64>,
    /// Requests a second.
    rate: Vec<f64>,
}

/// All that was measured, by name.
#[derive(Default)]
pub(crate) struct Table {
    rows: HashMap<&'static str, Row>,
}

/// What a load is held against.
pub(crate) struct Goal {
    /// In words.
    pub(crate) against: &'static str,
    /// CPU seconds per 1,000 requests.
    pub(crate) floor: f64,
    /// By how much the load may exceed it.
    pub(crate) most: f64,
    /// Whether that of Redis counts as well.
    pub(crate) with_redis: bool,
}

impl Table {
    /// Takes in a round: how long each answer took, in order, the CPU seconds of the server and of Redis, and the time it took.
    pub(crate) fn add(&mut self, name: &'static str, latencies: &[Duration], cpu: [f64; 2], took: Duration) {
        let requests = latencies.len() as f64;
        let at = |share: usize| latencies[latencies.len() * share / 100].as_secs_f64() * 1e3;
        let row = self.rows.entry(name).or_default();
        row.server.push(cpu[0] * 1e3 / requests);
        row.redis.push(cpu[1] * 1e3 / requests);
        row.p50.push(at(50));
        row.p99.push(at(99));
        row.rate.push(requests / took.as_secs_f64());
    }

    /// CPU seconds per 1,000 requests, of the server and of Redis.
    pub(crate) fn cpu(&self, name: &str) -> (f64, f64) {
        self.rows.get(name).map_or((f64::NAN, f64::NAN), |row| (median(&row.server), median(&row.redis)))
    }

    /// Milliseconds.
    pub(crate) fn p99(&self, name: &str) -> f64 {
        self.rows.get(name).map_or(f64::NAN, |row| median(&row.p99))
    }

    /// Requests a second.
    pub(crate) fn rate(&self, name: &str) -> f64 {
        self.rows.get(name).map_or(f64::NAN, |row| median(&row.rate))
    }

    pub(crate) fn print_head() {
        println!("| | CPU s per 1,000 (Redis') | p50 / p99 ms | a second | against |");
        println!("| --- | --- | --- | --- | --- |");
    }

    pub(crate) fn print(&self, name: &str, goal: Option<Goal>) {
        let row = &self.rows[name];
        let (server, redis) = self.cpu(name);
        let against = goal.map_or_else(String::new, |Goal { against, floor, most, with_redis }| {
            let cost = if with_redis { server + redis } else { server };
            format!("{:.2} x {against} (goal {most})", cost / floor)
        });
        let [p50, p99, rate] = [&row.p50, &row.p99, &row.rate].map(|values| median(values));
        println!("| {name} | {server:.4} ({redis:.4}) | {p50:.2} / {p99:.2} | {rate:.0} | {against} |");
    }
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
