//! The axum router over a broker.

mod caller;
mod convert;
mod cursor;
mod extract;
mod identified;
mod meter;
mod metrics;
mod objects;
mod openapi;
mod operation;
mod origin;
mod patience;
mod preconditions;
mod problem;
mod respond;
mod routes;
mod run;
mod serve;
mod shutdown;
mod typed;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use brokkr_control::Broker;
use brokkr_control::transport::Transport as _;

pub use caller::Caller;
pub use extract::{ApiJson, ApiPath};
pub use metrics::metrics_router;
pub use openapi::document;
pub use origin::RequestOrigin;
pub use problem::Problem;
pub use respond::{ApiLayer, ApiService};
pub use run::{Server, ServerBuilder};
pub use shutdown::shutdown_signal;

use cursor::CursorKey;
use meter::Meter;

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
        let cursors = CursorKey::new(broker.derived_key("cursors"));
        Self(Arc::new(Shared { broker, cursors, meter: Meter::default() }))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppState").field("broker", &self.broker).finish_non_exhaustive()
    }
}

impl FromRef<AppState> for Broker {
    fn from_ref(state: &AppState) -> Self {
        state.broker.clone()
    }
}

/// The whole API over a broker: `/healthz`, `/readyz` and `/api/v1/…`, for a host that composes and serves its router by itself.
///
/// [`Server`] serves it, with the host's own routes, and stops in the right order. Elsewhere serve it with
/// `into_make_service_with_connect_info::<SocketAddr>()`, so that the audit knows where requests came from, and call
/// [`Broker::drain`] at the signal and [`Broker::shutdown`] at the end.
///
/// It has a fallback, which answers 404 in the API's form: a router with a fallback of its own cannot be merged with it. Install a
/// recorder of metrics before the broker is started.
pub fn router(broker: Broker) -> Router {
    api(AppState::of(broker))
}

fn api(state: AppState) -> Router {
    let (router, _) = openapi::routes().with_state(state.clone()).split_for_parts();
    dressed(router.fallback(async || Problem::not_found()), state)
}

/// What is around every route: an id for each request, and errors of one form.
fn dressed(router: Router, state: AppState) -> Router {
    router.method_not_allowed_fallback(async || Problem::method_not_allowed()).layer(ApiLayer::of(state))
}
