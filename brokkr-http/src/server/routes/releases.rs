//! Releases, pins and suspensions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use brokkr_control::{NewPin, rights};
use brokkr_core::model::{AgentId, StackId, StackReleaseId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{List, Pin, Promote, Release, ResumeStack, SetPin, SetStable, SuspendAgent, SuspendStack};
use crate::server::AppState;
use crate::server::body::{self, Sent};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, Params, listed};
use crate::server::operation::answers::{Bodied, Changing, Found, Keyed};
use crate::server::operation::parameters::PageParameters;
use crate::server::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(set_stable))
        .routes(routes!(promote))
        .routes(routes!(list_pins))
        .routes(routes!(set_pin, remove_pin))
        .routes(routes!(suspend))
        .routes(routes!(resume))
        .routes(routes!(suspend_agent))
        .routes(routes!(resume_agent))
}

/// Lists what is released of a stack in each environment. Environments in which nothing was released or suspended are left
/// out.
#[utoipa::path(
    get, path = "/stacks/{id}/releases", operation_id = "listReleases", tag = "releases",
    params(("id" = inline(StackId), Path), PageParameters),
    responses(
        Keyed, Found,
        (status = 200, description = "A page", body = List<Release>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    mut params: Params,
) -> Result<Json<List<Release>>, Problem> {
    let name = format!("releases {id}");
    let page = params.page::<StackReleaseId>(&state.cursors, &name, &actor)?;
    params.done()?;
    let found = state.broker.release_list(&actor, id, &page).await?;
    Ok(listed(&state.cursors, &name, &actor, found))
}

/// Makes a revision stable in an environment. Gated agents there then hold it. Idempotent.
#[utoipa::path(
    put, path = "/stacks/{id}/stable", operation_id = "setStable", tag = "releases",
    params(("id" = inline(StackId), Path)),
    request_body = SetStable,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 200, description = "The release", body = Release),
    ),
)]
async fn set_stable(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    Sent(body::Json(body), ..): Sent<rights::SetStable, body::Json<SetStable>>,
) -> Result<Json<Release>, Problem> {
    let SetStable { environment, revision, reason } = body;
    let release = state.broker.stable_set(&actor, id, environment.as_deref(), revision, &reason).await?;
    Ok(Json(release.into()))
}

/// Makes the revision that an environment runs stable in a later one, if all its agents are healthy with it.
#[utoipa::path(
    post, path = "/stacks/{id}/promote", operation_id = "promote", tag = "releases",
    params(("id" = inline(StackId), Path)),
    request_body = Promote,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 200, description = "The release in the later environment", body = Release),
    ),
)]
async fn promote(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    Sent(body::Json(body), ..): Sent<rights::Promote, body::Json<Promote>>,
) -> Result<Json<Release>, Problem> {
    let Promote { from, to, reason } = body;
    Ok(Json(state.broker.stack_promote(&actor, id, &from, &to, &reason).await?.into()))
}

/// Lists the pins of a stack.
#[utoipa::path(
    get, path = "/stacks/{id}/pins", operation_id = "listPins", tag = "releases",
    params(("id" = inline(StackId), Path), PageParameters),
    responses(
        Keyed, Found,
        (status = 200, description = "A page", body = List<Pin>),
    ),
)]
async fn list_pins(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    mut params: Params,
) -> Result<Json<List<Pin>>, Problem> {
    let name = format!("pins {id}");
    let page = params.page::<AgentId>(&state.cursors, &name, &actor)?;
    params.done()?;
    let found = state.broker.pin_list(&actor, id, &page).await?;
    Ok(listed(&state.cursors, &name, &actor, found))
}

/// Pins an agent to a revision of a stack, whatever is newest or stable. Replaces the pin, if there is one.
#[utoipa::path(
    put, path = "/stacks/{id}/pins/{agent_id}", operation_id = "setPin", tag = "releases",
    params(("id" = inline(StackId), Path), ("agent_id" = inline(AgentId), Path)),
    request_body = SetPin,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 200, description = "The pin", body = Pin),
    ),
)]
async fn set_pin(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath((id, agent)): ApiPath<(StackId, AgentId)>,
    Sent(body::Json(body), ..): Sent<rights::SetPin, body::Json<SetPin>>,
) -> Result<Json<Pin>, Problem> {
    let SetPin { revision, reason, expires_at } = body;
    let pin = state.broker.pin_set(&actor, id, agent, NewPin { revision, reason, expires_at }).await?;
    Ok(Json(pin.into()))
}

/// Removes a pin: the agent follows what is stable or newest again.
#[utoipa::path(
    delete, path = "/stacks/{id}/pins/{agent_id}", operation_id = "removePin", tag = "releases",
    params(("id" = inline(StackId), Path), ("agent_id" = inline(AgentId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Removed"),
    ),
)]
async fn remove_pin(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath((id, agent)): ApiPath<(StackId, AgentId)>,
) -> Result<StatusCode, Problem> {
    state.broker.pin_remove(&actor, id, agent).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Freezes a stack, on all agents or in one environment: agents keep what they hold, and no further agent gets it.
#[utoipa::path(
    post, path = "/stacks/{id}/suspend", operation_id = "suspendStack", tag = "releases",
    params(("id" = inline(StackId), Path)),
    request_body = SuspendStack,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 204, description = "Suspended"),
    ),
)]
async fn suspend(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    Sent(body::Json(body), ..): Sent<rights::SuspendStack, body::Json<SuspendStack>>,
) -> Result<StatusCode, Problem> {
    state.broker.stack_suspend(&actor, id, body.environment.as_deref(), &body.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the suspension of a stack, on all agents or in one environment.
#[utoipa::path(
    post, path = "/stacks/{id}/resume", operation_id = "resumeStack", tag = "releases",
    params(("id" = inline(StackId), Path)),
    request_body = ResumeStack,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 204, description = "Resumed"),
    ),
)]
async fn resume(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    Sent(body::Json(body), ..): Sent<rights::ResumeStack, body::Json<ResumeStack>>,
) -> Result<StatusCode, Problem> {
    state.broker.stack_resume(&actor, id, body.environment.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Freezes all stacks of an agent: it keeps what it holds and gets no further stack.
#[utoipa::path(
    post, path = "/agents/{id}/suspend", operation_id = "suspendAgent", tag = "releases",
    params(("id" = inline(AgentId), Path)),
    request_body = SuspendAgent,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 204, description = "Suspended"),
    ),
)]
async fn suspend_agent(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<AgentId>,
    Sent(body::Json(body), ..): Sent<rights::SuspendAgent, body::Json<SuspendAgent>>,
) -> Result<StatusCode, Problem> {
    state.broker.agent_suspend(&actor, id, &body.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the suspension of an agent.
#[utoipa::path(
    post, path = "/agents/{id}/resume", operation_id = "resumeAgent", tag = "releases",
    params(("id" = inline(AgentId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Resumed"),
    ),
)]
async fn resume_agent(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<AgentId>,
) -> Result<StatusCode, Problem> {
    state.broker.agent_resume(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
