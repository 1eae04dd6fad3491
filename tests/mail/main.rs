//! Mails over real SMTP: a queue of ours, and a mail server as a process on loopback.

#[path = "../http/support/log.rs"]
mod log;
#[path = "../support/mod.rs"]
mod support;

mod delivery;
mod faults;
mod hello;
mod protection;
mod queue;
mod trial;
