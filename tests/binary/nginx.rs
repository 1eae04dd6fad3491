//! The recipe for nginx, to the letter as `docs/recipes/nginx.conf` has it, in a real nginx in front of
//! the real service.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hyper::{Method, StatusCode};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::client::{Answer, Call, Client, Tokens, get, login, post};
use crate::process::{Guarded, PATIENCE, Service, dev};

/// The recipe, and the addresses in it: nginx', hallpass', the service's.
const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/recipes/nginx.conf");
const OWN_ADDRESS: &str = "127.0.0.1:8000";
const HALLPASS_ADDRESS: &str = "127.0.0.1:8080";
const BOOKS_ADDRESS: &str = "127.0.0.1:8090";

/// How often free ports are looked for: between finding and using them, another process may.
pub const START_ATTEMPTS: usize = 10;

/// An nginx in front of `hallpass` and of a service that answers with what it was told.
pub struct Nginx {
    // Before its folder, so that it goes first.
    _process: Guarded,
    _folder: TempDir,
    address: SocketAddr,
}

impl Nginx {
    /// Starts one by the recipe.
    ///
    /// # Panics
    /// When nginx is not installed or refuses the recipe.
    async fn before(hallpass: SocketAddr) -> Self {
        let mut log = String::new();
        for _ in 0..START_ATTEMPTS {
            let [own, books] = free_addresses();
            let write = |folder: &Path| write_configuration(folder, own, hallpass, books);
            match Self::listening_at(own, write).await {
                Ok(nginx) => return nginx,
                Err(said) => log = said,
            }
        }
        panic!("nginx does not start:\n{log}");
    }

    /// Starts one that listens at an address, by the `nginx.conf` that is written into its folder; what it
    /// said, when it ends instead.
    pub async fn listening_at(own: SocketAddr, write: impl Fn(&Path)) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path());
        let errors = folder.path().join("error.log");
        let mut process = Guarded::spawn(
            Command::new(program())
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(folder.path().join("nginx.conf"))
                .stdin(Stdio::null())
                .stderr(fs::File::create(&errors).expect("a file")),
        );
        if is_up(&mut process, folder.path()).await {
            return Ok(Self { _process: process, _folder: folder, address: own });
        }
        Err(fs::read_to_string(&errors).unwrap_or_default())
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    async fn send(&self, call: Call) -> Answer {
        self.client().send(call).await
    }
}

/// Debian has it where only root looks.
fn program() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join("nginx")).find(|path| path.is_file());
    found.expect("`nginx` is missing: install the package nginx")
}

pub fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("its address"))
}

/// The recipe with other addresses, and the service that stands behind it.
fn write_configuration(folder: &Path, own: SocketAddr, hallpass: SocketAddr, books: SocketAddr) {
    let mut recipe = fs::read_to_string(RECIPE).expect("the recipe");
    for (documented, real) in [(OWN_ADDRESS, own), (HALLPASS_ADDRESS, hallpass), (BOOKS_ADDRESS, books)] {
        assert_eq!(recipe.matches(documented).count(), 1, "{documented} in the recipe");
        recipe = recipe.replace(documented, &real.to_string());
    }
    fs::write(folder.join("recipe.conf"), recipe).expect("a file");
    let servers = format!(
        "include {folder}/recipe.conf;\n\
         server {{\n\
             listen {books};\n\
             underscores_in_headers on;\n\
             location / {{\n\
                 return 200 \"$request_method $request_uri user=$http_remote_user email=$http_remote_email \
                 groups=$http_remote_groups authorization=$http_authorization refresh=$http_x_refresh_token\";\n\
             }}\n\
         }}\n",
        folder = folder.display(),
    );
    write_main(folder, &servers);
}

/// Writes an `nginx.conf` with these servers for a process that leaves nothing outside its folder.
pub fn write_main(folder: &Path, servers: &str) {
    let temporary: String = ["client_body", "proxy", "fastcgi", "scgi", "uwsgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
        .concat();
    let main = format!(
        "daemon off;\n\
         master_process off;\n\
         pid {folder}/nginx.pid;\n\
         error_log stderr;\n\
         events {{}}\n\
         http {{\n\
         access_log off;\n\
         {temporary}\
         {servers}\
         }}\n",
        folder = folder.display(),
    );
    fs::write(folder.join("nginx.conf"), main).expect("a file");
}

/// Waits for the file that nginx writes once it listens everywhere; `false` when it has ended instead.
async fn is_up(process: &mut Guarded, folder: &Path) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(folder.join("nginx.pid")).is_ok_and(|pid| pid.ends_with('\n')) {
        assert!(Instant::now() < deadline, "nginx neither starts nor ends");
        if process.has_ended() {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

struct Gate {
    service: Service,
    nginx: Nginx,
    _folder: TempDir,
}

impl Gate {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // As the recipe calls it.
        let service = dev(folder.path()).variable("HALLPASS_DEV__ALLOWED_HOSTS", "hallpass").start();
        let nginx = Nginx::before(service.address()).await;
        Self { service, nginx, _folder: folder }
    }

    /// Logged in with hallpass itself, not through nginx.
    async fn member(&self) -> (Tokens, String) {
        let tokens = self.service.client().logged_in("ada@example.com").await;
        let user = self.service.client().auth_me(&tokens.access).await.json()["user"]["id"].to_string();
        (tokens, user)
    }
}

#[track_caller]
fn assert_served(answer: &Answer, request: &str, user: &str, email: &str, groups: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let told = format!("{request} user={user} email={email} groups={groups} authorization= refresh=");
    assert_eq!(answer.text(), told);
}

#[track_caller]
fn assert_kept_out(answer: &Answer, status: u16, challenge: &str) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert!(!answer.text().contains("user="), "{answer:?}");
    assert!(answer.header("www-authenticate").starts_with(challenge), "{answer:?}");
    assert_eq!(answer.header("x-access-token"), "", "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_lets_through_whom_hallpass_knows() {
    let gate = Gate::open().await;
    let (nginx, (tokens, user)) = (&gate.nginx, gate.member().await);

    for (method, path) in [(Method::GET, "/"), (Method::POST, "/a/b?c=d"), (Method::DELETE, "/forward-auth")]
    {
        let call = Call::new(method.clone(), path).bearer(&tokens.access).body("a body");
        let answer = nginx.send(call).await;
        assert_served(&answer, &format!("{method} {path}"), &user, "", "member");
        assert_eq!(answer.header("cache-control"), "");
        let nobody = nginx.send(Call::new(method, path)).await;
        assert_kept_out(&nobody, 401, "Bearer");
        assert_eq!(nobody.header("www-authenticate"), "Bearer");
    }
    let head = nginx.send(Call::new(Method::HEAD, "/").bearer(&tokens.access)).await;
    assert_eq!(head.status, StatusCode::OK);
    let junk = nginx.send(get("/").bearer("junk")).await;
    assert_kept_out(&junk, 401, "Bearer error=\"invalid_token\"");

    // Only for administrators.
    let answer = nginx.send(get("/admin/books").bearer(&tokens.access)).await;
    assert_kept_out(&answer, 403, "");
    let admin = Tokens::of(&gate.service.client().send(login("johndoe@example.com", "password")).await);
    let answer = nginx.send(get("/admin/books?role=member").bearer(&admin.access)).await;
    assert_served(&answer, "GET /admin/books?role=member", "1", "johndoe@example.com", "admin");
    assert_kept_out(&nginx.send(get("/admin/books")).await, 401, "Bearer");
    // The questions are nginx' own.
    for path in ["/_hallpass/anybody", "/_hallpass/admin", "/_hallpass/"] {
        assert_eq!(nginx.send(get(path).bearer(&tokens.access)).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_says_of_itself_reaches_no_service() {
    let gate = Gate::open().await;
    let (nginx, (tokens, user)) = (&gate.nginx, gate.member().await);
    let spoofed = [
        ("remote-user", "1"),
        ("remote-email", "johndoe@example.com"),
        ("remote-groups", "admin"),
        // What becomes the same name to services that are told in variables (CGI, WSGI).
        ("remote_user", "1"),
        ("x-refresh-token", "mine"),
    ];
    for times in 1..=2 {
        let mut with_token = get("/").bearer(&tokens.access);
        let mut without = get("/");
        for (name, value) in spoofed.iter().filter(|(name, _)| times == 1 || *name != "x-refresh-token") {
            for _ in 0..times {
                (with_token, without) = (with_token.header(name, value), without.header(name, value));
            }
        }
        let answer = nginx.send(with_token).await;
        assert_served(&answer, "GET /", &user, "", "member");
        assert_kept_out(&nginx.send(without).await, 401, "Bearer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_shuts_out_whoever_has_logged_out_at_once() {
    let gate = Gate::open().await;
    let (nginx, (tokens, user)) = (&gate.nginx, gate.member().await);
    let other = gate.service.client().log_in("ada@example.com").await;
    for access in [&tokens.access, &other.access] {
        let answer = nginx.send(get("/").bearer(access)).await;
        assert_served(&answer, "GET /", &user, "", "member");
    }
    assert_eq!(gate.service.client().log_out(&tokens.access).await.status, StatusCode::OK);
    let answer = nginx.send(get("/").bearer(&tokens.access)).await;
    assert_kept_out(&answer, 401, "Bearer error=\"invalid_token\"");
    let answer = nginx.send(get("/").bearer(&other.access)).await;
    assert_served(&answer, "GET /", &user, "", "member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_brings_the_client_a_new_access_token_through_nginx() {
    let gate = Gate::open().await;
    let (nginx, (tokens, user)) = (&gate.nginx, gate.member().await);
    let answer = nginx.send(post("/").header("x-refresh-token", &tokens.refresh)).await;
    assert_served(&answer, "POST /", &user, "", "member");
    assert_eq!(answer.header("cache-control"), "no-store");
    let access = answer.header("x-access-token");
    assert!(!access.is_empty() && access != tokens.access, "{answer:?}");
    let answer = nginx.send(get("/").bearer(access)).await;
    assert_served(&answer, "GET /", &user, "", "member");
    let junk = nginx.send(get("/").header("x-refresh-token", "junk")).await;
    assert_kept_out(&junk, 401, "Bearer error=\"invalid_token\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_hallpass_nobody_gets_through_and_is_told_to_try_again() {
    let Gate { service, nginx, _folder } = Gate::open().await;
    let tokens = service.client().logged_in("ada@example.com").await;
    assert_eq!(nginx.send(get("/").bearer(&tokens.access)).await.status, StatusCode::OK);
    service.kill().await;
    for call in [get("/").bearer(&tokens.access), get("/"), get("/admin/").bearer(&tokens.access)] {
        let answer = nginx.send(call).await;
        assert_kept_out(&answer, 503, "");
        assert_eq!(answer.header("retry-after"), "1");
    }
}
