//! What clients meet: the whole service in this process, through HTTP requests.

#[path = "../support/mod.rs"]
mod servers;
mod support;

mod access_tokens;
mod administration;
mod audit;
mod auth_me;
mod boundaries;
mod bounds;
mod clients;
mod clocks;
mod compat;
mod concealed_registration;
mod cut_off;
mod enumeration;
mod explanations;
mod forward_auth;
mod given_again;
mod hosts;
mod key_ring;
mod legacy_hashes;
mod login;
mod logout;
mod metadata;
mod mirror;
mod oauth;
mod outages;
mod password_change;
mod password_reset;
mod passwords;
mod races;
mod rate_limits;
mod refresh;
mod registration;
mod renewal;
mod reset_places;
mod revocations;
mod rollback;
mod secrets_in_logs;
mod sessions;
mod upgrade;
mod user_list;
mod users;
mod verification;
mod without_credentials;
