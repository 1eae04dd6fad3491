//! What several test binaries need; each uses a part of it.
#![allow(dead_code)]

pub mod certificates;
pub mod cluster;
pub mod faulty_link;
pub mod pgbouncer;
pub mod ports;
pub mod postgres;
pub mod redis;
pub mod sentinels;
pub mod silent_proxy;
pub mod smtp;
pub mod switchboard;
