//! Where the issuer's endpoints are (RFC 8414).

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, body::Incoming};
use serde::Deserialize;
use url::{Origin, Url};

use super::credentials::Credentials;
use super::error::{ConnectError, RequestError};
use super::http::{self, Answer, Http, SHORT_ANSWER};

/// Behind the issuer's URL.
const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";

/// How the issuer is reached.
#[derive(Debug)]
pub(crate) struct Issuer {
    /// The issuer's name, to the letter.
    pub(crate) name: String,
    /// The same as an address.
    pub(crate) url: Url,
    /// Another way to it, which the name does not lead: inside a cluster, say.
    pub(crate) reach_at: Option<Url>,
    /// Whose endpoints are taken beside the issuer's own.
    pub(crate) trusted: Vec<Origin>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) http: Http,
}

/// The endpoints that are of use here. Those that the issuer does not name, it does not have.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) jwks: Url,
    pub(crate) token: Option<Url>,
    pub(crate) introspection: Option<Url>,
    pub(crate) revocations: Option<Url>,
    pub(crate) revocations_stream: Option<Url>,
}

/// Authorization server metadata (RFC 8414 2, RFC 7662, and two members of hallpass's own).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Url,
    token_endpoint: Option<Url>,
    introspection_endpoint: Option<Url>,
    hallpass_revocations_endpoint: Option<Url>,
    hallpass_revocations_stream_endpoint: Option<Url>,
}

impl Issuer {
    /// Asks the issuer where everything is.
    pub(crate) async fn discover(&self) -> Result<Endpoints, ConnectError> {
        let metadata: Metadata = self
            .get_json(&self.metadata_url().map_err(ConnectError::Metadata)?)
            .await
            .map_err(ConnectError::Metadata)?;
        if metadata.issuer != self.name {
            return Err(ConnectError::OtherIssuer { found: metadata.issuer });
        }
        let optional = |name, url: Option<Url>| url.map(|url| self.endpoint(name, url)).transpose();
        Ok(Endpoints {
            jwks: self.endpoint("jwks_uri", metadata.jwks_uri)?,
            token: optional("token_endpoint", metadata.token_endpoint)?,
            introspection: optional("introspection_endpoint", metadata.introspection_endpoint)?,
            revocations: optional("hallpass_revocations_endpoint", metadata.hallpass_revocations_endpoint)?,
            revocations_stream: optional(
                "hallpass_revocations_stream_endpoint",
                metadata.hallpass_revocations_stream_endpoint,
            )?,
        })
    }

    fn metadata_url(&self) -> Result<Url, RequestError> {
        let url = format!("{}{WELL_KNOWN}", self.name.trim_end_matches('/'));
        Url::parse(&url).map(|url| self.rerouted(url)).map_err(RequestError::unreadable)
    }

    /// Takes an endpoint if it is the issuer's own or trusted: the metadata must not be able to send
    /// secrets elsewhere.
    fn endpoint(&self, name: &'static str, url: Url) -> Result<Url, ConnectError> {
        let origin = url.origin();
        if origin == self.url.origin() {
            return Ok(self.rerouted(url));
        }
        if self.trusted.contains(&origin) { Ok(url) } else { Err(ConnectError::ForeignEndpoint { name }) }
    }

    /// A URL of the issuer's own, by the way that was set.
    fn rerouted(&self, url: Url) -> Url {
        let Some(mut way) = self.reach_at.clone() else { return url };
        way.set_path(url.path());
        way.set_query(url.query());
        way
    }

    async fn get_json<T: serde::de::DeserializeOwned>(&self, url: &Url) -> Result<T, RequestError> {
        let accept = (header::ACCEPT, HeaderValue::from_static("application/json"));
        self.send(http::get(url, [accept])?, SHORT_ANSWER).await?.ok()?.json()
    }

    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Answer, RequestError> {
        self.http.send(request, limit).await
    }

    pub(crate) async fn open(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, RequestError> {
        self.http.open(request).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn issuer(name: &str, reach_at: Option<&str>) -> Issuer {
        Issuer {
            name: name.to_owned(),
            url: name.parse().expect("a URL"),
            reach_at: reach_at.map(|url| url.parse().expect("a URL")),
            trusted: vec![Url::parse("https://keys.example.com").expect("a URL").origin()],
            credentials: None,
            http: Http::new(false, &[], Duration::from_secs(1)).expect("a client"),
        }
    }

    fn taken(issuer: &Issuer, url: &str) -> Option<String> {
        issuer.endpoint("jwks_uri", url.parse().expect("a URL")).ok().map(String::from)
    }

    #[test]
    fn the_metadata_is_looked_for_behind_the_issuers_name() {
        for (name, expected) in [
            ("https://id.example.com", "https://id.example.com/.well-known/oauth-authorization-server"),
            ("https://id.example.com/", "https://id.example.com/.well-known/oauth-authorization-server"),
            ("https://example.com/id", "https://example.com/id/.well-known/oauth-authorization-server"),
        ] {
            assert_eq!(issuer(name, None).metadata_url().expect("a URL").as_str(), expected);
        }
    }

    #[test]
    fn an_endpoint_is_taken_from_the_issuers_origin_and_from_those_that_are_trusted() {
        let issuer = issuer("https://id.example.com", None);
        for own in ["https://id.example.com/a", "https://id.example.com:443/a", "https://keys.example.com/a"]
        {
            assert!(taken(&issuer, own).is_some(), "{own}");
        }
        for foreign in [
            "http://id.example.com/a",
            "https://id.example.com:8443/a",
            "https://example.com/a",
            "https://id.example.com.evil.example/a",
            "https://id.example.com@evil.example/a",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
        ] {
            assert_eq!(taken(&issuer, foreign), None, "{foreign}");
        }
    }

    #[test]
    fn another_way_leads_to_the_issuers_own_endpoints_alone() {
        let issuer = issuer("https://id.example.com", Some("http://hallpass:8080"));
        assert_eq!(
            taken(&issuer, "https://id.example.com/a?b=c"),
            Some("http://hallpass:8080/a?b=c".to_owned())
        );
        assert_eq!(
            taken(&issuer, "https://keys.example.com/a"),
            Some("https://keys.example.com/a".to_owned())
        );
        assert_eq!(taken(&issuer, "http://hallpass:8080/a"), None);
        let metadata = issuer.metadata_url().expect("a URL");
        assert_eq!(metadata.as_str(), "http://hallpass:8080/.well-known/oauth-authorization-server");
    }
}
