//! Checks of the environments that agents, generators, keys and targeting rules name.

use brokkr_core::error::{Invalid, InvalidCode};
use brokkr_core::model::{EntityKey, Environment, EnvironmentSet, GeneratorPrincipal, Name};
use brokkr_core::store::{Precondition, Scope};

use crate::broker::Broker;
use crate::error::{BrokerError, BrokerResult};

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
                Err(Invalid::new(InvalidCode::ReferenceInvalid, message).into())
            }
            Err(error) => Err(error),
        }
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
    use brokkr_core::model::{GeneratorId, Version};

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
