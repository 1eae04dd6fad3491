//! Many logins at once.

use hyper::StatusCode;
use tokio::task::JoinSet;

use crate::client::{get, login};
use crate::process::Program;

#[tokio::test]
async fn three_hundred_logins_at_once_take_bounded_memory_and_hold_up_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    // All come from one address, and it is not the limits that are asked about here.
    let arguments = ["dev", "--listen", "127.0.0.1:0", "--set", "rate_limits.enabled=false"];
    let service = Program::new(folder.path(), &arguments).start();
    let client = service.client();
    let tokens = client.logged_in("ada@example.com").await;

    let mut callers = JoinSet::new();
    for number in 0..300 {
        // Somebody who is not there costs as much as somebody who is.
        let email = if number % 2 == 0 { "johndoe@example.com" } else { "nobody@example.com" };
        callers.spawn(async move { client.send(login(email, "password")).await });
    }
    let mut statuses = Vec::new();
    while let Some(answer) = callers.join_next().await {
        let answer = answer.expect("no panic");
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        }
        statuses.push(answer.status);
        if statuses.len() == 100 {
            let me = client.send(get("/users/me").bearer(&tokens.access)).await;
            assert_eq!(me.status, StatusCode::OK, "{me:?}");
        }
    }
    let count = |status| statuses.iter().filter(|other| **other == status).count();
    let [ok, refused, overloaded] =
        [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE].map(count);
    assert_eq!(ok + refused + overloaded, 300, "{statuses:?}");
    assert!(ok > 0 && refused > 0 && overloaded > 0, "{statuses:?}");

    // Hashed all at once, those that had a place alone would take more than 1,200 MiB.
    let peak = service.memory_mib("VmHWM");
    assert!(peak < 256, "{peak} MiB");
    service.stop().await;
}
