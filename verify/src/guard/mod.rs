//! What stands at a service's door: takes the token out of a request, checks it, and says what to
//! answer if it will not do.

mod bearer;
mod refusal;

#[cfg(feature = "poem")]
mod poem;
#[cfg(feature = "tower")]
mod tower;

#[doc(hidden)]
pub use bearer::token as bearer_token;
pub use refusal::{Problem, Refusal};

#[cfg(feature = "poem")]
pub use self::poem::GuardedEndpoint;
#[cfg(feature = "tower")]
pub use self::tower::GuardedService;

use crate::claims::AccessClaims;
use crate::client::Validator;

/// Lets requests with a right access token of a person pass, and answers the others. Tokens that
/// clients got for themselves pass where [`allow_machines`](Self::allow_machines) says so.
///
/// With the feature `tower` it is a layer (axum, tonic …), with `poem` a middleware; both put the
/// [`AccessClaims`] into the request's extensions. With anything else, call [`admit`](Self::admit).
///
/// ```no_run
/// # use hallpass_verify::{client::Validator, guard::Guard};
/// # fn routes(validator: Validator) {
/// let people = Guard::new(validator.clone());
/// let admins = Guard::new(validator.clone()).require_role("admin");
/// let services = Guard::new(validator).allow_machines().require_scope("orders:read");
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Guard {
    validator: Validator,
    machines: bool,
    roles: Vec<String>,
    scopes: Vec<String>,
    resource_metadata: Option<String>,
}

impl Guard {
    /// Asks for a right token of a person, and nothing else.
    pub fn new(validator: Validator) -> Self {
        Self { validator, machines: false, roles: Vec::new(), scopes: Vec::new(), resource_metadata: None }
    }

    /// Lets machines in as well: tokens that a client got for itself (`client_credentials`, RFC 6749
    /// 4.4). Any client of the issuer can get one, so ask for a scope too.
    pub fn allow_machines(mut self) -> Self {
        self.machines = true;
        self
    }

    /// Asks for a role as well; called again, for both.
    pub fn require_role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Asks for a scope as well; called again, for both. hallpass gives scopes to machines alone, which
    /// [`allow_machines`](Self::allow_machines) has to let in.
    pub fn require_scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Says in the challenge of each 401 where the service's own metadata are (RFC 9728 5.1), an absolute URL that
    /// ends in `/.well-known/oauth-protected-resource`: clients learn there who issues tokens for it.
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.resource_metadata = Some(url.into());
        self
    }

    /// Checks a request by the values of all its `Authorization` headers.
    ///
    /// # Errors
    /// What to answer instead: 401 when the token is missing or wrong, 403 when it is right and not
    /// enough, 503 when that cannot be told.
    pub async fn admit<'a, V: AsRef<[u8]> + ?Sized + 'a>(
        &self,
        authorization: impl IntoIterator<Item = &'a V>,
    ) -> Result<AccessClaims, Refusal> {
        self.judge(authorization).await.map_err(|refusal| match &self.resource_metadata {
            Some(url) => refusal.naming_resource_metadata(url),
            None => refusal,
        })
    }

    async fn judge<'a, V: AsRef<[u8]> + ?Sized + 'a>(
        &self,
        authorization: impl IntoIterator<Item = &'a V>,
    ) -> Result<AccessClaims, Refusal> {
        let token = bearer::token(authorization)?;
        let claims = self.validator.validate(token).await?;
        if !self.machines {
            claims.require_person()?;
        }
        for role in &self.roles {
            claims.require_role(role)?;
        }
        for scope in &self.scopes {
            claims.require_scope(scope)?;
        }
        Ok(claims)
    }
}
