//! Settings from end to end.

mod catalogue;
mod cors;
mod http;
mod mail;
mod mistakes;
mod plaintext;
mod safety;
mod sources;
mod values;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::engine::entries;
use super::sections::compat;
use super::*;
use crate::domain::rate_limit::{LimitRules, Rate};
use crate::domain::revocation::ValidationMode;
use crate::store::TokenStoreKind;

const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// The sources of one test, put together step by step.
#[derive(Default)]
struct Given {
    sources: Sources,
    folder: Option<tempfile::TempDir>,
}

impl Given {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.to_owned(), OsString::from(value));
        self
    }

    fn set(mut self, assignment: &str) -> Self {
        self.sources.flags.push(FlagValue::Set(assignment.to_owned()));
        self
    }

    fn flag(mut self, flag: &'static str, key: &'static str, text: &str) -> Self {
        self.sources.flags.push(FlagValue::Named { flag, key, text: text.to_owned() });
        self
    }

    fn in_folder(&mut self, name: &str, text: &str) -> PathBuf {
        let folder = self.folder.get_or_insert_with(|| tempfile::tempdir().unwrap());
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn file(mut self, text: &str) -> Self {
        self.sources.config_file = Some(self.in_folder("hallpass.toml", text));
        self
    }

    fn variable_file(mut self, name: &str, text: &str) -> Self {
        let path = self.in_folder(name, text);
        self.sources.environment.insert(name.to_owned(), path.into());
        self
    }

    fn load(&self, profile: Profile, purpose: Purpose) -> Result<Loaded, ConfigErrors> {
        load(profile, purpose, &self.sources)
    }

    fn settings(&self) -> Settings {
        self.load(Profile::Dev, Purpose::Start).unwrap().settings
    }

    /// The mistakes as text, one per line.
    fn mistakes(&self, profile: Profile, purpose: Purpose) -> String {
        self.load(profile, purpose).expect_err("there are mistakes").to_string()
    }

    fn mistakes_in_dev(&self) -> String {
        self.mistakes(Profile::Dev, Purpose::Start)
    }

    fn mistakes_in_serve(&self) -> String {
        self.mistakes(Profile::Serve, Purpose::Start)
    }

    /// Fails unless there is a mistake in that setting.
    #[track_caller]
    fn refused(&self, key: &str) {
        let mistakes = self.mistakes_in_dev();
        assert!(mistakes.lines().any(|line| line.contains(key)), "{key} is not among:\n{mistakes}");
    }

    /// The keys that warnings are about.
    fn warned(&self, profile: Profile) -> Vec<&'static str> {
        let loaded = self.load(profile, Purpose::Start).unwrap();
        loaded.warnings.iter().map(|warning| warning.key).collect()
    }
}

fn given() -> Given {
    Given::default()
}

/// All that production needs.
fn production() -> Given {
    given()
        .variable("HALLPASS_SECRET", SECRET)
        .variable("REDIS_URL", "rediss://redis")
        .variable("HALLPASS_PUBLIC_URL", "https://auth.example.com")
        .variable("HALLPASS_LISTEN", "0.0.0.0:8080")
}

/// Fails unless the text holds all parts.
#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}
