//! Generators.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brokkr_control::{GeneratorPatch, NewGenerator, rights};
use brokkr_core::model::GeneratorId;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::terms;
use super::{created, entity};
use crate::api::{CreateGenerator, CreatedGenerator, FirstKey, Generator, List, PatchGenerator};
use crate::server::AppState;
use crate::server::body::{self, MergePatch, Sent};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, Params, listed};
use crate::server::operation::answers::{Bodied, Changing, Found, Keyed, Versioned};
use crate::server::operation::parameters::{IdempotencyParameter, IfMatchParameter, PageParameters};
use crate::server::preconditions::IfMatch;
use crate::server::problem::Problem;
use crate::server::typed::typed;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch, delete))
}

/// Lists generators.
#[utoipa::path(
    get, path = "/generators", operation_id = "listGenerators", tag = "generators",
    params(PageParameters),
    responses(
        Keyed,
        (status = 200, description = "A page", body = List<Generator>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<Json<List<Generator>>, Problem> {
    let page = params.page::<GeneratorId>(&state.cursors, "generators", &actor)?;
    params.done()?;
    let found = state.broker.generator_list(&actor, &page).await?;
    Ok(listed(&state.cursors, "generators", &actor, found))
}

/// Creates a generator and its first key.
#[utoipa::path(
    post, path = "/generators", operation_id = "createGenerator", tag = "generators",
    params(IdempotencyParameter),
    request_body = CreateGenerator,
    responses(
        Keyed, Changing, Bodied,
        (status = 201, description = "Created", body = CreatedGenerator),
    ),
)]
async fn create(
    State(state): State<AppState>,
    Caller(actor): Caller,
    Sent(body::Json(body), ..): Sent<rights::CreateGenerator, body::Json<CreateGenerator>>,
) -> Result<Response, Problem> {
    let FirstKey { subject, scopes, source_networks, environments, expires_at } = body.key;
    let terms =
        terms(subject, scopes, source_networks, environments, expires_at).map_err(|invalid| invalid.within("key"))?;
    let new =
        NewGenerator { name: body.name, description: body.description, environments: body.environments, key: terms };
    let (generator, pak) = state.broker.generator_create(&actor, new).await?;
    let (path, version) = (format!("/generators/{}", generator.id), generator.version);
    let body = CreatedGenerator { generator: generator.into(), pak: pak.pak.map(|pak| pak.expose_secret().to_owned()) };
    Ok(created(path, Some(version), body))
}

/// Reads a generator.
#[utoipa::path(
    get, path = "/generators/{id}", operation_id = "getGenerator", tag = "generators",
    params(("id" = inline(GeneratorId), Path)),
    responses(
        Keyed, Found,
        (status = 200, description = "The generator", body = Generator),
    ),
)]
async fn get(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<GeneratorId>,
) -> Result<Response, Problem> {
    let generator = state.broker.generator_get(&actor, id).await?;
    Ok(entity(generator.version, Generator::from(generator)))
}

/// Changes a generator.
#[utoipa::path(
    patch, path = "/generators/{id}", operation_id = "patchGenerator", tag = "generators",
    params(("id" = inline(GeneratorId), Path), IfMatchParameter),
    request_body(content = PatchGenerator, content_type = "application/merge-patch+json"),
    responses(
        Keyed, Found, Changing, Bodied, Versioned,
        (status = 200, description = "Changed", body = Generator),
    ),
)]
async fn patch(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<GeneratorId>,
    IfMatch(version): IfMatch,
    Sent(MergePatch(patch), ..): Sent<rights::UpdateGenerator, MergePatch>,
) -> Result<Response, Problem> {
    let named = ["description", "environments"].map(|field| patch.contains_key(field));
    let patch: PatchGenerator = typed(Value::Object(patch))?;
    let patch = GeneratorPatch {
        description: named[0].then(|| patch.description.unwrap_or_default()),
        environments: named[1].then_some(patch.environments),
    };
    let generator = state.broker.generator_update(&actor, id, version, patch).await?;
    Ok(entity(generator.version, Generator::from(generator)))
}

/// Deletes a generator that owns no stacks.
#[utoipa::path(
    delete, path = "/generators/{id}", operation_id = "deleteGenerator", tag = "generators",
    params(("id" = inline(GeneratorId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Deleted"),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<GeneratorId>,
) -> Result<StatusCode, Problem> {
    state.broker.generator_delete(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
