//! The agent protocol: target states and reports.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use brokkr_control::rights;
use brokkr_core::model::Generation;
use brokkr_core::model::{AgentId, Digest, Epoch, limits};
use brokkr_core::protocol::{PollAnswer, PollRequest, Report, ReportAnswer, TargetState};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{EPOCH_HEADER, GENERATION_HEADER};
use crate::server::AppState;
use crate::server::body::{Sent, Unread};
use crate::server::caller::Caller;
use crate::server::extract::{ApiPath, ID, Params};
use crate::server::operation::answers::{Bodied, Changing, Found, Keyed};
use crate::server::operation::parameters::PollParameters;
use crate::server::origin::RequestOrigin;
use crate::server::preconditions::Known;
use crate::server::problem::Problem;
use crate::server::respond::id_value;
use crate::server::typed::typed;

/// The routes contain their full paths: axum rewrites the URI of every request to a nested router, which would slow down
/// polls.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(target_state)).routes(routes!(report))
}

/// Reads the target state of an agent: all stacks that it should hold.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}/target-state", operation_id = "getTargetState", tag = "agent protocol",
    params(("id" = inline(AgentId), Path), PollParameters),
    responses(
        Keyed, Found, Changing,
        (status = 200, description = "The target state", body = TargetState),
        (status = 304, description = "The target state is unchanged"),
    ),
)]
async fn target_state(
    State(state): State<AppState>,
    Caller(actor): Caller,
    origin: RequestOrigin,
    ApiPath(id): ApiPath<AgentId>,
    mut params: Params,
    Known(known): Known,
) -> Result<Response, Problem> {
    let wait = params.take_number("wait", 0..=limits::POLL_WAIT_SECONDS)?.unwrap_or(0);
    let min_generation = params.take_number("min_generation", 0..=i64::MAX as u64)?.map(Generation::new);
    let epoch = params.take::<Epoch>("epoch", ID)?;
    // Generations of different epochs are not comparable.
    let min_generation = min_generation.filter(|_| epoch.is_some());
    let knows_hold = params.take::<bool>("hold", "true or false")?.unwrap_or(false);
    params.done()?;
    let request = PollRequest { known, epoch, min_generation, wait: Duration::from_secs(wait), knows_hold };
    Ok(match state.broker.target_state_with(&actor, id, request, || origin.leave()).await? {
        PollAnswer::Unchanged { generation, epoch } => {
            // Only a presented digest can be unchanged, so the fallback is never used.
            let etag = known.map(etag).unwrap_or_else(|| HeaderValue::from_static("\"\""));
            (StatusCode::NOT_MODIFIED, marks(etag, generation, epoch)).into_response()
        }
        PollAnswer::Changed(state) => {
            (marks(etag(state.digest), state.generation, state.epoch), Json(&*state)).into_response()
        }
    })
}

fn etag(digest: Digest) -> HeaderValue {
    // Hexadecimal digits and quotes are always a valid header value.
    HeaderValue::try_from(format!("\"{digest}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

fn marks(etag: HeaderValue, generation: Generation, epoch: Epoch) -> [(HeaderName, HeaderValue); 3] {
    [
        (header::ETAG, etag),
        (HeaderName::from_static(GENERATION_HEADER), HeaderValue::from(generation.get())),
        (HeaderName::from_static(EPOCH_HEADER), id_value(epoch.as_uuid())),
    ]
}

/// Records an agent's report. Idempotent.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/reports", operation_id = "report", tag = "agent protocol",
    params(("id" = inline(AgentId), Path)),
    request_body = Report,
    responses(
        Keyed, Found, Changing, Bodied,
        (status = 200, description = "Acknowledged", body = ReportAnswer),
    ),
)]
async fn report(
    State(state): State<AppState>,
    Caller(actor): Caller,
    ApiPath(id): ApiPath<AgentId>,
    Sent(body, ..): Sent<rights::Report, Unread>,
) -> Result<Json<ReportAnswer>, Problem> {
    let report: Report = typed(body.json(limits::REPORT_BYTES).await?)?;
    Ok(Json(state.broker.report(&actor, id, &report).await?))
}
