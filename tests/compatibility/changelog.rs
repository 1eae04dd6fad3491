//! The changelog, as far as releases and what they break go.

/// A version's entry in the changelog.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// `0.2.0`, or `Unreleased`.
    pub version: &'a str,
    /// The text of its section `Breaking`; empty where there is none.
    pub breaking: &'a str,
}

impl Entry<'_> {
    /// Whether the section `Breaking` names an operation, in backticks.
    pub fn names(&self, operation: &str) -> bool {
        self.breaking.contains(&format!("`{operation}`"))
    }
}

/// The entries of a changelog that is kept as Keep a Changelog says, newest first, `Unreleased` included.
pub fn entries(changelog: &str) -> Vec<Entry<'_>> {
    let sections = changelog.split("\n## [").skip(1);
    let entry = |section| -> Option<Entry<'_>> {
        let (version, text) = str::split_once(section, ']')?;
        let breaking = text.split_once("\n### Breaking").map_or("", |(_, rest)| rest);
        Some(Entry { version, breaking: breaking.split("\n### ").next().unwrap_or_default() })
    };
    sections.filter_map(entry).collect()
}
