//! The feed.

use axum::Json;
use axum::extract::State;
use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::limits;
use brokkr_core::store::FeedPosition;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problems::Reading;
use crate::api::{Change, ChangePage};
use crate::server::AppState;
use crate::server::error::ApiError;
use crate::server::extract::{Auth, Params};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(changes))
}

/// Reads the changes after a position: every one, once, in order.
#[utoipa::path(get, path = "/changes", operation_id = "listChanges", tag = "records",
    params(("after" = Option<String>, Query, description = "A position; without it from the beginning"), ("limit" = Option<u32>, Query, minimum = 1, maximum = 500)),
    responses(Reading, (status = 200, description = "A part of the feed", body = ChangePage),
        (status = 410, description = "What follows the position is no longer kept", body = crate::api::Problem, content_type = "application/problem+json")))]
async fn changes(
    State(state): State<AppState>,
    Auth(actor): Auth,
    mut params: Params,
) -> Result<Json<ChangePage>, ApiError> {
    let after = params.take::<FeedPosition>("after")?.unwrap_or(FeedPosition::START);
    let limit = params.take::<usize>("limit")?.unwrap_or(limits::PAGE_DEFAULT);
    if !(1..=limits::PAGE_MAX).contains(&limit) {
        let message = format!("limit must be between 1 and {}", limits::PAGE_MAX);
        return Err(Invalid::new(InvalidCode::QueryInvalid, message).into());
    }
    params.done()?;
    let page = state.broker.change_list(&actor, after, limit).await?;
    Ok(Json(ChangePage { items: page.entries.into_iter().map(Change::from).collect(), next: page.next.to_string() }))
}
