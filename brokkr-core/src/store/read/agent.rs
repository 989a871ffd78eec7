//! Reading agents.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::model::{AgentId, AgentSession, Timestamp};
use crate::store::{Scope, StoreResult};

/// Reads agents. Tombstones do not exist for it.
#[async_trait]
pub trait AgentReader {
    /// What the agent said of itself; `None` before its first report.
    async fn agent_session(&self, scope: &Scope, id: AgentId) -> StoreResult<Option<AgentSession>>;

    /// What each of these agents can do beyond the base protocol, as far as it said so and they are in scope.
    async fn agent_capabilities(&self, scope: &Scope, ids: &[AgentId])
    -> StoreResult<Vec<(AgentId, BTreeSet<String>)>>;

    /// When each of these agents was seen last, as far as that was recorded and they are in scope.
    async fn agent_last_seen(&self, scope: &Scope, ids: &[AgentId]) -> StoreResult<Vec<(AgentId, Timestamp)>>;
}
