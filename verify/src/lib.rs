//! Checks hallpass access tokens: signature, claims and revocation.
//!
//! This is the one implementation of the check. The hallpass server uses it, and so does a
//! microservice that wants to decide on its own.
//!
//! 1. [`KeySet`] holds the public keys of the issuer (its JWKS).
//! 2. [`Verifier`] checks signature and claims; it needs no network and no clock of its own.
//! 3. [`AccessTokenCheck`] adds revocation: it asks a [`RevocationSource`].
//!
//! ```
//! use hallpass_verify::{KeySet, Rejection, TokenType, Verifier};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = KeySet::from_jwks(r#"{"keys": []}"#)?;
//! let verifier = Verifier::new(keys, "https://id.example.com", "https://id.example.com")
//!     .with_token_type(TokenType::AtJwt);
//! let now = std::time::SystemTime::now();
//! assert!(matches!(verifier.verify("not a token", now), Err(Rejection::Malformed)));
//! # Ok(())
//! # }
//! ```

mod check;
mod claims;
mod denylist;
mod jws;
mod keys;
mod permission;
mod verifier;

pub use check::{AccessTokenCheck, CheckError, RevocationSource, RevocationStatus};
pub use claims::AccessClaims;
pub use denylist::{Denylist, Revocation, RevocationTarget};
pub use keys::{KeySet, KeySetError};
pub use permission::Forbidden;
pub use verifier::{Rejection, TokenType, Verified, Verifier};
