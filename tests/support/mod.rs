//! What several test binaries need; each uses a part of it.
#![allow(dead_code)]

pub mod postgres;
pub mod silent_proxy;
