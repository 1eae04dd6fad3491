//! A bad day: everything that an operator does to a deployment, under load, one right after the other.

use serde_json::Value;

use crate::deployment::{Deployment, Setup, earlier_release};
use crate::ledger::Loss;
use crate::load::Load;
use crate::support::redis::RedisServer;
use crate::support::switchboard::Switchboard;

/// Who do something at once.
const CLIENTS: usize = 64;

/// Between two steps.
const SOME: u64 = 200;

const ANOTHER_SECRET: &str = "zyxwvutsrqponmlkjihgfedcba9876543210";

/// All replicas, one after the other, with what they are started with from now on.
async fn replace_all(replicas: &mut Deployment, load: &Load) {
    for place in 0..3 {
        replicas.replace(place, load).await;
    }
    load.acknowledges(SOME).await;
}

/// The two steps of docs/keys.md, and the third.
async fn rotate_the_secret(replicas: &mut Deployment, load: &Load) {
    replicas.setup.accepted = Some(ANOTHER_SECRET.to_owned());
    replace_all(replicas, load).await;
    let before = std::mem::replace(&mut replicas.setup.secret, ANOTHER_SECRET.to_owned());
    replicas.setup.accepted = Some(before);
    replace_all(replicas, load).await;
    replicas.command(&["secret", "rotate"]).await;
}

/// Whatever the key that signs has signed is refused from now on; sessions live on.
async fn pull_the_signing_key(replicas: &Deployment, load: &Load) {
    let listed = replicas.command(&["keys", "list", "--json"]).await;
    let keys: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let mut all = keys.as_array().expect("a list").iter();
    let active = all.find(|key| key["state"] == "active").expect("one that signs");
    load.ledger().signing_key_is_pulled();
    replicas.command(&["keys", "revoke", active["kid"].as_str().expect("its id")]).await;
    load.acknowledges(SOME).await;
}

/// Redis moves to another server, without a moment between the two.
async fn move_redis(from: &RedisServer, to: &RedisServer, address: &Switchboard, load: &Load) {
    to.follow(from.port()).await;
    from.hands_over_to(to).await;
    address.lead_to(to.port());
    load.is_back();
    load.acknowledges(SOME).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the program of an earlier release: ./scripts/faults builds it"]
async fn everything_at_once() {
    let (redis, another) = (RedisServer::start(), RedisServer::start());
    let address = Switchboard::to(redis.port()).await;
    let url = format!("redis://{}", address.address());
    let setup = Setup { build: Some(earlier_release()), ..Setup::on(url) };
    let mut replicas = Deployment::start(setup).await;
    let load = replicas.load(CLIENTS).await;
    load.acknowledges(SOME).await;

    replicas.setup.build = None;
    for place in 0..3 {
        replicas.replace_by_hand(place, &load).await;
    }
    load.ledger().earlier_are_gone();
    rotate_the_secret(&mut replicas, &load).await;
    pull_the_signing_key(&replicas, &load).await;
    move_redis(&redis, &another, &address, &load).await;
    replicas.kill(0, &load).await;
    replicas.put(0, &load).await;
    load.is_back();
    load.acknowledges(2 * SOME).await;
    load.settle("everything at once, 64 clients", Loss::Nothing).await;
    replicas.stop().await;
}
