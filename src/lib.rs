//! hallpass: a token service that issues, refreshes, revokes and validates tokens.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
