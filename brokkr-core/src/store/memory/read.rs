//! Reads of the in-memory store.

use std::collections::BTreeSet;
use std::ops::Bound;

use async_trait::async_trait;
use bytes::Bytes;

use crate::model::{
    Agent, AgentEvent, AgentId, AgentSession, ApiKey, Assignment, AuditId, DeploymentObject, DeploymentObjectId,
    EventId, GeneratorId, KeyId, KeyOwner, Name, Revision, Stack, StackId, StackProgress, StackStatus, Target,
    Timestamp,
};
use crate::store::memory::MemoryStore;
use crate::store::memory::sees::{sees_agent, sees_key};
use crate::store::memory::state::State;
use crate::store::{
    AgentReader, AssignmentReader, AuditFilter, AuditListing, AuditReader, DeploymentObjectReader, EventFilter,
    EventReader, KeyReader, Listing, Page, Scope, StackReader, StackStatusReader, StoreError, StoreResult,
    TargetReader,
};

fn behind<K: Copy>(after: Option<K>) -> (Bound<K>, Bound<K>) {
    (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

fn before<K: Copy>(after: Option<K>) -> (Bound<K>, Bound<K>) {
    (Bound::Unbounded, after.map_or(Bound::Unbounded, Bound::Excluded))
}

impl State {
    fn agent(&self, scope: &Scope, id: AgentId) -> StoreResult<&Agent> {
        self.agents
            .get(&id)
            .filter(|agent| agent.deleted_at.is_none() && sees_agent(scope, agent))
            .ok_or(StoreError::NotFound)
    }

    /// Whether an agent is in an environment.
    fn is_in(&self, agent: AgentId, environment: &Name) -> bool {
        self.agents
            .get(&agent)
            .is_some_and(|it| it.deleted_at.is_none() && it.environment.as_ref() == Some(environment))
    }

    fn stack(&self, scope: &Scope, id: StackId) -> StoreResult<&Stack> {
        self.stacks
            .get(&id)
            .filter(|stack| stack.deleted_at.is_none() && scope.sees_stack(stack.id, stack.generator_id))
            .ok_or(StoreError::NotFound)
    }

    fn object(&self, scope: &Scope, id: DeploymentObjectId) -> StoreResult<&DeploymentObject> {
        let entry = self.objects.get(&id).ok_or(StoreError::NotFound)?;
        if *scope != Scope::All {
            self.stack(scope, entry.stack_id)?;
        }
        Ok(entry)
    }
}

#[async_trait]
impl KeyReader for MemoryStore {
    async fn key_list(
        &self,
        scope: &Scope,
        owners: &[KeyOwner],
        page: &Page<KeyId>,
    ) -> StoreResult<Listing<ApiKey, KeyId>> {
        let state = self.read();
        let rows = state.keys.range(behind(page.after)).map(|(_, it)| it);
        let rows = rows.filter(|it| it.deleted_at.is_none() && owners.contains(&it.owner) && sees_key(scope, it));
        Ok(Listing::collect(rows.cloned(), page.limit, |it| it.id))
    }

    async fn key_last_used(&self, scope: &Scope, ids: &[KeyId]) -> StoreResult<Vec<(KeyId, Timestamp)>> {
        let state = self.read();
        let visible = ids.iter().filter(|id| state.keys.get(id).is_some_and(|it| sees_key(scope, it)));
        Ok(visible.filter_map(|id| Some((*id, *state.keys_used.get(id)?))).collect())
    }
}

#[async_trait]
impl AgentReader for MemoryStore {
    async fn agent_session(&self, scope: &Scope, id: AgentId) -> StoreResult<Option<AgentSession>> {
        let state = self.read();
        Ok(state.agent(scope, id).ok().and_then(|_| state.sessions.get(&id)).cloned())
    }

    async fn agent_capabilities(
        &self,
        scope: &Scope,
        ids: &[AgentId],
    ) -> StoreResult<Vec<(AgentId, BTreeSet<String>)>> {
        let state = self.read();
        let visible = ids.iter().filter(|id| state.agent(scope, **id).is_ok());
        Ok(visible.filter_map(|id| Some((*id, state.sessions.get(id)?.capabilities.clone()))).collect())
    }

    async fn agent_last_seen(&self, scope: &Scope, ids: &[AgentId]) -> StoreResult<Vec<(AgentId, Timestamp)>> {
        let state = self.read();
        let seen = ids.iter().filter(|id| state.agent(scope, **id).is_ok());
        Ok(seen.filter_map(|id| Some((*id, *state.agents_seen.get(id)?))).collect())
    }
}

#[async_trait]
impl StackReader for MemoryStore {
    async fn stack_by_name(&self, scope: &Scope, generator: GeneratorId, name: &Name) -> StoreResult<Stack> {
        let state = self.read();
        let mut living = state.stacks.values().filter(|it| it.deleted_at.is_none());
        let found = living.find(|it| it.generator_id == generator && it.name == *name);
        found.filter(|it| scope.sees_stack(it.id, it.generator_id)).cloned().ok_or(StoreError::NotFound)
    }

    async fn stack_find_with_tombstones(&self, scope: &Scope, ids: &[StackId]) -> StoreResult<Vec<Stack>> {
        let state = self.read();
        let found = ids.iter().filter_map(|id| state.stacks.get(id));
        Ok(found.filter(|it| scope.sees_stack(it.id, it.generator_id)).cloned().collect())
    }
}

#[async_trait]
impl DeploymentObjectReader for MemoryStore {
    async fn deployment_object_content(
        &self,
        scope: &Scope,
        id: DeploymentObjectId,
    ) -> StoreResult<(DeploymentObject, Bytes)> {
        let state = self.read();
        let object = state.object(scope, id)?;
        // A commit without the content is refused, so it exists.
        let content = state.contents.get(&object.digest).cloned().ok_or(StoreError::NotFound)?;
        Ok((object.clone(), content))
    }

    async fn deployment_object_latest(&self, scope: &Scope, stack: StackId) -> StoreResult<Option<DeploymentObject>> {
        let state = self.read();
        state.stack(scope, stack)?;
        Ok(state.latest(stack).cloned())
    }

    async fn deployment_object_by_revision(
        &self,
        scope: &Scope,
        stack: StackId,
        revision: Revision,
    ) -> StoreResult<DeploymentObject> {
        let state = self.read();
        state.stack(scope, stack)?;
        let id = state.revisions.get(&(stack, revision)).ok_or(StoreError::NotFound)?;
        state.object(scope, *id).cloned()
    }

    async fn deployment_object_list(
        &self,
        scope: &Scope,
        stack: StackId,
        page: &Page<Revision>,
    ) -> StoreResult<Listing<DeploymentObject, Revision>> {
        let state = self.read();
        state.stack(scope, stack)?;
        let end =
            page.after.map_or(Bound::Included((stack, Revision::new(u64::MAX))), |at| Bound::Excluded((stack, at)));
        let rows = state.revisions.range((Bound::Included((stack, Revision::new(0))), end)).rev();
        let rows = rows.filter_map(|(_, id)| state.objects.get(id)).cloned();
        Ok(Listing::collect(rows, page.limit, |it| it.revision))
    }
}

fn of_stack<T>(
    rows: &std::collections::BTreeMap<(StackId, AgentId), T>,
    stack: StackId,
    after: Option<AgentId>,
) -> impl Iterator<Item = &T> {
    let start = after.map_or(Bound::Included((stack, AgentId::from_uuid(uuid::Uuid::nil()))), |agent| {
        Bound::Excluded((stack, agent))
    });
    rows.range((start, Bound::Included((stack, AgentId::from_uuid(uuid::Uuid::max()))))).map(|(_, row)| row)
}

#[async_trait]
impl TargetReader for MemoryStore {
    async fn target_find(&self, scope: &Scope, stack: StackId, agent: AgentId) -> StoreResult<Option<Target>> {
        let state = self.read();
        let found = state.targets.get(&(stack, agent));
        Ok(found.filter(|it| scope.sees_pair(stack, it.generator_id, agent)).cloned())
    }

    async fn target_list(
        &self,
        scope: &Scope,
        stack: StackId,
        environment: Option<&Name>,
        page: &Page<AgentId>,
    ) -> StoreResult<Listing<Target, AgentId>> {
        let state = self.read();
        let rows = of_stack(&state.targets, stack, page.after);
        let rows = rows.filter(|it| environment.is_none_or(|name| state.is_in(it.agent_id, name)));
        let rows = rows.filter(|it| it.deleted_at.is_none() && scope.sees_pair(stack, it.generator_id, it.agent_id));
        Ok(Listing::collect(rows.cloned(), page.limit, |it| it.agent_id))
    }
}

#[async_trait]
impl AssignmentReader for MemoryStore {
    async fn assignment_find(&self, scope: &Scope, agent: AgentId, stacks: &[StackId]) -> StoreResult<Vec<Assignment>> {
        let state = self.read();
        let found = stacks.iter().filter_map(|stack| state.assignments.get(&(*stack, agent)));
        Ok(found.filter(|it| scope.sees_pair(it.stack_id, it.generator_id, agent)).cloned().collect())
    }

    async fn assignment_of_stack(&self, scope: &Scope, stack: StackId) -> StoreResult<Vec<Assignment>> {
        let state = self.read();
        let rows = of_stack(&state.assignments, stack, None);
        Ok(rows.filter(|it| scope.sees_pair(stack, it.generator_id, it.agent_id)).cloned().collect())
    }
}

#[async_trait]
impl StackStatusReader for MemoryStore {
    async fn stack_status_find(
        &self,
        scope: &Scope,
        agent: AgentId,
        stacks: &[StackId],
    ) -> StoreResult<Vec<StackStatus>> {
        let state = self.read();
        let found = stacks.iter().filter_map(|stack| state.statuses.get(&(*stack, agent)));
        Ok(found.filter(|it| scope.sees_pair(it.stack_id, it.generator_id, agent)).cloned().collect())
    }

    async fn stack_status_of_stack(
        &self,
        scope: &Scope,
        stack: StackId,
        agents: &[AgentId],
    ) -> StoreResult<Vec<StackStatus>> {
        let state = self.read();
        let found = agents.iter().filter_map(|agent| state.statuses.get(&(stack, *agent)));
        Ok(found.filter(|it| scope.sees_pair(stack, it.generator_id, it.agent_id)).cloned().collect())
    }

    async fn stack_progress(&self, scope: &Scope, stack: StackId) -> StoreResult<Vec<StackProgress>> {
        let state = self.read();
        let rows = of_stack(&state.statuses, stack, None);
        let rows = rows.filter(|it| scope.sees_pair(stack, it.generator_id, it.agent_id));
        let progress = |it: &StackStatus| StackProgress {
            agent_id: it.agent_id,
            applied_revision: it.applied_revision,
            has_failed: it.last_error.is_some(),
        };
        Ok(rows.map(progress).collect())
    }
}

#[async_trait]
impl EventReader for MemoryStore {
    async fn event_list(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: &Page<(Timestamp, EventId)>,
    ) -> StoreResult<Listing<AgentEvent, (Timestamp, EventId)>> {
        let state = self.read();
        // Event ids are unique per agent only. The nil agent sorts before every other one.
        let after = page.after.map(|(at, id)| (at, id, AgentId::from_uuid(uuid::Uuid::nil())));
        let rows = state.events.range(before(after)).rev().map(|(_, it)| it);
        let rows = rows.filter(|it| {
            let visible = match scope {
                Scope::Agent { id, .. } => it.agent_id == *id,
                scope => scope.sees_pair(it.stack_id, it.generator_id, it.agent_id),
            };
            visible
                && filter.environment.as_ref().is_none_or(|name| state.is_in(it.agent_id, name))
                && filter.agent.is_none_or(|agent| agent == it.agent_id)
                && filter.stack.is_none_or(|stack| stack == it.stack_id)
                && filter.outcome.is_none_or(|outcome| outcome == it.outcome)
                && filter.since.is_none_or(|since| since <= it.recorded_at)
                && filter.until.is_none_or(|until| it.recorded_at < until)
        });
        Ok(Listing::collect(rows.cloned(), page.limit, |it| (it.recorded_at, it.id)))
    }

    async fn event_known(&self, scope: &Scope, agent: AgentId, ids: &[EventId]) -> StoreResult<Vec<EventId>> {
        let state = self.read();
        if matches!(scope, Scope::Agent { id, .. } if *id != agent)
            || matches!(scope, Scope::Limited { agents, .. } if !agents.contains(&agent))
        {
            return Ok(Vec::new());
        }
        Ok(ids.iter().filter(|id| state.event_ids.contains(&(agent, **id))).copied().collect())
    }
}

#[async_trait]
impl AuditReader for MemoryStore {
    async fn audit_list(
        &self,
        scope: &Scope,
        filter: &AuditFilter,
        page: &Page<(Timestamp, AuditId)>,
    ) -> StoreResult<AuditListing> {
        let state = self.read();
        let visible = *scope == Scope::All;
        let rows = state.audit.range(before(page.after)).rev().map(|(_, it)| it);
        let rows = rows.filter(|it| {
            visible
                && filter.actor.as_ref().is_none_or(|actor| *actor == it.actor.to_string())
                && filter.action.as_ref().is_none_or(|action| *action == it.action)
                && filter.object.as_ref().is_none_or(|object| Some(object) == it.object_id.as_ref())
                && filter.outcome.is_none_or(|outcome| outcome == it.outcome)
                && filter.since.is_none_or(|since| since <= it.at)
                && filter.until.is_none_or(|until| it.at < until)
                && filter.request_id.is_none_or(|id| id == it.request_id)
        });
        let Listing { items, next } = Listing::collect(rows.cloned(), page.limit, |it| (it.at, it.id));
        Ok(AuditListing { items, next, unreadable: Vec::new() })
    }
}
