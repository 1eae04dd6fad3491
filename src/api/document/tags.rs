//! The groups of operations, and under which licence the document is.

use poem_openapi::{LicenseObject, Tags};

/// The groups of operations in the document.
#[derive(Tags)]
pub enum Tag {
    /// Register, log in, refresh, log out, change or reset a password.
    Authentication,
    /// Where one is logged in, and logging out there.
    Sessions,
    /// One's own account, and for administrators everybody's.
    Users,
    /// Other people's accounts and sessions, for administrators.
    Administration,
    /// The services that call this one in their own name, for administrators.
    Clients,
    /// Tokens for programs, by the RFCs' names: get one, ask about one, take one back.
    OAuth,
    /// What was taken back, for services that check tokens on their own.
    Revocations,
    /// For reverse proxies that ask before they let a request through.
    Proxies,
    /// What any other service needs to check access tokens on its own: where things are, and the
    /// public keys.
    Discovery,
    /// For what starts, restarts and balances the service.
    Health,
}

/// The licence of the documents.
pub fn licence() -> LicenseObject {
    LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html")
}
