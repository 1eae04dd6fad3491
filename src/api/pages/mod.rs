//! Pages for people, and the documents that they and generators read.

pub mod docs_page;
pub mod documents;
pub mod errors;
pub mod mails;
pub mod metrics;
