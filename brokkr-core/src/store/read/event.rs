//! Reading agent events.

use async_trait::async_trait;

use crate::model::{AgentEvent, AgentId, EventId, EventOutcome, StackId, Timestamp};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Which events a list shows.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Of this agent.
    pub agent: Option<AgentId>,
    /// On this stack.
    pub stack: Option<StackId>,
    /// With this outcome.
    pub outcome: Option<EventOutcome>,
    /// Recorded at this time or later.
    pub since: Option<Timestamp>,
    /// Recorded before this time.
    pub until: Option<Timestamp>,
}

/// Reads agent events.
#[async_trait]
pub trait EventReader {
    /// All that fit the filter, newest first by the time of recording, then by id.
    async fn event_list(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: &Page<(Timestamp, EventId)>,
    ) -> StoreResult<Listing<AgentEvent, (Timestamp, EventId)>>;

    /// Which of these events of the agent are recorded already.
    async fn event_known(&self, scope: &Scope, agent: AgentId, ids: &[EventId]) -> StoreResult<Vec<EventId>>;
}
