//! Reads of agent events.

use async_trait::async_trait;

use crate::model::{AgentEvent, AgentId, EventId, EventOutcome, Name, StackId, Timestamp};
use crate::store::{Listing, Page, Scope, StoreResult};

/// A filter for agent events. All given fields must match; the default matches every event.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Events of this agent.
    pub agent: Option<AgentId>,
    /// Events of agents that are in this environment now.
    pub environment: Option<Name>,
    /// Events about this stack.
    pub stack: Option<StackId>,
    /// Events with this outcome.
    pub outcome: Option<EventOutcome>,
    /// Events recorded at or after this time.
    pub since: Option<Timestamp>,
    /// Events recorded before this time.
    pub until: Option<Timestamp>,
}

/// Reads agent events.
#[async_trait]
pub trait EventReader {
    /// Lists the events that match the filter, latest recorded first, then by id.
    async fn event_list(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: &Page<(Timestamp, EventId)>,
    ) -> StoreResult<Listing<AgentEvent, (Timestamp, EventId)>>;

    /// Returns those of the given event ids that are recorded for the agent.
    async fn event_known(&self, scope: &Scope, agent: AgentId, ids: &[EventId]) -> StoreResult<Vec<EventId>>;
}
