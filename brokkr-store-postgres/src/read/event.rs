//! Reads of agent events.

use async_trait::async_trait;
use brokkr_core::model::{AgentEvent, AgentId, EventId, EventOutcome, Timestamp};
use brokkr_core::store::{EventFilter, EventReader, Listing, Page, Scope, StoreResult};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::meaning;
use crate::query::{one_more, scoped, sees_event, statements, unwrapped};

/// The condition of a list, its order and its limit.
macro_rules! listed {
    () => {
        concat!(
            "($4::uuid IS NULL OR t.agent_id = $4) AND ($5::uuid IS NULL OR t.stack_id = $5)
            AND ($6::text IS NULL OR t.outcome = $6)
            AND t.recorded_at >= coalesce($7::text::timestamptz, '-infinity')
            AND t.recorded_at < coalesce($8::text::timestamptz, 'infinity')
            AND (t.recorded_at, t.id) < (coalesce($9::text::timestamptz, 'infinity'), $10::uuid)
            AND ",
            sees_event!(),
            " ORDER BY t.recorded_at DESC, t.id DESC LIMIT $11"
        )
    };
}

statements! {
    LIST = concat!("SELECT to_jsonb(t) FROM brokkr.agent_event t WHERE ", listed!());
    /// The newest events of each agent of the environment, and the newest of these.
    LIST_OF_ENVIRONMENT = concat!("SELECT newest.event FROM brokkr.agent a CROSS JOIN LATERAL (
            SELECT to_jsonb(t) AS event, t.recorded_at, t.id FROM brokkr.agent_event t WHERE t.agent_id = a.id AND ", listed!(), ") newest
        WHERE a.environment = $12::text AND a.deleted_at IS NULL ORDER BY newest.recorded_at DESC, newest.id DESC LIMIT $11");
    KNOWN = "SELECT to_jsonb(t.id) FROM brokkr.agent_event t
        WHERE ($1::int4 <> 2 OR $2::uuid = $4) AND ($1 <> 3 OR $4 = ANY ($3::uuid[])) AND t.agent_id = $4 AND t.id = ANY ($5::uuid[])";
}

#[async_trait]
impl EventReader for PostgresStore {
    async fn event_list(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: &Page<(Timestamp, EventId)>,
    ) -> StoreResult<Listing<AgentEvent, (Timestamp, EventId)>> {
        let outcome = filter.outcome.map(|outcome| match outcome {
            EventOutcome::Success => "success",
            EventOutcome::Failure => "failure",
        });
        let statement = if filter.environment.is_some() { LIST_OF_ENVIRONMENT } else { LIST };
        let query = scoped(statement, scope)
            .bind(filter.agent.map(|id| id.as_uuid()))
            .bind(filter.stack.map(|id| id.as_uuid()))
            .bind(outcome)
            .bind(filter.since.map(|at| at.to_string()))
            .bind(filter.until.map(|at| at.to_string()))
            .bind(page.after.map(|(at, _)| at.to_string()))
            .bind(page.after.map_or(Uuid::max(), |(_, id)| id.as_uuid()))
            .bind(one_more(page.limit));
        let query = match &filter.environment {
            Some(name) => query.bind(name.as_str().to_owned()),
            None => query,
        };
        let rows = unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?);
        Ok(Listing::collect(rows.into_iter(), page.limit, |it: &AgentEvent| (it.recorded_at, it.id)))
    }

    async fn event_known(&self, scope: &Scope, agent: AgentId, ids: &[EventId]) -> StoreResult<Vec<EventId>> {
        let ids: Vec<Uuid> = ids.iter().map(EventId::as_uuid).collect();
        let query = scoped(KNOWN, scope).bind(agent.as_uuid()).bind(ids);
        Ok(unwrapped(query.fetch_all(&self.database).await.map_err(meaning)?))
    }
}
