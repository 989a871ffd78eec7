//! The axum router over a broker.

mod cursor;
mod error;
mod extract;
mod metrics;
mod openapi;
mod origin;
mod respond;
mod routes;
mod serve;

use axum::Router;
use axum::middleware::from_fn_with_state;
use brokkr_core::broker::Broker;
use tower_http::catch_panic::CatchPanicLayer;

pub use metrics::metrics_router;
pub use openapi::document;
pub use serve::{serve, serve_at_most};

use cursor::CursorKey;
use error::ApiError;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) broker: Broker,
    pub(crate) cursors: CursorKey,
}

impl AppState {
    fn of(broker: Broker) -> Self {
        let cursors = CursorKey::derived_from(broker.secret());
        Self { broker, cursors }
    }
}

/// The whole API over a broker: `/healthz`, `/readyz` and `/api/v1/…`.
///
/// It is an ordinary router: merge it into your own or nest it. Every answer under it, errors included, is of the API's form; each
/// carries an `x-request-id` that the audit names as well.
///
/// Serve it with [`serve`], or with `into_make_service_with_connect_info::<SocketAddr>()`, so that the audit
/// knows where requests came from.
pub fn router(broker: Broker) -> Router {
    let state = AppState::of(broker);
    let (router, _) = openapi::routes().with_state(state.clone()).split_for_parts();
    dressed(router.fallback(async || ApiError::not_found()), state)
}

/// What is around every route: an id for each request, and errors of one form.
fn dressed(router: Router, state: AppState) -> Router {
    router
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn_with_state(state, respond::finish))
}
