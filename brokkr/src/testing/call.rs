//! Requests to a router, without a socket.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use tower::ServiceExt as _;

/// The response to [`call`], with its whole body.
#[derive(Debug, Clone)]
pub struct TestResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Sends a request to a router, such as that of [`ServerBuilder::router`](crate::api::ServerBuilder::router), and reads the
/// whole response.
///
/// ```
/// # brokkr::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use brokkr::api::axum::http::Request;
/// use brokkr::api::axum::{Router, routing::get};
/// use brokkr::prelude::*;
/// use brokkr::testing::{ControlPlane, call};
///
/// let plane = ControlPlane::start(0).await;
/// let own = Router::new().route("/about", get(|| async { "a control plane" }));
/// let router = Server::builder(plane.broker().clone()).merge(own).router();
/// let about = call(&router, Request::get("/about").body(()).unwrap()).await;
/// assert_eq!(about.text(), "a control plane");
/// let refused = call(&router, Request::get("/api/v1/stacks").body(()).unwrap()).await;
/// assert_eq!(refused.json()["type"], ProblemType::Unauthenticated.uri());
/// # });
/// ```
///
/// # Panics
///
/// Panics if the body of the response cannot be read.
pub async fn call<B: Into<Body>>(router: &Router, request: Request<B>) -> TestResponse {
    let response = match router.clone().oneshot(request.map(Into::into)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("the body of the response should be readable");
    TestResponse { status: parts.status, headers: parts.headers, body }
}

impl TestResponse {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// Panics with the body if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body should be JSON ({error}): {:?}", self.text()))
    }

    /// The body as text. Replaces bytes that are not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
