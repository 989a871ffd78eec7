//! What every answer has: an id, and if it is an error the form of a problem.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use brokkr_core::broker::{Actor, Idempotency};
use brokkr_core::model::{RequestId, limits};
use http_body_util::BodyExt as _;
use metrics::{counter, histogram};

use super::AppState;
use super::error::{ApiError, Unrecorded};
use crate::api::{PROBLEM_JSON, Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who sends a request, once that is known: told from the handler's side to the one that writes the answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller(Arc<OnceLock<Actor>>);

impl Caller {
    pub(super) fn is(&self, actor: &Actor) {
        let _ = self.0.set(actor.clone());
    }
}

/// Around every request: gives it an id of ours, refuses what must not go on, notices what may be repeated, counts,
/// records what was refused before it became an operation, and writes problems. One layer, since each costs polls their time.
pub(super) async fn finish(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = RequestId::generate();
    let caller = Caller::default();
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(caller.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let began = Instant::now();
    let mut response = match (refuse_credentials_in_url(&request), repeatable(&request)) {
        (Err(error), _) | (_, Err(error)) => error.into_response(),
        (Ok(()), Ok(None)) => next.run(request).await,
        (Ok(()), Ok(Some(idempotency))) => repeat(idempotency, request, next).await,
    };
    count(&method, route.as_ref(), &response, began);
    let refused = response.extensions_mut().remove::<Unrecorded>();
    if let (Some(Unrecorded(slug)), Some(actor), Some(route)) = (refused, caller.0.get(), route)
        && !method.is_safe()
    {
        state.broker.record_refused(actor, format!("{method} {}: {slug}", route.as_str()));
    }
    let text = id.to_string();
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.request_id.clone_from(&text);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        *response.body_mut() = Body::from(body);
    }
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn count(method: &Method, route: Option<&MatchedPath>, response: &Response, began: Instant) {
    let route = route.map_or("", |route| route.as_str()).to_owned();
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        // Whatever else clients make up must not become a label.
        _ => "other",
    };
    // Long polls take as long as they are asked to: their time says nothing.
    if !route.ends_with("/target-state") {
        histogram!("brokkr_http_request_seconds", "method" => method, "route" => route.clone()).record(began.elapsed());
    }
    let status = response.status().as_str().to_owned();
    counter!("brokkr_http_requests_total", "method" => method, "route" => route, "status" => status).increment(1);
}

/// Refuses a key in the URL, where every log on the way would keep it.
fn refuse_credentials_in_url(request: &Request) -> Result<(), ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let is_key = |tag: &str| query.contains(tag);
    // All of them begin alike: one look is enough as a rule.
    let has_key = is_key("brokkr_")
        && ["brokkr_admin_", "brokkr_reader_", "brokkr_agent_", "brokkr_generator_"].into_iter().any(is_key);
    if has_key { Err(ApiError::credential_in_url()) } else { Ok(()) }
}

/// An `Idempotency-Key` on what creates something.
fn repeatable(request: &Request) -> Result<Option<Arc<Idempotency>>, ApiError> {
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        return Ok(None);
    }
    let mut keys = request.headers().get_all(IDEMPOTENCY_KEY).iter();
    let (Some(key), more) = (keys.next(), keys.next()) else {
        return Ok(None);
    };
    let is_valid = |key: &&str| {
        (1..=limits::IDEMPOTENCY_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let Some(key) = key.to_str().ok().filter(is_valid).filter(|_| more.is_none()) else {
        let message = "Idempotency-Key takes one key of 1 to 255 visible ASCII characters";
        return Err(ApiError::header_invalid(message));
    };
    let idempotency = Arc::new(Idempotency::new(key.to_owned()));
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    for part in [request.method().as_str().as_bytes(), request.uri().to_string().as_bytes(), kind] {
        idempotency.add(&(part.len() as u64).to_be_bytes());
        idempotency.add(part);
    }
    Ok(Some(idempotency))
}

/// Takes note of what the request says while its body is read, and marks an answer that was given before.
async fn repeat(idempotency: Arc<Idempotency>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(idempotency.clone());
    let reading = idempotency.clone();
    let request = request.map(|body| {
        Body::new(body.map_frame(move |frame| {
            if let Some(data) = frame.data_ref() {
                reading.add(data);
            }
            frame
        }))
    });
    let mut response = next.run(request).await;
    if idempotency.was_replayed() {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
