//! The sections of the settings, one file a subject: each setting's type, key, default, bounds and meaning, and what
//! must hold between those of one section.

pub mod admin;
pub mod app;
pub mod audit;
pub mod claims;
pub mod compat;
pub mod cookie;
pub mod cors;
pub mod database;
pub mod dev;
pub mod docs;
pub mod feed;
pub mod forward_auth;
pub mod http;
pub mod keys;
pub mod log;
pub mod metrics;
pub mod passwords;
pub mod proxies;
pub mod public_url;
pub mod rate_limits;
pub mod redis;
pub mod registration;
pub mod reset;
pub mod roles;
pub mod secret;
pub mod sessions;
pub mod smtp;
pub mod tokens;
pub mod validation;
pub mod verification;
