//! The operations of the main API, one file a group.
//!
//! A new group is its file, and here its `mod` and its line in one of the two lists.

pub mod administration;
pub(crate) mod at_once;
pub mod audit;
pub mod auth;
pub mod clients;
pub mod forward_auth;
pub mod health;
pub mod revocations;
pub mod sessions;
pub mod users;
pub mod verification;
pub mod well_known;

/// A list of groups, in the order of the document.
macro_rules! groups {
    ($(#[$doc:meta])* $apis:ident, $list:ident: $($group:path),+ $(,)?) => {
        $(#[$doc])*
        pub(super) type $apis = ($($group,)+);

        $(#[$doc])*
        pub(super) fn $list() -> $apis {
            ($($group,)+)
        }
    };
}

groups! {
    /// What people do with their accounts, and administrators with everybody's.
    AccountApis, account_apis:
    auth::AuthApi,
    verification::VerificationApi,
    sessions::SessionsApi,
    users::UsersApi,
    administration::AdministrationApi,
    audit::AuditApi,
    clients::ClientsApi,
}

groups! {
    /// What other services ask, and what watches over this one.
    ServiceApis, service_apis:
    revocations::RevocationsApi,
    forward_auth::ForwardAuthApi,
    well_known::WellKnownApi,
    health::HealthApi,
}
