//! The one place that names concrete stores and wires everything.

pub mod backups;
pub mod checkup;
mod database;
pub mod deployment;
mod environment;
mod error;
mod finding;
mod folder;
mod leftovers;
mod long_tokens;
mod mail;
mod mailboxes;
mod metrics;
mod people;
mod reload;
mod roles;
mod run;
mod secrets;
mod sidecar;
mod supervisor;
mod token_stores;
mod wiring;

pub use database::{Database, open_database};
pub use environment::{ClockOverrides, Environment, SystemRandom, random_password};
pub use error::{BoxedError, StartError};
pub use leftovers::{Leftover, Leftovers, LeftoversError};
pub use mail::{MailError, send_test_mail};
pub use people::{EXAMPLE_PASSWORD, EXAMPLE_PEOPLE, ExamplePerson};
pub use reload::Reload;
pub use run::{Bound, Start, close_audit, run};
pub use secrets::{MarkKeyError, RotateSecretError, rotate_secret};
pub use sidecar::{ListenAt, SidecarError, SidecarOptions, run_sidecar};
pub use token_stores::{Stores, TokenStores, open_token_store};
pub use wiring::{BesideService, build, open_beside_service, services, token_size};
