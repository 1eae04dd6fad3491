//! Every setting: typed, parsed once, unknown keys refused, every mistake reported at once.
//!
//! - `settings`: the list of them all, in the order of the documentation;
//! - `sections`: one file a subject. A setting has one declaration: its type, key, default, bounds and meaning;
//! - `checks`: what must hold between sections, and what is unsafe to start with;
//! - `server_secret`: the secret that `dev` makes for itself;
//! - `engine`: how any setting is found, read and shown.

mod checks;
mod engine;
mod sections;
mod server_secret;
mod settings;
#[cfg(test)]
mod tests;

pub use engine::{
    Catalogue, ConfigError, ConfigErrors, FlagValue, Origin, Profile, Secret, Setting, Sources, Values,
    Warning, nearest_name,
};
use engine::{Reader, Review, Section};
pub use sections::admin::{AdminSettings, SAMPLE_ADMIN_EMAIL, SAMPLE_ADMIN_PASSWORD};
pub use sections::app::AppSettings;
pub use sections::audit::AuditSettings;
pub use sections::claims::ClaimsCutOff;
pub use sections::compat::CompatApi;
pub use sections::cors::{CorsOrigins, CorsSettings};
pub use sections::database::DatabaseSettings;
pub use sections::dev::{DevSettings, SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET};
pub use sections::docs::DocsSettings;
pub use sections::feed::FeedSettings;
pub use sections::forward_auth::ForwardAuthSettings;
pub use sections::http::HttpSettings;
pub use sections::keys::KeySettings;
pub use sections::log::{LogFormat, LogSettings, LoggedRequests};
pub use sections::metrics::MetricsSettings;
pub use sections::passwords::PasswordSettings;
pub use sections::proxies::ForwardedHeader;
pub use sections::public_url::PublicUrl;
pub use sections::redis::{RedisSettings, RedisTlsSettings};
pub use sections::registration::RegistrationSettings;
pub use sections::reset::{RESET_PAGE, ResetDelivery, ResetSettings};
pub use sections::roles::RoleScopes;
pub use sections::sessions::SessionSettings;
pub use sections::smtp::{HeloName, SmtpFrom, SmtpSettings, SmtpTls};
pub use sections::tokens::TokenSettings;
pub use sections::verification::{VERIFICATION_PAGE, VerificationSettings};
pub use server_secret::{SECRET_FILE, SecretFileError, ServerSecretError, existing_secret, server_secret};
pub use settings::{Settings, catalogue};

/// The settings in effect, as a settings file that says where each value came from; secrets are left out.
pub fn dump(values: &Values) -> String {
    engine::dump(catalogue(), values)
}

/// Settings without a mistake.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Where each came from, for [`dump`].
    pub values: Values,
    /// What works but deserves a second thought.
    pub warnings: Vec<Warning>,
}

/// What the settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To start the service of the profile: what is unsafe is refused.
    Start,
    /// To look at the settings, or for a command that uses a few of them.
    Inspect,
}

/// Reads the settings from all sources.
///
/// # Errors
/// Every mistake at once; with [`Purpose::Start`] also everything that is unsafe to start with.
pub fn load(profile: Profile, purpose: Purpose, sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let (values, mistakes) = engine::collect(catalogue(), profile, sources);
    let mut reader = Reader::new(&values, mistakes);
    let settings = Settings::read(&mut reader);
    let mut review = Review::new(&values, reader.finish());
    if let Some(settings) = &settings {
        checks::contradictions(settings, &mut review);
        if purpose == Purpose::Start {
            checks::unsafe_start(settings, &mut review);
        }
    }
    let (mut mistakes, warnings) = review.finish();
    match settings {
        Some(settings) if mistakes.is_empty() => Ok(Loaded { settings, values, warnings }),
        _ => {
            mistakes.sort_by_key(|mistake| catalogue().position(&mistake.key));
            Err(mistakes.into())
        }
    }
}
