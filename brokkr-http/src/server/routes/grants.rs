//! Grants.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brokkr_control::{GrantPatch, NewGrant, rights};
use brokkr_core::error::Invalid;
use brokkr_core::model::GrantId;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{created, entity};
use crate::api::{CreateGrant, Grant, List, PatchGrant};
use crate::server::AppState;
use crate::server::body::{self, MergePatch, Sent};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, Params, listed};
use crate::server::merge_patch::{merge, refuse_unknown_nested};
use crate::server::operation::answers::{Bodied, Changing, Found, Keyed, Versioned};
use crate::server::operation::parameters::{IdempotencyParameter, IfMatchParameter, PageParameters};
use crate::server::preconditions::IfMatch;
use crate::server::problem::Problem;
use crate::server::typed::typed_or_invalid;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch, delete))
}

/// Lists grants.
#[utoipa::path(
    get, path = "/grants", operation_id = "listGrants", tag = "grants",
    params(PageParameters),
    responses(
        Keyed,
        (status = 200, description = "A page", body = List<Grant>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<Json<List<Grant>>, Problem> {
    let page = params.page::<GrantId>(&state.cursors, "grants", &actor)?;
    params.done()?;
    let found = state.broker.grant_list(&actor, &page).await?;
    Ok(listed(&state.cursors, "grants", &actor, found))
}

/// Creates a grant.
#[utoipa::path(
    post, path = "/grants", operation_id = "createGrant", tag = "grants",
    params(IdempotencyParameter),
    request_body = CreateGrant,
    responses(
        Keyed, Changing, Bodied,
        (status = 201, description = "Created", body = Grant),
    ),
)]
async fn create(
    State(state): State<AppState>,
    Caller(actor): Caller,
    Sent(body::Json(body), ..): Sent<rights::CreateGrant, body::Json<CreateGrant>>,
) -> Result<Response, Problem> {
    let CreateGrant { name, description, rules } = body;
    let new = NewGrant { name, description, rules };
    let grant = state.broker.grant_create(&actor, new).await?;
    let (path, version) = (format!("/grants/{}", grant.id), grant.version);
    Ok(created(path, Some(version), Grant::from(grant)))
}

/// Reads a grant.
#[utoipa::path(
    get, path = "/grants/{id}", operation_id = "getGrant", tag = "grants",
    params(("id" = inline(GrantId), Path)),
    responses(
        Keyed, Found,
        (status = 200, description = "The grant", body = Grant),
    ),
)]
async fn get(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<GrantId>,
) -> Result<Response, Problem> {
    let grant = state.broker.grant_get(&actor, id).await?;
    Ok(entity(grant.version, Grant::from(grant)))
}

/// Changes a grant.
#[utoipa::path(
    patch, path = "/grants/{id}", operation_id = "patchGrant", tag = "grants",
    params(("id" = inline(GrantId), Path), IfMatchParameter),
    request_body(content = PatchGrant, content_type = "application/merge-patch+json"),
    responses(
        Keyed, Found, Changing, Bodied, Versioned,
        (status = 200, description = "Changed", body = Grant),
    ),
)]
async fn patch(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<GrantId>,
    IfMatch(version): IfMatch,
    Sent(MergePatch(patch), ..): Sent<rights::UpdateGrant, MergePatch>,
) -> Result<Response, Problem> {
    let edit = |before: &brokkr_core::model::Grant| -> Result<GrantPatch, Invalid> {
        let mut now = json!({"description": before.description, "rules": before.rules});
        refuse_unknown_nested(&now, &patch)?;
        merge(&mut now, &patch);
        let now: PatchGrant = typed_or_invalid(now)?;
        Ok(GrantPatch { description: now.description.unwrap_or_default(), rules: now.rules.unwrap_or_default() })
    };
    let grant = state.broker.grant_update(&actor, id, version, edit).await?;
    Ok(entity(grant.version, Grant::from(grant)))
}

/// Deletes a grant.
#[utoipa::path(
    delete, path = "/grants/{id}", operation_id = "deleteGrant", tag = "grants",
    params(("id" = inline(GrantId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Deleted"),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<GrantId>,
) -> Result<StatusCode, Problem> {
    state.broker.grant_delete(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
