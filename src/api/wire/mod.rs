//! What travels: bodies, headers and addresses, whichever operation they belong to.

pub mod addresses;
pub mod allow;
pub mod client_address;
pub mod dto;
pub mod form;
pub mod json;
mod json_fields;
pub mod nearest;
pub mod prepared;
pub mod rate_limit_headers;
pub mod run_to_completion;
pub mod served;
pub mod targets;
