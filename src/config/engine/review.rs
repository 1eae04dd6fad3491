//! What is found once all values are there.

use super::error::{ConfigError, Warning};
use super::values::Values;

/// Mistakes and warnings, as they are found.
pub struct Review<'a> {
    values: &'a Values,
    mistakes: Vec<ConfigError>,
    warnings: Vec<Warning>,
}

impl<'a> Review<'a> {
    /// Goes on from the mistakes of reading.
    pub(crate) fn new(values: &'a Values, mistakes: Vec<ConfigError>) -> Self {
        Self { values, mistakes, warnings: Vec::new() }
    }

    /// Notes a mistake.
    pub fn refuse(&mut self, key: &str, problem: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(ConfigError::new(key, self.values.origin(key), problem, help));
    }

    /// Notes what works and deserves a second thought.
    pub fn warn(&mut self, key: &'static str, text: impl Into<String>) {
        self.warnings.push(Warning { key, text: text.into() });
    }

    /// Whether none of these has been refused already: a stand-in proves nothing.
    pub fn sound(&self, keys: &[&str]) -> bool {
        !self.mistakes.iter().any(|mistake| keys.contains(&mistake.key.as_str()))
    }

    /// Whether one of these was set and the other was not, which is refused.
    pub fn both_or_neither(&mut self, one: &str, other: &str) {
        for (set, unset) in [(one, other), (other, one)] {
            if self.is_set(set) && !self.is_set(unset) {
                self.refuse(set, format!("is set without `{unset}`"), "set both or neither");
            }
        }
    }

    /// Whether it was set, as opposed to a default.
    pub fn is_set(&self, key: &str) -> bool {
        self.values.is_set(key)
    }

    /// The text that was found, a default's included.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.text(key)
    }

    /// All that was found.
    pub(crate) fn finish(self) -> (Vec<ConfigError>, Vec<Warning>) {
        (self.mistakes, self.warnings)
    }
}
