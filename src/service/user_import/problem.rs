//! Why an entry of a file is refused.

use crate::crypto::password::HashProblem;
use crate::domain::email::EmailError;
use crate::domain::external_id::ExternalIdError;
use crate::domain::metadata::MetadataError;
use crate::domain::name::NameError;

/// Why a line was refused. Never quotes it: it is made of addresses and hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// More bytes than an entry may have.
    #[error("is longer than {max} bytes")]
    TooLong {
        /// The most it may have.
        max: usize,
    },
    /// A row of a table that has other columns than the head, or other bytes than UTF-8.
    #[error("has more or fewer values than there are columns, or is not UTF-8")]
    BrokenRow,
    /// Not UTF-8, not JSON, or JSON of another kind.
    #[error("is not a JSON object")]
    NotAnObject,
    /// The object has a key that is none of ours.
    #[error(
        "has a field other than email, password_hash, first_name, last_name, role, email_verified, disabled, created_at, external_id and metadata"
    )]
    UnknownField,
    /// The object has a key twice: which of them holds?
    #[error("has {0} twice")]
    Twice(&'static str),
    /// A field that has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field holds JSON of another kind.
    #[error("{0} must be {1}")]
    Kind(&'static str, &'static str),
    /// The address is none.
    #[error("email {0}")]
    Email(EmailError),
    /// The name cannot be taken.
    #[error("{0} {1}")]
    Name(&'static str, NameError),
    /// The hash cannot be checked.
    #[error("password_hash {0}")]
    Hash(HashProblem),
    /// The metadata cannot be taken.
    #[error("metadata {0}")]
    Metadata(MetadataError),
    /// Tokens would be too long with it.
    #[error("makes tokens longer than they may be: shorten metadata")]
    TokenTooLarge,
    /// The role is none.
    #[error("role must be \"member\" or \"admin\"")]
    Role,
    /// The role is `admin`, and nobody said that this is meant.
    #[error("role is \"admin\", which --allow-admins lets pass")]
    Admin,
    /// The moment is none.
    #[error(
        "created_at must be an RFC 3339 time, one as Postgres prints it, or seconds or milliseconds since 1970"
    )]
    CreatedAt,
    /// The moment is one of no known place.
    #[error("created_at does not say how far it is from UTC: put Z or +hh:mm behind it")]
    NoOffset,
    /// The moment is to come.
    #[error("created_at lies in the future")]
    Future,
    /// The external id cannot be taken.
    #[error("external_id {0}")]
    ExternalId(ExternalIdError),
    /// An earlier entry has the address or the external id.
    #[error("an earlier one has the same {0}")]
    Duplicate(&'static str),
}
