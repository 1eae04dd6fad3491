//! Does with the Rust clients what every client does, against a running service: `hallpass-sdk SERVICE FRONT`.

#[allow(dead_code, reason = "a client has more than one program uses")]
mod hallpass;
mod me;
mod openapi_generator;
mod others;
mod progenitor;
mod session;

use hallpass::types::LoginRequest;
use session::Session;

const PASSWORD: &str = "an engine weaves patterns";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (service, front) = (arguments.next().expect("SERVICE"), arguments.next().expect("FRONT"));
    progenitor::an_account_lives(&service).await;
    a_session_lasts(&front).await;
    println!("rust (progenitor): well");
    openapi_generator::an_account_lives(&service).await;
    openapi_generator::a_later_version_is_understood(&front).await;
    println!("rust (openapi-generator): well");
}

/// The code of the documentation refreshes once and waits.
async fn a_session_lasts(front: &str) {
    assert_eq!(me::who_am_i(front).await.expect("the administrator"), "johndoe@example.com");
    let who = LoginRequest {
        email: "johndoe@example.com".parse().expect("an address"),
        password: "password".parse().expect("a password"),
        resource: None,
    };
    let session = Session::log_in(front, &who).await.expect("logged in");
    let me = async || {
        session.call(async |hallpass| hallpass.get_me().await).await.expect("served").into_inner().id
    };
    assert_eq!(me().await, 1);
    let before = refreshes(front).await;
    tell(front, "expire").await;
    assert_eq!(tokio::join!(me(), me(), me(), me()), (1, 1, 1, 1));
    assert_eq!(refreshes(front).await, before + 1, "one refresh for all");
    tell(front, "busy").await;
    assert_eq!(me().await, 1);
}

async fn tell(front: &str, what: &str) {
    reqwest::Client::new().post(format!("{front}/front/{what}")).send().await.expect("told");
}

async fn refreshes(front: &str) -> u64 {
    let text = reqwest::get(format!("{front}/front/refreshes"))
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("a body");
    let counts: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    counts["refreshes"].as_u64().expect("a number")
}
