//! Keys of admins, agents and generators.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brokkr_control::{Actor, NewKey, NewPak, rights};
use brokkr_core::model::{AgentId, GeneratorId, KeyId, KeyOwner};
use secrecy::ExposeSecret as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::created;
use crate::api::{AdminKeyKind, CreateAdminKey, CreateKey, CreatedKey, Key, List, RotatePak};
use crate::server::AppState;
use crate::server::body::{self, OptionalJson, Sent};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, Params, listed};
use crate::server::operation::answers::{Bodied, Changing, Found, Keyed};
use crate::server::operation::parameters::{IdempotencyParameter, PageParameters};
use crate::server::problem::Problem;

const ADMINS: [KeyOwner; 2] = [KeyOwner::Admin, KeyOwner::AdminReadOnly];

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_admin, create_admin))
        .routes(routes!(delete_admin))
        .routes(routes!(list_agent, create_agent))
        .routes(routes!(delete_agent))
        .routes(routes!(rotate_agent))
        .routes(routes!(list_generator, create_generator))
        .routes(routes!(delete_generator))
        .routes(routes!(rotate_generator))
}

async fn list(
    state: AppState,
    actor: Actor,
    owners: &[KeyOwner],
    mut params: Params,
) -> Result<Json<List<Key>>, Problem> {
    let name = format!("keys {owners:?}");
    let page = params.page::<KeyId>(&state.cursors, &name, &actor)?;
    params.done()?;
    let found = state.broker.key_list(&actor, owners, &page).await?;
    Ok(listed(&state.cursors, &name, &actor, found))
}

fn answer(path: &str, pak: NewPak) -> Response {
    let path = format!("{path}/{}", pak.key.id);
    created(path, None, shown(pak))
}

fn shown(pak: NewPak) -> CreatedKey {
    CreatedKey { key: pak.key.into(), pak: pak.pak.map(|pak| pak.expose_secret().to_owned()) }
}

/// Lists admin keys.
#[utoipa::path(
    get, path = "/keys", operation_id = "listAdminKeys", tag = "keys",
    params(PageParameters),
    responses(
        Keyed,
        (status = 200, description = "A page", body = List<Key>),
    ),
)]
async fn list_admin(
    State(state): State<AppState>,
    Caller(actor): Caller,
    params: Params,
) -> Result<Json<List<Key>>, Problem> {
    list(state, actor, &ADMINS, params).await
}

/// Creates an admin key.
#[utoipa::path(
    post, path = "/keys", operation_id = "createAdminKey", tag = "keys",
    params(IdempotencyParameter),
    request_body = CreateAdminKey,
    responses(
        Keyed, Changing, Bodied,
        (status = 201, description = "Made", body = CreatedKey),
    ),
)]
async fn create_admin(
    State(state): State<AppState>,
    Caller(actor): Caller,
    Sent(body::Json(body), ..): Sent<rights::CreateAdminKey, body::Json<CreateAdminKey>>,
) -> Result<Response, Problem> {
    let owner = match body.kind {
        AdminKeyKind::Admin => KeyOwner::Admin,
        AdminKeyKind::AdminReadOnly => KeyOwner::AdminReadOnly,
    };
    let pak = state.broker.key_create(&actor, owner, NewKey { name: body.name, expires_at: body.expires_at }).await?;
    Ok(answer("/keys", pak))
}

/// Revokes an admin key.
#[utoipa::path(
    delete, path = "/keys/{key_id}", operation_id = "deleteAdminKey", tag = "keys",
    params(("key_id" = inline(KeyId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Revoked"),
    ),
)]
async fn delete_admin(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<KeyId>,
) -> Result<StatusCode, Problem> {
    state.broker.key_delete(&actor, &ADMINS, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

macro_rules! owned {
    ($noun:literal, $Id:ident, $list:ident, $list_id:literal, $create:ident, $create_id:literal, $delete:ident, $delete_id:literal, $rotate:ident, $rotate_id:literal, $CreateRight:ident, $RotateRight:ident) => {
        #[doc = concat!("Lists the keys of ", $noun, ".")]
        #[utoipa::path(
                    get, path = concat!("/", $noun, "s/{id}/keys"), operation_id = $list_id, tag = "keys",
                    params(("id" = inline($Id), Path), PageParameters),
                    responses(
                        Keyed, Found,
                        (status = 200, description = "A page", body = List<Key>),
                    ),
                )]
        async fn $list(
            State(state): State<AppState>,
            Caller(actor): Caller,
            ApiPath(id): ApiPath<$Id>,
            params: Params,
        ) -> Result<Json<List<Key>>, Problem> {
            list(state, actor, &[id.into()], params).await
        }

        #[doc = concat!("Creates a key for ", $noun, ".")]
        #[utoipa::path(
                    post, path = concat!("/", $noun, "s/{id}/keys"), operation_id = $create_id, tag = "keys",
                    params(("id" = inline($Id), Path), IdempotencyParameter),
                    request_body = CreateKey,
                    responses(
                        Keyed, Found, Changing, Bodied,
                        (status = 201, description = "Made", body = CreatedKey),
                    ),
                )]
        async fn $create(
            State(state): State<AppState>,
            Caller(actor): Caller,
            ApiPath(id): ApiPath<$Id>,
            Sent(body::Json(body), ..): Sent<rights::$CreateRight, body::Json<CreateKey>>,
        ) -> Result<Response, Problem> {
            let pak = state
                .broker
                .key_create(&actor, id.into(), NewKey { name: body.name, expires_at: body.expires_at })
                .await?;
            Ok(answer(&format!(concat!("/", $noun, "s/{}/keys"), id), pak))
        }

        #[doc = concat!("Revokes a key of ", $noun, ".")]
        #[utoipa::path(
                    delete, path = concat!("/", $noun, "s/{id}/keys/{key_id}"), operation_id = $delete_id, tag = "keys",
                    params(("id" = inline($Id), Path), ("key_id" = inline(KeyId), Path)),
                    responses(
                        Keyed, Found, Changing,
                        (status = 204, description = "Revoked"),
                    ),
                )]
        async fn $delete(
            State(state): State<AppState>,
            Caller(actor): Caller,
            ApiPath((id, key)): ApiPath<($Id, KeyId)>,
        ) -> Result<StatusCode, Problem> {
            state.broker.key_delete(&actor, &[id.into()], key).await?;
            Ok(StatusCode::NO_CONTENT)
        }

        #[doc = concat!("Rotates the keys of ", $noun, ": creates a new key; the existing keys end after the overlap.")]
        #[utoipa::path(
                    post, path = concat!("/", $noun, "s/{id}/rotate-pak"), operation_id = $rotate_id, tag = "keys",
                    params(("id" = inline($Id), Path), IdempotencyParameter),
                    request_body = Option<RotatePak>,
                    responses(
                        Keyed, Found, Changing, Bodied,
                        (status = 200, description = "Rotated", body = CreatedKey),
                    ),
                )]
        async fn $rotate(
            State(state): State<AppState>,
            Caller(actor): Caller,
            ApiPath(id): ApiPath<$Id>,
            Sent(OptionalJson(body), ..): Sent<rights::$RotateRight, OptionalJson<RotatePak>>,
        ) -> Result<Json<CreatedKey>, Problem> {
            let pak = state.broker.key_rotate(&actor, id.into(), Duration::from_secs(body.overlap_seconds)).await?;
            Ok(Json(shown(pak)))
        }
    };
}

owned!(
    "agent",
    AgentId,
    list_agent,
    "listAgentKeys",
    create_agent,
    "createAgentKey",
    delete_agent,
    "deleteAgentKey",
    rotate_agent,
    "rotateAgentPak",
    CreateAgentKey,
    RotateAgentKey
);
owned!(
    "generator",
    GeneratorId,
    list_generator,
    "listGeneratorKeys",
    create_generator,
    "createGeneratorKey",
    delete_generator,
    "deleteGeneratorKey",
    rotate_generator,
    "rotateGeneratorPak",
    CreateGeneratorKey,
    RotateGeneratorKey
);
