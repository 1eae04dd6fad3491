//! hallpass: a token service that issues, refreshes, revokes and validates tokens.
//!
//! The map of the rooms, from the inside out. Each may use those before it, none those after:
//!
//! - [`domain`]: words and rules. No HTTP, no SQL, no clock of its own.
//! - [`crypto`]: bytes in, verdict out: signing keys, JWTs, opaque tokens, password hashes. Checking
//!   an access token is `hallpass_verify`'s, which other services use as well.
//! - [`store`]: what must be kept, as two traits ([`store::UserStore`], [`store::TokenStore`]) and
//!   a folder per backend.
//! - [`service`]: the operations. They decide, over the traits.
//! - [`mail`]: what the service tells people by mail, in words and over SMTP.
//! - [`api`]: HTTP: requests into the domain's words, answers out of them.
//! - [`app`]: the one place that names concrete stores and wires everything; [`server`] is its
//!   accept loop, [`config`] its settings, [`telemetry`] its log, [`cli`] its commands.
//!
//! The same noun names the file in every room that has something to say about it: to change how sessions are
//! kept, open `sessions.rs` in [`store`] and in each of its backends; what is done with them stands in that of
//! [`service`].

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod mail;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
