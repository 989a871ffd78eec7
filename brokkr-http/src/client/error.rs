//! Errors of requests to a broker.

use std::time::Duration;

use crate::api::ProblemDocument;

/// The error of a request to a broker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The client cannot be configured.
    #[error("cannot create the client: {0}")]
    Build(String),
    /// The client would send its key unencrypted over the network.
    #[error("refusing to send the key to {url} over plain HTTP; use an https address, or allow plain HTTP")]
    PlainHttp {
        /// The address.
        url: String,
    },
    /// No address returned a response.
    #[error("cannot reach the broker: {0}")]
    Unreachable(String),
    /// The broker refused the request.
    #[error("{} ({}){}", .problem.title, .problem.slug(), .problem.detail.as_deref().map(|it| format!(": {it}")).unwrap_or_default())]
    Problem {
        /// The problem document of the response.
        problem: Box<ProblemDocument>,
        /// Delay from the header `Retry-After`, if present.
        retry_after: Option<Duration>,
    },
    /// The response does not follow the API.
    #[error("unexpected response: {0}")]
    Malformed(String),
}
