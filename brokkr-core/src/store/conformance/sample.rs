//! Small valid entities to begin from.

use std::collections::BTreeSet;

use crate::model::{
    Agent, AgentId, AgentStatus, Annotations, GeneratorId, Labels, Name, Policies, Stack, StackId,
    StackPhase, Timestamp, Version,
};

fn name(text: &str) -> Name {
    text.parse().expect("the samples' names are valid")
}

/// An active stack of the system generator.
pub fn stack(called: &str) -> Stack {
    Stack {
        id: StackId::generate(),
        generator_id: GeneratorId::SYSTEM,
        name: name(called),
        description: String::new(),
        labels: Labels::default(),
        annotations: Annotations::default(),
        targeting: None,
        policies: Policies::default(),
        phase: StackPhase::Active,
        version: Version::FIRST,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        deleted_at: None,
    }
}

/// An active agent registered with the system generator.
pub fn agent(called: &str) -> Agent {
    Agent {
        id: AgentId::generate(),
        name: name(called),
        cluster_name: String::new(),
        labels: Labels::default(),
        annotations: Annotations::default(),
        status: AgentStatus::Active,
        generator_ids: BTreeSet::from([GeneratorId::SYSTEM]),
        confirmed_epoch: None,
        version: Version::FIRST,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        deleted_at: None,
    }
}
