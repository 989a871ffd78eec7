//! Reading direct targets.

use async_trait::async_trait;

use crate::model::{AgentId, StackId, Target};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Reads direct targets.
#[async_trait]
pub trait TargetReader {
    /// The target of a pair, **a tombstone included**: whoever sets it again needs its version.
    async fn target_find(&self, scope: &Scope, stack: StackId, agent: AgentId) -> StoreResult<Option<Target>>;

    /// The living targets of a stack, by agent.
    async fn target_list(
        &self,
        scope: &Scope,
        stack: StackId,
        page: &Page<AgentId>,
    ) -> StoreResult<Listing<Target, AgentId>>;
}
