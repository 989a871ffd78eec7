//! Direct targets and placement.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use brokkr_control::rights;
use brokkr_core::model::{AgentId, StackId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Abandon, List, Placement, Target};
use crate::server::AppState;
use crate::server::body::{self, Sent};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, Params, listed};
use crate::server::operation::answers::{Bodied, Changing, Found, Keyed};
use crate::server::operation::parameters::{EnvironmentParameter, PageParameters};
use crate::server::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(set, remove))
        .routes(routes!(abandon))
        .routes(routes!(stack_placement))
        .routes(routes!(agent_placement))
}

/// Lists the direct targets of a stack.
#[utoipa::path(
    get, path = "/stacks/{id}/targets", operation_id = "listTargets", tag = "targets",
    params(("id" = inline(StackId), Path), PageParameters, EnvironmentParameter),
    responses(
        Keyed, Found,
        (status = 200, description = "A page", body = List<Target>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    mut params: Params,
) -> Result<Json<List<Target>>, Problem> {
    let name = format!("targets {id}");
    let page = params.page::<AgentId>(&state.cursors, &name, &actor)?;
    let environment = params.take_checked("environment")?;
    params.done()?;
    let found = state.broker.target_list(&actor, id, environment.as_ref(), &page).await?;
    Ok(listed(&state.cursors, &name, &actor, found))
}

/// Targets a stack directly at an agent.
#[utoipa::path(
    put, path = "/stacks/{id}/targets/{agent_id}", operation_id = "setTarget", tag = "targets",
    params(("id" = inline(StackId), Path), ("agent_id" = inline(AgentId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 200, description = "The direct target", body = Target),
    ),
)]
async fn set(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath((id, agent)): ApiPath<(StackId, AgentId)>,
) -> Result<Json<Target>, Problem> {
    Ok(Json(state.broker.target_set(&actor, id, agent).await?.into()))
}

/// Removes a direct target. The agent removes the stack unless it also matches in another way.
#[utoipa::path(
    delete, path = "/stacks/{id}/targets/{agent_id}", operation_id = "removeTarget", tag = "targets",
    params(("id" = inline(StackId), Path), ("agent_id" = inline(AgentId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Removed"),
    ),
)]
async fn remove(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath((id, agent)): ApiPath<(StackId, AgentId)>,
) -> Result<StatusCode, Problem> {
    state.broker.target_remove(&actor, id, agent).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops waiting for an agent's confirmation of a removal.
#[utoipa::path(
    post, path = "/stacks/{id}/targets/{agent_id}/abandon", operation_id = "abandonTarget", tag = "targets",
    params(("id" = inline(StackId), Path), ("agent_id" = inline(AgentId), Path)),
    request_body = Abandon,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 204, description = "Abandoned"),
    ),
)]
async fn abandon(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath((id, agent)): ApiPath<(StackId, AgentId)>,
    Sent(body::Json(body), ..): Sent<rights::AbandonTarget, body::Json<Abandon>>,
) -> Result<StatusCode, Problem> {
    state.broker.target_abandon(&actor, id, agent, &body.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Explains for every agent whether and why it serves a stack.
#[utoipa::path(
    get, path = "/stacks/{id}/placement", operation_id = "getStackPlacement", tag = "targets",
    params(("id" = inline(StackId), Path), PageParameters, EnvironmentParameter),
    responses(
        Keyed, Found,
        (status = 200, description = "A page", body = List<Placement>),
    ),
)]
async fn stack_placement(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    mut params: Params,
) -> Result<Json<List<Placement>>, Problem> {
    let name = format!("placement {id}");
    let page = params.page::<AgentId>(&state.cursors, &name, &actor)?;
    let environment = params.take_checked("environment")?;
    params.done()?;
    let found = state.broker.stack_placement(&actor, id, environment.as_ref(), &page).await?;
    Ok(listed(&state.cursors, &name, &actor, found))
}

/// Explains for every stack whether and why an agent serves it.
#[utoipa::path(
    get, path = "/agents/{id}/placement", operation_id = "getAgentPlacement", tag = "targets",
    params(("id" = inline(AgentId), Path), PageParameters),
    responses(
        Keyed, Found,
        (status = 200, description = "A page", body = List<Placement>),
    ),
)]
async fn agent_placement(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<AgentId>,
    mut params: Params,
) -> Result<Json<List<Placement>>, Problem> {
    let name = format!("placement {id}");
    let page = params.page::<StackId>(&state.cursors, &name, &actor)?;
    params.done()?;
    let found = state.broker.agent_placement(&actor, id, &page).await?;
    Ok(listed(&state.cursors, &name, &actor, found))
}
