//! How settings are declared, found, read and shown, whatever they are.
//!
//! - `declare`: the macro that declares a section, one entry a setting;
//! - `setting`: what is known of a setting, and the list of them;
//! - `source`, `file`, `values`, `suggest`: which text each setting has (flags over environment over file over
//!   defaults), where it came from, and which name was meant;
//! - `parse` and `reader`: from texts to values;
//! - `review`: what is found wrong or unwise afterwards;
//! - `dump`: the settings in effect, secrets left out.

mod declare;
mod dump;
mod error;
mod file;
pub mod parse;
mod profile;
mod reader;
mod review;
mod secret;
mod setting;
mod source;
mod suggest;
mod values;

pub(super) use declare::settings;
pub use dump::dump;
pub use error::{ConfigError, ConfigErrors, Origin, Warning};
#[cfg(test)]
pub(super) use file::entries;
pub use parse::{Parsed, problem};
pub use profile::Profile;
pub use reader::{Reader, Section};
pub use review::Review;
pub use secret::Secret;
pub use setting::{Always, Catalogue, Computed, DevOnly, Kind, Later, Node, Nothing, PerProfile, Setting};
pub use source::{FlagValue, Sources};
pub use suggest::nearest_name;
pub use values::Values;

pub(super) use source::collect;
