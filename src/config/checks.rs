//! What must not be, although each value is well-formed: contradictions between sections, the unsafe and the unwise.

use std::collections::BTreeSet;

use super::engine::{Profile, Review, Secret};
use super::sections::admin::{SAMPLE_ADMIN_EMAIL, SAMPLE_ADMIN_PASSWORD};
use super::sections::passwords::MIN_LENGTH_WISE;
use super::sections::public_url::PublicUrl;
use super::sections::public_url::is_loopback;
use super::sections::reset::ResetDelivery;
use super::sections::secret::SECRET_HELP;
use super::sections::smtp::{SMTP_HELP, review_link};
use super::sections::{proxies, rate_limits};
use super::settings::Settings;
use crate::domain::password::PasswordPolicy;
use crate::domain::revocation::ValidationMode;

/// 32 random characters have more, even in an alphabet of 16 (hexadecimal); a short word that was
/// repeated until it was long enough has not.
const SECRET_DISTINCT_BYTES_WISE: usize = 8;

/// What holds for every command.
pub(super) fn contradictions(settings: &Settings, review: &mut Review<'_>) {
    weak_secret(settings, review);
    settings.database.review(review);
    settings.redis.review(settings.token_store, review);
    settings.tokens.review(review);
    settings.role_scopes.review(&settings.roles, review);
    mirror_of_nothing(settings, review);
    settings.smtp.review(review);
    settings.keys.review(review);
    settings.passwords.review(review);
    settings.admin.review(review);
    proxies::review(&settings.trusted_proxies, review);
}

/// What keeps a service from starting.
pub(super) fn unsafe_start(settings: &Settings, review: &mut Review<'_>) {
    unsendable_mail(settings, review);
    settings.database.review_plaintext(review);
    settings.redis.review_plaintext(review);
    match settings.profile {
        Profile::Dev => unsafe_dev(settings, review),
        Profile::Serve => unsafe_serve(settings, review),
    }
}

fn weak_secret(settings: &Settings, review: &mut Review<'_>) {
    let is_weak = |secret: &Secret| {
        let different: BTreeSet<u8> = secret.expose().bytes().collect();
        different.len() < SECRET_DISTINCT_BYTES_WISE
    };
    if review.sound(&["secret"]) && settings.secret.as_ref().is_some_and(is_weak) {
        review.warn("secret", "does not look random: it repeats a few characters");
    }
    if review.sound(&["secret_accepted"]) && settings.secret_accepted.iter().any(is_weak) {
        review.warn("secret_accepted", "has one that does not look random: it repeats a few characters");
    }
}

fn mirror_of_nothing(settings: &Settings, review: &mut Review<'_>) {
    const MODE: &str = "validation.mode";
    let kind = settings.token_store;
    let is_mirror = matches!(settings.validation, ValidationMode::Mirror { .. });
    if kind.is_in_process() && is_mirror && review.sound(&[MODE, "token_store", "redis.url"]) {
        let problem = format!("is `mirror`, but the {} token store is in this process already", kind.name());
        review.refuse(MODE, problem, "leave it out, or set `redis.url`");
    }
}

/// Mails that are asked for and cannot be sent.
fn unsendable_mail(settings: &Settings, review: &mut Review<'_>) {
    const CONCEAL: &str = "registration.conceal_existing";
    let no_smtp = settings.smtp.host.is_none() && !settings.shows_mails() && review.sound(&["smtp.host"]);
    if no_smtp && settings.reset.delivery == ResetDelivery::Smtp {
        review.refuse("reset.delivery", "= \"smtp\", but `smtp.host` is not set", SMTP_HELP);
    }
    if no_smtp && settings.registration.verify_email {
        let problem = "is on, but `smtp.host` is not set: nobody who registers could ever log in";
        review.refuse("registration.verify_email", problem, SMTP_HELP);
    }
    if settings.registration.conceal_existing && !settings.registration.verify_email {
        let problem = "is on, but `registration.verify_email` is not: whoever can log in right after \
            registering knows that the address was free";
        review.refuse(CONCEAL, problem, "turn both on, or this one off");
    }
}

fn unsafe_dev(settings: &Settings, review: &mut Review<'_>) {
    if review.sound(&["listen"]) && !is_loopback(settings.listen.ip()) {
        let problem = "leads beyond this machine, which is not for `hallpass dev`: its administrator has a known \
            password and it answers with reset tokens";
        review.refuse("listen", problem, "listen on 127.0.0.1, or use `hallpass serve`");
    }
    let sample = !review.is_set("admin.password");
    if sample && review.sound(&["database.url", "admin.email"]) && !settings.database.is_local() {
        let problem = "is the sample administrator's, and the database is on another machine";
        review.refuse("admin.password", problem, "set `admin.email` and `admin.password`");
    }
    if settings.public_url.as_ref().is_some_and(|url| !url.is_loopback()) {
        review.warn("public_url", "leads beyond this machine; `hallpass dev` is not for that");
    }
}

fn unsafe_serve(settings: &Settings, review: &mut Review<'_>) {
    if settings.secret.is_none() && review.sound(&["secret"]) {
        review.refuse("secret", "is not set", SECRET_HELP);
    }
    unsafe_public_url(settings, review);
    settings.redis.review_production(settings.token_store, review);
    unsafe_admin(settings, review);
    let exposed = is_exposed(settings, review);
    settings.reset.review_production(exposed, review);
    review_link("verification.url", settings.verification.url.as_ref(), review);
    settings.smtp.review_production(review);
    rate_limits::review_production(&settings.rate_limits, review);
    settings.cors.review_production(review);
}

fn unsafe_public_url(settings: &Settings, review: &mut Review<'_>) {
    if !review.sound(&["public_url", "listen"]) {
        return;
    }
    if settings.public_url.is_none() && settings.listen.ip().is_unspecified() {
        let help = "set it to where clients reach this service, like https://auth.example.com";
        review.refuse("public_url", "is not set, and `listen` names no single address", help);
    } else {
        plaintext_public_url(settings, review);
    }
}

/// Clients that are to come over http:// from elsewhere.
fn plaintext_public_url(settings: &Settings, review: &mut Review<'_>) {
    const DANGER: &str = "danger_plaintext_public_url";
    if !review.sound(&[DANGER]) {
        return;
    }
    let by_address = PublicUrl::of_address(settings.listen);
    let url = settings.public_url.as_ref().unwrap_or(&by_address);
    if url.is_https() || url.is_loopback() {
        return;
    }
    if settings.danger_plaintext_public_url {
        review.warn(DANGER, "is on: passwords and tokens travel in the clear");
        return;
    }
    let problem = match settings.public_url {
        Some(_) => "is http:// on a name that is not this machine".to_owned(),
        None => format!("is not set, so that it is {url}, which is not this machine"),
    };
    let problem = format!("{problem}: passwords and tokens would travel in the clear");
    let help = format!(
        "write https:// (a proxy in front has the certificate), or set `{DANGER}` = true if you mean it"
    );
    review.refuse("public_url", problem, help);
}

fn unsafe_admin(settings: &Settings, review: &mut Review<'_>) {
    let Some((email, _)) = settings.admin.account() else { return };
    if email.as_str() == SAMPLE_ADMIN_EMAIL {
        review.refuse("admin.email", "is the sample administrator's", "set the address of a real one");
    }
    let text = review.text("admin.password").unwrap_or(SAMPLE_ADMIN_PASSWORD);
    let policy = PasswordPolicy {
        min_length: settings.passwords.policy.min_length.max(MIN_LENGTH_WISE),
        reject_common: true,
    };
    if let Err(error) = policy.choose(text, email.as_str()) {
        review.refuse("admin.password", error.to_string(), "choose another one");
    }
}

/// Whether others than this machine reach the service: it listens to them, or a proxy leads
/// there from outside, as a public URL tells. A setting with a mistake tells nothing, the other
/// still does.
fn is_exposed(settings: &Settings, review: &Review<'_>) -> bool {
    let listens = review.sound(&["listen"]) && !is_loopback(settings.listen.ip());
    let proxied =
        review.sound(&["public_url"]) && settings.public_url.as_ref().is_some_and(|url| !url.is_loopback());
    listens || proxied
}
