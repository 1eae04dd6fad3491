//! What is wrong with the settings: all of it at once, and what to do about it.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it: the profile's default, or nothing at all.
    Default,
    /// A file: the settings file, or another that is named by it.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where known.
        line: Option<usize>,
    },
    /// An environment variable.
    Variable(String),
    /// A file that an environment variable ending in `_FILE` names.
    VariableFile {
        /// The variable.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}, line {line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::VariableFile { name, path } => write!(f, "{}, named by {name}", path.display()),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One mistake. It never holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting, or what was written in the place of one.
    pub key: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What is wrong: a phrase that follows the key.
    pub problem: String,
    /// What to do about it.
    pub help: String,
}

impl ConfigError {
    /// A mistake in one setting.
    pub fn new(
        key: impl Into<String>,
        origin: Origin,
        problem: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { key: key.into(), origin, problem: problem.into(), help: help.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) {}: {}", self.key, self.origin, self.problem, self.help)
    }
}

impl Error for ConfigError {}

/// Every mistake in the settings, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The mistakes in the order of the settings.
    pub fn as_slice(&self) -> &[ConfigError] {
        &self.0
    }
}

impl From<Vec<ConfigError>> for ConfigErrors {
    fn from(mistakes: Vec<ConfigError>) -> Self {
        Self(mistakes)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 mistake in the settings:")?,
            count => write!(f, "{count} mistakes in the settings:")?,
        }
        self.0.iter().try_for_each(|mistake| write!(f, "\n  - {mistake}"))
    }
}

impl Error for ConfigErrors {}

/// Something that works but deserves a second thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The setting.
    pub key: &'static str,
    /// What to think about: a phrase that follows the key.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.text)
    }
}
