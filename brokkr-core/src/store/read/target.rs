//! Reads of direct targets.

use async_trait::async_trait;

use crate::model::{AgentId, Name, StackId, Target};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Reads direct targets.
#[async_trait]
pub trait TargetReader {
    /// Reads the target of a pair, **even if it is a tombstone**: setting it again needs its version.
    async fn target_find(&self, scope: &Scope, stack: StackId, agent: AgentId) -> StoreResult<Option<Target>>;

    /// Lists the living targets of a stack, of one environment or of all agents, ordered by agent.
    async fn target_list(
        &self,
        scope: &Scope,
        stack: StackId,
        environment: Option<&Name>,
        page: &Page<AgentId>,
    ) -> StoreResult<Listing<Target, AgentId>>;
}
