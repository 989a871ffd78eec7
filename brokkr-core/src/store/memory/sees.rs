//! Evaluation of scopes.

use crate::model::{Agent, ApiKey, Change, GeneratorId, KeyOwner};
use crate::store::Scope;

pub(super) fn sees_agent(scope: &Scope, agent: &Agent) -> bool {
    scope.sees_agent(agent.id, &agent.registrations)
}

pub(super) fn sees_key(scope: &Scope, key: &ApiKey) -> bool {
    match scope {
        Scope::All => true,
        Scope::Generator(id) => key.owner == KeyOwner::Generator { id: *id },
        Scope::Limited { keys, .. } => keys.contains(&key.id),
        Scope::Agent { id, .. } => key.owner == KeyOwner::Agent { id: *id },
    }
}

fn sees_generator(scope: &Scope, id: GeneratorId) -> bool {
    match scope {
        Scope::All => true,
        Scope::Generator(own) => *own == id,
        Scope::Limited { generator, .. } => generator.is_none_or(|own| own == id),
        Scope::Agent { .. } => false,
    }
}

/// Whether an entity is in scope, for kinds that [`EntityReader`](crate::store::EntityReader) reads. The caller checks
/// deployment objects by their stack.
pub(super) fn sees(scope: &Scope, entity: &Change) -> bool {
    match entity {
        Change::Generator(it) => sees_generator(scope, it.id),
        Change::Agent(it) => sees_agent(scope, it),
        Change::Key(it) => sees_key(scope, it),
        Change::Stack(it) => scope.sees_stack(it.id, it.generator_id),
        // Only admins see entities without an owner.
        other => match scope {
            Scope::All => true,
            Scope::Generator(id) => other.generator() == Some(*id),
            Scope::Limited { generator, .. } => generator.is_none_or(|id| other.generator() == Some(id)),
            Scope::Agent { .. } => false,
        },
    }
}
