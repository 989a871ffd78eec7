//! The feed of changes.

use axum::Json;
use axum::extract::State;
use brokkr_core::model::limits;
use brokkr_core::store::FeedPosition;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Change, ChangePage};
use crate::server::AppState;
use crate::server::caller::Caller;
use crate::server::extract::Params;
use crate::server::operation::answers::{Keyed, Positioned};
use crate::server::operation::parameters::FeedParameters;
use crate::server::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(changes))
}

/// Reads the feed: all changes after a position, in commit order, without gaps.
#[utoipa::path(
    get, path = "/changes", operation_id = "listChanges", tag = "records",
    params(FeedParameters),
    responses(
        Keyed, Positioned,
        (status = 200, description = "One page of the feed", body = ChangePage),
    ),
)]
async fn changes(
    State(state): State<AppState>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<Json<ChangePage>, Problem> {
    let after = params
        .take::<FeedPosition>("after", "a position from an earlier response, such as 0-7-1")?
        .unwrap_or(FeedPosition::START);
    let limit = params.limit(limits::PAGE_DEFAULT)?;
    params.done()?;
    let page = state.broker.change_list(&actor, after, limit).await?;
    Ok(Json(ChangePage { items: page.entries.into_iter().map(Change::from).collect(), next: page.next.to_string() }))
}
