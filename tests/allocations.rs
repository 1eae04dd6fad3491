//! What the validation of a known token takes from the allocator, exactly: a figure that no busy machine changes.

#[path = "support/mod.rs"]
mod servers;
#[path = "http/support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "the other tests use all of it")]
mod support;

use futures_util::FutureExt;
use poem::http::Uri;
use poem::{Endpoint, Request};
use servers::redis::RedisServer;
use support::TestApp;
use tokio::runtime::Builder;

/// How often each is asked; every time counts.
const TIMES: u64 = 100;

/// How many allocations one validation took when this was last written down, and the bytes of them.
const AUTH_ME: (u64, u64) = (15, 5_235);
const FORWARD_AUTH: (u64, u64) = (14, 4_189);

fn request(path: &'static str, access: &str) -> Request {
    let request = Request::builder().uri(Uri::from_static(path));
    request.header("authorization", format!("Bearer {access}")).finish()
}

/// Asks, and answers what that took. It is answered at once: nothing is waited for.
fn cost(app: &TestApp, path: &'static str, access: &str) -> (u64, u64) {
    let requests: Vec<_> = (0..TIMES).map(|_| request(path, access)).collect();
    let usage = allocation_counter::measure(|| {
        for request in requests {
            let response = app.endpoint().get_response(request).now_or_never().expect("an answer at once");
            assert!(response.status().is_success(), "{}", response.status());
        }
    });
    (usage.count_total / TIMES, usage.bytes_total / TIMES)
}

#[test]
fn a_known_token_is_answered_at_once_and_takes_no_more_than_it_did() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let app = TestApp::on_redis_and_sqlite(RedisServer::start()).await.mirror().await;
        let ada = app.member("ada").await;
        for (path, most) in [("/auth/auth-me", AUTH_ME), ("/forward-auth", FORWARD_AUTH)] {
            // The first one is looked at.
            app.endpoint().get_response(request(path, &ada.tokens.access)).await;
            let took = cost(&app, path, &ada.tokens.access);
            assert!(
                took.0 * 100 <= most.0 * 102 && took.1 * 100 <= most.1 * 102,
                "{path}: {took:?}, {most:?}"
            );
        }
    });
}
