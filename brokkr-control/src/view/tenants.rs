//! The generators and grants in the fleet view.

use std::collections::BTreeMap;
use std::sync::Arc;

use brokkr_core::model::{Agent, GeneratorId, GeneratorPrincipal, Grant, GrantId, Name};
use brokkr_core::protocol::Tenant;

/// The living generators and grants.
#[derive(Default)]
pub(crate) struct Tenants {
    generators: BTreeMap<GeneratorId, Arc<GeneratorPrincipal>>,
    grants: BTreeMap<GrantId, Arc<Grant>>,
}

impl Tenants {
    /// Folds a generator. Returns whether its stacks may reach other agents than before.
    pub(crate) fn fold_generator(&mut self, generator: GeneratorPrincipal) -> bool {
        let id = generator.id;
        if generator.deleted_at.is_some() {
            return self.generators.remove(&id).is_some();
        }
        let environments = generator.environments.clone();
        let before = self.generators.insert(id, Arc::new(generator));
        before.is_none_or(|before| before.environments != environments)
    }

    /// The living generators.
    pub(crate) fn generators(&self) -> impl Iterator<Item = &Arc<GeneratorPrincipal>> {
        self.generators.values()
    }

    pub(crate) fn generator(&self, id: GeneratorId) -> Option<&Arc<GeneratorPrincipal>> {
        self.generators.get(&id)
    }

    pub(crate) fn fold_grant(&mut self, grant: Grant) {
        if grant.deleted_at.is_some() {
            self.grants.remove(&grant.id);
        } else {
            self.grants.insert(grant.id, Arc::new(grant));
        }
    }

    pub(crate) fn has_generator(&self, id: GeneratorId) -> bool {
        self.generators.contains_key(&id)
    }

    pub(crate) fn name(&self, id: GeneratorId) -> Option<&Name> {
        self.generators.get(&id).map(|it| &it.name)
    }

    /// A generator that would share namespaces with one of this name: grants allow `{generator}-*` by default. Admins own the
    /// system generator's stacks, so it shares none.
    pub(crate) fn beside(&self, name: &Name) -> Option<&Name> {
        let begins = |longer: &Name, shorter: &Name| {
            longer.as_str().strip_prefix(shorter.as_str()).is_some_and(|rest| rest.starts_with('-'))
        };
        let others = self.generators.iter().filter(|(id, _)| **id != GeneratorId::SYSTEM).map(|(_, other)| &other.name);
        others.into_iter().find(|other| begins(other, name) || begins(name, other))
    }

    /// The grant of a generator's registration with an agent.
    pub(crate) fn grant(&self, agent: &Agent, generator: GeneratorId) -> Option<&Arc<Grant>> {
        self.grants.get(agent.registrations.get(&generator)?)
    }

    /// A generator as the agent's target state names it. A generator without a known grant may deploy nothing.
    pub(crate) fn tenant(&self, agent: &Agent, generator: GeneratorId) -> Tenant {
        match (self.name(generator), self.grant(agent, generator)) {
            (Some(name), Some(grant)) => {
                Tenant { generator_id: generator, name: name.to_string(), rules: grant.rules.clone() }
            }
            (name, _) => Tenant::without_grant(generator, name.map(ToString::to_string).unwrap_or_default()),
        }
    }
}
