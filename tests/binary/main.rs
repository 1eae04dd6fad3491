//! The real program: a process on a real port, with nothing in its environment but what a test puts
//! there, and Redis and Postgres of the tests' own.

#[path = "../support/mod.rs"]
mod support;

mod administration;
mod audit;
mod backups;
mod books;
mod chain;
mod claims;
mod client;
mod clusters;
mod commands;
mod compose;
mod connections;
mod deployment;
mod dev;
#[cfg(target_os = "linux")]
mod flood;
mod import_formats;
mod keys;
mod leftovers;
mod logs;
mod mail;
mod mailboxes;
mod malformed;
mod memory;
mod metrics;
mod output;
mod postgres_as_it_runs;
mod postgres_away;
mod process;
mod proxies;
mod redis_as_it_runs;
mod redis_away;
mod redis_replicas;
mod reload;
mod replicas;
mod restart;
mod roles;
mod secret_rotation;
mod sentinels;
mod serve;
mod sidecar;
mod snippets;
mod stopping;
mod sub_path;
mod supervised;
mod tokens;
mod users_import;
mod validator;
mod wire;
