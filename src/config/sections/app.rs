//! `app.*`: the app that people log in to, as they know it.

use crate::config::engine::{Later, Nothing, Parsed, Values, parse, problem, settings};
use crate::domain::link::Link;

use super::public_url::public_url;

/// The most characters of a name: what a subject still shows.
const NAME_MAX_CHARS: usize = 64;

settings! {
    /// The app that people log in to.
    #[derive(Clone, Debug)]
    pub struct AppSettings {
        /// What people call the app, in mails and on the pages that their links lead to (64 characters at most).
        name: Option<String> = "app.name" {
            kind: Text, parse: name, default: Later { says: "the host of `public_url`", by: host }, example: "Example",
        },
        /// Where people go on in the app: a link on those pages, once all is done there, and in mails.
        url: Option<Link> = "app.url" {
            kind: Text, parse: url, default: Nothing, example: "https://www.example.com/login",
        },
    }
}

fn host(values: &Values) -> Option<String> {
    Some(public_url(values.text("public_url")?).ok()?.host().to_owned())
}

fn name(text: &str) -> Parsed<String> {
    let text = parse::text(text)?;
    let name = text.trim();
    let is_name = !name.is_empty() && !name.contains(char::is_control);
    if is_name && name.chars().count() <= NAME_MAX_CHARS {
        Ok(name.to_owned())
    } else {
        problem("is no name of an app", format!("write one line of {NAME_MAX_CHARS} characters at most"))
    }
}

fn url(text: &str) -> Parsed<Link> {
    Link::parse(text).or_else(|error| problem(error.to_string(), "write it like https://www.example.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line() {
        for good in ["Example", "Example & Co <3", "Żółw", "例え"] {
            assert_eq!(name(good), Ok(good.to_owned()));
        }
        assert_eq!(name(" Example "), Ok("Example".to_owned()));
        for bad in ["", " ", "A\r\nBcc: x@y.example", "A\0", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert!(name(&"ż".repeat(64)).is_ok());
    }
}
