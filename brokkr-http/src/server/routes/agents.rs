//! Agents and their registrations.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brokkr_control::{AgentPatch, NewAgent, rights};
use brokkr_core::error::Invalid;
use brokkr_core::model::{AgentId, GeneratorId};
use brokkr_core::store::EntityQuery;
use secrecy::ExposeSecret as _;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{created, entity};
use crate::api::{Agent, CreateAgent, CreatedAgent, List, PatchAgent, RegisterAgent};
use crate::server::AppState;
use crate::server::body::{self, MergePatch, OptionalJson, Sent};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, Params, listed};
use crate::server::merge_patch::{merge, refuse_unknown};
use crate::server::operation::answers::{Bodied, Changing, Filtered, Found, Keyed, Versioned};
use crate::server::operation::parameters::{
    EnvironmentParameter, IdempotencyParameter, IfMatchParameter, LabelsParameter, PageParameters,
};
use crate::server::preconditions::IfMatch;
use crate::server::problem::Problem;
use crate::server::typed::typed_or_invalid;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, patch, delete))
        .routes(routes!(register, unregister))
        .routes(routes!(confirm_epoch))
}

/// Lists agents.
#[utoipa::path(
    get, path = "/agents", operation_id = "listAgents", tag = "agents",
    params(PageParameters, LabelsParameter, EnvironmentParameter),
    responses(
        Keyed, Filtered,
        (status = 200, description = "A page", body = List<Agent>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<Json<List<Agent>>, Problem> {
    let page = params.page::<AgentId>(&state.cursors, "agents", &actor)?;
    let filter = EntityQuery {
        labels: params.take_checked("labels")?.unwrap_or_default(),
        environment: params.take_checked("environment")?,
        ..EntityQuery::default()
    };
    params.done()?;
    let found = state.broker.agent_list(&actor, &filter, &page).await?;
    Ok(listed(&state.cursors, "agents", &actor, found))
}

/// Creates an agent and its first key.
#[utoipa::path(
    post, path = "/agents", operation_id = "createAgent", tag = "agents",
    params(IdempotencyParameter),
    request_body = CreateAgent,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 201, description = "Created", body = CreatedAgent),
    ),
)]
async fn create(
    State(state): State<AppState>,
    Caller(actor): Caller,
    Sent(body::Json(body), ..): Sent<rights::CreateAgent, body::Json<CreateAgent>>,
) -> Result<Response, Problem> {
    let new = NewAgent {
        name: body.name,
        cluster_name: body.cluster_name,
        environment: body.environment,
        labels: body.labels,
        annotations: body.annotations,
        registrations: body.generator_ids.map(|ids| ids.into_iter().map(|id| (id, None)).collect()),
    };
    let (agent, pak) = state.broker.agent_create(&actor, new).await?;
    let (path, version) = (format!("/agents/{}", agent.id), agent.version);
    Ok(created(
        path,
        Some(version),
        CreatedAgent { agent: agent.into(), pak: pak.pak.map(|pak| pak.expose_secret().to_owned()) },
    ))
}

/// Reads an agent.
#[utoipa::path(
    get, path = "/agents/{id}", operation_id = "getAgent", tag = "agents",
    params(("id" = inline(AgentId), Path)),
    responses(
        Keyed, Found,
        (status = 200, description = "The agent", body = Agent),
    ),
)]
async fn get(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<AgentId>,
) -> Result<Response, Problem> {
    let details = state.broker.agent_details(&actor, id).await?;
    Ok(entity(details.agent.version, Agent::from(details)))
}

/// Changes an agent.
#[utoipa::path(
    patch, path = "/agents/{id}", operation_id = "patchAgent", tag = "agents",
    params(("id" = inline(AgentId), Path), IfMatchParameter),
    request_body(content = PatchAgent, content_type = "application/merge-patch+json"),
    responses(
        Keyed, Found, Changing, Bodied, Versioned,
        (status = 200, description = "Changed", body = Agent),
    ),
)]
async fn patch(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<AgentId>,
    IfMatch(version): IfMatch,
    Sent(MergePatch(patch), ..): Sent<rights::UpdateAgent, MergePatch>,
) -> Result<Response, Problem> {
    let edit = |before: &brokkr_core::model::Agent| -> Result<AgentPatch, Invalid> {
        let mut now = json!({
            "cluster_name": before.cluster_name,
            "environment": before.environment,
            "labels": before.labels,
            "annotations": before.annotations,
            "status": before.status,
        });
        refuse_unknown(&now, &patch)?;
        merge(&mut now, &patch);
        let now: PatchAgent = typed_or_invalid(now)?;
        Ok(AgentPatch {
            cluster_name: Some(now.cluster_name),
            environment: Some(now.environment),
            labels: Some(now.labels),
            annotations: Some(now.annotations),
            status: Some(now.status),
        })
    };
    let agent = state.broker.agent_update(&actor, id, version, edit).await?;
    let details = state.broker.agent_changed(&actor, agent).await?;
    Ok(entity(details.agent.version, Agent::from(details)))
}

/// Deletes an agent and revokes its keys. Stacks no longer wait for its confirmations.
#[utoipa::path(
    delete, path = "/agents/{id}", operation_id = "deleteAgent", tag = "agents",
    params(("id" = inline(AgentId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Deleted"),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<AgentId>,
) -> Result<StatusCode, Problem> {
    state.broker.agent_delete(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Registers an agent with a generator: the agent then serves the generator's stacks. Sets the grant of a registration.
#[utoipa::path(
    put, path = "/agents/{id}/generators/{generator_id}", operation_id = "registerAgent", tag = "agents",
    params(("id" = inline(AgentId), Path), ("generator_id" = inline(GeneratorId), Path)),
    request_body = Option<RegisterAgent>,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 204, description = "Registered"),
    ),
)]
async fn register(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath((id, generator)): ApiPath<(AgentId, GeneratorId)>,
    Sent(OptionalJson(body), ..): Sent<rights::RegisterAgent, OptionalJson<RegisterAgent>>,
) -> Result<StatusCode, Problem> {
    state.broker.agent_register(&actor, id, generator, body.grant_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a registration: the agent removes the generator's stacks.
#[utoipa::path(
    delete, path = "/agents/{id}/generators/{generator_id}", operation_id = "unregisterAgent", tag = "agents",
    params(("id" = inline(AgentId), Path), ("generator_id" = inline(GeneratorId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Ended"),
    ),
)]
async fn unregister(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath((id, generator)): ApiPath<(AgentId, GeneratorId)>,
) -> Result<StatusCode, Problem> {
    state.broker.agent_unregister(&actor, id, generator).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Allows an agent to remove and prune objects after the epoch has changed.
#[utoipa::path(
    post, path = "/agents/{id}/confirm-epoch", operation_id = "confirmEpoch", tag = "agents",
    params(("id" = inline(AgentId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 200, description = "Confirmed", body = Agent),
    ),
)]
async fn confirm_epoch(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<AgentId>,
) -> Result<Response, Problem> {
    let agent = state.broker.agent_confirm_epoch(&actor, id).await?;
    let details = state.broker.agent_changed(&actor, agent).await?;
    Ok(entity(details.agent.version, Agent::from(details)))
}
