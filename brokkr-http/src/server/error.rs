//! From errors to problems: the one mapping to HTTP.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brokkr_control::BrokerError;
use brokkr_core::error::{Invalid, InvalidCode};

use crate::api::{Problem, ProblemType};

/// A request that was not carried out. Becomes a problem when the answer leaves.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    kind: ProblemType,
    detail: Option<String>,
    place: Option<Place>,
    retry_after: Option<Duration>,
    /// Whether the broker has recorded the attempt already.
    recorded: bool,
}

/// The part of a request that a problem is about.
#[derive(Debug, Clone)]
enum Place {
    /// A JSON pointer into the body.
    Body(String),
    Parameter(String),
    Header(HeaderName),
}

/// Marks an answer to a request that never became an operation, with the problem's slug.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unrecorded(pub(super) &'static str);

impl ApiError {
    fn new(kind: ProblemType) -> Self {
        Self { kind, detail: None, place: None, retry_after: None, recorded: false }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::new(ProblemType::NotFound)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(ProblemType::MethodNotAllowed)
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(ProblemType::Unauthenticated)
    }

    pub(crate) fn credential_in_url() -> Self {
        Self::new(ProblemType::CredentialInUrl)
    }

    pub(crate) fn unsupported_media_type(expected: &str) -> Self {
        Self::new(ProblemType::UnsupportedMediaType)
            .detail(format!("expected a Content-Type of {expected}, in UTF-8"))
            .at(Place::Header(header::CONTENT_TYPE))
    }

    pub(crate) fn not_acceptable() -> Self {
        Self::new(ProblemType::NotAcceptable).at(Place::Header(header::ACCEPT))
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self::new(ProblemType::BodyTooLarge).detail(format!("send at most {limit} bytes"))
    }

    pub(crate) fn body_incomplete() -> Self {
        Self::new(ProblemType::BodyIncomplete)
    }

    pub(crate) fn precondition_required() -> Self {
        Self::new(ProblemType::PreconditionRequired).at(Place::Header(header::IF_MATCH))
    }

    pub(crate) fn header_invalid(header: HeaderName, detail: &str) -> Self {
        Self::new(ProblemType::HeaderInvalid).detail(detail).at(Place::Header(header))
    }

    /// A query parameter that cannot be read.
    pub(crate) fn query_invalid(parameter: &str, detail: impl Into<String>) -> Self {
        Self::new(ProblemType::QueryInvalid).detail(detail).at(Place::Parameter(parameter.to_owned()))
    }

    /// What is wrong with the value of a query parameter.
    pub(crate) fn in_query(parameter: &str, invalid: Invalid) -> Self {
        Self::from(invalid).at(Place::Parameter(parameter.to_owned()))
    }

    fn problem(&self) -> Problem {
        let mut problem = Problem {
            kind: self.kind.uri(),
            title: self.kind.title().to_owned(),
            status: self.kind.status(),
            detail: Some(self.detail.clone().unwrap_or_else(|| self.kind.remedy().to_owned())),
            pointer: None,
            parameter: None,
            header: None,
            request_id: String::new(),
        };
        match &self.place {
            None => {}
            Some(Place::Body(pointer)) => problem.pointer = Some(pointer.clone()),
            Some(Place::Parameter(name)) => problem.parameter = Some(name.clone()),
            Some(Place::Header(name)) => problem.header = Some(name.to_string()),
        }
        problem
    }
}

impl From<InvalidCode> for ProblemType {
    fn from(code: InvalidCode) -> Self {
        // A test compares the two lists.
        Self::from_slug(code.slug()).unwrap_or(Self::FieldInvalid)
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::new(invalid.code.into()).detail(invalid.message).at(Place::Body(invalid.pointer))
    }
}

impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        // A test compares the two lists.
        let kind = ProblemType::from_slug(error.slug()).unwrap_or(ProblemType::Internal);
        let retry_after = error.retry_after();
        let mapped = match error {
            BrokerError::Invalid(invalid) => invalid.into(),
            BrokerError::AlreadyExists(what) => Self::new(kind).detail(format!("the {what} is taken; choose another")),
            BrokerError::InUse(what) | BrokerError::LimitReached(what) => Self::new(kind).detail(what),
            BrokerError::GeneratorRefused(reason) => Self::new(kind).detail(reason),
            _ => Self::new(kind),
        };
        Self { recorded: true, retry_after, ..mapped }
    }
}

impl IntoResponse for ApiError {
    /// An empty answer that carries the problem; [`Finish`](super::respond::Finish) writes it with the request's id.
    fn into_response(self) -> Response {
        // The table of types has only valid ones.
        let status = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(retry_after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        response.extensions_mut().insert(self.problem());
        if !self.recorded {
            response.extensions_mut().insert(Unrecorded(self.kind.slug()));
        }
        response
    }
}

/// The answer to a request whose handler panicked: a defect, said without its text.
pub(super) fn panicked() -> Response {
    ApiError::from(BrokerError::Internal("a handler panicked".into())).into_response()
}
