//! Checks hallpass access tokens: signature, claims and revocation.
//!
//! This is the one implementation of the check. The hallpass server uses it, and so does a
//! microservice that wants to decide on its own.
//!
//! # Quick start
//!
//! A [`Validator`](client::Validator) follows its issuer in the background and answers from what it
//! knows; a [`Guard`](guard::Guard) puts it at a service's door. Both need a feature, see
//! [below](#features).
//!
//! ```no_run
//! # #[cfg(feature = "client")]
//! # async fn start(secret: String) -> Result<(), Box<dyn std::error::Error>> {
//! use hallpass_verify::client::{StalePolicy, Validator};
//!
//! // The issuer and the audience are compared to the letter with what tokens say.
//! let validator = Validator::builder("https://id.example.com", "https://api.example.com")
//!     .credentials("orders", secret)
//!     .stale_policy(StalePolicy::Introspect)
//!     .connect()
//!     .await?;
//!
//! let claims = validator.validate("eyJ…").await?;
//! claims.require_role("admin")?;
//! claims.require_scope("orders:write")?;
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `tower` a guard is a layer for axum, tonic and hyper, with `poem` a middleware.
//! Handlers find the [`AccessClaims`] in the request's extensions: `Extension<AccessClaims>` in axum,
//! `Data<&AccessClaims>` in poem. What is refused is answered with problem details (RFC 9457): 401 with
//! `WWW-Authenticate`, 403, or 503 with `Retry-After`.
//!
//! # When does a revocation take effect?
//!
//! The issuer sends each revocation to whoever follows it, and a heartbeat every second that says up to
//! when nothing is missing. The validator trusts what it knows for
//! [`max_staleness`](client::ValidatorBuilder::max_staleness) after that moment, two seconds unless set.
//! Connections break, are late, and processes stop without closing them, so the time is what counts and
//! not the connection, nor when something arrives. After that, the policy decides:
//!
//! | [`StalePolicy`](client::StalePolicy) | what happens to a token that is not known to be revoked | a revoked token is accepted for at most | without the issuer |
//! | --- | --- | --- | --- |
//! | `Reject` | 503 | `max_staleness` | nobody gets in |
//! | `Introspect` | the issuer is asked about it (RFC 7662), else 503 | `max_staleness` | nobody gets in |
//! | `Allow` | accepted | its own lifetime | all go on |
//!
//! While the feed is up, which is nearly always, all three learn of a revocation within the time that a
//! message takes. What is known to be revoked is refused with every policy, however old the rest is.
//! After a disconnect the stream goes on behind the last entry that arrived; where the issuer no
//! longer has what follows, the whole list is fetched again and put in place of the old one in one step.
//!
//! The issuer's clock need not be right. Where it stands against this machine's is bounded by each
//! request that opens the stream, anew every five minutes at least, and of all that is possible what
//! makes heartbeats oldest is taken. A clock that is set meanwhile makes nothing younger, but by a second
//! at most. Ages are counted by a clock that goes on while the machine sleeps, where the system has one
//! (see [`monotonic_clock`](client::ValidatorBuilder::monotonic_clock)).
//!
//! Tokens are told apart by numbers: a security event takes those of the account with a lower
//! [`sv`](AccessClaims::sv), and a loss of the issuer's memory those with a lower
//! [`inc`](AccessClaims::inc). Times that clocks put into tokens decide nothing here.
//!
//! An entry of a kind that this version does not know makes the feed stale, as passing over it would
//! let in what was revoked: update validators before their issuer.
//!
//! # Keys
//!
//! The key set is fetched again when its `max-age` is over, and when a token names an unknown key: then
//! at most once a [cool-down](client::ValidatorBuilder::key_cool_down), so that invented key ids cost
//! the issuer nothing. While the issuer cannot be asked, the last good set is used, and an unknown key
//! is "cannot tell" instead of a verdict. A key that the feed revokes is refused at once.
//!
//! # Features
//!
//! | feature | brings | needs |
//! | --- | --- | --- |
//! | none | [`Verifier`], [`AccessTokenCheck`], [`Denylist`]: no network, no clock | jsonwebtoken, serde |
//! | `client` | [`client`], [`guard`] and [`CachedVerifier`] | tokio, hyper, rustls |
//! | `tower` | a layer: axum, tonic, hyper | tower-layer, tower-service |
//! | `poem` | a middleware | poem |
//!
//! # Without a client
//!
//! 1. [`KeySet`] holds the public keys of the issuer (its JWKS).
//! 2. [`Verifier`] checks signature and claims.
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

#![cfg_attr(docsrs, feature(doc_cfg))]
// Without its features the crate has no client to link to.
#![cfg_attr(not(feature = "client"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "client")]
mod actor;
mod cache;
mod check;
mod claims;
#[cfg(feature = "client")]
pub mod client;
mod denylist;
#[cfg(feature = "client")]
pub mod guard;
mod jws;
mod keys;
mod permission;
mod rejection;
#[cfg(test)]
mod vectors;
mod verifier;

pub use actor::{Actor, MayAct};
#[cfg(feature = "client")]
pub use cache::{CachedVerifier, KnownToken};
pub use check::{AccessTokenCheck, CheckError, RevocationSource, RevocationStatus};
pub use claims::AccessClaims;
pub use denylist::{Denylist, Partition, PartitionError, Revocation, RevocationTarget};
pub use keys::{KeySet, KeySetError};
pub use permission::Forbidden;
pub use rejection::Rejection;
pub use verifier::{TokenType, Verified, Verifier};

/// Tries the examples of the README.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
