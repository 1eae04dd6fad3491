//! Links that people follow, and those in mails: a page's URL with a place for a token.

use url::Url;

/// Where in the text of a template the token goes.
const PLACE: &str = "{token}";

/// A URL with one place for a token, like `https://app.example.com/reset#token={token}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTemplate {
    before: String,
    after: String,
}

/// Why a text is no template of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkTemplateError {
    /// Not absolute, or neither `http` nor `https`.
    #[error("is no absolute http:// or https:// URL")]
    NotHttp,
    /// `{token}` is missing, or comes twice.
    #[error("does not have `{{token}}` in it exactly once")]
    NoPlace,
    /// `{token}` stands in the scheme, the host or the port.
    #[error("has `{{token}}` in front of its path")]
    TokenInHost,
    /// White space or a control character.
    #[error("holds white space or a control character")]
    NotPlain,
}

/// An absolute URL that people follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(String);

/// Why a text is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not absolute, or neither `http` nor `https`.
    #[error("is no absolute http:// or https:// URL")]
    NotHttp,
    /// A user name or a password, which everybody would read.
    #[error("holds a user name")]
    Credentials,
    /// White space or a control character.
    #[error("holds white space or a control character")]
    NotPlain,
}

impl Link {
    /// Reads a link.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(LinkError::NotPlain);
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                let has_user = !url.username().is_empty() || url.password().is_some();
                if has_user { Err(LinkError::Credentials) } else { Ok(Self(url.into())) }
            }
            _ => Err(LinkError::NotHttp),
        }
    }

    /// The URL, in its canonical spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LinkTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// [`LinkTemplateError`].
    pub fn parse(text: &str) -> Result<Self, LinkTemplateError> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(LinkTemplateError::NotPlain);
        }
        let (before, after) = text.split_once(PLACE).ok_or(LinkTemplateError::NoPlace)?;
        if after.contains(PLACE) {
            return Err(LinkTemplateError::NoPlace);
        }
        match Url::parse(before) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
            _ => return Err(LinkTemplateError::NotHttp),
        }
        let authority_ends = before.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#']));
        if !authority_ends {
            return Err(LinkTemplateError::TokenInHost);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The link to `page` with the token in the fragment, which browsers send to no server: it
    /// reaches no log on the way.
    pub fn to_page(page: &str) -> Self {
        Self { before: format!("{page}#token="), after: String::new() }
    }

    /// The link with a token in its place. Tokens of hallpass need no escaping in a URL.
    pub fn with(&self, token: &str) -> String {
        format!("{}{token}{}", self.before, self.after)
    }

    /// Whether the token stands in the fragment.
    pub fn keeps_token_from_servers(&self) -> bool {
        self.before.contains('#')
    }

    /// Whether the link is `https://`.
    pub fn is_https(&self) -> bool {
        self.before.starts_with("https://")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_where_the_template_says() {
        let link = |text| LinkTemplate::parse(text).map(|template| template.with("hp_pr_A-_"));
        let filled = link("https://app.example.com/#/reset/{token}?x=1");
        assert_eq!(filled.as_deref(), Ok("https://app.example.com/#/reset/hp_pr_A-_?x=1"));
        let page = LinkTemplate::to_page("https://auth.example.com/reset-password");
        assert_eq!(page.with("hp_pr_A"), "https://auth.example.com/reset-password#token=hp_pr_A");
        assert_eq!(LinkTemplate::parse("https://auth.example.com/reset-password#token={token}"), Ok(page));
    }

    #[test]
    fn what_is_no_link_with_one_place_is_refused() {
        for (text, error) in [
            ("https://app.example.com/reset", LinkTemplateError::NoPlace),
            ("https://app.example.com/{token}/{token}", LinkTemplateError::NoPlace),
            ("/reset#{token}", LinkTemplateError::NotHttp),
            ("javascript:alert({token})", LinkTemplateError::NotHttp),
            ("ftp://example.com/{token}", LinkTemplateError::NotHttp),
            ("https://{token}.example.com/", LinkTemplateError::NotHttp),
            ("https://example.com{token}/", LinkTemplateError::TokenInHost),
            ("https://app.example.com/\r\nBcc: x/{token}", LinkTemplateError::NotPlain),
            ("https://app.example.com/a b/{token}", LinkTemplateError::NotPlain),
        ] {
            assert_eq!(LinkTemplate::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_link_leads_to_a_website_and_nowhere_else() {
        let read = |text| Link::parse(text).map(|link| link.as_str().to_owned());
        assert_eq!(read("https://www.example.com").as_deref(), Ok("https://www.example.com/"));
        assert_eq!(
            read("http://localhost:3000/#/login?a=\"b").as_deref(),
            Ok("http://localhost:3000/#/login?a=%22b")
        );
        for (text, error) in [
            ("", LinkError::NotHttp),
            ("www.example.com", LinkError::NotHttp),
            ("/login", LinkError::NotHttp),
            ("//example.com", LinkError::NotHttp),
            ("javascript:alert(1)", LinkError::NotHttp),
            ("data:text/html,x", LinkError::NotHttp),
            ("ftp://example.com", LinkError::NotHttp),
            ("https://", LinkError::NotHttp),
            ("https://ada@example.com", LinkError::Credentials),
            ("https://:secret@example.com", LinkError::Credentials),
            ("https://example.com/a b", LinkError::NotPlain),
            ("java\nscript:alert(1)", LinkError::NotPlain),
        ] {
            assert_eq!(Link::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_token_in_the_fragment_reaches_no_server() {
        let kept = |text| LinkTemplate::parse(text).map(|link| link.keeps_token_from_servers());
        assert_eq!(kept("https://app.example.com/reset#token={token}"), Ok(true));
        assert_eq!(kept("https://app.example.com/reset?token={token}#top"), Ok(false));
    }
}
