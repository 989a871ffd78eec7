//! Liveness and readiness probes.

use axum::extract::State;
use axum::http::StatusCode;
use brokkr_control::ControllerState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::server::AppState;
use crate::server::operation::answers::Ready;
use crate::server::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Liveness probe. Does not access the store.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, description = "The process is alive", body = String, content_type = "text/plain")))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Readiness probe: succeeds while the store answers and the fleet view is fresh. The lines after the first are for people:
/// the controllers, and whether this replica runs them. Resting controllers do not affect readiness.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "The broker is ready", body = String, content_type = "text/plain"),
    Ready,
))]
async fn readyz(State(state): State<AppState>) -> Result<(StatusCode, String), Problem> {
    state.broker.ready().await?;
    let controllers = state.broker.controller_states();
    let line = |(name, state): (&String, &ControllerState)| match (&state.paused, state.leads) {
        (Some(reason), _) => format!("controller {name}: rests, {reason}\n"),
        (None, true) => format!("controller {name}: runs here\n"),
        (None, false) => format!("controller {name}: does not run here\n"),
    };
    let lines = std::iter::once("ready\n".to_owned()).chain(controllers.iter().map(line));
    Ok((StatusCode::OK, lines.collect()))
}
