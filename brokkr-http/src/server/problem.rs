//! The mapping from errors to problem documents.

use std::error::Error;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brokkr_control::BrokerError;
use brokkr_core::error::{Invalid, InvalidCode};

use crate::api::{ExceededLimit, PROBLEM_JSON, ProblemDocument, ProblemType};

/// The error type of the API's handlers and of a host's own handlers.
///
/// A [`BrokerError`] converts with `?`. The response is `application/problem+json` (RFC 9457) with the status of the problem
/// type, and with `Retry-After` if a retry can succeed. The API's [layer](super::ApiLayer) adds the request id to the body.
///
/// ```
/// use axum::Json;
/// use brokkr_http::api::ProblemType;
/// use brokkr_http::server::{ApiPath, Problem};
///
/// async fn pull(ApiPath(number): ApiPath<u32>) -> Result<Json<u32>, Problem> {
///     if number == 0 {
///         return Err(Problem::new(ProblemType::NotFound).detail("pull requests are counted from 1"));
///     }
///     Ok(Json(number))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: Option<String>,
    place: Option<Place>,
    retry_after: Option<Duration>,
    // Boxed, so that results with this error stay small.
    limit: Option<Box<ExceededLimit>>,
    /// Whether the broker has already recorded the attempt in the audit.
    recorded: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Typed(ProblemType),
    /// `about:blank`: has no meaning beyond the status.
    Plain(StatusCode),
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            // Every status in the table of types is valid.
            Self::Typed(kind) => StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Plain(status) => status,
        }
    }
}

/// The part of a request that is invalid.
#[derive(Debug, Clone)]
enum Place {
    /// A JSON pointer into the body.
    Body(String),
    Parameter(String),
    Header(HeaderName),
}

/// Response extension for a request that was refused before it became an operation; contains the problem's slug.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unrecorded(pub(super) &'static str);

impl Problem {
    /// Creates a problem of one of the API's types. Its detail is the remedy of the type unless [`detail`](Self::detail)
    /// replaces it.
    pub fn new(kind: ProblemType) -> Self {
        Self::of(Kind::Typed(kind))
    }

    /// Creates a problem of type `about:blank`, for a status that no type of the API has. A status that is not an error
    /// becomes 500.
    ///
    /// ```
    /// use axum::http::StatusCode;
    /// use brokkr_http::server::Problem;
    ///
    /// let teapot = Problem::with_status(StatusCode::IM_A_TEAPOT).detail("this service brews tea only");
    /// ```
    pub fn with_status(status: StatusCode) -> Self {
        let is_error = status.is_client_error() || status.is_server_error();
        Self::of(Kind::Plain(if is_error { status } else { StatusCode::INTERNAL_SERVER_ERROR }))
    }

    /// Creates a problem for a failure that the caller cannot correct. Logs the cause and answers 500 without it.
    ///
    /// ```
    /// # use brokkr_http::server::Problem;
    /// async fn read() -> Result<String, Problem> {
    ///     std::fs::read_to_string("/etc/motd").map_err(Problem::internal)
    /// }
    /// ```
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        tracing::error!(error = %cause.into(), "internal error in a route");
        Self::new(ProblemType::Internal)
    }

    /// Says what is wrong with this request and how to correct it. Shown to the caller. Default: the remedy of the type.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names the invalid value of the body, as a JSON pointer (RFC 6901).
    #[must_use]
    pub fn at_pointer(self, pointer: impl Into<String>) -> Self {
        self.at(Place::Body(pointer.into()))
    }

    /// Replaces the JSON pointer to the invalid value, for a route whose body differs from the operation's input. Problems
    /// without a pointer stay as they are.
    ///
    /// ```
    /// use brokkr_control::BrokerError;
    /// use brokkr_http::server::Problem;
    ///
    /// // The route's body has `environment`, which becomes a label of the stack.
    /// fn problem(error: BrokerError) -> Problem {
    ///     Problem::from(error).map_pointer(|pointer| match pointer {
    ///         "/labels/environment" => "/environment".to_owned(),
    ///         other => other.to_owned(),
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn map_pointer(mut self, map: impl FnOnce(&str) -> String) -> Self {
        if let Some(Place::Body(pointer)) = &mut self.place {
            *pointer = map(pointer);
        }
        self
    }

    /// Names the invalid query parameter.
    #[must_use]
    pub fn at_parameter(self, name: impl Into<String>) -> Self {
        self.at(Place::Parameter(name.into()))
    }

    /// Sets `Retry-After`, rounded down to whole seconds, at least 1. Default: no header.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Names the limit that the request exceeds.
    #[must_use]
    pub fn limit(mut self, limit: ExceededLimit) -> Self {
        self.limit = Some(Box::new(limit));
        self
    }

    fn of(kind: Kind) -> Self {
        Self { kind, detail: None, place: None, retry_after: None, limit: None, recorded: false }
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

    pub(crate) fn credential_in_url() -> Self {
        Self::new(ProblemType::CredentialInUrl)
    }

    pub(crate) fn unsupported_media_type(expected: &str) -> Self {
        Self::new(ProblemType::UnsupportedMediaType)
            .detail(format!("expected a Content-Type of {expected}, in UTF-8"))
            .at(Place::Header(header::CONTENT_TYPE))
    }

    pub(crate) fn content_encoding() -> Self {
        Self::new(ProblemType::UnsupportedMediaType)
            .detail("send the body without Content-Encoding: no encoding is supported")
            .at(Place::Header(header::CONTENT_ENCODING))
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

    /// A query parameter that cannot be parsed.
    pub(crate) fn query_invalid(parameter: &str, detail: impl Into<String>) -> Self {
        Self::new(ProblemType::QueryInvalid).detail(detail).at(Place::Parameter(parameter.to_owned()))
    }

    /// A query parameter with an invalid value.
    pub(crate) fn in_query(parameter: &str, invalid: Invalid) -> Self {
        Self::from(invalid).at(Place::Parameter(parameter.to_owned()))
    }

    pub(super) fn document(&self) -> ProblemDocument {
        let (kind, title, remedy) = match self.kind {
            Kind::Typed(kind) => (kind.uri(), kind.title(), Some(kind.remedy())),
            Kind::Plain(status) => ("about:blank".to_owned(), status.canonical_reason().unwrap_or("Error"), None),
        };
        let mut problem = ProblemDocument {
            kind,
            title: title.to_owned(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone().or_else(|| remedy.map(str::to_owned)),
            pointer: None,
            parameter: None,
            header: None,
            limit: self.limit.as_deref().cloned(),
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
        // A test checks that every code has a type.
        Self::from_slug(code.slug()).unwrap_or(Self::FieldInvalid)
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::new(invalid.code.into()).detail(invalid.message).at(Place::Body(invalid.pointer))
    }
}

impl From<BrokerError> for Problem {
    fn from(error: BrokerError) -> Self {
        // A test checks that every error has a type.
        let kind = ProblemType::from_slug(error.slug()).unwrap_or(ProblemType::Internal);
        let retry_after = error.retry_after();
        let mapped = match error {
            BrokerError::Invalid(invalid) => invalid.into(),
            BrokerError::AlreadyExists(what) => {
                Self::new(kind).detail(format!("the {what} already exists; choose another"))
            }
            BrokerError::InUse(what) => Self::new(kind).detail(what),
            BrokerError::LimitReached(what) | BrokerError::EnvironmentProtected(what) => Self::new(kind).detail(what),
            BrokerError::NotPromotable(reason) => Self::new(kind).detail(reason),
            BrokerError::GeneratorRefused(reason) => Self::new(kind).detail(reason),
            BrokerError::QuotaExceeded(exceeded) => {
                let limit = ExceededLimit {
                    name: exceeded.quota.slug().to_owned(),
                    maximum: exceeded.maximum,
                    used: Some(exceeded.used),
                };
                Self::new(kind).detail(format!("{exceeded}; {}", exceeded.quota.remedy())).limit(limit)
            }
            _ => Self::new(kind),
        };
        Self { recorded: true, retry_after, ..mapped }
    }
}

impl IntoResponse for Problem {
    /// Writes the response without the request id, which [`ApiService`](super::respond::ApiService) adds.
    fn into_response(self) -> Response {
        let document = self.document();
        let status = self.kind.status();
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response =
            (status, [(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON))], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(retry_after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        response.extensions_mut().insert(document);
        if let (Kind::Typed(kind), false) = (self.kind, self.recorded) {
            response.extensions_mut().insert(Unrecorded(kind.slug()));
        }
        response
    }
}

/// The response to a request whose handler panicked. Omits the panic message, which may contain internal details.
pub(super) fn panicked() -> Response {
    Problem::from(BrokerError::Internal("a handler panicked".into())).into_response()
}
