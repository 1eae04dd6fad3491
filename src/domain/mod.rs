//! Words and rules. Nothing here knows HTTP, SQL, Redis or a clock of its own.

pub mod audit;
pub mod causes;
pub mod client;
pub mod clock;
pub mod crowd;
pub mod deployment;
pub mod email;
pub mod ids;
pub mod journal;
pub mod link;
pub mod name;
pub mod partition;
pub mod password;
pub mod place;
pub mod postgres_url;
pub mod random;
pub mod rate_limit;
pub mod revocation;
pub mod session;
pub mod session_cap;
pub mod session_origin;
pub mod signing_key;
pub mod timekeeper;
pub mod tokens;
pub mod user;
pub mod web_origin;
