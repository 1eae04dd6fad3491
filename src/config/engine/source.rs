//! The layers: flags over environment over settings file over defaults. This file finds out what
//! was set and where; what the texts mean is for `parse` and `reader`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::file;
use super::profile::Profile;
use super::secret::Secret;
use super::setting::{Catalogue, DefaultValue, Kind, Setting, VARIABLE_PREFIX as PREFIX};
use super::suggest::{nearest, suggestion};
use super::values::{Found, Values};
use crate::domain::plain_text::plain_text;

/// Names the settings file.
const CONFIG_VARIABLE: &str = "HALLPASS_CONFIG";

/// The most bytes of a settings file or of a file with a secret. Far more than either needs, and
/// an end to `/dev/zero`.
const FILE_MAX_BYTES: u64 = 256 * 1024;

/// Everything that settings may come from.
#[derive(Clone, Default)]
pub struct Sources {
    /// `--config`.
    pub config_file: Option<PathBuf>,
    /// `--listen`, `--set` and the like.
    pub flags: Vec<FlagValue>,
    /// The environment.
    pub environment: BTreeMap<String, OsString>,
}

/// What one flag says. The text may be a secret, so there is no `Debug`.
#[derive(Clone)]
pub enum FlagValue {
    /// A flag of its own, for one setting.
    Named {
        /// The flag, dashes and all.
        flag: &'static str,
        /// The setting's key.
        key: &'static str,
        /// The value.
        text: String,
    },
    /// `--set key=value`, not yet taken apart.
    Set(String),
}

impl Sources {
    /// With the environment of this process; a name that is not UTF-8 is none of ours.
    pub fn from_process(config_file: Option<PathBuf>, flags: Vec<FlagValue>) -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self { config_file, flags, environment: std::env::vars_os().filter_map(named).collect() }
    }
}

/// Looks through all layers.
pub(crate) fn collect(
    catalogue: &'static Catalogue,
    profile: Profile,
    sources: &Sources,
) -> (Values, Vec<ConfigError>) {
    let mut collector = Collector { catalogue, values: Values::none(profile), mistakes: Vec::new() };
    collector.defaults();
    collector.settings_file(sources);
    collector.environment(&sources.environment);
    collector.flags(&sources.flags);
    collector.computed();
    (collector.values, collector.mistakes)
}

struct Collector {
    catalogue: &'static Catalogue,
    values: Values,
    mistakes: Vec<ConfigError>,
}

impl Collector {
    fn refuse(&mut self, key: &str, origin: Origin, problem: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(ConfigError::new(key, origin, problem, help));
    }

    fn set(&mut self, setting: &Setting, text: String, origin: Origin) {
        self.values.set(setting.key, Found { text: Secret::new(text), origin });
    }

    fn defaults(&mut self) {
        for setting in self.catalogue.iter() {
            if let Some(text) = setting.default_for(self.values.profile()) {
                self.set(setting, text.to_owned(), Origin::Default);
            }
        }
    }

    /// The defaults that follow from other settings; what was set stays.
    fn computed(&mut self) {
        for setting in self.catalogue.iter() {
            if let DefaultValue::Computed { by, .. } = setting.default
                && self.values.get(setting.key).is_none()
                && let Some(text) = by(&self.values)
            {
                self.set(setting, text, Origin::Default);
            }
        }
    }

    fn settings_file(&mut self, sources: &Sources) {
        let (path, origin) = match (&sources.config_file, sources.environment.get(CONFIG_VARIABLE)) {
            (Some(path), _) => (path.clone(), Origin::Flag("--config")),
            (None, Some(path)) if !path.is_empty() => {
                (PathBuf::from(path), Origin::Variable(CONFIG_VARIABLE.to_owned()))
            }
            _ => return,
        };
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(error) => {
                let problem = format!("names {}, which cannot be read: {error}", path.display());
                return self.refuse("the settings file", origin, problem, "name a readable TOML file");
            }
        };
        let (entries, mut mistakes) = file::entries(self.catalogue, &path, &text);
        self.mistakes.append(&mut mistakes);
        for (setting, text, origin) in entries {
            self.set(setting, text, origin);
        }
    }

    fn environment(&mut self, environment: &BTreeMap<String, OsString>) {
        for setting in self.catalogue.iter() {
            if let Some(Found { text, origin }) = self.find_variable(setting, environment) {
                self.set(setting, text.expose().to_owned(), origin);
            }
        }
        self.unknown_variables(environment);
    }

    fn find_variable(
        &mut self,
        setting: &Setting,
        environment: &BTreeMap<String, OsString>,
    ) -> Option<Found> {
        let present = |name: &String| {
            let value = environment.get(name)?;
            // A name that others use as well may be there without anything to say.
            (name.starts_with(PREFIX) || !value.is_empty()).then(|| (name.clone(), value))
        };
        let mut direct: Vec<_> = setting.variables().iter().filter_map(present).collect();
        let mut files: Vec<_> = setting.file_variables().iter().filter_map(present).collect();
        // Compose files hand on what an .env file leaves empty: beside its twin that says nothing.
        let is_said = |(_, value): &(String, &OsString)| !value.is_empty();
        if files.iter().any(is_said) {
            direct.retain(is_said);
        }
        if direct.iter().any(is_said) {
            files.retain(is_said);
        }
        let all: Vec<&str> = direct.iter().chain(&files).map(|(name, _)| name.as_str()).collect();
        let clash = match files.len() {
            0 => direct.windows(2).any(|pair| pair[0].1 != pair[1].1),
            _ => all.len() > 1,
        };
        if clash {
            let names = all.join(" and ");
            let origin = Origin::Variable(all[0].to_owned());
            self.refuse(setting.key, origin, format!("is set twice, by {names}"), "keep one of them");
            return None;
        }
        if let Some((name, path)) = files.first() {
            return self.read_variable_file(setting, name, Path::new(path));
        }
        let (name, value) = direct.first()?;
        let origin = Origin::Variable(name.clone());
        match value.to_str() {
            Some(text) => Some(Found { text: Secret::new(text), origin }),
            None => {
                self.refuse(setting.key, origin, "is not UTF-8", "write it in UTF-8");
                None
            }
        }
    }

    fn read_variable_file(&mut self, setting: &Setting, name: &str, path: &Path) -> Option<Found> {
        let origin = Origin::VariableFile { name: name.to_owned(), path: path.to_owned() };
        match read_text(path) {
            Ok(text) => Some(Found { text: Secret::new(text.trim_end_matches(['\r', '\n'])), origin }),
            Err(error) => {
                let problem = format!("cannot be read: {error}");
                self.refuse(setting.key, origin, problem, "name a readable file that holds the value alone");
                None
            }
        }
    }

    fn unknown_variables(&mut self, environment: &BTreeMap<String, OsString>) {
        let mut known: Vec<String> = vec![CONFIG_VARIABLE.to_owned()];
        for setting in self.catalogue.iter() {
            known.extend(setting.variables());
            known.extend(setting.file_variables());
        }
        for (name, value) in environment {
            if !name.starts_with(PREFIX) || known.contains(name) || is_service_link(name, value) {
                continue;
            }
            let ours = known.iter().map(String::as_str).filter(|known| known.starts_with(PREFIX));
            let help = match nearest(name, ours, "_") {
                Some(near) => format!("did you mean {near}?"),
                None => "unset it; docs/settings.md lists all settings".to_owned(),
            };
            self.refuse(name, Origin::Variable(name.clone()), "is no setting", help);
        }
    }

    fn flags(&mut self, flags: &[FlagValue]) {
        let mut seen = BTreeSet::new();
        for value in flags {
            let Some((setting, text, flag)) = self.flag(value) else { continue };
            let origin = Origin::Flag(flag);
            if seen.insert(setting.key) {
                self.set(setting, text, origin);
            } else {
                self.refuse(setting.key, origin, "is set twice on the command line", "keep one of them");
            }
        }
    }

    fn flag(&mut self, value: &FlagValue) -> Option<(&'static Setting, String, &'static str)> {
        let assignment = match value {
            FlagValue::Named { flag, key, text } => {
                return Some((self.catalogue.find(key)?, text.clone(), flag));
            }
            FlagValue::Set(assignment) => assignment,
        };
        let origin = Origin::Flag("--set");
        let Some((key, text)) = assignment.split_once('=') else {
            // What stands there may be a secret, so it is not repeated.
            let help = "write --set key=value, like --set tokens.access_ttl=5m";
            self.refuse("--set", origin, "has no `=`", help);
            return None;
        };
        let Some(setting) = self.catalogue.find(key) else {
            self.refuse(key, origin, "is no setting", suggestion(self.catalogue, key));
            return None;
        };
        if setting.kind == Kind::Secret || (setting.kind == Kind::SecretUrl && holds_password(text)) {
            let help = format!("use {}_FILE or {0}", setting.variable());
            self.refuse(key, origin, "is a secret, and anyone on the machine can read a command line", help);
            return None;
        }
        Some((setting, text.to_owned(), "--set"))
    }
}

/// Whether a URL may carry a password. One that cannot be read is taken for one that does.
fn holds_password(url: &str) -> bool {
    !url::Url::parse(url).is_ok_and(|url| {
        url.password().is_none() && !url.query_pairs().any(|(name, _)| name.contains("password"))
    })
}

/// Kubernetes describes each service of the namespace to every pod in variables that begin with
/// the service's name; a service called `hallpass` must not keep hallpass from starting.
fn is_service_link(name: &str, value: &OsString) -> bool {
    let protocol = |text: &str| ["TCP", "UDP", "SCTP"].iter().any(|known| text.starts_with(known));
    let port_link = |(_, rest): (&str, &str)| {
        rest.split_once('_').is_some_and(|(port, rest)| port.parse::<u16>().is_ok() && protocol(rest))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.rsplit_once("_PORT_").is_some_and(port_link)
        || (name.ends_with("_PORT") && value.to_str().is_some_and(|url| url.contains("://")))
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(io::Error::other(format!("it is larger than {FILE_MAX_BYTES} bytes")));
    }
    plain_text(bytes).map_err(io::Error::other)
}
