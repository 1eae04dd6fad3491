//! The guard as a poem middleware.

use poem::error::ResponseError;
use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{Endpoint, Middleware, Request, Response, Result};

use super::{Guard, Refusal};

/// An endpoint behind a [`Guard`].
#[derive(Debug)]
pub struct GuardedEndpoint<E> {
    guard: Guard,
    inner: E,
}

impl<E: Endpoint> Middleware<E> for Guard {
    type Output = GuardedEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        GuardedEndpoint { guard: self.clone(), inner }
    }
}

impl<E: Endpoint> Endpoint for GuardedEndpoint<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<Self::Output> {
        let authorization: Vec<_> =
            request.headers().get_all(header::AUTHORIZATION).iter().cloned().collect();
        let claims = self.guard.admit(&authorization).await?;
        request.set_data(claims);
        self.inner.call(request).await
    }
}

impl ResponseError for Refusal {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(Self::status(self)).unwrap_or(StatusCode::UNAUTHORIZED)
    }

    fn as_response(&self) -> Response {
        let mut response = Response::builder()
            .status(ResponseError::status(self))
            .content_type(Self::MEDIA_TYPE)
            .body(self.body());
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
