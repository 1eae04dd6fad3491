//! The walls between the rooms of the code: who may know whom.
//!
//! Every path in every file is read, in `use` lines as in bodies and inside macros, and traced to
//! the room or the crate that it leads to. Unit tests count as part of the room they stand in. What
//! this cannot see is a thing that a room takes from where it may and hands on under a name of its
//! own: `pub use` of a foreign thing.

mod logs;
mod pages;
mod paths;
mod rights;
mod rules;
mod sources;
mod unsafe_code;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use paths::{Module, Reach, Target};

/// A room and whom it may know. What is not listed is forbidden.
struct Room {
    /// Its path in the crate; `""` is the root with `lib.rs` and `main.rs`.
    name: &'static str,
    /// The other rooms that it may use. A room does not include the rooms inside it.
    rooms: &'static [&'static str],
    /// The guarded crates that it may use.
    crates: &'static [&'static str],
}

/// Crates that tie whoever uses them to a protocol, a store, a runtime or an algorithm. The others
/// (serde, uuid, thiserror, tracing …) are free for all rooms. The server's own name is for those
/// that it depends on.
const GUARDED_CRATES: &[&str] = &[
    "argon2",
    "aws_lc_rs",
    "blake2",
    "clap",
    "deadpool",
    "deadpool_redis",
    "hallpass",
    "hallpass_argon2",
    "hallpass_heap",
    "hallpass_verify",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "jsonwebtoken",
    "lettre",
    "poem",
    "poem_openapi",
    "prometheus_client",
    "redis",
    "rustls",
    "rustls_native_certs",
    "sqlx",
    "tokio",
    "tokio_rustls",
    "tower_layer",
    "tower_service",
    "tracing_subscriber",
];

/// The rooms of the server.
#[rustfmt::skip]
const ROOMS: &[Room] = &[
    // Words and rules: no HTTP, no store, no algorithm, no runtime.
    Room { name: "domain", rooms: &[], crates: &[] },
    // What the process counts, whichever room it happens in: words of the program, and no room's types.
    Room { name: "metrics", rooms: &[], crates: &["prometheus_client", "tokio"] },
    // Bytes in, verdict out.
    Room { name: "crypto", rooms: &["domain"], crates: &["argon2", "aws_lc_rs", "hallpass_argon2", "hallpass_verify", "jsonwebtoken"] },
    // The traits: whoever implements them comes to them, not the reverse. With them, how long a store is waited
    // for, which needs a timer.
    Room { name: "store", rooms: &["domain", "metrics"], crates: &["tokio"] },
    // What the two stores on SQLite files have in common.
    Room { name: "store/sqlite_pool", rooms: &["metrics"], crates: &["sqlx"] },
    // A backend knows its one driver. SQLite serves the accounts and the embedded token store.
    Room { name: "store/sql", rooms: &["domain", "metrics", "store", "store/sqlite_pool"], crates: &["sqlx", "tokio"] },
    // Its connections are opened here, TLS included: only so is it known what was sent.
    Room { name: "store/redis", rooms: &["domain", "metrics", "store"], crates: &["aws_lc_rs", "deadpool", "deadpool_redis", "redis", "rustls", "rustls_native_certs", "tokio", "tokio_rustls"] },
    Room { name: "store/embedded", rooms: &["domain", "metrics", "store", "store/sqlite_pool"], crates: &["sqlx", "tokio"] },
    // Backends kept whole: it knows them by their trait alone, and the journal by its own. Looks take time.
    Room { name: "store/journaled", rooms: &["domain", "metrics", "store"], crates: &["tokio"] },
    // The operations, over the traits: any store will do, any dialect may ask.
    // The journal that keeps any store whole is looked after here. Each operation reads its own section's settings.
    Room { name: "service", rooms: &["config", "crypto", "domain", "metrics", "store", "store/journaled"], crates: &["hallpass_verify", "jsonwebtoken", "tokio"] },
    // What the service wants said, said over SMTP: the other side of the trait that the service owns.
    Room { name: "mail", rooms: &["config", "domain", "metrics", "service"], crates: &["lettre", "tokio"] },
    // HTTP. A rejection of the verifier is part of what the service says; the digests are ETags.
    Room { name: "api/wire", rooms: &["config", "domain", "service"], crates: &["aws_lc_rs", "poem", "poem_openapi", "tokio"] },
    Room { name: "api/errors", rooms: &["api/wire", "domain", "service"], crates: &["hallpass_verify", "poem", "poem_openapi"] },
    Room { name: "api/callers", rooms: &["api/errors", "api/wire", "domain", "service"], crates: &["hallpass_verify", "poem", "poem_openapi"] },
    Room { name: "api/document", rooms: &["api/errors", "api/wire", "domain"], crates: &["poem", "poem_openapi"] },
    Room {
        name: "api/main",
        rooms: &["api", "api/callers", "api/document", "api/errors", "api/wire", "domain", "service"],
        crates: &["hallpass_verify", "poem", "poem_openapi", "tokio"],
    },
    Room {
        name: "api/oauth",
        rooms: &["api/callers", "api/document", "api/errors", "api/main", "api/wire", "domain", "service"],
        crates: &["hallpass_verify", "poem", "poem_openapi"],
    },
    // The other dialects know the main API's words; nothing knows a dialect but the list of them.
    Room {
        name: "api/compat",
        rooms: &["api/callers", "api/document", "api/errors", "api/main", "api/wire", "config", "domain", "service"],
        crates: &["aws_lc_rs", "poem", "poem_openapi"],
    },
    Room { name: "api/pages", rooms: &["api/compat", "api/document", "api/errors", "api/wire", "domain", "mail", "metrics"], crates: &["poem", "poem_openapi", "tokio"] },
    Room {
        name: "api/root",
        rooms: &["api", "api/callers", "api/errors", "api/main", "api/wire", "config", "domain", "metrics", "service"],
        crates: &["poem", "poem_openapi", "tokio"],
    },
    // What the validator says of tokens, in the words of the API.
    Room {
        name: "api/sidecar",
        rooms: &["api/callers", "api/errors", "api/main", "api/oauth", "api/pages", "api/wire", "domain", "metrics", "service"],
        crates: &["hallpass_verify", "poem", "poem_openapi"],
    },
    Room {
        name: "api",
        rooms: &[
            "api/callers", "api/compat", "api/document", "api/errors", "api/main", "api/oauth", "api/pages", "api/root",
            "api/sidecar", "api/wire", "config", "domain", "mail", "service",
        ],
        crates: &["hallpass_verify", "poem", "poem_openapi"],
    },
    // Connections in, requests to whatever endpoint it is given.
    Room { name: "server", rooms: &["domain"], crates: &["hallpass_heap", "hyper", "hyper_util", "poem", "tokio"] },
    // Settings are checked where they are read, in the words of those who will take them: argon2 its cost,
    // the log its filter, the stores the names of theirs.
    Room { name: "config/engine", rooms: &["domain"], crates: &[] },
    Room { name: "config/sections", rooms: &["config/engine", "crypto", "domain", "store"], crates: &["argon2", "hallpass_verify", "tracing_subscriber"] },
    Room { name: "config", rooms: &["config/engine", "config/sections", "crypto", "domain", "store"], crates: &[] },
    Room { name: "telemetry", rooms: &["config"], crates: &["tracing_subscriber"] },
    // The one place that names concrete stores.
    Room {
        name: "app",
        rooms: &[
            "api", "api/main", "api/pages", "api/root", "api/wire", "config", "crypto", "domain", "mail", "metrics", "server",
            "service", "store", "store/embedded", "store/journaled", "store/redis", "store/sql",
        ],
        crates: &["hallpass_verify", "poem", "tokio"],
    },
    // Commands: settings in, the wired service, its operations or a document out. hyper is the client of
    // `healthcheck`.
    Room { name: "cli", rooms: &["api", "api/document", "api/pages", "app", "config", "domain", "server", "service", "telemetry"], crates: &["clap", "hyper", "hyper_util", "tokio"] },
    Room { name: "", rooms: &["cli"], crates: &["hallpass_heap"] },
];

/// The crate that other services depend on: nothing of the server. Without its features it has
/// neither network nor runtime, and a framework only in a room of its own.
#[rustfmt::skip]
const VERIFY: &[Room] = &[
    // What a token says, and what it allows.
    Room { name: "actor", rooms: &[], crates: &[] },
    Room { name: "claims", rooms: &["actor"], crates: &[] },
    Room { name: "permission", rooms: &["claims"], crates: &[] },
    // Bytes in, verdict out; only the keys know the library that does the cryptography.
    Room { name: "rejection", rooms: &["claims"], crates: &[] },
    Room { name: "keys", rooms: &["rejection"], crates: &["jsonwebtoken"] },
    Room { name: "jws", rooms: &["keys", "rejection"], crates: &[] },
    Room { name: "verifier", rooms: &["claims", "denylist", "jws", "keys", "rejection"], crates: &[] },
    // What was found right is remembered by its digest.
    Room { name: "cache", rooms: &["claims", "rejection", "verifier"], crates: &["aws_lc_rs"] },
    Room { name: "vectors", rooms: &["keys"], crates: &[] },
    // Revocation: asked for, or known here.
    Room { name: "check", rooms: &["claims", "rejection", "verifier"], crates: &[] },
    Room { name: "denylist", rooms: &["claims"], crates: &[] },
    // The one room with a network.
    Room {
        name: "client",
        rooms: &["cache", "claims", "denylist", "keys", "rejection", "verifier"],
        crates: &["aws_lc_rs", "hyper", "hyper_rustls", "hyper_util", "rustls", "rustls_native_certs", "tokio"],
    },
    // For the vectors: it stands in for the network, and reads a request's header as the door does.
    Room { name: "client/replay", rooms: &["claims", "client", "guard"], crates: &["hyper", "tokio"] },
    // A service's door, and each framework's way to hang it.
    Room {
        name: "guard",
        rooms: &["claims", "client", "guard/poem", "guard/tower", "permission", "rejection"],
        crates: &[],
    },
    Room { name: "guard/poem", rooms: &["guard"], crates: &["poem"] },
    Room { name: "guard/tower", rooms: &["guard"], crates: &["tower_layer", "tower_service"] },
    Room {
        name: "",
        rooms: &["actor", "cache", "check", "claims", "client", "denylist", "guard", "jws", "keys", "permission", "rejection", "verifier"],
        crates: &[],
    },
];

/// A crate that may hold unsafe code: it knows argon2 and nothing of the server.
#[rustfmt::skip]
const ARGON2: &[Room] = &[
    Room { name: "blake2b", rooms: &[], crates: &["argon2", "blake2"] },
    Room { name: "reference", rooms: &[], crates: &["argon2"] },
    // The one room with unsafe code.
    Room { name: "avx512", rooms: &["reference"], crates: &["argon2"] },
    Room { name: "fill", rooms: &["avx512", "blake2b", "reference"], crates: &["argon2"] },
    Room { name: "tests", rooms: &[], crates: &["argon2"] },
    Room { name: "", rooms: &["avx512", "fill"], crates: &["argon2"] },
];

/// A crate of the workspace and the table that holds for it.
struct Crate {
    name: &'static str,
    sources: &'static str,
    rooms: &'static [Room],
}

const CRATES: [Crate; 3] = [
    Crate { name: "hallpass", sources: "src", rooms: ROOMS },
    Crate { name: "hallpass_verify", sources: "verify/src", rooms: VERIFY },
    Crate { name: "hallpass_argon2", sources: "argon2/src", rooms: ARGON2 },
];

impl Crate {
    /// The innermost room that a path within the crate leads to.
    fn room(&self, path: &[String]) -> Option<&Room> {
        (0..=path.len()).rev().find_map(|length| {
            let name = path[..length].join("/");
            self.rooms.iter().find(|room| room.name == name)
        })
    }

    /// The rooms inside the one at `path`, which a glob import may bring along.
    fn rooms_inside(&self, path: &[String]) -> impl Iterator<Item = &Room> {
        let prefix = match path.join("/") {
            root if root.is_empty() => root,
            folder => folder + "/",
        };
        self.rooms.iter().filter(move |room| room.name.starts_with(&prefix) && !room.name.is_empty())
    }

    /// The room that a file stands in; the root of several rooms is not a room for new modules.
    fn home(&self, module: &[String]) -> Option<&Room> {
        self.room(module).filter(|room| module.is_empty() || !room.name.is_empty())
    }

    /// What in a file leads through a wall, one sentence each.
    fn offences(&self, module: &[String], source: &str) -> Vec<String> {
        let Some(home) = self.home(module) else {
            return vec!["stands in no room of the table in tests/layers".to_owned()];
        };
        let reaches = paths::reaches(source, &Module { crate_name: self.name, path: module });
        reaches.iter().filter_map(|reach| self.offence(home, reach)).collect()
    }

    fn offence(&self, home: &Room, reach: &Reach) -> Option<String> {
        let Reach { target, written } = reach;
        let forbidden = match target {
            Target::Outside(name) => {
                let name = name.as_str();
                let free = !GUARDED_CRATES.contains(&name) || home.crates.contains(&name);
                (!free).then(|| format!("the crate {name}"))
            }
            Target::Inside { path, glob } => {
                let brought_along = self.rooms_inside(path).filter(|_| *glob);
                let mut entered = self.room(path).into_iter().chain(brought_along);
                let open = |room: &Room| {
                    room.name == home.name || room.name.is_empty() || home.rooms.contains(&room.name)
                };
                entered.find(|room| !open(room)).map(|room| format!("the room {}", room.name))
            }
        };
        forbidden.map(|thing| format!("`{written}` leads to {thing}"))
    }
}

/// Every Rust file below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The module that a file holds: `store/mod.rs` is `store`, `store/sql/rows.rs` is `store::sql::rows`.
fn module_of(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    let mut parts: Vec<String> =
        parts.iter().map(|part| part.to_str().expect("a plain name").to_owned()).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

#[test]
fn no_room_reaches_through_its_walls() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut report = String::new();
    for krate in &CRATES {
        let sources = root.join(krate.sources);
        let files = rust_files(&sources);
        assert!(files.len() > 3, "{} has hardly a file", krate.sources);
        for file in files {
            let source = fs::read_to_string(&file).expect("a source file");
            let module = module_of(file.strip_prefix(&sources).expect("a file of the folder"));
            for offence in krate.offences(&module, &source) {
                let file = file.strip_prefix(root).expect("a file of the workspace").display();
                writeln!(report, "{file}: {offence}").expect("a string takes text");
            }
        }
    }
    assert!(report.is_empty(), "forbidden paths (the table stands in tests/layers):\n{report}");
}

#[test]
fn the_table_names_rooms_that_exist() {
    for (krate, room) in CRATES.iter().flat_map(|krate| krate.rooms.iter().map(move |room| (krate, room))) {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join(krate.sources);
        let there = src.join(room.name).is_dir() || src.join(room.name).with_extension("rs").is_file();
        assert!(there, "there is no room {:?} any more", room.name);
        for other in room.rooms {
            assert!(krate.rooms.iter().any(|room| room.name == *other), "{:?} may use {other:?}", room.name);
        }
        for name in room.crates {
            assert!(GUARDED_CRATES.contains(name), "{name} is not guarded, so needs no leave");
        }
    }
}

/// The offences of a source text, were it the file of this module of the server.
fn offences(module: &str, source: &str) -> Vec<String> {
    let module: Vec<String> = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    CRATES[0].offences(&module, source)
}

#[test]
fn a_forbidden_path_is_found_however_it_is_written() {
    for (module, source) in [
        ("domain::email", "use sqlx::Row;"),
        ("domain::email", "use {std::fmt, ::tokio::sync::Mutex};"),
        ("domain", "fn f() { let t = tokio::time::Instant::now(); }"),
        ("domain", "use jsonwebtoken as jwt;"),
        ("domain", "extern crate argon2;"),
        ("domain", "fn f() -> Vec<crate::crypto::jwt::T> { vec![] }"),
        ("domain", "m! { #[x(y = poem::Z)] struct S; }"),
        ("domain::a", "use super::super::service::Services;"),
        ("domain", "#[derive(sqlx::FromRow)] struct Row;"),
        ("crypto::keys", "use crate::store::StoreError;"),
        ("store", "pub mod redis; impl From<redis::Error> for E {}  use ::redis::Client;"),
        ("store", "pub mod sql; pub use sql::postgres::PostgresStore;"),
        ("store::redis", "use super::sql::DatabaseError;"),
        ("store::redis::codec", "use crate::service;"),
        ("store::sql::sqlite", "use crate::store::embedded::{self, EmbeddedTokenStore};"),
        ("service::sessions", "use crate::store::{self, UserStore}; fn f(s: store::redis::X) {}"),
        ("service::sessions", "use crate::store as keep; fn f() { keep::embedded::open(); }"),
        ("service", "use crate::{domain::{email::Email}, store::{StoreError, sql::{rows, sqlite}}};"),
        ("service", "use crate::store::*;"),
        ("service", "mod a { use crate::store as x; fn f(y: x::sql::T) {} } mod b { use std::fmt as x; }"),
        ("service", "fn f() -> impl Sized + use<'_> { crate::store::redis::g() }"),
        ("service", "mod tests { use super::super::app::Environment; }"),
        ("store", "use crate::config::Settings;"),
        ("config/engine", "use crate::config::Settings;"),
        ("service", "fn f() -> poem::Result<()> { Ok(()) }"),
        ("api::auth", "use crate::store::TokenStore;"),
        ("api::auth", "use crate as all; fn f() { all::store::f(); }"),
        ("api::auth", "macro_rules! m { () => { $crate::crypto::jwt::mint() } }"),
        ("api", "use crate::*;"),
        ("server", "use crate::app;"),
        ("telemetry", "use hallpass::app;"),
        ("", "use hallpass::app::run;"),
        ("attic", "use std::fmt;"),
    ] {
        assert!(!offences(module, source).is_empty(), "nothing found in {module:?}: {source}");
    }
}

#[test]
fn what_is_allowed_or_no_path_is_left_alone() {
    for (module, source) in [
        ("domain::email", "use std::fmt; use super::name::Name; use serde::Serialize;"),
        ("domain", "// use sqlx::Row;\n/// As [`tokio::time`] does.\nfn f() { g(\"redis::cmd\"); }"),
        ("domain", "struct S { redis: u8 } fn f(s: &S) -> u8 { let poem = s.redis; poem }"),
        ("domain", "fn f(x: impl Fn()) { x.tokio(); y::redis::z(); }"),
        ("store", "pub mod redis; pub mod sql; use crate::domain::ids::UserId;"),
        ("store::redis", "use redis::aio::ConnectionLike; use super::{StoreError, TokenStore};"),
        ("store::redis::codec", "use super::keys; use super::super::StoreResult;"),
        ("service", "use crate::store::{UserStore, StoreError}; mod tests { use super::*; }"),
        ("api", "use crate::service::Services; pub mod error; use error::ApiError;"),
        ("app", "use crate::store::redis::RedisTokenStore; use crate::{api, server};"),
        ("", "pub mod store; pub mod app;"),
        ("", "fn main() { hallpass::cli::run(); }"),
    ] {
        assert_eq!(offences(module, source), Vec::<String>::new(), "{module:?}: {source}");
    }
    let in_verify = |module: &str, source: &str| CRATES[1].offences(&[module.to_owned()], source);
    for (module, source) in [
        ("check", "use crate::claims::AccessClaims;"),
        ("keys", "use jsonwebtoken::jwk::Jwk;"),
        ("client", "use crate::denylist::Denylist; use hyper::Request;"),
        ("guard", "use crate::client::Validator; pub use self::tower::GuardedService; mod tower;"),
    ] {
        assert_eq!(in_verify(module, source), Vec::<String>::new(), "{module}: {source}");
    }
    for (module, source) in [
        ("check", "use hallpass::domain::ids::Jti;"),
        ("check", "use crate::client::Validator;"),
        ("denylist", "use tokio::sync::RwLock;"),
        ("client", "use redis::Client;"),
        ("client", "use crate::guard::Guard;"),
        ("guard", "fn f(e: poem::Error) {}"),
        ("attic", "use std::fmt;"),
    ] {
        assert_eq!(in_verify(module, source).len(), 1, "{module}: {source}");
    }
}
