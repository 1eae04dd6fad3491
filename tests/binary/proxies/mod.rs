//! The recipes of `docs/recipes`, to the letter but for addresses, each in the real proxy in front of the real
//! service.

pub mod apache;
mod caddy;
mod echo;
mod gate;
mod haproxy;
pub mod nginx;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::client::{Answer, Call, Client};
use crate::process::{Guarded, PATIENCE};
use crate::support::ports::free_address;

/// The addresses in the recipes: the proxy's, hallpass', the service's.
const OWN_ADDRESS: &str = "127.0.0.1:8000";
const HALLPASS_ADDRESS: &str = "127.0.0.1:8080";
const SERVICE_ADDRESS: &str = "127.0.0.1:8090";

/// How often free ports are looked for: between finding and using them, another process may.
pub const START_ATTEMPTS: usize = 10;

/// Where a proxy leads.
#[derive(Clone, Copy)]
pub struct Places {
    pub own: SocketAddr,
    pub hallpass: SocketAddr,
    pub service: SocketAddr,
}

/// A recipe of `docs/recipes` with other addresses. Each of them must stand in it, as often as the test says.
pub fn recipe(file: &str, places: Places, times: [usize; 3]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes").join(file);
    let mut recipe = fs::read_to_string(&path).expect("the recipe");
    let addresses =
        [(OWN_ADDRESS, places.own), (HALLPASS_ADDRESS, places.hallpass), (SERVICE_ADDRESS, places.service)];
    for ((documented, real), times) in addresses.into_iter().zip(times) {
        assert_eq!(recipe.matches(documented).count(), times, "{documented} in {file}");
        recipe = recipe.replace(documented, &real.to_string());
    }
    recipe
}

/// A program of the system; Debian has some where only root looks.
pub fn program(name: &str, package: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("`{name}` is missing: install the package {package}"))
}

/// Addresses that nobody listens at.
pub fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    [(); N].map(|()| free_address())
}

/// Writes a proxy's files into a folder, and answers how it is started there.
pub type Write = fn(&Path, Places) -> Command;

/// A proxy that ends with its test.
pub struct Proxy {
    // Before its folder, so that it goes first.
    _process: Guarded,
    _folder: TempDir,
    address: SocketAddr,
}

impl Proxy {
    /// Starts one in front of these.
    ///
    /// # Panics
    /// When it is not installed or refuses what was written for it, with what it said.
    pub async fn before(write: Write, hallpass: SocketAddr, service: SocketAddr) -> Self {
        let mut said = String::new();
        for _ in 0..START_ATTEMPTS {
            let [own] = free_addresses();
            match Self::at(write, Places { own, hallpass, service }).await {
                Ok(proxy) => return proxy,
                Err(log) => said = log,
            }
        }
        panic!("the proxy does not start:\n{said}");
    }

    /// Starts one at an address; what it said, when it ends instead.
    pub async fn at(write: Write, places: Places) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("said.log");
        let said = fs::File::create(&log).expect("a file");
        let mut command = write(folder.path(), places);
        let as_well = said.try_clone().expect("a file");
        let mut process = Guarded::spawn(command.stdin(Stdio::null()).stdout(as_well).stderr(said));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let listens = TcpStream::connect(places.own).await.is_ok();
            if process.has_ended() {
                return Err(fs::read_to_string(&log).unwrap_or_default());
            }
            if listens {
                return Ok(Self { _process: process, _folder: folder, address: places.own });
            }
            assert!(Instant::now() < deadline, "the proxy neither starts nor ends");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub async fn send(&self, call: Call) -> Answer {
        self.client().send(call).await
    }
}

/// The page names every recipe, and says which ones nobody has run.
#[test]
fn the_page_says_which_recipes_are_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).expect("a file");
    let page = read(&root.join("docs/forward-auth.md"));
    let pages = page.clone() + &read(&root.join("docs/keys.md"));
    let tests: String = ["apache.rs", "caddy.rs", "haproxy.rs", "nginx.rs", "../sub_path.rs"]
        .map(|file| read(&root.join("tests/binary/proxies").join(file)))
        .concat();
    let files = fs::read_dir(root.join("docs/recipes")).expect("a folder");
    let files = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    for file in files {
        assert!(pages.contains(&format!("recipes/{file})")), "no page leads to {file}");
        assert!(tests.contains(&format!("recipe(\"{file}\"")), "{file} is not run");
    }
    let printed = page.split("\n## ").skip(1).filter(|section| section.contains("```yaml"));
    let printed: Vec<&str> = printed.collect();
    assert_eq!(printed.len(), 2);
    for section in printed {
        let name = section.lines().next().expect("a name");
        assert!(section.contains("\n\nNot run by tests.\n"), "{name}");
        let row = page.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect("a row");
        assert!(row.contains("| **no**"), "{row}");
    }
}
