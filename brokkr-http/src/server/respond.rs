//! The layer around every route: request ids, problem documents, idempotency keys, metrics and audit records.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use brokkr_control::transport::Transport as _;
use brokkr_control::{Broker, Idempotency, Origin};
use brokkr_core::model::{RequestId, limits};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use tower::{Layer, Service};
use uuid::Uuid;

use super::AppState;
use super::admit::admit;
use super::identified::Identified;
use super::problem::{self, Problem, Unrecorded};
use super::proxies::ClientAddress;
use super::unread::Reading;
use crate::api::{API_V1, PROBLEM_JSON, ProblemDocument};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The layer around every route of the API. It assigns an `x-request-id` that audit records and log lines repeat, writes
/// every error as a problem document (including panics of handlers), handles `Idempotency-Key`, and counts requests. Responses
/// under `/api/v1` that say nothing else about caches get `Cache-Control: no-store`.
///
/// It records refused requests in the audit: every [`Problem`] of a type for 401 or 403, and of other types if the caller is
/// identified and the request could have changed something. The record names the method, the route and the type. Its actor
/// is that of [`Caller`](super::Caller) or [`RequestOrigin::identify`](super::RequestOrigin::identify); without one, and for
/// reads, the anonymous caller. Problems from a [`BrokerError`](brokkr_control::BrokerError) are not recorded again.
///
/// [`router`](super::router) includes the layer, and [`ServerBuilder::merge`](super::ServerBuilder::merge) adds it to the
/// host's own routes. Add it yourself if you compose a router without them. If several instances are nested, only the
/// outermost one acts.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use brokkr_http::server::ApiLayer;
///
/// # fn compose(broker: brokkr_control::Broker) -> Router {
/// let own = Router::new().route("/about", get(|| async { "ours" })).layer(ApiLayer::new(broker.clone()));
/// own.merge(brokkr_http::server::router(broker))
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ApiLayer(AppState);

impl ApiLayer {
    /// Creates the layer for a broker. Refused requests appear in this broker's audit.
    pub fn new(broker: Broker) -> Self {
        Self(AppState::of(broker))
    }

    pub(super) fn of(state: AppState) -> Self {
        Self(state)
    }
}

impl<S> Layer<S> for ApiLayer {
    type Service = ApiService<S>;

    fn layer(&self, inner: S) -> ApiService<S> {
        ApiService { inner, state: self.0.clone() }
    }
}

/// The service of [`ApiLayer`].
///
/// All steps are one hand-written service, because each further layer or middleware function costs a poll several
/// allocations.
#[derive(Debug, Clone)]
pub struct ApiService<S> {
    inner: S,
    state: AppState,
}

impl<S> Service<Request> for ApiService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        // In nested layers only the outermost acts, so that a request has one id.
        if request.extensions().get::<RequestId>().is_some() {
            return Box::pin(self.inner.call(request));
        }
        let began = Instant::now();
        let id = RequestId::generate();
        let method = request.method().clone();
        let route = request.extensions().get::<MatchedPath>().cloned();
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
        let client = peer.map(|peer| self.state.proxies.client(peer, request.headers()));
        if let Some(client) = client {
            request.extensions_mut().insert(ClientAddress(client));
        }
        let is_api = request.uri().path().starts_with(API_V1);
        request.extensions_mut().insert(id);
        let wanted = self.state.operations.wanted(route.as_ref().map(MatchedPath::as_str), &method);
        let identified = Arc::new(Identified::new(self.state.limits.clone(), wanted));
        request.extensions_mut().insert(identified.clone());
        let checked = admit(&request, self.state.operations).and_then(|()| idempotency_key(&request));
        let (reading, request) = if request.body().is_end_stream() {
            (None, request)
        } else {
            request.extensions_mut().insert(self.state.bodies.request());
            let (reading, request) = Reading::of(request);
            (Some(reading), request)
        };
        let answer = match checked {
            Err(error) => Err(error),
            Ok(None) => Ok((self.inner.call(request), None)),
            Ok(Some(idempotency)) => {
                Ok((self.inner.call(with_fingerprinted_body(&idempotency, request)), Some(idempotency)))
            }
        };
        let state = self.state.clone();
        Box::pin(async move {
            let mut response = match answer {
                Err(error) => error.into_response(),
                Ok((answer, idempotency)) => {
                    let answer = AssertUnwindSafe(answer).catch_unwind().await;
                    let mut response = answer.unwrap_or_else(|_| Ok(problem::panicked()))?;
                    if idempotency.is_some_and(|it| it.was_replayed()) {
                        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
                    }
                    response
                }
            };
            if route.is_none() && response.status() == StatusCode::METHOD_NOT_ALLOWED {
                // No route matched, which would name its own methods. These are the methods that routes have.
                response.headers_mut().entry(header::ALLOW).or_insert(HeaderValue::from_static(METHODS));
            }
            let route = route.as_ref().map_or("", MatchedPath::as_str);
            state.meter.record(route, &method, response.status(), began.elapsed());
            if let Some(Unrecorded(slug)) = response.extensions_mut().remove()
                && !route.is_empty()
            {
                // Refused reads are not audited.
                let actor = identified.actor().filter(|_| wanted.is_write);
                let what = format!("{method} {route}: {slug}");
                let is_denied = matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
                match actor {
                    _ if is_denied => {
                        state.broker.record_denied(actor, Origin { request_id: id, address: client }, what)
                    }
                    Some(actor) => state.broker.record_refused(actor, what),
                    None => {}
                }
            }
            if reading.is_some_and(|reading| reading.blocks_connection()) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if is_api {
                // Any response may hold a secret, or what only its caller may see.
                response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            }
            Ok(with_request_id(response, id))
        })
    }
}

/// Adds the request id to the headers and to the problem document.
fn with_request_id(mut response: Response, id: RequestId) -> Response {
    if let Some(mut problem) = response.extensions_mut().remove::<ProblemDocument>() {
        problem.request_id = id.to_string();
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        *response.body_mut() = Body::from(body);
    }
    response.headers_mut().insert(REQUEST_ID, id_value(id.as_uuid()));
    response
}

/// Formats an id as a header value.
pub(super) fn id_value(id: Uuid) -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    // Hexadecimal digits and hyphens are always a valid header value.
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Reads `Idempotency-Key` from a request that can create something.
fn idempotency_key(request: &Request) -> Result<Option<Arc<Idempotency>>, Problem> {
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
        let message = "expected one key of 1 to 255 visible ASCII characters";
        return Err(Problem::header_invalid(IDEMPOTENCY_KEY, message));
    };
    let idempotency = Arc::new(Idempotency::new(key.to_owned()));
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    // The fingerprint excludes the host, because replicas have different host names.
    let what = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    for part in [request.method().as_str().as_bytes(), what.as_bytes(), kind] {
        idempotency.add(&(part.len() as u64).to_be_bytes());
        idempotency.add(part);
    }
    Ok(Some(idempotency))
}

/// Adds the body to the request's fingerprint while the handler reads it.
fn with_fingerprinted_body(idempotency: &Arc<Idempotency>, mut request: Request) -> Request {
    request.extensions_mut().insert(idempotency.clone());
    let reading = idempotency.clone();
    request.map(|body| {
        Body::new(body.map_frame(move |frame| {
            if let Some(data) = frame.data_ref() {
                reading.add(data);
            }
            frame
        }))
    })
}
