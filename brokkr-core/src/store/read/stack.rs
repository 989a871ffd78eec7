//! Reads of stacks.

use async_trait::async_trait;

use crate::model::{GeneratorId, Name, Stack, StackId};
use crate::store::{Scope, StoreResult};

/// Reads what only stacks have. Tombstones are treated as absent unless a method says otherwise.
#[async_trait]
pub trait StackReader {
    /// Reads the generator's stack with this name.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::store::StoreError::NotFound) when it does not exist or is outside of the scope.
    async fn stack_by_name(&self, scope: &Scope, generator: GeneratorId, name: &Name) -> StoreResult<Stack>;

    /// Reads the stacks with these ids, **including tombstones**, in any order. Unknown ids are left out.
    async fn stack_find_with_tombstones(&self, scope: &Scope, ids: &[StackId]) -> StoreResult<Vec<Stack>>;
}
