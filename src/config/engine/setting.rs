//! What is known of a setting beside its value. Names, unknown-key detection, `config dump` and the table in the
//! documentation all come from it.

use std::fmt::Write;

use super::profile::Profile;
use super::values::Values;

/// What the names of our own environment variables begin with.
pub(super) const VARIABLE_PREFIX: &str = "HALLPASS_";

/// What a setting holds, and how far its value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text: durations, addresses, names.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Names with commas between, none of them where it is empty; a list in a settings file.
    List,
    /// A table in a settings file, and one JSON object elsewhere.
    Table,
    /// Never shown; may come from a file (`_FILE`).
    Secret,
    /// A URL that may hold a password, shown without it; may come from a file (`_FILE`).
    SecretUrl,
}

impl Kind {
    /// Whether a value may hold a secret.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretUrl)
    }
}

/// The value of a setting that nobody has set, as the documentation tells it.
#[derive(Clone, Copy, Debug)]
pub enum DefaultValue {
    /// The same everywhere.
    Always(&'static str),
    /// One for `dev`, another for `serve`; `None` is no value.
    PerProfile {
        /// For `hallpass dev`.
        dev: Option<&'static str>,
        /// For `hallpass serve`.
        serve: Option<&'static str>,
    },
    /// Worked out from other settings or the machine.
    Computed {
        /// How, in words.
        says: &'static str,
        /// From what was found before it; `None` where that is not known here.
        by: fn(&Values) -> Option<String>,
    },
    /// No value.
    Nothing,
}

/// The default is this text. The field always has a value.
#[derive(Clone, Copy, Debug)]
pub struct Always(pub &'static str);

/// The default is one text for `dev` and another for `serve`. The field always has a value.
#[derive(Clone, Copy, Debug)]
pub struct PerProfile {
    /// For `hallpass dev`.
    pub dev: &'static str,
    /// For `hallpass serve`.
    pub serve: &'static str,
}

/// There is a default for `dev` alone. The field is an `Option`.
#[derive(Clone, Copy, Debug)]
pub struct DevOnly(pub &'static str);

/// The default is worked out from the settings before this one, or from the machine. The field has a value, or is
/// an `Option` of one.
#[derive(Clone, Copy, Debug)]
pub struct Computed {
    /// How, in words.
    pub says: &'static str,
    /// The text, if there is one.
    pub by: fn(&Values) -> Option<String>,
}

/// The default is worked out later than here: what `by` answers is for `config dump` alone. The field is an
/// `Option`, or a type whose own default stands for none.
#[derive(Clone, Copy, Debug)]
pub struct Later {
    /// How, in words.
    pub says: &'static str,
    /// What it will probably be, if that is known.
    pub by: fn(&Values) -> Option<String>,
}

impl Later {
    /// Nothing is known of it here.
    pub const fn unknown(says: &'static str) -> Self {
        Self { says, by: |_| None }
    }
}

/// There is no default. The field is an `Option`, or a type whose own default stands for none.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Always {
    /// As the documentation tells it.
    pub const fn documented(self) -> DefaultValue {
        DefaultValue::Always(self.0)
    }
}

impl PerProfile {
    /// As the documentation tells it.
    pub const fn documented(self) -> DefaultValue {
        DefaultValue::PerProfile { dev: Some(self.dev), serve: Some(self.serve) }
    }
}

impl DevOnly {
    /// As the documentation tells it.
    pub const fn documented(self) -> DefaultValue {
        DefaultValue::PerProfile { dev: Some(self.0), serve: None }
    }
}

impl Computed {
    /// As the documentation tells it.
    pub const fn documented(self) -> DefaultValue {
        DefaultValue::Computed { says: self.says, by: self.by }
    }
}

impl Later {
    /// As the documentation tells it.
    pub const fn documented(self) -> DefaultValue {
        DefaultValue::Computed { says: self.says, by: self.by }
    }
}

impl Nothing {
    /// As the documentation tells it.
    pub const fn documented(self) -> DefaultValue {
        DefaultValue::Nothing
    }
}

/// What is known of one setting, whatever its type.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key in the settings file; dots part the levels.
    pub key: &'static str,
    /// A variable that is known by this name elsewhere, besides our own.
    pub alias: Option<&'static str>,
    /// What it holds.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub default: DefaultValue,
    /// A value one might write.
    pub example: &'static str,
    /// What it means, in a sentence.
    pub doc: &'static str,
}

/// A setting, or a section of them.
#[derive(Clone, Copy, Debug)]
pub enum Node {
    /// One setting.
    Setting(&'static Setting),
    /// Those of a section.
    Section(&'static [Node]),
}

/// All settings, in the order of the documentation.
#[derive(Debug)]
pub struct Catalogue(Vec<&'static Setting>);

impl Catalogue {
    /// Those of these nodes.
    pub(crate) fn of(nodes: &'static [Node]) -> Self {
        fn gather(nodes: &'static [Node], settings: &mut Vec<&'static Setting>) {
            for node in nodes {
                match node {
                    Node::Setting(setting) => settings.push(setting),
                    Node::Section(nodes) => gather(nodes, settings),
                }
            }
        }
        let mut settings = Vec::new();
        gather(nodes, &mut settings);
        Self(settings)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &'static Setting> + '_ {
        self.0.iter().copied()
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there are always some")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The setting of that key.
    pub fn find(&self, key: &str) -> Option<&'static Setting> {
        self.iter().find(|setting| setting.key == key)
    }

    /// Where it stands among the others.
    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|setting| setting.key == key)
    }

    /// The table for the documentation, in Markdown.
    pub fn markdown(&self) -> String {
        let mut table = String::from(
            "| setting | environment | default | example | meaning |\n| --- | --- | --- | --- | --- |\n",
        );
        for setting in self.iter() {
            let mut names = setting.variables();
            names.extend(setting.file_variables());
            let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
            let example = match setting.example {
                words if words.starts_with('(') => words.to_owned(),
                value => format!("`{value}`"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                table,
                "| `{}` | {} | {} | {} | {} |",
                setting.key,
                names.join(", "),
                setting.documented_default(),
                example,
                // The page stands beside those that it leads to.
                setting.doc.replace("(docs/", "(")
            );
        }
        table
    }
}

impl Setting {
    /// The environment variable: `tokens.access_ttl` is `HALLPASS_TOKENS__ACCESS_TTL`.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key.replace('.', "__").to_uppercase())
    }

    /// All variables that may hold the value: our own and, where there is one, the alias.
    pub fn variables(&self) -> Vec<String> {
        let alias = self.alias.map(str::to_owned);
        std::iter::once(self.variable()).chain(alias).collect()
    }

    /// The variables that may name a file with the value; none unless the value may be secret.
    pub fn file_variables(&self) -> Vec<String> {
        if !self.kind.is_secret() {
            return Vec::new();
        }
        self.variables().into_iter().map(|name| format!("{name}_FILE")).collect()
    }

    /// The literal default in a profile; `None` when there is none or when it is worked out.
    pub fn default_for(&self, profile: Profile) -> Option<&'static str> {
        match (self.default, profile) {
            (DefaultValue::Always(text), _) => Some(text),
            (DefaultValue::PerProfile { dev, .. }, Profile::Dev) => dev,
            (DefaultValue::PerProfile { serve, .. }, Profile::Serve) => serve,
            (DefaultValue::Computed { .. } | DefaultValue::Nothing, _) => None,
        }
    }

    fn documented_default(&self) -> String {
        let quoted = |text: Option<&str>| match text {
            Some(text) => format!("`{text}`"),
            None => "none".to_owned(),
        };
        match self.default {
            DefaultValue::Always(text) => quoted(Some(text)),
            DefaultValue::PerProfile { dev, serve } => {
                format!("`dev`: {}; `serve`: {}", quoted(dev), quoted(serve))
            }
            DefaultValue::Computed { says, .. } => says.to_owned(),
            DefaultValue::Nothing => quoted(None),
        }
    }
}
