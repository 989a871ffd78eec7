//! The route that serves the OpenAPI document.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::server::AppState;
use crate::server::operation::answers::Open;
use crate::server::origin::RequestOrigin;
use crate::server::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// Returns this OpenAPI document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "auth", security(()), responses(Open, (status = 200, description = "The OpenAPI 3.1 document", body = serde_json::Value)))]
async fn openapi(origin: RequestOrigin) -> Result<impl IntoResponse, Problem> {
    origin.is_nobody()?;
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| super::document().to_json().unwrap_or_default());
    Ok(([(header::CONTENT_TYPE, "application/json")], text.as_str()))
}
