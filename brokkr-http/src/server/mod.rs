//! The axum router over a broker.

mod convert;
mod cursor;
mod error;
mod extract;
mod meter;
mod metrics;
mod objects;
mod openapi;
mod operation;
mod origin;
mod patience;
mod preconditions;
mod respond;
mod routes;
mod serve;
mod typed;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use brokkr_control::Broker;

pub use metrics::metrics_router;
pub use openapi::document;
pub use serve::{serve, serve_at_most};

use cursor::CursorKey;
use error::ApiError;
use meter::Meter;
use respond::FinishLayer;

/// What the handlers share. One pointer: it is copied several times for each request.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) cursors: CursorKey,
    pub(crate) meter: Meter,
}

impl AppState {
    fn of(broker: Broker) -> Self {
        let cursors = CursorKey::derived_from(broker.secret());
        Self(Arc::new(Shared { broker, cursors, meter: Meter::default() }))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The whole API over a broker: `/healthz`, `/readyz` and `/api/v1/…`.
///
/// It is an ordinary router: merge it into your own or nest it. Every answer under it, errors included, is of the API's form; each
/// carries an `x-request-id` that the audit names as well.
///
/// Serve it with [`serve`], or with `into_make_service_with_connect_info::<SocketAddr>()`, so that the audit
/// knows where requests came from. A recorder of metrics is to be installed before the broker is started: what is measured goes to
/// the one that is there then, so it should not drop what is idle.
pub fn router(broker: Broker) -> Router {
    let state = AppState::of(broker);
    let (router, _) = openapi::routes().with_state(state.clone()).split_for_parts();
    dressed(router.fallback(async || ApiError::not_found()), state)
}

/// What is around every route: an id for each request, and errors of one form.
fn dressed(router: Router, state: AppState) -> Router {
    router.method_not_allowed_fallback(async || ApiError::method_not_allowed()).layer(FinishLayer::new(state))
}
