//! hallpass: a token service that issues, refreshes, revokes and validates tokens.
//!
//! The map of the rooms, from the inside out. Each may use those before it, none those after; `tests/layers` holds
//! that.
//!
//! - [`domain`]: words and rules. No HTTP, no SQL, no clock of its own.
//! - [`crypto`]: bytes in, verdict out: signing keys, JWTs, opaque tokens, password hashes. Checking
//!   an access token is `hallpass_verify`'s, which other services use as well.
//! - [`store`]: what must be kept, a trait a noun, and a folder per engine with the same file names.
//! - [`config`]: the settings, one file a subject; each has one declaration.
//! - [`service`]: the operations. They decide, over the traits and by their own settings.
//! - [`mail`]: what the service tells people by mail, in words and over SMTP.
//! - [`api`]: HTTP: requests into the domain's words, answers out of them.
//! - [`app`]: the one place that names concrete stores and wires everything; [`server`] is its
//!   accept loop, [`telemetry`] its log, [`cli`] its commands.
//!
//! The same noun names the file in every room. `docs/architecture.md` has the invariants, and `CONTRIBUTING.md` says
//! which files a change of which kind touches.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod mail;
pub mod metrics;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
