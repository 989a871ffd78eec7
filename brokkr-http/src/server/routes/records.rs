//! Agent events and audit records.

use axum::Json;
use axum::extract::State;
use brokkr_control::Actor;
use brokkr_core::model::{AgentId, AuditId, EventId, StackId, Timestamp};
use brokkr_core::store::{AuditFilter, EventFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{AuditPage, Event, List};
use crate::server::AppState;
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, ID, Params, listed};
use crate::server::operation::answers::{Found, Keyed};
use crate::server::operation::parameters::{
    AgentParameter, AuditParameters, EnvironmentParameter, EventParameters, PageParameters, StackParameter,
};
use crate::server::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(events))
        .routes(routes!(stack_events))
        .routes(routes!(agent_events))
        .routes(routes!(audit))
}

fn time(params: &mut Params, name: &str) -> Result<Option<Timestamp>, Problem> {
    params.take_word(name, "a time in RFC 3339, such as 2026-01-01T00:00:00Z")
}

/// The value from the path; only if the path has none, the query parameter of the same name is accepted.
fn either<T>(fixed: Option<T>, param: impl FnOnce() -> Result<Option<T>, Problem>) -> Result<Option<T>, Problem> {
    if fixed.is_some() { Ok(fixed) } else { param() }
}

async fn list_events(
    state: AppState,
    actor: Actor,
    mut params: Params,
    fixed: EventFilter,
) -> Result<Json<List<Event>>, Problem> {
    let name = format!("events {:?} {:?}", fixed.agent, fixed.stack);
    let page = params.page::<(Timestamp, EventId)>(&state.cursors, &name, &actor)?;
    let filter = EventFilter {
        agent: either(fixed.agent, || params.take("agent", ID))?,
        environment: if fixed.agent.is_some() { None } else { params.take_checked("environment")? },
        stack: either(fixed.stack, || params.take("stack", ID))?,
        outcome: params.take_word("outcome", "success or failure")?,
        since: time(&mut params, "since")?,
        until: time(&mut params, "until")?,
    };
    params.done()?;
    let found = state.broker.event_list(&actor, &filter, &page).await?;
    Ok(listed(&state.cursors, &name, &actor, found))
}

/// Lists events, newest first.
#[utoipa::path(
    get, path = "/events", operation_id = "listEvents", tag = "records",
    params(PageParameters, AgentParameter, StackParameter, EnvironmentParameter, EventParameters),
    responses(
        Keyed,
        Found,
        (status = 200, description = "A page", body = List<Event>),
    ),
)]
async fn events(
    State(state): State<AppState>,
    Caller(actor): Caller,
    params: Params,
) -> Result<Json<List<Event>>, Problem> {
    list_events(state, actor, params, EventFilter::default()).await
}

/// Lists the events of a stack, newest first.
#[utoipa::path(
    get, path = "/stacks/{id}/events", operation_id = "listStackEvents", tag = "records",
    params(("id" = inline(StackId), Path), PageParameters, AgentParameter, EnvironmentParameter, EventParameters),
    responses(
        Keyed, Found,
        (status = 200, description = "A page", body = List<Event>),
    ),
)]
async fn stack_events(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<StackId>,
    params: Params,
) -> Result<Json<List<Event>>, Problem> {
    list_events(state, actor, params, EventFilter { stack: Some(id), ..EventFilter::default() }).await
}

/// Lists the events of an agent, newest first.
#[utoipa::path(
    get, path = "/agents/{id}/events", operation_id = "listAgentEvents", tag = "records",
    params(("id" = inline(AgentId), Path), PageParameters, StackParameter, EventParameters),
    responses(
        Keyed, Found,
        (status = 200, description = "A page", body = List<Event>),
    ),
)]
async fn agent_events(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<AgentId>,
    params: Params,
) -> Result<Json<List<Event>>, Problem> {
    list_events(state, actor, params, EventFilter { agent: Some(id), ..EventFilter::default() }).await
}

/// Lists audit records, newest first.
#[utoipa::path(
    get, path = "/audit", operation_id = "listAudit", tag = "records",
    params(PageParameters, AuditParameters),
    responses(
        Keyed,
        (status = 200, description = "A page", body = AuditPage),
    ),
)]
async fn audit(
    State(state): State<AppState>,
    Caller(actor): Caller,
    mut params: Params,
) -> Result<Json<AuditPage>, Problem> {
    let page = params.page::<(Timestamp, AuditId)>(&state.cursors, "audit", &actor)?;
    let filter = AuditFilter {
        actor: params.take("actor", "a string")?,
        action: params.take("action", "a string")?,
        object: params.take("object", "a string")?,
        outcome: params.take_word("outcome", "success, denied or failed")?,
        since: time(&mut params, "since")?,
        until: time(&mut params, "until")?,
        request_id: params.take("request_id", ID)?,
    };
    params.done()?;
    let found = state.broker.audit_list(&actor, &filter, &page).await?;
    let next = found.next.and_then(|key| state.cursors.issue("audit", &actor, &key));
    let items = found.items.into_iter().map(Into::into).collect();
    Ok(Json(AuditPage { items, next, unreadable: found.unreadable }))
}
