//! Reading stacks.

use async_trait::async_trait;

use crate::model::{GeneratorId, LabelSelector, Name, Stack, StackId};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Which stacks a list shows.
#[derive(Debug, Clone, Default)]
pub struct StackFilter {
    /// Those that fit this selector.
    pub labels: LabelSelector,
    /// Those of this generator.
    pub generator: Option<GeneratorId>,
    /// The one with this name; one per generator.
    pub name: Option<Name>,
}

/// Reads stacks. Tombstones do not exist for it, but where it says so.
#[async_trait]
pub trait StackReader {
    /// One stack.
    async fn stack_get(&self, scope: &Scope, id: StackId) -> StoreResult<Stack>;

    /// The stack of this name among the generator's.
    async fn stack_by_name(&self, scope: &Scope, generator: GeneratorId, name: &Name) -> StoreResult<Stack>;

    /// All that fit the filter, by id.
    async fn stack_list(
        &self,
        scope: &Scope,
        filter: &StackFilter,
        page: &Page<StackId>,
    ) -> StoreResult<Listing<Stack, StackId>>;

    /// Those of the given ids that exist, **tombstones included**, in any order.
    async fn stack_find_with_tombstones(&self, scope: &Scope, ids: &[StackId]) -> StoreResult<Vec<Stack>>;
}
