//! The guard as a tower layer.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::{Guard, Refusal};

/// A service behind a [`Guard`].
#[derive(Clone, Debug)]
pub struct GuardedService<S> {
    guard: Guard,
    inner: S,
}

impl<S> Layer<S> for Guard {
    type Service = GuardedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardedService { guard: self.clone(), inner }
    }
}

impl<S, B, R> Service<Request<B>> for GuardedService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let guard = self.guard.clone();
        // The one that was found ready is used, and the fresh one kept for the next request.
        let fresh = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, fresh);
        Box::pin(async move {
            let authorization: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().cloned().collect();
            match guard.admit(&authorization).await {
                Ok(claims) => {
                    request.extensions_mut().insert(claims);
                    ready.call(request).await
                }
                Err(refusal) => Ok(refusal.into_http()),
            }
        })
    }
}

impl Refusal {
    /// The whole answer: status, headers and [`problem`](Self::problem).
    pub fn into_http<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(self.body().into());
        *response.status_mut() = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::UNAUTHORIZED);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(Self::MEDIA_TYPE));
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
