//! What clients meet: the whole service in this process, through HTTP requests.

#[path = "../support/mod.rs"]
mod servers;
mod support;

mod access_tokens;
mod auth_me;
mod boundaries;
mod login;
mod logout;
mod password_change;
mod password_reset;
mod races;
mod refresh;
mod registration;
mod renewal;
mod user_list;
mod users;
