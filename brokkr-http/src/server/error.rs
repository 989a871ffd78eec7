//! From errors to problems: the one mapping to HTTP.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brokkr_core::broker::BrokerError;
use brokkr_core::error::Invalid;

use crate::api::Problem;

/// A request that was not carried out. Becomes a problem when the answer leaves.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: Option<String>,
    pointer: Option<String>,
    retry_after: Option<Duration>,
    /// Whether the broker has recorded the attempt already.
    recorded: bool,
}

/// Marks an answer to a request that never became an operation, with the problem's slug.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unrecorded(pub(super) &'static str);

impl ApiError {
    fn new(status: StatusCode, slug: &'static str, title: &'static str) -> Self {
        Self { status, slug, title, detail: None, pointer: None, retry_after: None, recorded: false }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing, or none that you may see")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not take this method; see Allow")
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "A valid key is needed: Authorization: Bearer <key>")
    }

    pub(crate) fn credential_in_url() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "credential-in-url",
            "A key does not belong into a URL; consider it leaked and rotate it",
        )
    }

    pub(crate) fn unsupported_media_type(expected: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body is not of a type that is taken here",
        )
        .detail(format!("expected {expected}"))
    }

    pub(crate) fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "None of the accepted types can be had here")
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
            .detail(format!("at most {limit} bytes"))
    }

    pub(crate) fn body_incomplete() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "body-incomplete", "The body ended early or took too long")
    }

    pub(crate) fn precondition_required() -> Self {
        Self::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition-required",
            "If-Match with the entity's ETag is required",
        )
    }

    pub(crate) fn header_invalid(header: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "header-invalid", "A header is malformed").detail(header.to_owned())
    }

    fn problem(&self) -> Problem {
        Problem {
            kind: format!("/problems/{}", self.slug),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            pointer: self.pointer.clone().filter(|pointer| !pointer.is_empty()),
            request_id: String::new(),
        }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let status =
            if invalid.code.is_malformed() { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
        let mut error =
            Self::new(status, invalid.code.slug(), "The request cannot be taken as it is").detail(invalid.message);
        error.pointer = Some(invalid.pointer);
        error
    }
}

impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        let slug = error.slug();
        let retry_after = error.retry_after();
        let new = |status, title| Self { retry_after, ..Self::new(status, slug, title) };
        let mapped = match error {
            BrokerError::Invalid(invalid) => invalid.into(),
            BrokerError::NotFound => Self::not_found(),
            BrokerError::Unauthenticated => Self::unauthenticated(),
            BrokerError::Forbidden => new(StatusCode::FORBIDDEN, "Keys of this kind may not do this"),
            BrokerError::AgentRetired => new(StatusCode::FORBIDDEN, "The agent is retired"),
            BrokerError::AlreadyExists(what) => {
                new(StatusCode::CONFLICT, "It exists already").detail(format!("the {what} is taken"))
            }
            BrokerError::StackDeleting => new(
                StatusCode::CONFLICT,
                "The stack is being deleted; its name is free when every cluster has confirmed",
            ),
            BrokerError::PreconditionFailed => {
                new(StatusCode::PRECONDITION_FAILED, "The entity has changed; read it again")
            }
            BrokerError::PositionExpired => {
                new(StatusCode::GONE, "What follows this position is no longer kept; begin again from what is there")
            }
            BrokerError::IdempotencyKeyReused => {
                new(StatusCode::UNPROCESSABLE_ENTITY, "The idempotency key was used for another request")
            }
            BrokerError::Contention => new(StatusCode::CONFLICT, "Too many changes at once; try again"),
            BrokerError::InUse(what) => new(StatusCode::CONFLICT, "It is still in use").detail(what),
            BrokerError::LimitReached(what) => new(StatusCode::UNPROCESSABLE_ENTITY, "A limit is reached").detail(what),
            BrokerError::GeneratorRefused(reason) => {
                new(StatusCode::UNPROCESSABLE_ENTITY, "The generator refused the parameters").detail(reason)
            }
            BrokerError::GeneratorUnavailable(_) => {
                new(StatusCode::SERVICE_UNAVAILABLE, "The generator cannot work now")
            }
            BrokerError::InstanceSuperseded => new(StatusCode::CONFLICT, "A newer process runs with this agent's key"),
            BrokerError::WrongCluster => new(StatusCode::CONFLICT, "The agent belongs to another cluster"),
            BrokerError::Stale => new(StatusCode::SERVICE_UNAVAILABLE, "This replica is not up to date; try again"),
            BrokerError::Unavailable(_) => {
                new(StatusCode::SERVICE_UNAVAILABLE, "The store is not available; try again")
            }
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong here; the log knows the request",
            ),
        };
        Self { recorded: true, ..mapped }
    }
}

impl IntoResponse for ApiError {
    /// An empty answer that carries the problem; [`Finish`](super::respond::Finish) writes it with the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(retry_after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        response.extensions_mut().insert(self.problem());
        if !self.recorded {
            response.extensions_mut().insert(Unrecorded(self.slug));
        }
        response
    }
}

/// The answer to a request whose handler panicked: a defect, said without its text.
pub(super) fn panicked() -> Response {
    ApiError::from(BrokerError::Internal("a handler panicked".into())).into_response()
}
