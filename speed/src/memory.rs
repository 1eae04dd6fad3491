//! What is in memory of a service and of a sidecar that nobody asks.

use std::time::Duration;

use crate::process::{Resident, Served};
use crate::stack::{Service, redis};

/// What either may have of its own, MiB: some more than it has, since no two starts are alike. What is resident of the
/// program's file besides is the kernel's choice: it maps what is around a page that is wanted.
const SERVE_MAX: f64 = 7.5;
const SIDECAR_MAX: f64 = 3.0;

/// What is aimed at, with the pages of the file.
const GOAL: f64 = 12.0;

/// After so long what goes on beside requests has begun.
const SETTLED: Duration = Duration::from_secs(2);

/// What is in memory of it once it has settled.
pub(crate) fn idle(served: &Served) -> Resident {
    std::thread::sleep(SETTLED);
    served.resident()
}

/// The same in words.
pub(crate) fn told(what: &str, Resident { all, own }: Resident) -> String {
    format!("`{what}` idle: {all:.1} MiB resident (goal {GOAL}), of which {own:.1} MiB are its own.")
}

/// Says what either has, and fails when it is too much.
pub(crate) fn run(hallpass: &str) {
    let redis = redis();
    let service = Service::new(hallpass, &redis, "mirror");
    let secret = service.client("books");
    let (served, _) = service.start();
    let serve = idle(&served);
    let sidecar = idle(&service.sidecar(&served, "books", &secret));
    println!("{}", told("serve", serve));
    println!("{}", told("sidecar", sidecar));
    assert!(serve.own <= SERVE_MAX, "more than {SERVE_MAX} MiB are `serve`'s own");
    assert!(sidecar.own <= SIDECAR_MAX, "more than {SIDECAR_MAX} MiB are `sidecar`'s own");
}
