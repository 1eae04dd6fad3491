//! What clients meet: the whole service in this process, through HTTP requests.

#[path = "../support/mod.rs"]
mod servers;
mod support;

mod auth_me;
mod login;
mod logout;
mod password_change;
mod password_reset;
mod refresh;
mod registration;
mod renewal;
mod user_list;
mod users;
