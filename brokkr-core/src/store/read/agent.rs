//! Reads of agents.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::model::{AgentId, AgentSession, Timestamp};
use crate::store::{Scope, StoreResult};

/// Reads what only agents have. Tombstones are treated as absent.
#[async_trait]
pub trait AgentReader {
    /// Reads an agent's session; `None` before its first report, and outside of the scope.
    async fn agent_session(&self, scope: &Scope, id: AgentId) -> StoreResult<Option<AgentSession>>;

    /// Reads the capabilities of these agents. Agents without a session or outside of the scope are left out.
    async fn agent_capabilities(&self, scope: &Scope, ids: &[AgentId])
    -> StoreResult<Vec<(AgentId, BTreeSet<String>)>>;

    /// Reads the time of each agent's latest poll. Agents that never polled or are outside of the scope are left out.
    async fn agent_last_seen(&self, scope: &Scope, ids: &[AgentId]) -> StoreResult<Vec<(AgentId, Timestamp)>>;
}
