//! Reading entities of any kind.

use async_trait::async_trait;
use uuid::Uuid;

use crate::model::{Change, EntityKey, EntityKind, GeneratorId, LabelSelector, Name};
use crate::store::{Listing, Page, Scope, StoreResult};

/// Which entities of a kind a list shows. The default shows all.
#[derive(Debug, Clone, Default)]
pub struct EntityQuery {
    /// Those that fit this selector. Entities of kinds without labels have none.
    pub labels: LabelSelector,
    /// Those of this generator; agents are those that are registered with it.
    pub generator: Option<GeneratorId>,
    /// Those with this name.
    pub name: Option<Name>,
}

/// Reads entities by key and by kind. Tombstones do not exist for it.
///
/// Both methods are object-safe; [`StoreExt`](crate::store::StoreExt) has them by type.
#[async_trait]
pub trait EntityReader {
    /// One entity, as the change that led to it.
    ///
    /// # Errors
    ///
    /// [`Malformed`](crate::store::StoreError::Malformed) for pairs and sessions: their own readers have them.
    async fn entity_get(&self, scope: &Scope, key: EntityKey) -> StoreResult<Change>;

    /// The entities of a kind that fit the query, by id.
    ///
    /// # Errors
    ///
    /// [`Malformed`](crate::store::StoreError::Malformed) for a kind whose lists have an order of their own: pairs, sessions,
    /// deployment objects and events.
    async fn entity_list(
        &self,
        scope: &Scope,
        kind: EntityKind,
        query: &EntityQuery,
        page: &Page<Uuid>,
    ) -> StoreResult<Listing<Change, Uuid>>;
}
