//! Join tokens, and the exchange of one for an agent's key.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use brokkr_control::{BrokerError, NewJoinToken, NewMember, rights};
use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::JoinTokenId;
use brokkr_core::pak::KeyHash;
use brokkr_core::store::EntityQuery;
use secrecy::{ExposeSecret as _, SecretString};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{created, entity};
use crate::api::{CreateJoinToken, CreatedAgent, CreatedJoinToken, JoinAgent, JoinToken, List};
use crate::server::AppState;
use crate::server::body::{self, Sent};
use crate::server::caller::{Caller, Newcomer};
use crate::server::extract::{ApiPath, Params, listed};
use crate::server::operation::answers::{Bodied, Changing, Found, Keyed};
use crate::server::operation::parameters::{EnvironmentParameter, IdempotencyParameter, PageParameters};
use crate::server::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, delete)).routes(routes!(join))
}

/// Lists join tokens.
#[utoipa::path(
    get, path = "/join-tokens", operation_id = "listJoinTokens", tag = "join tokens",
    params(PageParameters, EnvironmentParameter),
    responses(
        Keyed,
        (status = 200, description = "A page", body = List<JoinToken>),
    ),
)]
async fn list(
    State(state): State<AppState>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<Json<List<JoinToken>>, Problem> {
    let page = params.page::<JoinTokenId>(&state.cursors, "join-tokens", &actor)?;
    let filter = EntityQuery { environment: params.take_checked("environment")?, ..EntityQuery::default() };
    params.done()?;
    let found = state.broker.join_token_list(&actor, &filter, &page).await?;
    Ok(listed(&state.cursors, "join-tokens", &actor, found))
}

/// Creates a join token.
#[utoipa::path(
    post, path = "/join-tokens", operation_id = "createJoinToken", tag = "join tokens",
    params(IdempotencyParameter),
    request_body = CreateJoinToken,
    responses(
        Keyed, Changing, Bodied,
        (status = 201, description = "Created", body = CreatedJoinToken),
    ),
)]
async fn create(
    State(state): State<AppState>,
    Caller(actor): Caller,
    Sent(body::Json(body), ..): Sent<rights::CreateJoinToken, body::Json<CreateJoinToken>>,
) -> Result<Response, Problem> {
    let CreateJoinToken { name, description, max_uses, expires_at, environment, labels, annotations, registrations } =
        body;
    let registrations = registrations.map(|all| all.into_iter().map(|it| (it.generator_id, it.grant_id)).collect());
    let new = NewJoinToken { name, description, max_uses, expires_at, environment, labels, annotations, registrations };
    let made = state.broker.join_token_create(&actor, new).await?;
    let (path, version) = (format!("/join-tokens/{}", made.join_token.id), made.join_token.version);
    let body = CreatedJoinToken { join_token: made.join_token.into(), token: exposed(made.token) };
    Ok(never_stored(created(path, Some(version), body)))
}

/// Reads a join token.
#[utoipa::path(
    get, path = "/join-tokens/{id}", operation_id = "getJoinToken", tag = "join tokens",
    params(("id" = inline(JoinTokenId), Path)),
    responses(
        Keyed, Found,
        (status = 200, description = "The join token", body = JoinToken),
    ),
)]
async fn get(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<JoinTokenId>,
) -> Result<Response, Problem> {
    let token = state.broker.join_token_get(&actor, id).await?;
    Ok(entity(token.version, JoinToken::from(token)))
}

/// Deletes a join token. Agents that have joined with it keep their keys.
#[utoipa::path(
    delete, path = "/join-tokens/{id}", operation_id = "deleteJoinToken", tag = "join tokens",
    params(("id" = inline(JoinTokenId), Path)),
    responses(
        Keyed, Found, Changing,
        (status = 204, description = "Deleted"),
    ),
)]
async fn delete(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<JoinTokenId>,
) -> Result<StatusCode, Problem> {
    state.broker.join_token_delete(&actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Exchanges a join token, in the header `Authorization: Bearer`, for an agent and its key. A repetition with the same `key_hash` returns
/// the same agent and uses nothing.
#[utoipa::path(
    post, path = "/join", operation_id = "join", tag = "join tokens", security(("join_token" = [])),
    params(IdempotencyParameter),
    request_body = JoinAgent,
    responses(
        Keyed, Changing, Bodied,
        (status = 200, description = "The agent of an earlier join with the same key", body = CreatedAgent),
        (status = 201, description = "Created", body = CreatedAgent),
    ),
)]
async fn join(
    State(state): State<AppState>,
    Newcomer(actor): Newcomer,
    Sent(body::Json(body), ..): Sent<rights::Join, body::Json<JoinAgent>>,
) -> Result<Response, Problem> {
    let key = body.key_hash.map(|text| text.parse::<KeyHash>()).transpose().map_err(|_| {
        let message = "expected <short id>:sha256:<64 hexadecimal digits> of a key";
        Invalid::new(InvalidCode::FieldInvalid, message).within("key_hash")
    })?;
    let cluster_uid = body.cluster_uid.unwrap_or_default();
    let new = NewMember { name: body.name, cluster_name: body.cluster_name, cluster_uid, key };
    let joined = state.broker.agent_join(&actor, new).await.map_err(problem)?;
    let (path, version) = (format!("/agents/{}", joined.agent.id), joined.agent.version);
    let body = CreatedAgent { agent: joined.agent.into(), pak: exposed(joined.key.pak) };
    Ok(never_stored(if joined.created { created(path, Some(version), body) } else { entity(version, body) }))
}

fn problem(error: BrokerError) -> Problem {
    let is_taken = matches!(error, BrokerError::AlreadyExists(_));
    let problem = Problem::from(error);
    if !is_taken {
        return problem;
    }
    problem.detail(
        "another agent has this name; choose another name. If it is an earlier installation of this agent, delete that agent, \
         or rotate its key and give the new one to this agent",
    )
}

fn exposed(secret: Option<SecretString>) -> Option<String> {
    secret.map(|secret| secret.expose_secret().to_owned())
}

/// Keeps the secret in the response out of every cache.
fn never_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
