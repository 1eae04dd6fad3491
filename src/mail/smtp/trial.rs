//! Asking the server here and now, for somebody who wants to know how far it comes.

use super::session::{Session, Step};
use super::{SmtpTransport, Written};
use crate::mail::delivery::DeliveryError;

/// How far a session came.
#[derive(Debug)]
pub struct Trial {
    /// The steps that went well, in their order.
    pub done: Vec<Step>,
    /// What went wrong then, if anything did.
    pub failed: Option<DeliveryError>,
}

impl SmtpTransport {
    /// Asks for all that comes before a mail; each step is bounded in time.
    pub async fn try_session(&self) -> Trial {
        let mut done = Vec::new();
        match self.connect(&mut done).await {
            Ok(session) => self.end(session, done).await,
            Err(error) => Trial { done, failed: Some(error) },
        }
    }

    /// Hands a message over; each step is bounded in time.
    pub async fn try_delivery(&self, message: &Written) -> Trial {
        let mut done = Vec::new();
        let mut session = match self.connect(&mut done).await {
            Ok(session) => session,
            Err(error) => return Trial { done, failed: Some(error) },
        };
        match self.hand_over(&mut session, message, &mut done).await {
            Ok(()) => self.end(session, done).await,
            Err(error) => Trial { done, failed: Some(error) },
        }
    }

    async fn end(&self, session: Session, done: Vec<Step>) -> Trial {
        self.part(session).await;
        Trial { done, failed: None }
    }
}
