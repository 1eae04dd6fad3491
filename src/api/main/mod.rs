//! The operations of the main API, one file a group.

pub mod administration;
pub mod audit;
pub mod auth;
pub mod clients;
pub mod forward_auth;
pub mod health;
pub mod revocations;
pub mod sessions;
pub mod users;
pub mod verification;
pub mod well_known;
