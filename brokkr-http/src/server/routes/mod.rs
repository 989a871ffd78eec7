//! The handlers, one file per entity: parse the request, call one operation of the broker, write the response.

mod agent_protocol;
mod agents;
mod auth;
mod changes;
mod controllers;
mod deployment_objects;
mod environments;
mod generators;
mod grants;
mod health;
mod join_tokens;
mod keys;
mod records;
mod releases;
mod stacks;
mod targets;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brokkr_core::model::Version;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use super::AppState;
use crate::api::API_V1;

/// Every route of the API, except the one that serves the document derived from them.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().merge(health::routes()).nest(API_V1, v1()).merge(agent_protocol::routes())
}

fn v1() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(auth::routes())
        .merge(generators::routes())
        .merge(environments::routes())
        .merge(grants::routes())
        .merge(agents::routes())
        .merge(join_tokens::routes())
        .merge(controllers::routes())
        .merge(keys::routes())
        .merge(stacks::routes())
        .merge(deployment_objects::routes())
        .merge(targets::routes())
        .merge(releases::routes())
        .merge(records::routes())
        .merge(changes::routes())
}

fn etag(version: Version) -> HeaderValue {
    // Digits and quotes are always a valid header value.
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// A response with an entity and its ETag.
fn entity<T: Serialize>(version: Version, body: T) -> Response {
    ([(header::ETAG, etag(version))], Json(body)).into_response()
}

/// A 201 response with the entity's location, and with an ETag if the entity can change.
fn created<T: Serialize>(path: String, version: Option<Version>, body: T) -> Response {
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("{API_V1}{path}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if let Some(version) = version {
        response.headers_mut().insert(header::ETAG, etag(version));
    }
    response
}
