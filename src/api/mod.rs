//! The HTTP surface: requests in, domain words to the service, answers out.

pub mod docs_page;
pub mod document;
pub mod json;
mod json_fields;
