//! Requests to the issuer: bounded in time and in length, over HTTP/1.1.
//!
//! One connection a request that waits, and a connection whose answer did not come is closed: a
//! multiplexed connection that hangs would take all later requests with it.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use super::error::{BuildError, RequestError};

/// What an answer may take unless it is a list of revocations.
pub(crate) const SHORT_ANSWER: usize = 1024 * 1024;

const IDLE_CONNECTIONS: usize = 8;
const IDLE_TIME: Duration = Duration::from_secs(30);
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("hallpass-verify/", env!("CARGO_PKG_VERSION")));

/// The client of one issuer.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// How long to wait for an answer, and for each next piece of it.
    timeout: Duration,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Http {
    /// A client that trusts the machine's certificates and, beside them, those in `extra_roots`
    /// (PEM). The machine's are only read where TLS is wanted at all.
    pub(crate) fn new(tls: bool, extra_roots: &[Vec<u8>], timeout: Duration) -> Result<Self, BuildError> {
        let roots = if tls { roots(extra_roots)? } else { RootCertStore::empty() };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| BuildError::Tls(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Ok(Self { client, timeout })
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn open(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, RequestError> {
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        tokio::time::timeout(self.timeout, self.client.request(request))
            .await
            .map_err(|_| RequestError::TimedOut)?
            .map_err(RequestError::unreachable)
    }

    /// Sends a request and reads the answer, at most `limit` bytes of it.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Answer, RequestError> {
        let (head, mut body) = self.open(request).await?.into_parts();
        let mut bytes = Vec::new();
        while let Some(piece) = self.next_piece(&mut body).await? {
            if bytes.len() + piece.len() > limit {
                return Err(RequestError::TooLong);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Answer { status: head.status, headers: head.headers, body: bytes.into() })
    }

    async fn next_piece(&self, body: &mut Incoming) -> Result<Option<Bytes>, RequestError> {
        tokio::time::timeout(self.timeout, next_piece(body)).await.map_err(|_| RequestError::TimedOut)?
    }
}

/// The next bytes of a body; `None` at its end.
pub(crate) async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, RequestError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(RequestError::unreachable(error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

impl Answer {
    /// The answer, if its status is 200.
    pub(crate) fn ok(self) -> Result<Self, RequestError> {
        if self.status == StatusCode::OK { Ok(self) } else { Err(refusal(self.status, &self.headers)) }
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, RequestError> {
        serde_json::from_slice(&self.body).map_err(RequestError::unreadable)
    }

    pub(crate) fn etag(&self) -> Option<HeaderValue> {
        self.headers.get(header::ETAG).cloned()
    }
}

/// An answer of a status that is of no use.
pub(crate) fn refusal(status: StatusCode, headers: &HeaderMap) -> RequestError {
    let retry_after = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    RequestError::Status { status: status.as_u16(), retry_after }
}

/// A GET request with these headers.
pub(crate) fn get(
    url: &Url,
    headers: impl IntoIterator<Item = (header::HeaderName, HeaderValue)>,
) -> Result<Request<Full<Bytes>>, RequestError> {
    let mut request = Request::get(url.as_str()).body(Full::default()).map_err(RequestError::unreachable)?;
    request.headers_mut().extend(headers);
    Ok(request)
}

/// A POST request with a form, in the name of a client.
pub(crate) fn post_form(
    url: &Url,
    authorization: HeaderValue,
    fields: &[(&str, &str)],
) -> Result<Request<Full<Bytes>>, RequestError> {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Request::post(url.as_str())
        .header(header::AUTHORIZATION, authorization)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(Full::from(form))
        .map_err(RequestError::unreachable)
}

fn roots(extra: &[Vec<u8>]) -> Result<RootCertStore, BuildError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a certificate of this machine cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    for pem in extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| BuildError::RootCertificate(error.into()))?;
            roots.add(certificate).map_err(|error| BuildError::RootCertificate(error.into()))?;
        }
        if roots.len() == before {
            return Err(BuildError::RootCertificate("there is no certificate in it".into()));
        }
    }
    Ok(roots)
}
