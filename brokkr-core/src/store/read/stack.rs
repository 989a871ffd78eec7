//! Reading stacks.

use async_trait::async_trait;

use crate::model::{GeneratorId, Name, Stack, StackId};
use crate::store::{Scope, StoreResult};

/// Reads stacks. Tombstones do not exist for it, but where it says so.
#[async_trait]
pub trait StackReader {
    /// The stack of this name among the generator's.
    async fn stack_by_name(&self, scope: &Scope, generator: GeneratorId, name: &Name) -> StoreResult<Stack>;

    /// Those of the given ids that exist, **tombstones included**, in any order.
    async fn stack_find_with_tombstones(&self, scope: &Scope, ids: &[StackId]) -> StoreResult<Vec<Stack>>;
}
