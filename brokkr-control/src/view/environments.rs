//! The environments in the fleet view.

use std::collections::BTreeMap;

use brokkr_core::model::{Agent, Environment, EnvironmentId, Name, Version};

/// What the view knows about an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenEnvironment {
    pub(crate) id: EnvironmentId,
    pub(crate) name: Name,
    pub(crate) version: Version,
    pub(crate) protected: bool,
}

/// The living environments by name.
#[derive(Default)]
pub(crate) struct Environments(BTreeMap<Name, SeenEnvironment>);

impl Environments {
    /// Folds an environment. Returns its name if target states may change.
    pub(crate) fn fold(&mut self, environment: Environment) -> Option<Name> {
        let Environment { id, name, version, protected, deleted_at, .. } = environment;
        let key = name.clone();
        let before = self.0.get(&key).filter(|it| it.id == id).map(|it| it.protected);
        if deleted_at.is_none() {
            self.0.insert(key.clone(), SeenEnvironment { id, name, version, protected });
            return (before != Some(protected)).then_some(key);
        }
        // A new environment with the name may have been folded first.
        before?;
        self.0.remove(&key);
        Some(key)
    }

    /// The environment that an agent is in.
    pub(crate) fn of(&self, agent: &Agent) -> Option<&SeenEnvironment> {
        self.0.get(agent.environment.as_ref()?)
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::store::conformance::sample;

    use super::*;

    #[test]
    fn environment_is_found_by_the_agent() {
        let mut environments = Environments::default();
        let mut agent = sample::agent("a");
        let one = sample::environment("prod");
        let two = Environment { protected: true, ..sample::environment("prod") };
        let gone = |it: &Environment| Environment { deleted_at: Some(sample::time(1)), ..it.clone() };
        assert_eq!(environments.fold(one.clone()).as_ref().map(Name::as_str), Some("prod"));
        assert_eq!(environments.fold(one.clone()), None, "nothing changes");
        assert!(environments.of(&agent).is_none());
        agent.environment = Some(one.name.clone());
        assert_eq!(environments.of(&agent).map(|it| it.id), Some(one.id));
        assert_eq!(
            environments.fold(Environment { protected: true, ..one.clone() }).as_ref().map(Name::as_str),
            Some("prod")
        );
        assert_eq!(environments.fold(two.clone()).as_ref().map(Name::as_str), Some("prod"), "a new one has the name");
        assert_eq!(environments.fold(gone(&one)), None);
        assert_eq!(environments.of(&agent).map(|it| (it.id, it.protected)), Some((two.id, true)));
        assert_eq!(environments.fold(gone(&two)).as_ref().map(Name::as_str), Some("prod"));
        assert!(environments.of(&agent).is_none());
    }
}
