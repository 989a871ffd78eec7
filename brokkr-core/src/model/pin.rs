//! Pins.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::entity::Record;
use crate::model::{ActorRef, AgentId, FrozenRevision, GeneratorId, PinId, StackId, Timestamp, Version};

/// The decision of a person that one agent holds one revision of a stack, whatever is newest or stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The id, which follows from stack and agent: a pair has at most one pin.
    pub id: PinId,
    /// The stack.
    pub stack_id: StackId,
    /// The agent.
    pub agent_id: AgentId,
    /// The stack's owner.
    pub generator_id: GeneratorId,
    /// The revision that the agent holds.
    pub revision: FrozenRevision,
    /// The reason, for people.
    pub reason: String,
    /// The actor that set the pin.
    pub created_by: ActorRef,
    /// The time after which the broker removes the pin. Absent: never.
    pub expires_at: Option<Timestamp>,
    /// The version: plus one with every change, also when a removed pin is set again.
    pub version: Version,
    /// The time when the pin was set.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The time of removal. Set only on a tombstone.
    pub deleted_at: Option<Timestamp>,
}

impl Record for Pin {
    type Id = PinId;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn version(&self) -> Version {
        self.version
    }

    fn deleted_at(&self) -> Option<Timestamp> {
        self.deleted_at
    }

    fn generator(&self) -> Option<GeneratorId> {
        Some(self.generator_id)
    }

    fn shown(&self) -> Value {
        json!({
            "stack_id": self.stack_id,
            "agent_id": self.agent_id,
            "revision": self.revision.revision,
            "reason": self.reason,
            "created_by": self.created_by,
            "expires_at": self.expires_at,
            "version": self.version,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }
}
