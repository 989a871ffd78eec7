//! Deployment objects.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use brokkr_control::{Content, Published, ShownContent, rights};
use brokkr_core::model::{DeploymentObjectId, Revision, StackId, limits, validate_text};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::created;
use crate::api::{DeploymentObject, List, PublishManifests, Rollback};
use crate::server::AppState;
use crate::server::body::{self, Sent, Unread};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, Params, listed};
use crate::server::operation::answers::{Bodied, Changing, Found, Keyed, Negotiated};
use crate::server::operation::parameters::{IdempotencyParameter, KnownParameter, MessageParameter, PageParameters};
use crate::server::preconditions::known_tags;
use crate::server::problem::Problem;
use crate::server::typed::typed_exact;

const YAML: &str = "application/yaml";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, publish)).routes(routes!(get)).routes(routes!(rollback))
}

/// The response to a publication: 201 with a new revision, or 200 with the newest one if it has the same bytes.
pub(super) fn published(published: Published) -> Response {
    let body = DeploymentObject::from(published.object);
    if published.created {
        created(format!("/deployment-objects/{}", body.id), None, body)
    } else {
        Json(body).into_response()
    }
}

/// Lists the revisions of a stack, newest first.
#[utoipa::path(
    get, path = "/stacks/{id}/deployment-objects", operation_id = "listDeploymentObjects", tag = "deployment objects",
    params(("id" = inline(StackId), Path), PageParameters),
    responses(
        Keyed, Found,
        (status = 200, description = "A page", body = List<DeploymentObject>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    mut params: Params,
) -> Result<Json<List<DeploymentObject>>, Problem> {
    let name = format!("objects {id}");
    let page = params.page::<Revision>(&state.cursors, &name, &actor)?;
    params.done()?;
    let found = state.broker.deployment_object_list(&actor, id, &page).await?;
    Ok(listed(&state.cursors, &name, &actor, found))
}

/// Publishes manifests as the next revision of a stack. YAML is stored byte for byte.
#[utoipa::path(
    post, path = "/stacks/{id}/deployment-objects", operation_id = "publish", tag = "deployment objects",
    params(("id" = inline(StackId), Path), MessageParameter, IdempotencyParameter),
    request_body(content((crate::api::ManifestOrList = "application/yaml"), (PublishManifests = "application/json"))),
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 200, description = "The newest revision already has these bytes; no revision was created", body = DeploymentObject),
        (status = 201, description = "Published", body = DeploymentObject),
    ),
)]
async fn publish(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    mut params: Params,
    Sent(body, ..): Sent<rights::Publish, Unread>,
) -> Result<Response, Problem> {
    let message = params.take::<String>("message", "a string")?;
    params.done()?;
    let content = match body.media_type().as_deref() {
        Some(YAML) => {
            Content::Yaml { bytes: body.read(limits::BODY_BYTES).await?, message: message.unwrap_or_default() }
        }
        Some("application/json") => {
            let body: PublishManifests = typed_exact(body.json(limits::BODY_BYTES).await?)?;
            // The field is validated even if the parameter overrides it.
            validate_text(&body.message, limits::MESSAGE_CHARACTERS).map_err(|invalid| invalid.within("message"))?;
            Content::Documents { documents: body.manifests, message: message.unwrap_or(body.message) }
        }
        _ => {
            return Err(Problem::unsupported_media_type("application/yaml or application/json"));
        }
    };
    Ok(published(state.broker.publish(&actor, id, content).await?))
}

/// Reads a deployment object: its metadata, or its stored bytes with `Accept: application/yaml`. Agents and keys with the scope
/// `secrets:read` get the bytes as stored; other keys get `(redacted)` in place of each value of a Secret.
#[utoipa::path(
    get, path = "/deployment-objects/{id}", operation_id = "getDeploymentObject", tag = "deployment objects",
    params(("id" = inline(DeploymentObjectId), Path), KnownParameter),
    responses(
        Keyed, Found, Negotiated,
        (status = 200, description = "The deployment object", content((DeploymentObject = "application/json"), (serde_json::Value = "application/yaml"))),
        (status = 304, description = "The caller already has these bytes"),
    ),
)]
async fn get(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<DeploymentObjectId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or("*/*");
    let accepts = |wanted: &str| accept.split(',').filter_map(acceptable).any(|it| it == wanted);
    if !accepts(YAML) {
        if !["application/json", "application/*", "*/*"].into_iter().any(accepts) {
            return Err(Problem::not_acceptable());
        }
        return Ok(Json(DeploymentObject::from(state.broker.deployment_object_get(&actor, id).await?)).into_response());
    }
    let ShownContent { object, bytes, redacted } = state.broker.deployment_object_content(&actor, id).await?;
    // Other bytes than the stored ones, which the key may see later.
    let etag = if redacted { format!("\"{}-redacted\"", object.digest) } else { format!("\"{}\"", object.digest) };
    let known = known_tags(&headers).any(|it| it == "*" || it == etag);
    let etag = HeaderValue::try_from(etag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    let common = [(header::ETAG, etag), (header::VARY, HeaderValue::from_static("accept, authorization"))];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    Ok((common, [(header::CONTENT_TYPE, HeaderValue::from_static(YAML))], bytes).into_response())
}

/// The media type in one element of `Accept`, unless its weight is zero (RFC 9110, section 12.4.2).
fn acceptable(part: &str) -> Option<&str> {
    let mut pieces = part.split(';').map(str::trim);
    let kind = pieces.next()?;
    let weight = pieces.find_map(|piece| piece.strip_prefix("q=")).and_then(|weight| weight.parse::<f32>().ok());
    (weight != Some(0.0)).then_some(kind)
}

/// Returns to an earlier revision. Gated agents return to a revision that was stable in their environment; for others it is
/// published again as a new revision.
#[utoipa::path(
    post, path = "/stacks/{id}/rollback", operation_id = "rollback", tag = "deployment objects",
    params(("id" = inline(StackId), Path), IdempotencyParameter),
    request_body = Rollback,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 200, description = "The revision is stable, or the newest one has this content; no revision was created", body = DeploymentObject),
        (status = 201, description = "Published", body = DeploymentObject),
    ),
)]
async fn rollback(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    Sent(body::Json(body), ..): Sent<rights::Rollback, body::Json<Rollback>>,
) -> Result<Response, Problem> {
    let Rollback { revision, environment, reason } = body;
    let rollback = brokkr_control::Rollback { revision, environment, reason };
    Ok(published(state.broker.rollback(&actor, id, rollback).await?))
}
