//! What the service costs beside the least that the same work can cost: `./scripts/bench`, docs/performance.md.
//!
//! ```text
//! hallpass-speed compare HALLPASS [short]   drives load at the program HALLPASS and at the references, prints the table
//! hallpass-speed grow HALLPASS [PART]       measures what the same costs as there is more of everything
//! hallpass-speed reference REDIS_URL BYTES  serves the references over HTTP: poem and nothing else
//! hallpass-speed load HALLPASS MODE WHAT    one load alone, for a profiler: WHAT is auth-me, forward-auth or refresh,
//!                                           MODE mirror or strict
//! hallpass-speed memory HALLPASS            says what is in memory of it when nobody asks
//! hallpass-speed count [OPERATION]          does it, for callgrind to count; without, says what can be counted
//! ```

mod alone;
mod askers;
mod compare;
mod grow;
mod instructions;
mod load;
mod memory;
mod process;
mod reference;
mod sessions;
mod stack;
mod table;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/support"]
mod support {
    pub(crate) mod certificates;
    pub(crate) mod ports;
    pub(crate) mod postgres;
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["compare", hallpass] => compare::run(hallpass, &compare::LONG),
        ["compare", hallpass, "short"] => compare::run(hallpass, &compare::SHORT),
        ["grow", hallpass] => grow::run(hallpass, None),
        ["grow", hallpass, part] => grow::run(hallpass, Some(part)),
        ["memory", hallpass] => memory::run(hallpass),
        ["count"] => instructions::list(),
        ["count", name] => instructions::count(name),
        ["reference", redis, bytes] => reference::serve(redis, bytes.parse().expect("a number of bytes")),
        ["load", hallpass, mode, what] => compare::load_alone(hallpass, mode, what),
        _ => panic!("see the head of speed/src/main.rs"),
    }
}
