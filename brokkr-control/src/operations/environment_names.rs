//! Checks of the environments that agents, generators, keys and targeting rules name.

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{
    Agent, AgentId, ApiKey, EntityKey, Environment, EnvironmentSet, GeneratorId, GeneratorPrincipal, Name, Stack,
    is_within,
};
use brokkr_core::store::{Precondition, Scope, StoreExt as _};

use crate::access::actor::Actor;
use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};

/// Refuses an environment that a key limited to environments cannot give to an agent.
pub(super) fn refuse_outside(actor: &Actor, environment: Option<&Name>) -> Result<(), Invalid> {
    if actor.reaches(environment) {
        return Ok(());
    }
    let message = "the presented key is limited to other environments; name one of its own";
    Err(Invalid::new(InvalidCode::OutsideEnvironments, message).within("environment"))
}

/// Refuses a pair of a generator and an agent in this environment if the generator is limited to others.
pub(super) fn refuse_isolated(generator: &GeneratorPrincipal, environment: Option<&Name>) -> Result<(), Invalid> {
    if generator.reaches(environment) {
        return Ok(());
    }
    let place = environment.map_or("in no environment".to_owned(), |name| format!("in the environment \"{name}\""));
    let message = format!(
        "the generator \"{}\" is limited to other environments, and the agent is {place}; nothing of the generator reaches it",
        generator.name
    );
    Err(Invalid::new(InvalidCode::OutsideEnvironments, message))
}

impl Broker {
    /// The environment with this name, and the precondition that it still exists at the commit.
    pub(super) async fn environment_named(&self, scope: &Scope, name: &str) -> BrokerResult<(Name, Precondition)> {
        match self.named::<Environment>(scope, name).await {
            Ok(found) => Ok((found.name, Precondition::Version(EntityKey::Environment(found.id), found.version))),
            Err(BrokerError::NotFound) => {
                let message = "there is no environment with this name; create it first";
                Err(Invalid::new(InvalidCode::FieldInvalid, message).into())
            }
            Err(error) => Err(error),
        }
    }

    /// The preconditions that the environments of a new key still exist at the commit.
    pub(super) async fn environments_of(&self, key: &ApiKey) -> BrokerResult<Vec<Precondition>> {
        let mut preconditions = Vec::new();
        for name in key.environments.iter().flat_map(EnvironmentSet::iter) {
            let found = self.environment_named(&Scope::All, name.as_str()).await;
            preconditions.push(found.map_err(|error| error.within("environments"))?.1);
        }
        Ok(preconditions)
    }

    /// Refuses names of environments that the rule of a stack has and that do not exist, except those that it had before.
    pub(super) async fn check_rule(&self, stack: &Stack, before: Option<&Stack>) -> BrokerResult<()> {
        let names =
            |stack: &Stack| stack.targeting.as_ref().and_then(|rule| rule.environments.clone()).unwrap_or_default();
        let known = before.map(names).unwrap_or_default();
        for (n, name) in names(stack).iter().enumerate().filter(|(_, name)| !known.contains(name)) {
            // Generators cannot read environments, but may name them.
            let found = self.environment_named(&Scope::All, name).await;
            found.map_err(|error| error.within(&n.to_string()).within("environments").within("targeting"))?;
        }
        Ok(())
    }

    /// Refuses a change of a generator's stacks by a key that is limited to environments, unless the generator is limited to
    /// some of them: its stacks could reach agents elsewhere. Returns the precondition that this stays so until the commit.
    pub(super) async fn within_limit(&self, actor: &Actor, owner: GeneratorId) -> BrokerResult<Option<Precondition>> {
        let Some(limit) = actor.environments() else { return Ok(None) };
        let owner = self.parts.store.get::<GeneratorPrincipal>(&Scope::All, owner).await?;
        if !is_within(owner.environments.as_ref(), Some(limit)) {
            return Err(BrokerError::Forbidden);
        }
        Ok(Some(Precondition::Version(EntityKey::Generator(owner.id), owner.version)))
    }

    /// Reads an agent that the actor changes, as the store has it now: the view, which limits keys, may be behind.
    pub(super) async fn agent_within_limit(&self, actor: &Actor, scope: &Scope, id: AgentId) -> BrokerResult<Agent> {
        let agent = self.parts.store.get::<Agent>(scope, id).await?;
        if actor.reaches(agent.environment.as_ref()) { Ok(agent) } else { Err(BrokerError::NotFound) }
    }

    /// The environments with these names, at least one, and the preconditions that they still exist at the commit.
    pub(super) async fn environments_named(
        &self,
        scope: &Scope,
        names: &[String],
    ) -> BrokerResult<(EnvironmentSet, Vec<Precondition>)> {
        let set = EnvironmentSet::try_from(names.to_vec())?;
        let mut preconditions = Vec::new();
        for (n, name) in names.iter().enumerate() {
            let found = self.environment_named(scope, name).await;
            preconditions.push(found.map_err(|error| error.within(&n.to_string()))?.1);
        }
        Ok((set, preconditions))
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::clock::{Clock as _, SystemClock};
    use brokkr_core::model::Version;

    use super::*;

    #[test]
    fn limited_generator_has_no_agents_elsewhere() {
        let now = SystemClock.now();
        let (dev, prod): (Name, Name) = ("dev".parse().expect("a name"), "prod".parse().expect("a name"));
        let generator = |environments| GeneratorPrincipal {
            id: GeneratorId::SYSTEM,
            name: "shop".parse().expect("a name"),
            description: String::new(),
            environments,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let limited = generator(EnvironmentSet::try_from(vec!["dev".to_owned()]).ok());
        for (generator, environment, reaches) in [
            (generator(None), None, true),
            (generator(None), Some(&prod), true),
            (limited.clone(), Some(&dev), true),
            (limited.clone(), Some(&prod), false),
            (limited, None, false),
        ] {
            assert_eq!(refuse_isolated(&generator, environment).is_ok(), reaches, "{environment:?}");
        }
    }
}
