//! Everything that an agent should hold now.

use serde::{Deserialize, Serialize};

use crate::model::Generation;
use crate::model::{AgentId, DeploymentObjectId, Digest, Epoch, Policies, Revision, StackId};

/// What to do with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EntryAction {
    /// Hold it at the given revision.
    Apply,
    /// Make it go. The entry stays until the agent has reported that every object is gone.
    Remove,
}

/// One stack in a target state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetEntry {
    /// The stack.
    pub stack_id: StackId,
    /// Its name, for people.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::Name))]
    pub stack_name: String,
    /// What to do.
    pub action: EntryAction,
    /// The deployment object to hold; absent for removals.
    pub object_id: Option<DeploymentObjectId>,
    /// Its revision.
    pub revision: Option<Revision>,
    /// SHA-256 of its bytes.
    pub digest: Option<Digest>,
    /// Its bytes' number.
    pub size: Option<u64>,
    /// How to treat its objects.
    pub policies: Policies,
    /// Stacks that must be applied before.
    #[serde(default)]
    pub depends_on: Vec<StackId>,
    /// For removals: whether somebody ordered it explicitly (deleted the stack, removed the target). A
    /// removal that merely follows from labels or rules is not confirmed, and the agent carries it out within a budget.
    pub confirmed: bool,
}

/// Everything that one agent should hold now: complete, and by reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetState {
    /// For whom.
    pub agent_id: AgentId,
    /// The history that this belongs to.
    pub epoch: Epoch,
    /// Whether an admin allowed removals in this epoch to an agent that knew another one.
    pub epoch_confirmed: bool,
    /// How far the answering replica has read. Not part of the digest.
    pub generation: Generation,
    /// The number of entries, so that an empty list is a statement and not an accident.
    pub count: usize,
    /// SHA-256 over the canonical form of everything but `generation` and itself; also the ETag.
    pub digest: Digest,
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
}

impl TargetState {
    /// Puts a target state together: sorts the entries, counts them and computes the digest.
    pub fn new(
        agent_id: AgentId,
        epoch: Epoch,
        epoch_confirmed: bool,
        generation: Generation,
        mut entries: Vec<TargetEntry>,
    ) -> Self {
        entries.sort_by_key(|entry| entry.stack_id);
        let digest = digest(agent_id, epoch, epoch_confirmed, &entries);
        Self { agent_id, epoch, epoch_confirmed, generation, count: entries.len(), digest, entries }
    }

    /// Why this is not to be believed by `agent`; `None` when it is complete and untouched.
    pub fn defect(&self, agent: AgentId) -> Option<&'static str> {
        if self.agent_id != agent {
            return Some("the target state is another agent's");
        }
        if self.count != self.entries.len() {
            return Some("the number of entries is not what it says");
        }
        if !self.entries.is_sorted_by(|a, b| a.stack_id < b.stack_id) {
            return Some("the entries are not in order, or one stack stands twice");
        }
        let complete = |entry: &TargetEntry| {
            entry.action == EntryAction::Remove
                || (entry.object_id.is_some() && entry.revision.is_some() && entry.digest.is_some())
        };
        if !self.entries.iter().all(complete) {
            return Some("an entry to apply names no object");
        }
        if self.digest != digest(self.agent_id, self.epoch, self.epoch_confirmed, &self.entries) {
            return Some("the digest does not fit the content");
        }
        None
    }
}

/// The digest over the canonical form (RFC 8785) of what is said.
fn digest(agent_id: AgentId, epoch: Epoch, epoch_confirmed: bool, entries: &[TargetEntry]) -> Digest {
    let canonical = Canonical { agent_id, count: entries.len(), entries, epoch, epoch_confirmed };
    let mut bytes = Vec::new();
    // Writing plain data to memory cannot fail; if it ever did, the digest of a part would fit nothing.
    let _ = serde_json_canonicalizer::to_writer(&canonical, &mut bytes);
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> TargetEntry {
        TargetEntry {
            stack_id: StackId::generate(),
            stack_name: "web".to_owned(),
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
    fn any_touch_is_noticed() {
        let agent = AgentId::generate();
        let state =
            TargetState::new(agent, Epoch::generate(), true, Generation::new(7), vec![entry(), entry(), entry()]);
        assert_eq!(state.defect(agent), None);
        assert_eq!(TargetState { generation: Generation::new(8), ..state.clone() }.defect(agent), None);
        assert!(state.defect(AgentId::generate()).is_some());
        let lies: [fn(&mut TargetState); 8] = [
            |it| it.epoch = Epoch::generate(),
            |it| it.epoch_confirmed = false,
            |it| drop(it.entries.pop()),
            |it| {
                it.entries.pop();
                it.count -= 1;
            },
            |it| it.entries.swap(0, 1),
            |it| it.entries[1].action = EntryAction::Remove,
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
