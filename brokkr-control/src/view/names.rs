//! What names an environment, counted from the fleet view.

use brokkr_core::model::{EnvironmentSet, Name, Timestamp};

use crate::view::FleetView;

/// How many entities name an environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NamedBy {
    agents: usize,
    generators: usize,
    keys: usize,
    join_tokens: usize,
}

impl NamedBy {
    /// The counts in words; `None` if nothing names it.
    pub(crate) fn told(self) -> Option<String> {
        let counts = [
            (self.agents, "agent"),
            (self.generators, "generator"),
            (self.keys, "key"),
            (self.join_tokens, "join token"),
        ];
        let one = |(count, what): (usize, &str)| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let told: Vec<String> = counts.into_iter().filter(|(count, _)| *count > 0).map(one).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

impl FleetView {
    /// Counts the agents and generators, and the usable keys and join tokens, that name an environment.
    pub(crate) fn names_of(&self, name: &Name, now: Timestamp) -> NamedBy {
        let state = self.read();
        let among = |set: &Option<EnvironmentSet>| set.as_ref().is_some_and(|set| set.contains(Some(name)));
        let tokens = state.join_tokens().filter(|token| {
            token.is_usable(now) && (token.environment.as_ref() == Some(name) || among(&token.keys_environments))
        });
        NamedBy {
            agents: state.agents().filter(|agent| agent.environment.as_ref() == Some(name)).count(),
            generators: state.tenants().generators().filter(|it| among(&it.environments)).count(),
            keys: state.keys().filter(|key| key.is_usable(now) && among(&key.environments)).count(),
            join_tokens: tokens.count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_in_words() {
        let nothing = NamedBy::default();
        for (named, told) in [
            (nothing, None),
            (NamedBy { agents: 1, ..nothing }, Some("1 agent")),
            (NamedBy { agents: 2, join_tokens: 1, ..nothing }, Some("2 agents, 1 join token")),
            (NamedBy { generators: 1, keys: 3, ..nothing }, Some("1 generator, 3 keys")),
        ] {
            assert_eq!(named.told().as_deref(), told, "{named:?}");
        }
    }
}
