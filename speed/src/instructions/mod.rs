//! Instructions of what the service does most often: `./scripts/instructions` runs this under callgrind, which counts
//! what happens within [`counted_step`] and nothing else.
//!
//! Counted is what the thread does that a request is on, in the code as it is released, from the request that HTTP has
//! brought to the answer: not the reading of HTTP, not the kernel, not Redis and not the threads of SQLite. Left out as
//! well, by `--toggle-collect`, is the arithmetic of P-256, which is the library's.

mod feed;
mod service;

use std::cell::RefCell;
use std::hint::black_box;

use futures_util::FutureExt;
use poem::http::StatusCode;
use poem::{Endpoint, Request, Response};

use self::service::{InProcess, answered, authorized, refresh, validate};

/// How often each is done before it counts: what is made at the first time is no cost of the others.
const BEFORE: usize = 20;

/// How often each counts.
const TIMES: usize = 200;

/// Does something, and answers how often that was.
type Counted = fn() -> usize;

/// What is counted, and what does it.
const OPERATIONS: [(&str, Counted); 7] = [
    ("auth-me, known token, mirror mode", || known("/auth/auth-me")),
    ("forward-auth, known token, mirror mode", || known("/forward-auth")),
    ("forward-auth, new token, mirror mode", unseen),
    ("forward-auth, known token, strict mode", strict),
    ("refresh", refreshes),
    ("entry of the feed, told to a reader", feed::told),
    ("entry of the feed, taken in by a validator", feed::heard),
];

/// The names of what can be counted, a line each.
pub(crate) fn list() {
    for (name, _) in OPERATIONS {
        println!("{name}");
    }
}

/// Does one of them, and says how often.
pub(crate) fn count(name: &str) {
    let found = OPERATIONS.iter().find(|(known, _)| *known == name);
    let (_, run) = found.unwrap_or_else(|| panic!("{name:?} is not counted; `count` lists what is"));
    println!("{}", run());
}

/// What happens in here is counted (`--toggle-collect`).
#[inline(never)]
fn counted_step(step: &mut dyn FnMut()) {
    step();
    black_box(&step);
}

/// What came before this does not count (`--zero-before`): callgrind has counted the P-256 of it, whose functions turn
/// counting round.
#[inline(never)]
fn counting_begins() {
    black_box(());
}

/// Does this again and again, each time with what was prepared for it; only the last [`TIMES`] count.
fn count_each<T>(mut prepare: impl FnMut() -> T, mut act: impl FnMut(T)) -> usize {
    for number in 0..BEFORE + TIMES {
        let mut prepared = Some(prepare());
        if number == BEFORE {
            counting_begins();
        }
        counted_step(&mut || act(prepared.take().expect("what was prepared")));
    }
    TIMES
}

/// Asks, and is answered at once: nothing else gets to run meanwhile.
fn at_once(service: &InProcess, request: Request) -> Response {
    let _entered = service.runtime.enter();
    let response = service.endpoint.get_response(request).now_or_never().expect("an answer at once");
    assert_eq!(response.status(), StatusCode::OK);
    response
}

fn known(path: &'static str) -> usize {
    let service = InProcess::mirror();
    let tokens = service.log_in();
    service.answers_from_its_copy();
    let ask = || authorized(path, &tokens.access);
    let prepare = || {
        // The account is shown as it was read a moment ago, and no longer.
        service.runtime.block_on(service.endpoint.get_response(ask()));
        ask()
    };
    count_each(prepare, |request| drop(at_once(&service, request)))
}

fn unseen() -> usize {
    let service = InProcess::mirror();
    let mut tokens = service.log_in();
    let mut requests = Vec::new();
    for _ in 0..BEFORE + TIMES {
        tokens = service.refresh(&tokens);
        requests.push(validate(&tokens));
    }
    service.answers_from_its_copy();
    count_each(|| requests.pop().expect("one"), |request| drop(at_once(&service, request)))
}

fn strict() -> usize {
    let service = InProcess::strict();
    let tokens = service.log_in();
    let ask = |request| {
        let response = service.runtime.block_on(service.endpoint.get_response(request));
        assert_eq!(response.status(), StatusCode::OK);
    };
    count_each(|| validate(&tokens), ask)
}

fn refreshes() -> usize {
    let service = InProcess::strict();
    let newest = RefCell::new(service.log_in());
    let redeem = |request| {
        let answer = service.runtime.block_on(answered(&service.endpoint, request));
        newest.replace(answer.into());
    };
    count_each(|| refresh(&newest.borrow()), redeem)
}
