//! The refresh token in a cookie that no script can read, for pages that ask for it by `Hallpass-Mode: cookie` (OAuth 2.0
//! for Browser-Based Applications, RFC 10017; the names' prefixes are RFC 6265bis 4.1.3).
//!
//! Without that header no cookie is looked at and none is set. With it the request has to come from a page of the service
//! itself or of an origin that is listed, which its `Origin` says: a stranger's page cannot write that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use poem::{FromRequest, Request, RequestBody};

use super::security::single;
use crate::api::errors::{ApiError, ErrorCode};
use crate::domain::session::Session;
use crate::domain::tokens::RefreshToken;
use crate::service::sessions::LogoutScope;

/// Says in which way a page wants its refresh token.
const HALLPASS_MODE: HeaderName = HeaderName::from_static("hallpass-mode");

/// How near to this service the page is, as its browser says (Fetch Metadata 2.3).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the service's cookie is called, and where browsers send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieRules {
    name: String,
    attributes: String,
}

impl CookieRules {
    /// By the scheme and the path of the public URL. `name` is the part behind the prefix.
    pub fn new(name: &str, is_https: bool, path: &str) -> Self {
        let prefix = match (is_https, path) {
            (false, _) => "",
            (true, "") => "__Host-",
            (true, _) => "__Secure-",
        };
        let path = if path.is_empty() { "/" } else { path };
        let secure = if is_https { "; Secure" } else { "" };
        Self {
            name: format!("{prefix}{name}"),
            attributes: format!("Path={path}; HttpOnly; SameSite=Strict{secure}"),
        }
    }

    fn cookie(&self, value: &str, seconds: i64) -> Option<HeaderValue> {
        let text = format!("{}={value}; Max-Age={seconds}; {}", self.name, self.attributes);
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The values of the cookie; other cookies are other apps'.
    fn sent<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == self.name).map(|(_, value)| value)
    }
}

impl Default for CookieRules {
    fn default() -> Self {
        Self::new("hallpass", true, "")
    }
}

/// For whoever develops the page: without it a login would seem to work until its access token ends.
const OF_ANOTHER_SITE: &str = "The page is of another site than this service, and browsers keep no cookie then: app.example.com \
    and auth.example.com are one site, localhost and 127.0.0.1 are two.";

/// What a request may do with the cookie, and the one that its answer sets. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct CookieJar {
    rules: Arc<CookieRules>,
    /// Whether it comes from a page that may use the cookie.
    is_trusted: bool,
    set: Arc<Mutex<Option<HeaderValue>>>,
}

impl CookieJar {
    /// Of a request that comes from such a page, or does not.
    pub(crate) fn new(rules: Arc<CookieRules>, is_trusted: bool) -> Self {
        Self { rules, is_trusted, set: Arc::default() }
    }

    /// The one token that came along.
    ///
    /// # Errors
    /// It comes from no page that may send one, or from one of another site, whose browser would keep none; or there are two.
    fn find(&self, headers: &HeaderMap) -> Result<Option<RefreshToken>, ApiError> {
        if !self.is_trusted {
            return Err(ApiError::of(ErrorCode::CsrfCheckFailed));
        }
        if headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site") {
            return Err(ApiError::of(ErrorCode::CsrfCheckFailed).saying(OF_ANOTHER_SITE));
        }
        let mut sent = self.rules.sent(headers);
        match (sent.next(), sent.next()) {
            (_, Some(_)) => Err(ApiError::ambiguous_token()),
            (token, None) => Ok(token.filter(|token| !token.is_empty()).map(RefreshToken::new)),
        }
    }

    /// The cookie that the answer sets, if it sets one.
    pub(crate) fn to_set(&self) -> Option<HeaderValue> {
        self.slot().clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The refresh token's cookie, where the request asks for it.
pub struct RefreshCookie(Option<InUse>);

struct InUse {
    jar: CookieJar,
    token: Option<RefreshToken>,
}

impl RefreshCookie {
    /// Whether the request wants its refresh token there: it need have no other place then.
    pub fn is_asked_for(&self) -> bool {
        self.0.is_some()
    }

    /// The one refresh token of a request that may have another one in its header or body.
    ///
    /// # Errors
    /// It came in more than one way.
    pub fn or(&self, sent: Option<RefreshToken>) -> Result<Option<RefreshToken>, ApiError> {
        match (self.0.as_ref().and_then(|cookie| cookie.token.clone()), sent) {
            (Some(_), Some(_)) => Err(ApiError::ambiguous_token()),
            (cookie, sent) => Ok(cookie.or(sent)),
        }
    }

    /// Takes the refresh token of an answer away, into the cookie, where the request asks for that.
    pub fn keep(&self, token: &mut String, session: &Session) {
        let Some(InUse { jar, .. }) = &self.0 else { return };
        let until = session.idle_deadline.min(session.absolute_deadline);
        let seconds = until.as_secs().saturating_sub(session.issued_at.as_secs());
        *jar.slot() = jar.rules.cookie(token, seconds);
        token.clear();
    }

    /// After a logout: the cookie goes, and a session that was over already is as good as ended. Where other sessions
    /// were to end as well, nothing says that they have.
    ///
    /// # Errors
    /// What the logout failed with. When nothing was decided the cookie stays.
    pub fn logged_out(&self, scope: LogoutScope, ended: Result<(), ApiError>) -> Result<(), ApiError> {
        let Some(_) = &self.0 else { return ended };
        match ended {
            Err(error) if error.status_code() != StatusCode::UNAUTHORIZED => Err(error),
            Err(error) if scope != LogoutScope::Local => {
                self.clear();
                Err(error)
            }
            _ => {
                self.clear();
                Ok(())
            }
        }
    }

    /// The cookie is of no use any more.
    fn clear(&self) {
        let Some(InUse { jar, .. }) = &self.0 else { return };
        *jar.slot() = jar.rules.cookie("", 0);
    }

    /// The same, when an answer says that the refresh token is dead; when nothing was decided it stays.
    pub fn clear_if_dead(&self, error: &ApiError) {
        if error.is_of_a_dead_session() {
            self.clear();
        }
    }
}

/// No parameter of the document: to generated clients, some of which take parameters by their order, it would be a
/// break, and pages have a client of their own.
impl<'a> FromRequest<'a> for RefreshCookie {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let headers = request.headers();
        match single(headers, &HALLPASS_MODE)? {
            None => return Ok(Self(None)),
            Some("cookie") => {}
            Some(_) => return Err(ApiError::invalid_field("Hallpass-Mode", "must be `cookie`").into()),
        }
        let jar = request
            .data::<CookieJar>()
            .ok_or_else(|| ApiError::internal("the API was built without its root"))?
            .clone();
        let token = jar.find(headers)?;
        Ok(Self(Some(InUse { jar, token })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cookie: Option<HeaderValue>) -> String {
        cookie.expect("a cookie").to_str().expect("text").to_owned()
    }

    #[test]
    fn its_name_and_its_path_are_those_of_the_public_url() {
        let set = |rules: CookieRules| text(rules.cookie("t", 60));
        assert_eq!(
            set(CookieRules::new("hallpass", true, "")),
            "__Host-hallpass=t; Max-Age=60; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            set(CookieRules::new("staging", true, "/auth")),
            "__Secure-staging=t; Max-Age=60; Path=/auth; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            set(CookieRules::new("hallpass", false, "")),
            "hallpass=t; Max-Age=60; Path=/; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn it_is_found_among_others_in_any_line() {
        let rules = CookieRules::new("hallpass", false, "");
        let sent = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            rules.sent(&headers).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(sent(&["a=b; hallpass=t; c=d"]), ["t"]);
        assert_eq!(sent(&["a=b", "hallpass=t=u"]), ["t=u"]);
        assert_eq!(sent(&["hallpass=t; hallpass=u"]), ["t", "u"]);
        assert_eq!(sent(&["hallpassx=t; Hallpass=u; __Host-hallpass=v", "hallpass"]), [""; 0]);
    }

    #[test]
    fn what_it_says_is_not_shown() {
        let value = CookieRules::default().cookie("secret", 60).expect("a cookie");
        assert!(!format!("{value:?}").contains("secret"));
    }
}
