//! From text to value: the parsers that several settings share. A parser never repeats the text: whether it may be
//! shown is for the caller to know.

use std::fmt::Display;
use std::fs::File;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::secret::Secret;

/// Why a text is no value: a phrase that follows the text, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub problem: String,
    /// What to write.
    pub help: String,
}

/// A value, or why there is none.
pub type Parsed<T> = Result<T, Problem>;

/// No value.
///
/// # Errors
/// Always: that is what it is for.
pub fn problem<T>(problem: impl Into<String>, help: impl Into<String>) -> Parsed<T> {
    Err(Problem { problem: problem.into(), help: help.into() })
}

/// `true` or `false`.
pub fn boolean(text: &str) -> Parsed<bool> {
    text.parse().or_else(|_| problem("is neither `true` nor `false`", "write one of them"))
}

/// A whole number within bounds.
pub fn number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Parsed<T>
where
    T: FromStr + PartialOrd + Display,
{
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => problem(
            "is not within the bounds",
            format!("write a whole number from {} to {}", range.start(), range.end()),
        ),
    }
}

/// One of a few words.
pub fn choice<const N: usize, T: Clone>(
    otherwise: &'static str,
    choices: [(&'static str, T); N],
) -> impl Fn(&str) -> Parsed<T> {
    move |text| match choices.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(value.clone()),
        None => {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let (last, others) = words.split_last().map_or(("", &[][..]), |(last, others)| (*last, others));
            problem(otherwise, format!("write {} or {last}", others.join(", ")))
        }
    }
}

/// Any span of time, with its unit.
pub fn duration(text: &str) -> Parsed<Duration> {
    humantime::parse_duration(text)
        .or_else(|_| problem("is no duration", "write it with a unit, like 30s, 15m or 7d"))
}

/// A span of time within bounds.
pub fn span(range: RangeInclusive<Duration>) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| match duration(text)? {
        span if range.contains(&span) => Ok(span),
        _ => problem("is out of bounds", format!("write {}", bounds(&range))),
    }
}

/// A span of time within bounds that ends up as a whole number of seconds in a token.
pub fn seconds(range: RangeInclusive<Duration>) -> impl Fn(&str) -> Parsed<Duration> {
    let span = span(range);
    move |text| match span(text)? {
        span if span.subsec_nanos() == 0 => Ok(span),
        _ => problem("is a fraction of a second", "write whole seconds, like 30s"),
    }
}

/// Any span of time; none at all is for ever.
pub fn duration_or_for_ever(text: &str) -> Parsed<Option<Duration>> {
    duration(text).map(|span| Some(span).filter(|span| !span.is_zero()))
}

/// A span of time within bounds, or none at all for never.
pub fn span_or_never(
    range: RangeInclusive<Duration>,
    never: &'static str,
) -> impl Fn(&str) -> Parsed<Option<Duration>> {
    move |text| match duration(text)? {
        Duration::ZERO => Ok(None),
        span if range.contains(&span) => Ok(Some(span)),
        _ => problem("is out of bounds", format!("write {}, or 0s for {never}", bounds(&range))),
    }
}

fn bounds(range: &RangeInclusive<Duration>) -> String {
    let [min, max] = [*range.start(), *range.end()].map(humantime::format_duration);
    format!("{min} to {max}")
}

/// A path, of whatever.
pub fn path(text: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(text))
}

/// The path of a file that can be read.
pub fn readable_file(help: &'static str) -> impl Fn(&str) -> Parsed<PathBuf> {
    move |text| match File::open(text) {
        Ok(_) => Ok(PathBuf::from(text)),
        Err(error) => problem(format!("cannot be read: {error}"), help),
    }
}

/// Text without control characters.
pub fn text(text: &str) -> Parsed<String> {
    if text.chars().any(char::is_control) {
        return problem("holds a control character", "take it out");
    }
    Ok(text.to_owned())
}

/// Any text, which nothing shows.
pub fn secret(text: &str) -> Parsed<Secret> {
    Ok(Secret::new(text))
}

/// Items with commas between; none where nothing stands.
pub fn list<T>(item: impl Fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<Vec<T>> {
    move |text| match text.trim() {
        "" => Ok(Vec::new()),
        text => text.split(',').map(|text| item(text.trim())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["900", "", "-5s", "soon", "99999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn spans_keep_within_their_bounds() {
        let range = || Duration::from_secs(1)..=Duration::from_secs(60);
        assert_eq!((span(range())("1s"), span(range())("1m")), (Ok(*range().start()), Ok(*range().end())));
        for bad in ["999ms", "61s", "0s"] {
            let problem = span(range())(bad).expect_err(bad);
            assert_eq!((&*problem.problem, &*problem.help), ("is out of bounds", "write 1s to 1m"));
        }
        assert!(span(range())("1500ms").is_ok() && seconds(range())("1500ms").is_err());
        assert_eq!(span_or_never(range(), "none")("0s"), Ok(None));
        assert_eq!(span_or_never(range(), "none")("2m").unwrap_err().help, "write 1s to 1m, or 0s for none");
        assert_eq!(duration_or_for_ever("0s"), Ok(None));
    }

    #[test]
    fn numbers_keep_within_their_bounds() {
        let parse = number(1_usize..=64);
        assert_eq!((parse("1"), parse("64")), (Ok(1), Ok(64)));
        for bad in ["0", "65", "-1", "1.0", "eight", ""] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_choice_names_what_there_is() {
        let parse = choice("is no number", [("one", 1), ("two", 2), ("three", 3)]);
        assert_eq!(parse("two"), Ok(2));
        assert_eq!(parse("four"), problem("is no number", "write one, two or three"));
    }

    #[test]
    fn a_list_may_be_empty_and_has_no_empty_items() {
        let parse = list(number(1_u8..=9));
        assert_eq!((parse(""), parse(" "), parse("1, 2")), (Ok(vec![]), Ok(vec![]), Ok(vec![1, 2])));
        assert!(parse("1,").is_err());
    }
}
