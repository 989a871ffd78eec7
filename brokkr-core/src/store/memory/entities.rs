//! Reads of entities of any kind from the in-memory store.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;
use uuid::Uuid;

use crate::model::{Change, Entity, EntityKey, EntityKind, GeneratorId, Name, Record as _, Storage, Version};
use crate::store::memory::MemoryStore;
use crate::store::memory::sees::sees;
use crate::store::memory::state::State;
use crate::store::{EntityQuery, EntityReader, Listing, Page, Scope, StoreError, StoreResult};

impl State {
    /// Reads an entity by its key.
    fn entity(&self, key: &EntityKey) -> StoreResult<Option<Change>> {
        let found = match key {
            EntityKey::Generator(id) => self.generators.get(id).cloned().map(Change::Generator),
            EntityKey::Agent(id) => self.agents.get(id).cloned().map(Change::Agent),
            EntityKey::Key(id) => self.keys.get(id).cloned().map(Change::Key),
            EntityKey::Stack(id) => self.stacks.get(id).cloned().map(Change::Stack),
            EntityKey::DeploymentObject(id) => self.objects.get(id).cloned().map(Change::DeploymentObject),
            other if other.kind().storage() == Storage::Document => self.documents.get(other).cloned(),
            _ => return Err(StoreError::Malformed("entities of this kind have their own reader")),
        };
        Ok(found)
    }

    /// The entities of a kind after an id, by id.
    fn entities_of(&self, kind: EntityKind, after: Uuid) -> StoreResult<Box<dyn Iterator<Item = Change> + '_>> {
        fn rest<K: From<Uuid> + Ord, E: Entity>(table: &BTreeMap<K, E>, after: Uuid) -> impl Iterator<Item = Change> {
            table.range((Bound::Excluded(K::from(after)), Bound::Unbounded)).map(|(_, entity)| entity.clone().into())
        }
        Ok(match kind {
            EntityKind::Generator => Box::new(rest(&self.generators, after)),
            EntityKind::Agent => Box::new(rest(&self.agents, after)),
            EntityKind::Key => Box::new(rest(&self.keys, after)),
            EntityKind::Stack => Box::new(rest(&self.stacks, after)),
            kind if kind.storage() == Storage::Document => {
                let is_listed = move |key: &EntityKey| key.kind() == kind && key.ids().0 > after;
                Box::new(self.documents.iter().filter(move |(key, _)| is_listed(key)).map(|(_, it)| it.clone()))
            }
            _ => return Err(StoreError::Malformed("lists of this kind have their own reader")),
        })
    }
}

/// Whether an entity belongs to a generator. For agents: whether they are registered with it.
fn is_of(entity: &Change, generator: GeneratorId) -> bool {
    match entity {
        Change::Agent(it) => it.registrations.contains_key(&generator),
        Change::Key(it) => it.owner == generator.into(),
        other => other.generator() == Some(generator),
    }
}

/// The environment of an agent, or of the agents of a join token.
fn environment_of(entity: &Change) -> Option<&Name> {
    match entity {
        Change::Agent(it) => it.environment.as_ref(),
        Change::JoinToken(it) => it.environment.as_ref(),
        _ => None,
    }
}

fn fits(entity: &Change, query: &EntityQuery) -> bool {
    let none = BTreeMap::new();
    let labels = entity.labels().map_or(&none, |labels| labels.as_map());
    query.labels.matches(labels)
        && query.generator.is_none_or(|generator| is_of(entity, generator))
        && query.name.as_ref().is_none_or(|name| entity.name() == Some(name))
        && query.environment.as_ref().is_none_or(|name| environment_of(entity) == Some(name))
}

#[async_trait]
impl EntityReader for MemoryStore {
    async fn entity_get(&self, scope: &Scope, key: EntityKey) -> StoreResult<Change> {
        let state = self.read();
        let found = state.entity(&key)?.filter(|it| !it.is_tombstone()).ok_or(StoreError::NotFound)?;
        let is_visible = match &found {
            // Deployment objects of a deleted stack are visible to `Scope::All` only.
            Change::DeploymentObject(it) if *scope != Scope::All => state
                .stacks
                .get(&it.stack_id)
                .is_some_and(|stack| stack.deleted_at().is_none() && scope.sees_stack(stack.id, stack.generator_id)),
            other => sees(scope, other),
        };
        if is_visible { Ok(found) } else { Err(StoreError::NotFound) }
    }

    async fn entity_version(&self, key: EntityKey) -> StoreResult<Option<Version>> {
        if key.kind().storage() != Storage::Document {
            return Err(StoreError::Malformed("versions of this kind are not read alone"));
        }
        Ok(self.read().version(&key))
    }

    async fn entity_list(
        &self,
        scope: &Scope,
        kind: EntityKind,
        query: &EntityQuery,
        page: &Page<Uuid>,
    ) -> StoreResult<Listing<Change, Uuid>> {
        let state = self.read();
        let id = |it: &Change| it.key().ids().0;
        let rows = state.entities_of(kind, page.after.unwrap_or_default())?;
        let rows = rows.filter(|it| !it.is_tombstone() && sees(scope, it) && fits(it, query));
        Ok(Listing::collect(rows, page.limit, id))
    }
}
