//! `/auth/verify-email-request`, `/auth/verify-email`: proving that an e-mail address is one's own.

use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{
    Documented, INTERNAL, NO_EMAIL, NOT_JSON, RATE_LIMITED, Refusal, TOO_LARGE, UNAVAILABLE, examples,
    refusals,
};
use crate::api::wire::json::{Json, StrictJson};
use crate::domain::tokens::VerificationToken;
use crate::service::visitor::Visitor;
use crate::service::{self, Services};

/// Whose address is to be proven.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(rename = "EmailVerificationRequest", example)]
pub struct EmailVerificationRequest {
    /// E-mail address of the account.
    email: String,
}

impl Example for EmailVerificationRequest {
    fn example() -> Self {
        Self { email: "ada@example.com".to_owned() }
    }
}

/// The request was taken. The same for every address, whether it has an account or not.
#[derive(Object)]
#[oai(rename = "EmailVerificationRequested", example)]
pub struct EmailVerificationRequested {
    /// What was done.
    message: String,
}

impl Example for EmailVerificationRequested {
    fn example() -> Self {
        Self { message: "if the address has an account and is not verified yet, a mail was sent".to_owned() }
    }
}

/// What the link in the mail carries.
#[derive(Deserialize, Object)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[oai(rename = "EmailVerification", rename_all = "camelCase", example)]
pub struct EmailVerification {
    /// The verification token.
    verification_token: String,
}

impl Example for EmailVerification {
    fn example() -> Self {
        Self { verification_token: "hp_ev_AQAAAAAAAAABexampleexampleexampleexampleexample".to_owned() }
    }
}

/// The address is verified.
#[derive(Object)]
#[oai(rename = "EmailVerified", example)]
pub struct EmailVerified {
    /// What was done.
    message: String,
}

impl Example for EmailVerified {
    fn example() -> Self {
        Self { message: "e-mail address verified".to_owned() }
    }
}

refusals! {
    /// Of `requestEmailVerification`.
    VerificationRequestErrors {
        400 => NO_EMAIL, 413 => TOO_LARGE, 415 => NOT_JSON, 429 => RATE_LIMITED, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `verifyEmail`.
    VerificationErrors {
        400 => Documented::new(
            "The verification token is unknown or expired, or the account has another address by now \
             (`invalid_verification_token`: request a new one). Or the body is malformed (`invalid_request`).",
            || {
                let mut all = examples([service::Error::InvalidVerificationToken]);
                all.push(ApiError::invalid_field("verificationToken", "is missing"));
                all
            },
        ),
        413 => TOO_LARGE, 415 => NOT_JSON, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
}

/// The operations on verification tokens.
pub struct VerificationApi;

#[OpenApi(prefix_path = "/auth", tag = "Tag::Authentication")]
impl VerificationApi {
    /// Request a verification mail
    ///
    /// Mails the link that proves the address, if it has an account and is not verified yet. Earlier
    /// links stay good until they expire, 24 hours after they were sent unless configured otherwise.
    /// The answer does not tell whether there is such an account.
    #[oai(path = "/verify-email-request", method = "post", operation_id = "requestEmailVerification")]
    async fn verify_email_request(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        body: StrictJson<EmailVerificationRequest>,
    ) -> Result<Json<EmailVerificationRequested>, Refusal<VerificationRequestErrors>> {
        services.0.verifications.request(&body.0.email, visitor.0).await?;
        Ok(Json(EmailVerificationRequested::example()))
    }

    /// Verify an e-mail address
    ///
    /// Takes the token of a verification mail. The same token may come again: it answers the same. It
    /// is void once the account has another address.
    #[oai(path = "/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify_email(
        &self,
        services: Data<&Services>,
        visitor: Data<&Visitor>,
        body: StrictJson<EmailVerification>,
    ) -> Result<Json<EmailVerified>, Refusal<VerificationErrors>> {
        let token = VerificationToken::new(body.0.verification_token);
        services.0.verifications.redeem(&token, visitor.0).await?;
        Ok(Json(EmailVerified::example()))
    }
}
