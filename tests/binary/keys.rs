//! `hallpass keys`, beside a running service.

use std::path::Path;

use serde_json::Value;

use crate::client::{Client, Tokens, get, login};
use crate::process::{Outcome, Program, SECRET, Service, dev, eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// The example of RFC 8037 A.3.
const PEM_KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

async fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    Program::new(folder, arguments).run().await
}

async fn done(folder: &Path, arguments: &[&str]) -> String {
    let outcome = run(folder, arguments).await;
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
    outcome.stdout
}

async fn refused(folder: &Path, arguments: &[&str], why: &str) {
    let outcome = run(folder, arguments).await;
    assert_eq!(outcome.code, Some(1), "{arguments:?}: {outcome:?}");
    assert!(outcome.stderr.contains(why), "{arguments:?}: {outcome:?}");
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

async fn published(client: &Client) -> Vec<String> {
    let jwks = client.send(get("/.well-known/jwks.json")).await.json();
    let keys = jwks["keys"].as_array().expect("keys");
    keys.iter().map(|key| key["kid"].as_str().expect("kid").to_owned()).collect()
}

async fn access_token(client: &Client) -> String {
    Tokens::of(&client.send(login("johndoe@example.com", "password")).await).access
}

/// The ids of the keys in a state.
async fn in_state(folder: &Path, state: &str) -> Vec<String> {
    let keys = json(&done(folder, &["keys", "list", "--json"]).await);
    let keys = keys.as_array().expect("keys").iter().filter(|key| key["state"] == state);
    keys.map(|key| key["kid"].as_str().expect("kid").to_owned()).collect()
}

/// The command that makes it is in the first line of each, as people type it.
#[tokio::test]
async fn a_key_is_imported_as_openssl_writes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let openssl = |arguments: &str| {
        let made =
            std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        assert!(made.expect("openssl").status.success(), "openssl {arguments}");
    };
    openssl("ecparam -name prime256v1 -genkey -out sec1.pem");
    openssl("genrsa -traditional -out pkcs1.pem 2048");
    openssl("genpkey -algorithm ed25519 -out ed25519.pem");
    openssl("pkey -in ed25519.pem -outform DER -out ed25519.der");
    openssl("pkey -in sec1.pem -aes256 -passout pass:secret -out encrypted.pem");
    openssl("ecparam -name secp384r1 -genkey -out p384.pem");
    dev(folder).start().stop().await;
    for (file, algorithm) in [("sec1.pem", "ES256"), ("pkcs1.pem", "RS256"), ("ed25519.der", "EdDSA")] {
        let imported = json(&done(folder, &["keys", "import", file, "--json"]).await);
        assert_eq!(imported["algorithm"], algorithm, "{file}");
    }
    refused(folder, &["keys", "import", "ed25519.pem"], "in the ring already").await;
    refused(folder, &["keys", "import", "encrypted.pem"], "openssl pkey -in KEY -out DECRYPTED").await;
    refused(folder, &["keys", "import", "p384.pem"], "no private key").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_moved_on_beside_the_running_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let service: Service = dev(folder.path()).start();
    let client = service.client();
    let folder = folder.path();

    let (active, next) = (in_state(folder, "active").await, in_state(folder, "next").await);
    assert_eq!((active.len(), next.len()), (1, 1));
    assert_eq!(published(&client).await, [active[0].clone(), next[0].clone()]);
    let listed = done(folder, &["keys", "list"]).await;
    assert!(listed.contains("signs no more") && listed.contains(&next[0]), "{listed}");

    refused(folder, &["keys", "promote"], "--force").await;
    refused(folder, &["keys", "promote", &active[0]], "is active").await;
    refused(folder, &["keys", "retire", &active[0]], "promote another one first").await;
    refused(folder, &["keys", "retire", "nonesuch", "--force"], "no key nonesuch").await;
    refused(folder, &["keys", "revoke", "nonesuch"], "no key nonesuch").await;
    refused(folder, &["keys", "import", "nonesuch.pem"], "nonesuch.pem cannot be read").await;

    std::fs::write(folder.join("key.pem"), PEM).expect("a file");
    let imported = json(&done(folder, &["keys", "import", "key.pem", "--json"]).await);
    assert_eq!((&imported["kid"], &imported["state"]), (&PEM_KID.into(), &"next".into()));
    assert_eq!(imported["algorithm"], "EdDSA");
    refused(folder, &["keys", "import", "key.pem"], "in the ring already").await;
    let made = json(&done(folder, &["keys", "create", "--algorithm", "RS256", "--json"]).await);
    assert_eq!(made["algorithm"], "RS256");
    // What takes the one algorithm alone is told of in time.
    let warned = run(folder, &["keys", "create", "--algorithm", "RS256"]).await;
    assert!(warned.stderr.contains("this key is for RS256, and ES256 signs now"), "{warned:?}");
    let mut spares = in_state(folder, "next").await.split_off(3);
    done(folder, &["keys", "retire", &spares[0]]).await;
    let quiet = run(folder, &["keys", "create", "--algorithm", "ES256"]).await;
    assert!(!quiet.stderr.contains("warning"), "{quiet:?}");
    spares.extend(in_state(folder, "next").await.split_off(3));
    done(folder, &["keys", "retire", &spares[1]]).await;
    eventually("the service publishes both", async || published(&client).await.len() == 4).await;
    done(folder, &["keys", "retire", made["kid"].as_str().expect("kid")]).await;
    eventually("it publishes one of them", async || published(&client).await.len() == 3).await;

    eventually("every replica has read it", async || {
        run(folder, &["keys", "promote", PEM_KID, "--force"]).await.code == Some(0)
    })
    .await;
    eventually("it signs", async || published(&client).await[0] == PEM_KID).await;
    refused(folder, &["keys", "retire", &active[0]], "in use").await;
    done(folder, &["keys", "retire", &active[0], "--force"]).await;
    eventually("it is gone", async || !published(&client).await.contains(&active[0])).await;

    let access = access_token(&client).await;
    assert_eq!(client.auth_me(&access).await.status, 200);
    // The embedded token store is the service's: the announcement is left to it.
    let revoked = json(&done(folder, &["keys", "revoke", PEM_KID, "--json"]).await);
    assert_eq!((&revoked["signing"], &revoked["announced"]), (&next[0].clone().into(), &false.into()));
    eventually("its tokens are refused", async || client.auth_me(&access).await.status == 401).await;
    assert!(!published(&client).await.contains(&PEM_KID.to_owned()));
    let access = access_token(&client).await;
    assert_eq!(client.auth_me(&access).await.status, 200);
    eventually("there is another next key", async || in_state(folder, "next").await.len() == 1).await;
    refused(folder, &["keys", "import", "key.pem"], "revoked").await;
    let said = done(folder, &["keys", "revoke", PEM_KID]).await;
    assert!(said.contains("revoked") && !said.contains("out of reach"), "it was announced meanwhile: {said}");

    let entries = client.send(get("/audit?limit=200").bearer(&access)).await.json();
    let of_the_operator = entries.as_array().expect("entries").iter().rev();
    let of_the_operator: Vec<_> = of_the_operator
        .filter(|entry| entry["actor"] == "operator")
        .map(|entry| (entry["action"].as_str().expect("text"), entry["object"].as_str().expect("a key")))
        .collect();
    let made = made["kid"].as_str().expect("kid");
    assert_eq!(
        of_the_operator,
        [
            ("signing_key_added", PEM_KID),
            ("signing_key_added", made),
            ("signing_key_added", spares[0].as_str()),
            ("signing_key_retired", spares[0].as_str()),
            ("signing_key_added", spares[1].as_str()),
            ("signing_key_retired", spares[1].as_str()),
            ("signing_key_retired", made),
            ("signing_key_promoted", PEM_KID),
            ("signing_key_retired", active[0].as_str()),
            ("signing_key_revoked", PEM_KID),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_by_every_replica() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let start = || serve(folder.path(), &redis.url(), &database).start();
    let (first, second) = (start(), start());
    let (here, there) = (first.client(), second.client());
    let access = here.logged_in("ada@example.com").await.access;
    assert_eq!(there.auth_me(&access).await.status, 200);

    let kid = published(&there).await[0].clone();
    let outcome = Program::new(folder.path(), &["keys", "revoke", &kid, "--json"])
        .variable("HALLPASS_SECRET", SECRET)
        .variable("REDIS_URL", redis.url())
        .variable("DATABASE_URL", &database)
        .run()
        .await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(json(&outcome.stdout)["announced"], true);
    for client in [&here, &there] {
        eventually("it is refused", async || client.auth_me(&access).await.status == 401).await;
        assert!(!published(client).await.contains(&kid));
    }
    // Each knows at once what the other signs.
    let tokens = here.log_in("ada@example.com").await;
    assert_eq!(there.auth_me(&tokens.access).await.status, 200);
    first.stop().await;
    second.stop().await;
}
