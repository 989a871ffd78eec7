//! Stacks.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use brokkr_control::{Applied, Content, Removal, rights};
use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    AgentId, Exclusion, GeneratorId, Name, Policies, SharedKeys, StackId, StackSpec, TargetingRule, Wait, limits,
};
use brokkr_core::store::EntityQuery;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{created, entity};
use crate::api::{AppliedStack, ApplyStack, CreateStack, Generate, List, PatchStack, Stack, StackStatus};
use crate::server::AppState;
use crate::server::body::{self, LargeJson, MergePatch, Sent};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, ID, Params, listed};
use crate::server::merge_patch::{merge, refuse_unknown, refuse_unknown_nested};
use crate::server::operation::answers::{Bodied, Changing, Filtered, Found, Keyed, MaybeVersioned, Versioned};
use crate::server::operation::parameters::{
    EnvironmentParameter, IdempotencyParameter, IfMatchParameter, LabelsParameter, OptionalIfMatchParameter,
    PageParameters, StackParameters, StatusParameters,
};
use crate::server::preconditions::{IfMatch, if_match};
use crate::server::problem::Problem;
use crate::server::typed::{typed_exact, typed_or_invalid};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(apply))
        .routes(routes!(get, patch, delete))
        .routes(routes!(generate))
        .routes(routes!(status))
}

/// Lists stacks.
#[utoipa::path(
    get, path = "/stacks", operation_id = "listStacks", tag = "stacks",
    params(PageParameters, LabelsParameter, StackParameters),
    responses(
        Keyed, Filtered,
        (status = 200, description = "A page", body = List<Stack>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<Json<List<Stack>>, Problem> {
    let page = params.page::<StackId>(&state.cursors, "stacks", &actor)?;
    let filter = EntityQuery {
        labels: params.take_checked("labels")?.unwrap_or_default(),
        generator: params.take::<GeneratorId>("generator", ID)?,
        name: params.take_checked("name")?,
        environment: None,
    };
    params.done()?;
    let found = state.broker.stack_list(&actor, &filter, &page).await?;
    Ok(listed(&state.cursors, "stacks", &actor, found))
}

/// Creates a stack.
#[utoipa::path(
    post, path = "/stacks", operation_id = "createStack", tag = "stacks",
    params(IdempotencyParameter),
    request_body = CreateStack,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 201, description = "Created", body = Stack),
    ),
)]
async fn create(
    State(state): State<AppState>,
    Caller(actor): Caller,
    Sent(body::Json(body), ..): Sent<rights::CreateStack, body::Json<CreateStack>>,
) -> Result<Response, Problem> {
    let spec = StackSpec {
        name: body.name,
        description: body.description,
        labels: body.labels,
        annotations: body.annotations,
        targeting: body.targeting,
        policies: body.policies,
        depends_on: body.depends_on,
        release: body.release,
        deletion_protection: body.deletion_protection,
        expires_at: body.expires_at,
    };
    let stack = state.broker.stack_create(&actor, body.generator_id, spec).await?;
    Ok(created(format!("/stacks/{}", stack.id), Some(stack.version), Stack::from(stack)))
}

/// Reads a stack.
#[utoipa::path(
    get, path = "/stacks/{id}", operation_id = "getStack", tag = "stacks",
    params(("id" = inline(StackId), Path)),
    responses(
        Keyed, Found,
        (status = 200, description = "The stack", body = Stack),
    ),
)]
async fn get(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
) -> Result<Response, Problem> {
    let stack = state.broker.stack_get(&actor, id).await?;
    Ok(entity(stack.version, Stack::from(stack)))
}

/// Changes a stack.
#[utoipa::path(
    patch, path = "/stacks/{id}", operation_id = "patchStack", tag = "stacks",
    params(("id" = inline(StackId), Path), IfMatchParameter),
    request_body(content = PatchStack, content_type = "application/merge-patch+json"),
    responses(
        Keyed, Found, Changing, Bodied, Versioned,
        (status = 200, description = "Changed", body = Stack),
    ),
)]
async fn patch(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    IfMatch(version): IfMatch,
    Sent(MergePatch(patch), ..): Sent<rights::UpdateStack, MergePatch>,
) -> Result<Response, Problem> {
    let edit = |before: StackSpec| -> Result<StackSpec, Invalid> {
        let mut now = json!(before);
        refuse_unknown_nested(&json!(with_every_field()), &patch)?;
        merge(&mut now, &patch);
        typed_or_invalid(now)
    };
    let stack = state.broker.stack_update(&actor, id, version, edit).await?;
    Ok(entity(stack.version, Stack::from(stack)))
}

/// A spec in which no optional object is absent.
fn with_every_field() -> StackSpec {
    let exclude = Exclusion {
        match_labels: Some(BTreeMap::new()),
        match_expressions: Some(Vec::new()),
        match_annotations: Some(BTreeMap::new()),
    };
    let targeting = TargetingRule {
        environments: Some(Vec::new()),
        match_labels: Some(BTreeMap::new()),
        match_expressions: Some(Vec::new()),
        match_annotations: Some(BTreeMap::new()),
        shared_labels: SharedKeys::Off,
        shared_annotations: SharedKeys::Off,
        exclude: Some(exclude),
    };
    let policies = Policies { wait: Some(Wait { timeout_seconds: 1 }), ..Policies::default() };
    StackSpec { targeting: Some(targeting), policies, ..StackSpec::default() }
}

/// Deletes a stack. It stays readable until every agent has confirmed the removal.
#[utoipa::path(
    delete, path = "/stacks/{id}", operation_id = "deleteStack", tag = "stacks",
    params(("id" = inline(StackId), Path), OptionalIfMatchParameter),
    responses(
        Keyed, Found, Changing, MaybeVersioned,
        (status = 204, description = "Gone"),
        (status = 202, description = "Deletion started; the stack stays readable until every agent has confirmed the removal", body = Stack),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(match state.broker.stack_delete(&actor, id, if_match(&headers)?).await? {
        Removal::Gone => StatusCode::NO_CONTENT.into_response(),
        Removal::Pending(stack) => {
            let mut response = entity(stack.version, Stack::from(*stack));
            *response.status_mut() = StatusCode::ACCEPTED;
            response
        }
    })
}

/// Creates or updates a stack by name and publishes its content, in one commit.
#[utoipa::path(
    put, path = "/stacks/by-name/{name}", operation_id = "applyStack", tag = "stacks",
    params(("name" = inline(Name), Path, description = "The name of the stack."), IdempotencyParameter),
    request_body = ApplyStack,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 200, description = "The stack, updated or unchanged", body = AppliedStack),
        (status = 201, description = "Created", body = AppliedStack),
    ),
)]
async fn apply(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(name): ApiPath<String>,
    Sent(LargeJson(body), ..): Sent<rights::ApplyStack, LargeJson>,
) -> Result<Response, Problem> {
    let Value::Object(mut fields) = body else {
        return Err(Invalid::new(InvalidCode::FieldInvalid, "expected an object").into());
    };
    let generator_id: Option<GeneratorId> = take(&mut fields, "generator_id")?;
    let message: Option<String> = take(&mut fields, "message")?;
    let manifests: Option<Vec<Value>> = take(&mut fields, "manifests")?;
    let generate: Option<Generate> = take(&mut fields, "generate")?;
    let content = match (manifests, generate) {
        (Some(_), Some(_)) => {
            return Err(Invalid::new(
                InvalidCode::FieldInvalid,
                "manifests and generate exclude each other; send one of them",
            )
            .into());
        }
        (None, _) if message.is_some() => {
            return Err(Invalid::new(
                InvalidCode::FieldInvalid,
                "message requires manifests; remove it or send manifests",
            )
            .within("message")
            .into());
        }
        (Some(documents), None) => Some(Content::Documents { documents, message: message.unwrap_or_default() }),
        (None, Some(generate)) => Some(Content::Generated { generator: generate.generator, params: generate.params }),
        (None, None) => None,
    };
    let edit = |before: StackSpec| -> Result<StackSpec, Invalid> {
        let mut now = json!(before);
        refuse_unknown(&now, &fields)?;
        if let Value::Object(now) = &mut now {
            for (key, value) in &fields {
                match value {
                    Value::Null => drop(now.remove(key)),
                    value => drop(now.insert(key.clone(), value.clone())),
                }
            }
        }
        typed_or_invalid(now)
    };
    let applied = state.broker.stack_apply(&actor, generator_id, &name, edit, content).await?;
    Ok(answer(applied))
}

fn answer(applied: Applied) -> Response {
    let Applied { stack, created: is_new, published } = applied;
    let (path, version) = (format!("/stacks/{}", stack.id), stack.version);
    let body = AppliedStack {
        published: published.as_ref().is_some_and(|it| it.created),
        deployment_object: published.map(|it| it.object.into()),
        stack: stack.into(),
    };
    if is_new { created(path, Some(version), body) } else { entity(version, body) }
}

/// Removes a field from a body and deserializes it; null counts as absent.
fn take<T: serde::de::DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Result<Option<T>, Problem> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => typed_exact(value).map(Some).map_err(|error| error.within(name).into()),
    }
}

/// Runs a registered generator and publishes its manifests as the next revision.
#[utoipa::path(
    post, path = "/stacks/{id}/generate", operation_id = "generateStack", tag = "stacks",
    params(("id" = inline(StackId), Path), IdempotencyParameter),
    request_body = Generate,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 200, description = "The newest revision already has this content; no revision was created", body = crate::api::DeploymentObject),
        (status = 201, description = "Published", body = crate::api::DeploymentObject),
    ),
)]
async fn generate(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    Sent(LargeJson(body), ..): Sent<rights::Publish, LargeJson>,
) -> Result<Response, Problem> {
    let Generate { generator, params } = typed_exact(body)?;
    let published = state.broker.publish(&actor, id, Content::Generated { generator, params }).await?;
    Ok(super::deployment_objects::published(published))
}

/// Reads the status of a stack: counts of all agents, and a page of single agents.
#[utoipa::path(
    get, path = "/stacks/{id}/status", operation_id = "getStackStatus", tag = "stacks",
    params(("id" = inline(StackId), Path), StatusParameters, EnvironmentParameter),
    responses(
        Keyed, Found,
        (status = 200, description = "The status", body = StackStatus),
    ),
)]
async fn status(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    mut params: Params,
) -> Result<Json<StackStatus>, Problem> {
    let name = format!("status of {id}");
    let page = params.page_of::<AgentId>(limits::PAGE_MAX, &state.cursors, &name, &actor)?;
    let environment = params.take_checked("environment")?;
    params.done()?;
    let found = state.broker.stack_status_page(&actor, id, environment.as_ref(), &page).await?;
    let next = found.next.and_then(|agent| state.cursors.issue(&name, &actor, &agent));
    Ok(Json(StackStatus::of(found, next)))
}
