//! Pages for people, and the documents that they and generators read.

pub mod dev_mails;
pub mod docs_page;
pub mod documents;
pub mod errors;
pub mod mails;
pub mod metrics;
