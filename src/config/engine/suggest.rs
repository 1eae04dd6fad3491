//! The known name that was probably meant by an unknown one.

use super::setting::{Catalogue, VARIABLE_PREFIX as PREFIX};

/// What to do about a key that is none.
pub(super) fn suggestion(catalogue: &Catalogue, key: &str) -> String {
    match nearest(key, catalogue.iter().map(|setting| setting.key), ".") {
        Some(near) => format!("did you mean `{near}`?"),
        None => "take it out; docs/settings.md lists all settings".to_owned(),
    }
}

/// The variable that was probably meant by an unknown one.
pub fn nearest_name<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest(name, known, "_")
}

/// The known name that was probably meant: one that ends alike, one that has no `_FILE` twin, or one
/// that is spelled alike.
pub(super) fn nearest<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str>,
    separator: &str,
) -> Option<&'a str> {
    /// Two typing mistakes in a short name, a few in a long one.
    const ALIKE: f64 = 0.75;
    let plain = |name: &str| name.trim_start_matches(PREFIX).to_lowercase();
    let tail = format!("{separator}{}", plain(name));
    let likeness = |candidate: &str| {
        let meant =
            candidate.to_lowercase().ends_with(&tail) || name.strip_suffix("_FILE") == Some(candidate);
        if meant { 1.0 } else { strsim::normalized_damerau_levenshtein(&plain(name), &plain(candidate)) }
    };
    known
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
