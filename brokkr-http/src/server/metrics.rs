//! The route `GET /metrics`, for hosts that record metrics.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use brokkr_control::Broker;

use super::{AppState, with_api_layer};

/// A router with the route `/metrics`. It updates the broker's gauges and responds with the output of `render`, in the
/// Prometheus text format.
///
/// Neither [`router`](super::router) nor [`Server`](super::Server) contains it. The route requires no key, so serve it on an
/// address of its own, as [`ServerBuilder::metrics`](super::ServerBuilder::metrics) does. Errors are problem documents.
///
/// Install a metrics recorder before you start the broker, for example that of `metrics-exporter-prometheus`; `render` returns
/// its text.
///
/// ```
/// use axum::Router;
/// use brokkr_control::Broker;
/// use brokkr_http::server::metrics_router;
///
/// fn internal(broker: Broker, render: impl Fn() -> String + Send + Sync + 'static) -> Router {
///     Router::new().merge(metrics_router(broker, render))
/// }
/// ```
pub fn metrics_router(broker: Broker, render: impl Fn() -> String + Send + Sync + 'static) -> Router {
    let render = Arc::new(render);
    let state = AppState::of(broker.clone());
    let handler = async move || {
        broker.observe().await;
        let kind = HeaderValue::from_static("text/plain; version=0.0.4");
        ([(header::CONTENT_TYPE, kind)], render()).into_response()
    };
    with_api_layer(Router::new().route("/metrics", get(handler)), state)
}
