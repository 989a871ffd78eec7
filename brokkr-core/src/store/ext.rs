//! Typed reads of entities.

use async_trait::async_trait;

use crate::model::Entity;
use crate::store::{EntityQuery, EntityReader, Listing, Page, Scope, StoreError, StoreResult};

/// Typed variants of [`EntityReader`]'s methods, implemented for every store.
///
/// ```
/// use brokkr_core::model::{GeneratorId, GeneratorPrincipal, Stack};
/// use brokkr_core::store::{EntityQuery, MemoryStore, Page, Scope, StoreError, StoreExt as _};
///
/// # async fn example() -> Result<(), StoreError> {
/// let store = MemoryStore::new();
/// let stacks = store.list::<Stack>(&Scope::All, &EntityQuery::default(), &Page::default()).await?;
/// assert!(stacks.items.is_empty());
/// let unknown = store.get::<GeneratorPrincipal>(&Scope::All, GeneratorId::generate()).await;
/// assert!(matches!(unknown, Err(StoreError::NotFound)));
/// # Ok(()) }
/// ```
#[async_trait]
pub trait StoreExt: EntityReader {
    /// Reads one entity by its id.
    ///
    /// # Errors
    ///
    /// [`NotFound`](StoreError::NotFound) when the entity does not exist, is a tombstone, or is outside of the scope.
    /// The errors of [`EntityReader::entity_get`] apply too.
    async fn get<E: Entity>(&self, scope: &Scope, id: E::Id) -> StoreResult<E> {
        let change = self.entity_get(scope, E::key_of(id)).await?;
        E::from_change(change)
            .ok_or_else(|| StoreError::Internal("the store returned an entity of another kind".into()))
    }

    /// Lists the entities of one kind that match the query, ordered by id. The errors of [`EntityReader::entity_list`]
    /// apply.
    async fn list<E: Entity>(
        &self,
        scope: &Scope,
        query: &EntityQuery,
        page: &Page<E::Id>,
    ) -> StoreResult<Listing<E, E::Id>> {
        let page = Page { limit: page.limit, after: page.after.map(|id| E::key_of(id).ids().0) };
        let listing = self.entity_list(scope, E::KIND, query, &page).await?;
        let has_more = listing.next.is_some();
        let items: Vec<E> = listing.items.into_iter().filter_map(E::from_change).collect();
        let next = if has_more { items.last().map(E::id) } else { None };
        Ok(Listing { items, next })
    }
}

impl<S: EntityReader + Sync + ?Sized> StoreExt for S {}
