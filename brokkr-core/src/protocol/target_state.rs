//! Target states.

use serde::{Deserialize, Serialize};

use crate::model::Generation;
use crate::model::{AgentId, DeploymentObjectId, Digest, Epoch, GeneratorId, Policies, Revision, StackId};
use crate::protocol::Tenant;

/// What the agent does with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EntryAction {
    /// The agent applies the given revision.
    Apply,
    /// The agent keeps what it holds of the stack: it applies, prunes and removes nothing, and reports drift only.
    ///
    /// Sent only to agents that say that they know it; see [`PollRequest::knows_hold`](crate::protocol::PollRequest::knows_hold).
    Hold,
    /// The agent removes the stack. The entry stays until the agent reports that every object is gone.
    Remove,
}

/// One stack in a target state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetEntry {
    /// The stack.
    pub stack_id: StackId,
    /// The name of the stack, for people.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::Name))]
    pub stack_name: String,
    /// The generator that owns the stack.
    pub generator_id: GeneratorId,
    /// What the agent does with the stack.
    pub action: EntryAction,
    /// The deployment object to apply. Absent for other actions.
    pub object_id: Option<DeploymentObjectId>,
    /// The revision of the deployment object. Absent for other actions.
    pub revision: Option<Revision>,
    /// SHA-256 of the deployment object's content. Absent for other actions.
    pub digest: Option<Digest>,
    /// The size of the content in bytes. Absent for other actions.
    pub size: Option<u64>,
    /// How the agent treats the stack's objects. Its `default_namespace` is always present.
    pub policies: Policies,
    /// Stacks that the agent applies before this one.
    #[serde(default)]
    pub depends_on: Vec<StackId>,
    /// For removals: whether a person or program ordered the removal explicitly, by deleting the stack or removing the
    /// target. The agent carries out other removals, which follow from changed labels or rules, only within its removal
    /// budget.
    pub confirmed: bool,
}

/// The complete list of stacks that one agent should hold, by reference to deployment objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetState {
    /// The agent that the target state is for.
    pub agent_id: AgentId,
    /// The epoch that the target state belongs to.
    pub epoch: Epoch,
    /// Whether an admin confirmed this epoch. Until then, an agent that has seen another epoch removes nothing.
    pub epoch_confirmed: bool,
    /// The generation of the answering broker's view. Not part of the digest.
    pub generation: Generation,
    /// The number of entries. It distinguishes an intentionally empty list from a truncated answer.
    pub count: usize,
    /// SHA-256 of the canonical form (RFC 8785) of all fields except `generation` and `digest`. Also the ETag of the
    /// response.
    pub digest: Digest,
    /// The generators of the stacks, ordered by id.
    pub tenants: Vec<Tenant>,
    /// One entry per stack, ordered by stack id.
    pub entries: Vec<TargetEntry>,
}

#[derive(Serialize)]
struct Canonical<'a> {
    agent_id: AgentId,
    count: usize,
    entries: &'a [TargetEntry],
    epoch: Epoch,
    epoch_confirmed: bool,
    tenants: &'a [Tenant],
}

impl TargetState {
    /// Creates a target state: sorts and counts the entries, and computes the digest.
    pub fn new(
        agent_id: AgentId,
        epoch: Epoch,
        epoch_confirmed: bool,
        generation: Generation,
        mut tenants: Vec<Tenant>,
        mut entries: Vec<TargetEntry>,
    ) -> Self {
        entries.sort_by_key(|entry| entry.stack_id);
        tenants.sort_by_key(|tenant| tenant.generator_id);
        let digest = digest(agent_id, epoch, epoch_confirmed, &tenants, &entries);
        Self { agent_id, epoch, epoch_confirmed, generation, count: entries.len(), digest, tenants, entries }
    }

    /// Returns a generator with its grant.
    pub fn tenant(&self, generator: GeneratorId) -> Option<&Tenant> {
        let place = self.tenants.binary_search_by_key(&generator, |it| it.generator_id).ok()?;
        self.tenants.get(place)
    }

    /// Checks that the target state is complete, unmodified and meant for `agent`. Returns the defect, or `None` if
    /// there is none.
    pub fn defect(&self, agent: AgentId) -> Option<&'static str> {
        if self.agent_id != agent {
            return Some("the target state belongs to another agent");
        }
        if self.count != self.entries.len() {
            return Some("the number of entries differs from count");
        }
        if !self.entries.is_sorted_by(|a, b| a.stack_id < b.stack_id) {
            return Some("the entries are not ordered by stack id, or a stack appears twice");
        }
        let complete = |entry: &TargetEntry| {
            entry.action != EntryAction::Apply
                || (entry.object_id.is_some() && entry.revision.is_some() && entry.digest.is_some())
        };
        if !self.entries.iter().all(complete) {
            return Some("an entry to apply has no deployment object, revision or digest");
        }
        if !self.tenants.is_sorted_by(|a, b| a.generator_id < b.generator_id) {
            return Some("the generators are not ordered by id, or one appears twice");
        }
        let is_granted =
            |entry: &TargetEntry| entry.action != EntryAction::Apply || self.tenant(entry.generator_id).is_some();
        if !self.entries.iter().all(is_granted) {
            return Some("an entry to apply belongs to a generator without a grant");
        }
        if self.digest != digest(self.agent_id, self.epoch, self.epoch_confirmed, &self.tenants, &self.entries) {
            return Some("the digest does not match the content");
        }
        None
    }
}

/// Computes the digest of the canonical form (RFC 8785).
fn digest(
    agent_id: AgentId,
    epoch: Epoch,
    epoch_confirmed: bool,
    tenants: &[Tenant],
    entries: &[TargetEntry],
) -> Digest {
    let canonical = Canonical { agent_id, count: entries.len(), entries, epoch, epoch_confirmed, tenants };
    let mut bytes = Vec::new();
    // Serialising plain data to memory cannot fail. If it did, the digest of the partial output would match no target
    // state.
    let _ = serde_json_canonicalizer::to_writer(&canonical, &mut bytes);
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GrantRules;

    fn entry() -> TargetEntry {
        TargetEntry {
            stack_id: StackId::generate(),
            stack_name: "web".to_owned(),
            generator_id: GeneratorId::SYSTEM,
            action: EntryAction::Apply,
            object_id: Some(DeploymentObjectId::generate()),
            revision: Some(Revision::FIRST),
            digest: Some(Digest::of(b"x")),
            size: Some(1),
            policies: Policies::default(),
            depends_on: Vec::new(),
            confirmed: false,
        }
    }

    #[test]
    fn modified_target_state_has_a_defect() {
        let agent = AgentId::generate();
        let tenant = |rules| Tenant { generator_id: GeneratorId::SYSTEM, name: "system".to_owned(), rules };
        let tenants = vec![tenant(GrantRules::default()), Tenant::without_grant(GeneratorId::generate(), "shop")];
        let entries = vec![entry(), entry(), entry()];
        let state = TargetState::new(agent, Epoch::generate(), true, Generation::new(7), tenants, entries);
        assert_eq!(state.defect(agent), None);
        assert_eq!(TargetState { generation: Generation::new(8), ..state.clone() }.defect(agent), None);
        assert!(state.defect(AgentId::generate()).is_some());
        let lies: [fn(&mut TargetState); 13] = [
            |it| it.tenants[0].rules = GrantRules::unrestricted(),
            |it| it.tenants[0].name = "another".to_owned(),
            |it| it.tenants.swap(0, 1),
            |it| it.tenants.clear(),
            |it| it.epoch = Epoch::generate(),
            |it| it.epoch_confirmed = false,
            |it| drop(it.entries.pop()),
            |it| {
                it.entries.pop();
                it.count -= 1;
            },
            |it| it.entries.swap(0, 1),
            |it| it.entries[1].action = EntryAction::Remove,
            |it| it.entries[1].action = EntryAction::Hold,
            |it| it.entries[0].object_id = None,
            |it| it.entries[2].digest = Some(Digest::of(b"y")),
        ];
        for (n, lie) in lies.iter().enumerate() {
            let mut touched = state.clone();
            lie(&mut touched);
            assert!(touched.defect(agent).is_some(), "lie {n}");
        }
    }
}
