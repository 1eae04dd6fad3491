//! What the process counts, as Prometheus reads it.

use poem::Response;
use poem::http::{StatusCode, header};

use crate::domain::causes::with_causes;
use crate::metrics::{self, Moment};

/// Where it is.
pub const PATH: &str = "/metrics";

/// Everything that is counted, and what is so just now.
pub fn answer(moment: &Moment) -> Response {
    metrics::set(moment);
    match metrics::text() {
        Ok(text) => Response::builder().header(header::CONTENT_TYPE, metrics::CONTENT_TYPE).body(text),
        Err(error) => {
            tracing::error!(error = %with_causes(&error), "the metrics cannot be written");
            Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish()
        }
    }
}
