//! Liveness and readiness probes.

use axum::extract::State;
use axum::http::StatusCode;
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

/// Readiness probe: succeeds while the store answers and the fleet view is fresh.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "The broker is ready", body = String, content_type = "text/plain"),
    Ready,
))]
async fn readyz(State(state): State<AppState>) -> Result<(StatusCode, &'static str), Problem> {
    state.broker.ready().await?;
    Ok((StatusCode::OK, "ready\n"))
}
