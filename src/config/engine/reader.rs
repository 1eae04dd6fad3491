//! From the texts that were found to values.

use super::error::ConfigError;
use super::parse::{Parsed, Problem};
use super::profile::Profile;
use super::setting::{Always, Computed, DevOnly, Kind, Later, Node, Nothing, PerProfile, Setting};
use super::values::Values;

/// The most characters of a value that an error repeats.
const SHOWN_CHARS: usize = 80;

/// A group of settings; `settings!` makes one.
pub trait Section: Sized {
    /// Its settings and the sections in it, in the order of the documentation.
    const NODES: &'static [Node];

    /// Reads all of them. Where a value is refused its default stands in, so that further mistakes are found; such
    /// settings are never handed out. `None` when there is nothing to stand in, which is a mistake as well.
    fn read(read: &mut Reader<'_>) -> Option<Self>;
}

/// No setting: the command says which it is.
impl Section for Profile {
    const NODES: &'static [Node] = &[];

    fn read(read: &mut Reader<'_>) -> Option<Self> {
        Some(read.profile())
    }
}

/// Reads values one by one and notes what is wrong with them.
pub struct Reader<'a> {
    values: &'a Values,
    mistakes: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(values: &'a Values, mistakes: Vec<ConfigError>) -> Self {
        Self { values, mistakes }
    }

    pub(crate) fn finish(self) -> Vec<ConfigError> {
        self.mistakes
    }

    /// Whose defaults hold.
    pub fn profile(&self) -> Profile {
        self.values.profile()
    }

    /// The value of a setting in the shape that its default gives it.
    pub fn value<T, H>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Parsed<T>,
        default: impl Holds<T, H>,
    ) -> Option<H> {
        default.hold(self, setting, &parse)
    }

    /// The value, if it has a text and that can be taken.
    fn find<T>(&mut self, setting: &Setting, parse: Parse<'_, T>) -> Option<T> {
        let text = self.values.text(setting.key)?;
        if text.is_empty() && setting.kind != Kind::List {
            self.refuse(setting, "is empty", "leave it out to have the default");
            return None;
        }
        match parse(text) {
            Ok(value) => Some(value),
            Err(Problem { problem, help }) => {
                let problem = match setting.kind.is_secret() {
                    true => problem,
                    false => format!("= {} {problem}", shown(text)),
                };
                self.refuse(setting, problem, help);
                None
            }
        }
    }

    /// The value, or else its default; a setting that has neither is refused.
    fn get<T>(&mut self, setting: &Setting, parse: Parse<'_, T>, default: Option<String>) -> Option<T> {
        if self.values.text(setting.key).is_none() {
            self.refuse(setting, "has no value", format!("write one, like {}", setting.example));
            return None;
        }
        self.find(setting, parse).or_else(|| parse(&default?).ok())
    }

    fn refuse(&mut self, setting: &Setting, problem: impl Into<String>, help: impl Into<String>) {
        let origin = self.values.origin(setting.key);
        self.mistakes.push(ConfigError::new(setting.key, origin, problem, help));
    }
}

/// The parser of a setting.
type Parse<'a, T> = &'a dyn Fn(&str) -> Parsed<T>;

/// What a field holds of a setting with this default: `H` is `T`, or an `Option` of it.
pub trait Holds<T, H> {
    /// Reads it; `None` is a mistake that has been noted.
    fn hold(self, read: &mut Reader<'_>, setting: &'static Setting, parse: Parse<'_, T>) -> Option<H>;
}

impl<T> Holds<T, T> for Always {
    fn hold(self, read: &mut Reader<'_>, setting: &'static Setting, parse: Parse<'_, T>) -> Option<T> {
        read.get(setting, parse, Some(self.0.to_owned()))
    }
}

impl<T> Holds<T, T> for PerProfile {
    fn hold(self, read: &mut Reader<'_>, setting: &'static Setting, parse: Parse<'_, T>) -> Option<T> {
        let default = match read.profile() {
            Profile::Dev => self.dev,
            Profile::Serve => self.serve,
        };
        read.get(setting, parse, Some(default.to_owned()))
    }
}

impl<T> Holds<T, Option<T>> for DevOnly {
    fn hold(
        self,
        read: &mut Reader<'_>,
        setting: &'static Setting,
        parse: Parse<'_, T>,
    ) -> Option<Option<T>> {
        Some(read.find(setting, parse))
    }
}

impl<T> Holds<T, T> for Computed {
    fn hold(self, read: &mut Reader<'_>, setting: &'static Setting, parse: Parse<'_, T>) -> Option<T> {
        let default = (self.by)(read.values);
        read.get(setting, parse, default)
    }
}

impl<T> Holds<T, Option<T>> for Computed {
    fn hold(
        self,
        read: &mut Reader<'_>,
        setting: &'static Setting,
        parse: Parse<'_, T>,
    ) -> Option<Option<T>> {
        Some(read.find(setting, parse))
    }
}

impl<T> Holds<T, Option<T>> for Later {
    fn hold(
        self,
        read: &mut Reader<'_>,
        setting: &'static Setting,
        parse: Parse<'_, T>,
    ) -> Option<Option<T>> {
        Some(if read.values.is_set(setting.key) { read.find(setting, parse) } else { None })
    }
}

impl<T: Default> Holds<T, T> for Later {
    fn hold(self, read: &mut Reader<'_>, setting: &'static Setting, parse: Parse<'_, T>) -> Option<T> {
        let held: Option<Option<T>> = self.hold(read, setting, parse);
        Some(held?.unwrap_or_default())
    }
}

impl<T> Holds<T, Option<T>> for Nothing {
    fn hold(
        self,
        read: &mut Reader<'_>,
        setting: &'static Setting,
        parse: Parse<'_, T>,
    ) -> Option<Option<T>> {
        Some(read.find(setting, parse))
    }
}

impl<T: Default> Holds<T, T> for Nothing {
    fn hold(self, read: &mut Reader<'_>, setting: &'static Setting, parse: Parse<'_, T>) -> Option<T> {
        Some(read.find(setting, parse).unwrap_or_default())
    }
}

/// A value as an error repeats it: on one line, and not all of a novel.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
