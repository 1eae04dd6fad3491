use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::client::ValidationError;
use crate::permission::Forbidden;

/// What to answer to a request that is not let in.
///
/// `?` makes one of a [`ValidationError`] and of a [`Forbidden`]. It quotes nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    status: u16,
    code: &'static str,
    detail: Cow<'static, str>,
    challenge: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
}

/// Problem details (RFC 9457), as hallpass's own answers have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The kind of problem as a URI: `urn:hallpass:error:` and the code, which the issuer explains at
    /// `/docs/errors#<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status code, again.
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
    /// What happened, for programs.
    pub code: &'static str,
}

impl Refusal {
    /// The media type of [`problem`](Self::problem).
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// No token came: 401 without an error code (RFC 6750 3.1).
    pub fn no_token() -> Self {
        Self {
            status: 401,
            code: "authentication_required",
            detail: "An access token is needed.".into(),
            challenge: Some("Bearer".into()),
            retry_after: None,
        }
    }

    /// Something came that cannot be read as one token.
    pub(super) fn unreadable_token() -> Self {
        ValidationError::from(crate::rejection::Rejection::Malformed).into()
    }

    /// The same, if it is 401, with the place of the service's metadata in its challenge. A URL that would end the
    /// quoted string is left out.
    pub(super) fn naming_resource_metadata(self, url: &str) -> Self {
        let (401, Some(challenge)) = (self.status, &self.challenge) else { return self };
        if !is_quotable(url) {
            return self;
        }
        let comma = if challenge.contains(' ') { "," } else { "" };
        let challenge = format!(r#"{challenge}{comma} resource_metadata="{url}""#);
        Self { challenge: Some(challenge.into()), ..self }
    }

    /// The HTTP status: 401, 403 or 503.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The value of `WWW-Authenticate`, for 401 and 403.
    pub fn www_authenticate(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// The value of `Retry-After`, for 503.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The body, of the media type [`MEDIA_TYPE`](Self::MEDIA_TYPE).
    pub fn problem(&self) -> Problem {
        Problem {
            kind: format!("urn:hallpass:error:{}", self.code),
            title: match self.status {
                401 => "Unauthorized",
                403 => "Forbidden",
                _ => "Service Unavailable",
            },
            status: self.status,
            detail: self.detail.clone().into_owned(),
            code: self.code,
        }
    }

    /// The headers of the answer beside its media type.
    #[cfg(any(feature = "tower", feature = "poem"))]
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let challenge = self.challenge.as_deref().map(|value| ("www-authenticate", Cow::from(value)));
        let retry_after = self.retry_after.map(|wait| ("retry-after", Cow::from(wait.as_secs().to_string())));
        challenge.into_iter().chain(retry_after)
    }

    #[cfg(any(feature = "tower", feature = "poem"))]
    pub(super) fn body(&self) -> String {
        serde_json::to_string(&self.problem()).unwrap_or_default()
    }
}

impl From<ValidationError> for Refusal {
    fn from(error: ValidationError) -> Self {
        if !error.is_verdict() {
            tracing::warn!(error = &error as &dyn std::error::Error, "a token cannot be checked");
        }
        Self {
            status: error.status(),
            code: error.code(),
            detail: sentence(&error.to_string()),
            challenge: error.www_authenticate().map(Cow::from),
            retry_after: error.retry_after(),
        }
    }
}

impl From<Forbidden> for Refusal {
    /// RFC 6750 3.1, `insufficient_scope`: the challenge names the scope that would do.
    fn from(forbidden: Forbidden) -> Self {
        let challenge = match &forbidden {
            Forbidden::Scope(scope) if is_quotable(scope) => {
                format!(r#"Bearer error="insufficient_scope", scope="{scope}""#).into()
            }
            _ => r#"Bearer error="insufficient_scope""#.into(),
        };
        let code = match &forbidden {
            Forbidden::Machine | Forbidden::Role(_) => "forbidden",
            Forbidden::Scope(_) => "insufficient_scope",
        };
        Self {
            status: 403,
            code,
            detail: sentence(&forbidden.to_string()),
            challenge: Some(challenge),
            retry_after: None,
        }
    }
}

/// The characters of a scope (RFC 6749 3.3), none of which ends a quoted string.
fn is_quotable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fn sentence(text: &str) -> Cow<'static, str> {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::CannotTell;

    #[test]
    fn each_refusal_says_what_its_standard_asks_for() {
        let no_token = Refusal::no_token();
        assert_eq!((no_token.status(), no_token.www_authenticate()), (401, Some("Bearer")));

        let revoked = Refusal::from(ValidationError::Revoked);
        let challenge = r#"Bearer error="invalid_token", error_description="the token has been revoked""#;
        assert_eq!((revoked.status(), revoked.www_authenticate()), (401, Some(challenge)));
        assert_eq!(revoked.code(), "token_revoked");

        for forbidden in [Forbidden::Machine, Forbidden::Role("admin".to_owned())] {
            let refusal = Refusal::from(forbidden);
            assert_eq!(
                (refusal.status(), refusal.code(), refusal.www_authenticate()),
                (403, "forbidden", Some(r#"Bearer error="insufficient_scope""#))
            );
        }

        let scope = Refusal::from(Forbidden::Scope("orders:read".to_owned()));
        let challenge = r#"Bearer error="insufficient_scope", scope="orders:read""#;
        assert_eq!((scope.status(), scope.www_authenticate()), (403, Some(challenge)));
        assert_eq!(scope.code(), "insufficient_scope");

        let unknown = Refusal::from(ValidationError::from(CannotTell::NoKeys));
        assert_eq!((unknown.status(), unknown.www_authenticate()), (503, None));
        assert_eq!(unknown.retry_after(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_scope_that_would_end_the_quoted_string_is_left_out() {
        let scope = Refusal::from(Forbidden::Scope("a\", evil=\"b".to_owned()));
        assert_eq!(scope.www_authenticate(), Some(r#"Bearer error="insufficient_scope""#));
    }

    #[test]
    fn a_challenge_for_a_token_says_where_the_metadata_are_if_the_service_does() {
        let url = "https://orders.example.com/.well-known/oauth-protected-resource";
        let said = |refusal: Refusal, url: &str| {
            refusal.naming_resource_metadata(url).www_authenticate().map(str::to_owned)
        };
        assert_eq!(
            said(Refusal::no_token(), url).as_deref(),
            Some(&*format!(r#"Bearer resource_metadata="{url}""#))
        );
        let revoked = r#"Bearer error="invalid_token", error_description="the token has been revoked""#;
        assert_eq!(
            said(ValidationError::Revoked.into(), url),
            Some(format!(r#"{revoked}, resource_metadata="{url}""#))
        );
        assert_eq!(said(ValidationError::Revoked.into(), "https://a\", x=\"").as_deref(), Some(revoked));
        let forbidden = Refusal::from(Forbidden::Machine);
        assert_eq!(said(forbidden.clone(), url).as_deref(), forbidden.www_authenticate());
        assert_eq!(said(ValidationError::from(CannotTell::NoKeys).into(), url), None);
    }

    #[test]
    fn a_problem_has_the_members_of_the_standard() {
        let problem = serde_json::to_value(Refusal::from(ValidationError::Revoked).problem()).expect("JSON");
        let expected = serde_json::json!({
            "type": "urn:hallpass:error:token_revoked",
            "title": "Unauthorized",
            "status": 401,
            "detail": "The token has been revoked.",
            "code": "token_revoked",
        });
        assert_eq!(problem, expected);
    }
}
