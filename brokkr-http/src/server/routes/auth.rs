//! The identity behind a key.

use axum::Json;
use axum::extract::State;
use brokkr_core::model::{ActorRef, KeyKind};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::WhoAmI;
use crate::server::AppState;
use crate::server::caller::Caller;
use crate::server::operation::answers::Keyed;
use crate::server::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(who_am_i))
}

/// Returns the identity behind the presented key.
#[utoipa::path(
    post, path = "/auth/pak", operation_id = "whoAmI", tag = "auth",
    responses(
        Keyed,
        (status = 200, description = "The key is valid", body = WhoAmI),
    ),
)]
async fn who_am_i(State(state): State<AppState>, Caller(actor): Caller) -> Result<Json<WhoAmI>, Problem> {
    let key = state.broker.key_of(&actor).await?;
    let key_id = key.as_ref().map(|key| key.id.to_string());
    // Every valid key may ask whose it is, whatever its scopes.
    let named = state.broker.principal_name(&actor).await?;
    let name = named.or_else(|| key.as_ref().map(|key| key.name.clone()));
    let name = name.map(|name| name.to_string()).unwrap_or_default();
    let principal_id = match actor.reference() {
        ActorRef::Agent { id, .. } => id.to_string(),
        ActorRef::Generator { id, .. } => id.to_string(),
        _ => key_id.clone().unwrap_or_default(),
    };
    let kind: KeyKind = actor.kind();
    let (subject, scopes) =
        (actor.subject().map(str::to_owned), actor.scopes().iter().map(ToString::to_string).collect());
    let expires_at = key.and_then(|key| key.expires_at);
    Ok(Json(WhoAmI { kind, principal_id, name, key_id, subject, scopes, expires_at }))
}
