//! Reads of entities of any kind.

use async_trait::async_trait;
use uuid::Uuid;

use crate::model::{Change, EntityKey, EntityKind, GeneratorId, LabelSelector, Name, Version};
use crate::store::{Listing, Page, Scope, StoreResult};

/// A filter for entities of one kind. All given fields must match; the default matches every entity.
#[derive(Debug, Clone, Default)]
pub struct EntityQuery {
    /// Entities whose labels match this selector. Kinds without labels are treated as having none.
    pub labels: LabelSelector,
    /// Entities of this generator. For agents: those that are registered with it.
    pub generator: Option<GeneratorId>,
    /// The entity with this name.
    pub name: Option<Name>,
    /// Agents in this environment, and join tokens whose agents will be in it. No entity of other kinds.
    pub environment: Option<Name>,
}

/// Reads entities by key and by kind. Tombstones are treated as absent.
///
/// Both methods are object-safe. [`StoreExt`](crate::store::StoreExt) has typed variants of them.
#[async_trait]
pub trait EntityReader {
    /// Reads one entity, as the [`Change`] that produced its current state.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::store::StoreError::NotFound) when the entity does not exist or is outside of the scope, and
    /// [`Malformed`](crate::store::StoreError::Malformed) for kinds with a pair of ids and for sessions, which have
    /// their own readers.
    async fn entity_get(&self, scope: &Scope, key: EntityKey) -> StoreResult<Change>;

    /// Reads the version of an entity, of a tombstone too; `None` if it never existed.
    ///
    /// An entity whose id follows from others, such as a pin, continues with the next version when it is created again.
    ///
    /// # Errors
    ///
    /// [`Malformed`](crate::store::StoreError::Malformed) for kinds that are not stored as documents.
    async fn entity_version(&self, key: EntityKey) -> StoreResult<Option<Version>>;

    /// Lists the entities of one kind that match the query, ordered by id.
    ///
    /// # Errors
    ///
    /// [`Malformed`](crate::store::StoreError::Malformed) for kinds whose lists have another order, and therefore their
    /// own readers: kinds with a pair of ids, sessions, deployment objects and events.
    async fn entity_list(
        &self,
        scope: &Scope,
        kind: EntityKind,
        query: &EntityQuery,
        page: &Page<Uuid>,
    ) -> StoreResult<Listing<Change, Uuid>>;
}
