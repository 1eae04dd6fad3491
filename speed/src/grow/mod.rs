//! What the same costs as there is more of everything: `./scripts/bench grow`.

mod accounts;
mod audit;
mod followers;
mod journal;
mod sessions;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::process::{Served, load};

/// Measures one of them, of that program.
type Measure = fn(&str);

/// What grows, and what measures it.
const PARTS: [(&str, Measure); 4] = [
    ("sessions", |_| sessions::run()),
    ("accounts", accounts::run),
    ("followers", followers::run),
    ("journal", |_| journal::run()),
];

/// Measures all of it, or one part.
pub(crate) fn run(hallpass: &str, wanted: Option<&str>) {
    let before = load();
    assert!(
        wanted.is_none_or(|wanted| PARTS.iter().any(|(name, _)| *name == wanted)),
        "{wanted:?} is no part"
    );
    for (name, measure) in PARTS {
        if wanted.is_none_or(|wanted| wanted == name) {
            measure(hallpass);
            println!();
        }
    }
    println!("The machine's load was {before} before and {} after.", load());
}

/// What something cost, each time.
#[derive(Clone, Copy)]
struct Spent {
    /// Of processors, in this process and in the server that is asked.
    cpu: Duration,
    /// The median of how long it took.
    p50: Duration,
}

/// Does this so often, one after the other.
async fn spent(server: Option<&Served>, times: u32, mut act: impl AsyncFnMut(u32)) -> Spent {
    let mut took = Vec::new();
    let (own, others) = (own_cpu(), server.map(Served::cpu));
    for number in 0..times {
        let began = Instant::now();
        act(number).await;
        took.push(began.elapsed());
    }
    let of_others = match (server, others) {
        (Some(server), Some(before)) => Duration::from_secs_f64(server.cpu().since(&before)),
        _ => Duration::ZERO,
    };
    took.sort_unstable();
    Spent { cpu: (own_cpu() - own + of_others) / times, p50: took[took.len() / 2] }
}

/// What this process has had of the processors.
fn own_cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs().try_into().unwrap_or_default())
}

/// 1000000 as 1,000,000.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}
