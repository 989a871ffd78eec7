//! Environments.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brokkr_control::{EnvironmentPatch, NewEnvironment, WantedChange, rights};
use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{AgentId, Digest, EnvironmentId, Name, StackId};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{created, entity};
use crate::api::{AskImpact, CreateEnvironment, Environment, Impact, List, PatchEnvironment};
use crate::server::AppState;
use crate::server::body::{self, MergePatch, Sent};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, Params, listed};
use crate::server::merge_patch::{merge, refuse_unknown};
use crate::server::operation::answers::{Bodied, Changing, Found, Keyed, Versioned};
use crate::server::operation::parameters::{IdempotencyParameter, IfMatchParameter, PageParameters};
use crate::server::preconditions::IfMatch;
use crate::server::problem::Problem;
use crate::server::typed::typed_or_invalid;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch, delete)).routes(routes!(impact))
}

/// Lists environments.
#[utoipa::path(
    get, path = "/environments", operation_id = "listEnvironments", tag = "environments",
    params(PageParameters),
    responses(
        Keyed,
        (status = 200, description = "A page", body = List<Environment>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<Json<List<Environment>>, Problem> {
    let page = params.page::<EnvironmentId>(&state.cursors, "environments", &actor)?;
    params.done()?;
    let found = state.broker.environment_list(&actor, &page).await?;
    Ok(listed(&state.cursors, "environments", &actor, found))
}

/// Creates an environment.
#[utoipa::path(
    post, path = "/environments", operation_id = "createEnvironment", tag = "environments",
    params(IdempotencyParameter),
    request_body = CreateEnvironment,
    responses(
        Keyed, Changing, Bodied,
        (status = 201, description = "Created", body = Environment),
    ),
)]
async fn create(
    State(state): State<AppState>,
    Caller(actor): Caller,
    Sent(body::Json(body), ..): Sent<rights::CreateEnvironment, body::Json<CreateEnvironment>>,
) -> Result<Response, Problem> {
    let CreateEnvironment { name, description, rank, values, protected } = body;
    let new = NewEnvironment { name, description, rank, values, protected };
    let environment = state.broker.environment_create(&actor, new).await?;
    let (path, version) = (format!("/environments/{}", environment.id), environment.version);
    Ok(created(path, Some(version), Environment::from(environment)))
}

/// Reads an environment.
#[utoipa::path(
    get, path = "/environments/{id}", operation_id = "getEnvironment", tag = "environments",
    params(("id" = inline(EnvironmentId), Path)),
    responses(
        Keyed, Found,
        (status = 200, description = "The environment", body = Environment),
    ),
)]
async fn get(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<EnvironmentId>,
) -> Result<Response, Problem> {
    let environment = state.broker.environment_get(&actor, id).await?;
    Ok(entity(environment.version, Environment::from(environment)))
}

/// Changes an environment.
#[utoipa::path(
    patch, path = "/environments/{id}", operation_id = "patchEnvironment", tag = "environments",
    params(("id" = inline(EnvironmentId), Path), IfMatchParameter),
    request_body(content = PatchEnvironment, content_type = "application/merge-patch+json"),
    responses(
        Keyed, Found, Changing, Bodied, Versioned,
        (status = 200, description = "Changed", body = Environment),
    ),
)]
async fn patch(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<EnvironmentId>,
    IfMatch(version): IfMatch,
    Sent(MergePatch(patch), ..): Sent<rights::UpdateEnvironment, MergePatch>,
) -> Result<Response, Problem> {
    let edit = |before: &brokkr_core::model::Environment| -> Result<EnvironmentPatch, Invalid> {
        let mut now = json!({
            "description": before.description, "rank": before.rank, "values": before.values, "protected": before.protected,
        });
        refuse_unknown(&now, &patch)?;
        merge(&mut now, &patch);
        let now: PatchEnvironment = typed_or_invalid(now)?;
        Ok(EnvironmentPatch {
            description: now.description.unwrap_or_default(),
            rank: now.rank.unwrap_or_default(),
            values: now.values.unwrap_or_default(),
            protected: now.protected.unwrap_or_default(),
        })
    };
    let environment = state.broker.environment_update(&actor, id, version, edit).await?;
    Ok(entity(environment.version, Environment::from(environment)))
}

/// Deletes an environment.
#[utoipa::path(
    delete, path = "/environments/{id}", operation_id = "deleteEnvironment", tag = "environments",
    params(("id" = inline(EnvironmentId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Deleted"),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<EnvironmentId>,
) -> Result<StatusCode, Problem> {
    state.broker.environment_delete(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the stacks that agents of an environment would get or lose by a change of an agent, or of a generator's environments.
/// Changes nothing. A page may be shorter than its limit, or empty, although more follow.
#[utoipa::path(
    post, path = "/environments/{id}/impact", operation_id = "askImpact", tag = "environments",
    params(("id" = inline(Name), Path, description = "The id or the name of the environment."), PageParameters),
    request_body = AskImpact,
    responses(
        Keyed, Found, Bodied,
        (status = 200, description = "A page", body = List<Impact>),
    ),
)]
async fn impact(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(environment): ApiPath<String>,
    mut params: Params,
    Sent(body::Json(body), ..): Sent<rights::ReadImpact, body::Json<AskImpact>>,
) -> Result<Json<List<Impact>>, Problem> {
    // Another change has other pages.
    let asked = Digest::of(json!(body).to_string().as_bytes());
    let name = format!("impact {environment} {asked}");
    let page = params.page::<(StackId, AgentId)>(&state.cursors, &name, &actor)?;
    params.done()?;
    let change = match body {
        AskImpact { agent: Some(it), generator: None } => {
            WantedChange::Agent { id: it.id, environment: it.environment, labels: it.labels }
        }
        AskImpact { agent: None, generator: Some(it) } => {
            WantedChange::Generator { id: it.id, environments: it.environments }
        }
        _ => {
            let message = "name either an agent or a generator, with the change";
            return Err(Invalid::new(InvalidCode::FieldInvalid, message).into());
        }
    };
    let found = state.broker.environment_impact(&actor, &environment, &change, &page).await?;
    Ok(listed(&state.cursors, &name, &actor, found))
}
