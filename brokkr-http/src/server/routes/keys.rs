//! Keys of admins, agents and generators.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brokkr_control::{Actor, KeyTerms, NewKey, NewPak, rights};
use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    AgentId, EnvironmentSet, GeneratorId, KeyId, KeyOwner, KeyScope, KeyScopes, Preset, SourceNetwork, Timestamp,
    limits,
};
use secrecy::ExposeSecret as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::created;
use crate::api::{AdminKeyKind, CreateAdminKey, CreateAgentKey, CreateKey, CreatedKey, Key, List, RotatePak};
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
        .routes(routes!(rotate_admin))
        .routes(routes!(list_agent, create_agent))
        .routes(routes!(delete_agent))
        .routes(routes!(rotate_agent))
        .routes(routes!(replace_agent))
        .routes(routes!(list_generator, create_generator))
        .routes(routes!(delete_generator))
        .routes(routes!(rotate_generator))
        .routes(routes!(replace_generator))
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

/// The terms of a new key, from the fields of a body.
pub(super) fn terms(
    subject: Option<String>,
    scopes: Option<Vec<String>>,
    source_networks: Vec<String>,
    environments: Option<Vec<String>>,
    expires_at: Option<Timestamp>,
) -> Result<KeyTerms, Invalid> {
    let scopes = scopes.map(|scopes| items::<KeyScope>(scopes, limits::KEY_SCOPES)).transpose();
    let scopes = scopes.and_then(|scopes| scopes.map(|it| BTreeSet::from_iter(it).try_into()).transpose());
    let scopes: Option<KeyScopes> = scopes.map_err(|invalid| invalid.within("scopes"))?;
    if scopes.as_ref().is_some_and(KeyScopes::is_empty) {
        return Err(
            Invalid::new(InvalidCode::FieldInvalid, "name at least one scope, or omit the field").within("scopes")
        );
    }
    let networks = items::<SourceNetwork>(source_networks, limits::SOURCE_NETWORKS);
    let source_networks = networks.map_err(|invalid| invalid.within("source_networks"))?;
    let environments = environments.map(EnvironmentSet::try_from).transpose();
    let environments = environments.map_err(|invalid| invalid.within("environments"))?;
    Ok(KeyTerms { subject, scopes, source_networks, environments, expires_at })
}

/// Parses the items of a list with a limit.
fn items<T: FromStr<Err = Invalid>>(texts: Vec<String>, limit: usize) -> Result<Vec<T>, Invalid> {
    if texts.len() > limit {
        return Err(Invalid::new(
            InvalidCode::FieldInvalid,
            format!("{} items; at most {limit} are allowed", texts.len()),
        ));
    }
    let parsed = texts.iter().enumerate();
    parsed.map(|(n, text)| text.parse().map_err(|invalid: Invalid| invalid.within(&n.to_string()))).collect()
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
    let kind = body.kind.map(|kind| match kind {
        AdminKeyKind::Admin => Preset::Admin,
        AdminKeyKind::AdminReadOnly => Preset::Auditor,
    });
    let mut presets: Vec<Preset> = body.preset.into_iter().chain(kind).collect();
    if presets.is_empty() && body.scopes.is_none() {
        presets.push(Preset::Auditor);
    }
    let mut terms = terms(body.subject, body.scopes, body.source_networks, body.environments, body.expires_at)?;
    let mut scopes = terms.scopes.unwrap_or_default();
    for preset in presets {
        scopes = scopes.with(&preset.scopes())?;
    }
    let owner = KeyOwner::of_admin(&scopes);
    terms.scopes = Some(scopes);
    let pak = state.broker.key_create(&actor, owner, NewKey { name: body.name, terms }).await?;
    Ok(answer("/keys", pak))
}

/// Rotates an admin key: creates one with the same name, subject, scopes, source networks and lifetime; the existing one ends after
/// the overlap.
#[utoipa::path(
    post, path = "/keys/{key_id}/rotate", operation_id = "rotateAdminKey", tag = "keys",
    params(("key_id" = inline(KeyId), Path), IdempotencyParameter),
    request_body = Option<RotatePak>,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 200, description = "Rotated", body = CreatedKey),
    ),
)]
async fn rotate_admin(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<KeyId>,
    Sent(OptionalJson(body), ..): Sent<rights::ReplaceAdminKey, OptionalJson<RotatePak>>,
) -> Result<Json<CreatedKey>, Problem> {
    let overlap = Duration::from_secs(body.overlap_seconds);
    Ok(Json(shown(state.broker.key_replace(&actor, &ADMINS, id, overlap).await?)))
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
    ($noun:literal, $Id:ident, $Body:ident, $terms:expr, $list:ident, $list_id:literal, $create:ident, $create_id:literal, $delete:ident, $delete_id:literal, $rotate:ident, $rotate_id:literal, $replace:ident, $replace_id:literal, $CreateRight:ident, $RotateRight:ident, $ReplaceRight:ident) => {
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
                    request_body = $Body,
                    responses(
                        Keyed, Found, Changing, Bodied,
                        (status = 201, description = "Made", body = CreatedKey),
                    ),
                )]
        async fn $create(
            State(state): State<AppState>,
            Caller(actor): Caller,
            ApiPath(id): ApiPath<$Id>,
            Sent(body::Json(body), ..): Sent<rights::$CreateRight, body::Json<$Body>>,
        ) -> Result<Response, Problem> {
            let name = body.name.clone();
            let terms: fn($Body) -> Result<KeyTerms, Invalid> = $terms;
            let pak = state.broker.key_create(&actor, id.into(), NewKey { name, terms: terms(body)? }).await?;
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

        #[doc = concat!("Rotates one key of ", $noun, ": creates one with the same name, subject, scopes, source networks and lifetime; the existing one ends after the overlap.")]
        #[utoipa::path(
                    post, path = concat!("/", $noun, "s/{id}/keys/{key_id}/rotate"), operation_id = $replace_id, tag = "keys",
                    params(("id" = inline($Id), Path), ("key_id" = inline(KeyId), Path), IdempotencyParameter),
                    request_body = Option<RotatePak>,
                    responses(
                        Keyed, Found, Changing, Bodied,
                        (status = 200, description = "Rotated", body = CreatedKey),
                    ),
                )]
        async fn $replace(
            State(state): State<AppState>,
            Caller(actor): Caller,
            ApiPath((id, key)): ApiPath<($Id, KeyId)>,
            Sent(OptionalJson(body), ..): Sent<rights::$ReplaceRight, OptionalJson<RotatePak>>,
        ) -> Result<Json<CreatedKey>, Problem> {
            let overlap = Duration::from_secs(body.overlap_seconds);
            Ok(Json(shown(state.broker.key_replace(&actor, &[id.into()], key, overlap).await?)))
        }
    };
}

owned!(
    "agent",
    AgentId,
    CreateAgentKey,
    |body| terms(body.subject, None, body.source_networks, body.environments, body.expires_at),
    list_agent,
    "listAgentKeys",
    create_agent,
    "createAgentKey",
    delete_agent,
    "deleteAgentKey",
    rotate_agent,
    "rotateAgentPak",
    replace_agent,
    "rotateAgentKey",
    CreateAgentKey,
    RotateAgentKey,
    ReplaceAgentKey
);
owned!(
    "generator",
    GeneratorId,
    CreateKey,
    |body| terms(body.subject, body.scopes, body.source_networks, body.environments, body.expires_at),
    list_generator,
    "listGeneratorKeys",
    create_generator,
    "createGeneratorKey",
    delete_generator,
    "deleteGeneratorKey",
    rotate_generator,
    "rotateGeneratorPak",
    replace_generator,
    "rotateGeneratorKey",
    CreateGeneratorKey,
    RotateGeneratorKey,
    ReplaceGeneratorKey
);
