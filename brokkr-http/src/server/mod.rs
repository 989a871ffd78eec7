//! The axum router over a broker, and the server that runs it.

mod activity;
mod addresses;
mod admit;
mod body;
mod caller;
mod classes;
mod convert;
mod cursor;
mod extract;
#[doc(hidden)]
pub mod fuzzing;
mod head_timer;
mod identified;
mod in_flight;
mod merge_patch;
mod meter;
mod metrics;
mod mismatch;
mod objects;
mod openapi;
mod operation;
mod origin;
mod preconditions;
mod preface;
mod problem;
mod proxies;
mod rates;
mod respond;
mod routes;
mod run;
mod serve;
mod shutdown;
mod tls;
mod typed;
mod unread;
mod wire;

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::FromRef;
use brokkr_control::Broker;
use brokkr_control::transport::Transport as _;
use brokkr_core::model::limits;

pub use body::ApiJson;
pub use caller::Caller;
pub use classes::WorkClass;
pub use extract::ApiPath;
pub use metrics::metrics_router;
pub use openapi::document;
pub use origin::RequestOrigin;
pub use problem::Problem;
pub use proxies::TrustedProxies;
pub use respond::{ApiLayer, ApiService};
pub use run::{PlainHttpRefused, Server, ServerBuilder};
pub use shutdown::shutdown_signal;
pub use tls::{TlsError, TlsFiles};

use admit::Operations;
use classes::{AtOnce, Classes};
use cursor::CursorKey;
use identified::Limits;
use in_flight::BodyBudget;
use meter::Meter;
use rates::{PerSecond, Rates};

/// Bounds that all requests of one server share.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Bytes of all request bodies together.
    body_budget: usize,
    per_second: PerSecond,
    at_once: AtOnce,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { body_budget: limits::BODY_BUDGET_BYTES, per_second: PerSecond::default(), at_once: AtOnce::default() }
    }
}

/// The state that handlers share. A single pointer, because axum clones it several times per request.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) cursors: CursorKey,
    pub(crate) meter: Meter,
    pub(crate) bodies: BodyBudget,
    proxies: TrustedProxies,
    limits: Arc<Limits>,
    operations: &'static Operations,
}

impl AppState {
    fn of(broker: Broker) -> Self {
        Self::with(broker, Bounds::default(), TrustedProxies::default())
    }

    fn with(broker: Broker, bounds: Bounds, proxies: TrustedProxies) -> Self {
        let cursors = CursorKey::new(broker.derived_key("cursors"));
        static WITHOUT_QUERY: OnceLock<Operations> = OnceLock::new();
        let operations = WITHOUT_QUERY.get_or_init(|| Operations::of(&openapi::document()));
        meter::describe();
        let limits = Limits { rates: Rates::new(bounds.per_second), classes: Classes::new(bounds.at_once) };
        let limits = Arc::new(limits);
        let bodies = BodyBudget::of(bounds.body_budget);
        Self(Arc::new(Shared { broker, cursors, meter: Meter::default(), bodies, proxies, limits, operations }))
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

/// The complete API over a broker: `/healthz`, `/readyz` and `/api/v1/…`. For hosts that compose and serve their router
/// themselves; [`Server`] does both, and stops in the right order.
///
/// Serve the router with `into_make_service_with_connect_info::<SocketAddr>()`, so that audit records contain the callers'
/// addresses. Call [`Broker::drain`] on the stop signal and [`Broker::shutdown`] after the last response.
///
/// The router has a fallback that answers 404 as a problem document, so it cannot be merged with a router that has its own
/// fallback. Install a metrics recorder before you start the broker.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
///
/// # fn compose(broker: brokkr_control::Broker) -> Router {
/// let own = Router::new().route("/about", get(|| async { "a control plane" }));
/// own.merge(brokkr_http::server::router(broker))
/// # }
/// ```
pub fn router(broker: Broker) -> Router {
    api(AppState::of(broker))
}

fn api(state: AppState) -> Router {
    let (router, _) = openapi::router().with_state(state.clone()).split_for_parts();
    with_api_layer(router.fallback(async || Problem::not_found()), state)
}

/// Wraps a router in the layer of the API.
fn with_api_layer(router: Router, state: AppState) -> Router {
    router.method_not_allowed_fallback(async || Problem::method_not_allowed()).layer(ApiLayer::of(state))
}
