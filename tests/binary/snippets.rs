//! The snippets of `docs/validate.md`, to the letter, against the real service: whom they let in, whom
//! they do not, and what they can know of a log out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hallpass::crypto::jwt;
use hallpass::crypto::keys::SigningKey;
use hallpass::domain::signing_key::SigningAlgorithm;
use hallpass_verify::{AccessClaims, TokenType};
use hyper::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{interval, timeout};

use crate::client::{Tokens, post};
use crate::process::{Outcome, PATIENCE, Running, Service, dev};

/// The block for Rust, compiled.
#[path = "../validators/validate.rs"]
mod validate;

const DOCUMENT: &str = include_str!("../../docs/validate.md");
const RUST: &str = include_str!("../validators/validate.rs");

/// Where `scripts/test` puts what the snippets import: a folder for Node, and a virtual environment for
/// Python.
const LIBRARIES_OF_NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/validators");
const LIBRARIES_OF_PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/validators-python");
/// Where it puts a Node.js when the system's is too old.
const PROGRAMS_OF_NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/node/programs");
const DRIVERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/validators");

/// The key that the service signs with, so that it is at hand for tokens that the service would not make.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguIRT6jblaWZdwFY+\n\
    h3lHc1N87E3CRyp3/sicaj+OzmahRANCAAQ17ysfBbqvFfFPiWKrFa1CuRsnsshB\n\
    nK1T+afQ3aURetwz+0Cfx8LjG6Ic3i4MTk6uXilXmbkDXTSWcmUg7IgH\n\
    -----END PRIVATE KEY-----\n";

/// A key that it knows nothing of.
const FOREIGN_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5P75eWQwr11Pq8kP\n\
    llkYSVYQIg5jFXJWGUPUAipJHJehRANCAAT3DQc6DWwv4fLaj6wysUNbJmiR5G3J\n\
    qNBqYIW9CXLhUQ5TLYTvFIxpTBueyQ4iajL3lolyUv7Ogt5eYVqTYCtI\n\
    -----END PRIVATE KEY-----\n";

/// A service that signs with [`KEY`], and somebody who is logged in.
struct Issuer {
    service: Service,
    ada: Tokens,
    _folder: TempDir,
}

impl Issuer {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.pem");
        fs::write(&file, KEY).expect("a file");
        let service = dev(folder.path()).variable("HALLPASS_KEYS__SIGNING_KEY_FILE", file).start();
        let ada = service.client().logged_in("ada@example.com").await;
        Self { service, ada, _folder: folder }
    }

    fn url(&self) -> String {
        format!("http://{}", self.service.address())
    }

    async fn log_out(&self) {
        assert_eq!(self.service.client().log_out(&self.ada.access).await.status, StatusCode::OK);
    }

    /// A token that the sample client got for itself.
    async fn client_token(&self) -> String {
        let credentials = format!("Basic {}", STANDARD.encode("books:books-dev-secret"));
        let call = post("/oauth2/token").header("authorization", credentials);
        let call = call.json(&json!({"grant_type": "client_credentials"}));
        let answer = self.service.client().send(call).await;
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    /// What must be refused, each with what is wrong with it.
    async fn bad_tokens(&self) -> Vec<(&'static str, String)> {
        let good = &self.ada.access;
        let claims = claims_of(good);
        let key = signing_key(KEY);
        let with = |change: &dyn Fn(&mut AccessClaims)| {
            let mut changed = claims.clone();
            change(&mut changed);
            mint(&key, TokenType::AtJwt, &changed)
        };
        assert_eq!(claims_of(&with(&|_| ())), claims, "what is made here is like what the service makes");
        let known_kid = |algorithm, key: &EncodingKey| {
            let mut header = Header::new(algorithm);
            header.typ = Some("at+jwt".to_owned());
            header.kid = Some(signing_key(KEY).id().as_str().to_owned());
            jsonwebtoken::encode(&header, &claims, key).expect("a token")
        };
        let foreign = EncodingKey::from_ec_pem(FOREIGN_KEY.as_bytes()).expect("a key");
        let public_key = serde_json::to_vec(key.public()).expect("JSON");
        let (signed, signature) = good.rsplit_once('.').expect("three parts");
        let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "typ": "at+jwt"}).to_string());
        let payload = good.split('.').nth(1).expect("three parts");
        let other_first = if signature.starts_with('A') { "B" } else { "A" };
        vec![
            ("another signature", format!("{signed}.{other_first}{}", &signature[1..])),
            ("another key", mint(&signing_key(FOREIGN_KEY), TokenType::AtJwt, &claims)),
            ("another key under the known name", known_kid(Algorithm::ES256, &foreign)),
            (
                "the public key as a shared secret",
                known_kid(Algorithm::HS256, &EncodingKey::from_secret(&public_key)),
            ),
            ("no signature", format!("{none}.{payload}.")),
            ("expired", with(&|claims| claims.exp = now() - 60)),
            ("not yet", with(&|claims| claims.nbf = Some(now() + 600))),
            ("for somebody else", with(&|claims| claims.aud = vec!["https://other.example.com".to_owned()])),
            ("from somebody else", with(&|claims| claims.iss = "https://other.example.com".to_owned())),
            ("another kind of token", mint(&key, TokenType::Jwt, &claims)),
            ("a machine's", self.client_token().await),
            ("a refresh token", self.ada.refresh.clone()),
            ("nothing like a token", "junk".to_owned()),
        ]
    }
}

fn now() -> i64 {
    let elapsed = SystemTime::UNIX_EPOCH.elapsed().expect("a clock");
    elapsed.as_secs().try_into().expect("a time")
}

fn signing_key(pem: &str) -> SigningKey {
    SigningKey::from_pem(SigningAlgorithm::Es256, pem).expect("a key")
}

fn mint(key: &SigningKey, typ: TokenType, claims: &AccessClaims) -> String {
    jwt::mint(key, typ, claims).expect("a token").expose().to_owned()
}

fn claims_of(token: &str) -> AccessClaims {
    let payload = token.split('.').nth(1).expect("three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("claims")
}

/// The block in a language, of which there is one.
fn block(language: &str) -> &'static str {
    let opening = format!("\n```{language}\n");
    let mut blocks = DOCUMENT.split(&opening).skip(1);
    let block = blocks.next().unwrap_or_else(|| panic!("no block in {language}"));
    assert!(blocks.next().is_none(), "two blocks in {language}");
    let end = block.find("\n```\n").expect("an end of the block");
    &block[..=end]
}

/// A snippet as a file, and what asks it.
struct Snippet {
    program: PathBuf,
    driver: PathBuf,
    file: PathBuf,
    _folder: TempDir,
}

impl Snippet {
    fn node() -> Self {
        let own = Path::new(PROGRAMS_OF_NODE).join("node");
        let program = if own.is_file() { own } else { "node".into() };
        Self::new(LIBRARIES_OF_NODE, program, "ask.mjs", block("js"), "validate.mjs")
    }

    fn python() -> Self {
        let program = Path::new(LIBRARIES_OF_PYTHON).join("bin/python");
        Self::new(LIBRARIES_OF_PYTHON, program, "ask.py", block("python"), "validate.py")
    }

    fn new(libraries: &str, program: PathBuf, driver: &str, text: &str, name: &str) -> Self {
        let is_installed = Path::new(libraries).join(".installed").is_file();
        assert!(is_installed, "{libraries} is missing: ./scripts/test puts it there");
        // Node looks for what is imported beside the file, and in the folders above.
        let folder = tempfile::tempdir_in(libraries).expect("a folder");
        let file = folder.path().join(name);
        fs::write(&file, text).expect("a file");
        Self { program, driver: Path::new(DRIVERS).join(driver), file, _folder: folder }
    }

    /// Asks about tokens, in a process that knows nothing yet; answers a line for each.
    async fn ask(&self, issuer: &str, tokens: &[&str]) -> Vec<String> {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let lines = tokens.iter().map(|token| format!("{token}\n")).collect::<String>();
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, lines.as_bytes()));
        let mut command = Command::new(&self.program);
        command.arg(&self.driver).arg(&self.file).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HALLPASS_ISSUER", issuer).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(reader).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = Running::spawn(&mut command);
        // It holds the reading end as well, which would keep the writer waiting for ever.
        drop(command);
        let Outcome { code, stdout, stderr } = running.outcome().await;
        assert_eq!(code, Some(0), "{stderr}");
        stdout.lines().map(str::to_owned).collect()
    }
}

/// Whom a snippet that checks signatures alone lets in, and that it says 503 when it cannot tell.
async fn checks_tokens(snippet: Snippet) {
    let issuer = Issuer::start().await;
    let accepted = format!("ok {}", claims_of(&issuer.ada.access).sub);
    let bad = issuer.bad_tokens().await;
    let mut tokens = vec![issuer.ada.access.as_str()];
    tokens.extend(bad.iter().map(|(_, token)| token.as_str()));
    tokens.push(&issuer.ada.access);

    let verdicts = snippet.ask(&issuer.url(), &tokens).await;
    assert_eq!(verdicts.len(), tokens.len(), "{verdicts:?}");
    assert_eq!((&verdicts[0], &verdicts[tokens.len() - 1]), (&accepted, &accepted));
    for ((what, _), verdict) in bad.iter().zip(&verdicts[1..]) {
        assert_eq!(verdict, "401", "{what}");
    }

    // The document says so: until it expires.
    issuer.log_out().await;
    assert_eq!(snippet.ask(&issuer.url(), &[&issuer.ada.access]).await, [accepted]);

    let (url, access) = (issuer.url(), issuer.ada.access.clone());
    issuer.service.stop().await;
    assert_eq!(snippet.ask(&url, &[&access]).await, ["503"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snippet_for_node_lets_in_whom_it_should() {
    checks_tokens(Snippet::node()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snippet_for_python_lets_in_whom_it_should() {
    checks_tokens(Snippet::python()).await;
}

#[test]
fn the_snippet_for_rust_is_the_one_that_is_tried() {
    assert_eq!(block("rust"), RUST, "docs/validate.md and tests/validators/validate.rs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snippet_for_rust_lets_in_whom_it_should_and_learns_of_a_log_out() {
    let issuer = Issuer::start().await;
    let validator =
        validate::follow(&issuer.url(), &issuer.url(), "books-dev-secret").await.expect("an issuer");
    let sub = claims_of(&issuer.ada.access).sub;
    let ask = async |token: &str| validate::caller_of(&validator, token).await.map(|claims| claims.sub);
    assert_eq!(ask(&issuer.ada.access).await, Ok(sub));
    for (what, token) in issuer.bad_tokens().await {
        assert_eq!(ask(&token).await, Err(401), "{what}");
    }
    issuer.log_out().await;
    let mut look = interval(Duration::from_millis(5));
    let refused = async {
        while ask(&issuer.ada.access).await != Err(401) {
            look.tick().await;
        }
    };
    timeout(PATIENCE, refused).await.expect("the log out is seen");
    let eve = issuer.service.client().logged_in("eve@example.com").await;
    issuer.service.stop().await;
    let cannot_tell = async {
        while ask(&eve.access).await != Err(503) {
            look.tick().await;
        }
    };
    timeout(PATIENCE, cannot_tell).await.expect("it is noticed");
}
