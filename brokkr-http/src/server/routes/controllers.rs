//! Controllers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Controller, List};
use crate::server::AppState;
use crate::server::caller::Caller;
use crate::server::extract::Params;
use crate::server::operation::answers::{Changing, Keyed};
use crate::server::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(confirm_epoch))
}

/// Lists the controllers: which replica runs them, how far they are, and their last error.
#[utoipa::path(
    get, path = "/controllers", operation_id = "listControllers", tag = "controllers",
    responses(
        Keyed,
        (status = 200, description = "All controllers, on one page", body = List<Controller>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    params: Params,
) -> Result<Json<List<Controller>>, Problem> {
    params.done()?;
    let items = state.broker.controller_list(&actor).await?.into_iter().map(Controller::from).collect();
    Ok(Json(List { items, next: None }))
}

/// Lets the controllers run after the epoch has changed. They rest in a new epoch, because the data may have been set back.
#[utoipa::path(
    post, path = "/controllers/confirm-epoch", operation_id = "confirmControllersEpoch", tag = "controllers",
    responses(
        Keyed, Changing,
        (status = 204, description = "Confirmed"),
    ),
)]
async fn confirm_epoch(State(state): State<AppState>, Caller(actor): Caller) -> Result<StatusCode, Problem> {
    state.broker.controllers_confirm_epoch(&actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
