//! Where a request comes from, as a handler's argument.

use poem::http::header;
use poem::{FromRequest, Request, RequestBody, Result};

use crate::api::errors::ApiError;
use crate::domain::session_origin::SessionOrigin;
use crate::service::access_tokens::FIRST_PARTY_CLIENT_ID;
use crate::service::visitor::Visitor;

/// Where a session that this request opens was opened.
pub struct Origin(pub SessionOrigin);

impl<'a> FromRequest<'a> for Origin {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        let visitor = request
            .data::<Visitor>()
            .ok_or_else(|| ApiError::internal("the API was built without its root"))?;
        let user_agent = request.headers().get(header::USER_AGENT);
        let user_agent = user_agent.map(|value| String::from_utf8_lossy(value.as_bytes()));
        Ok(Self(SessionOrigin::new(visitor.address(), user_agent.as_deref(), FIRST_PARTY_CLIENT_ID)))
    }
}
