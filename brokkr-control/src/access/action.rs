//! The permission table: which scopes of which kinds of keys permit an action.

use brokkr_core::model::KeyScope::{
    Agent as AgentProtocol, AuditRead, BreakGlass as BreakGlassScope, EnvironmentsPromote, FleetRead, FleetWrite, Keys,
    SecretsRead, StacksRead, StacksWrite,
};
use brokkr_core::model::{KeyKind, KeyScope, KeyScopes};

/// An operation, for authorisation. `Own…` actions are those of a principal on itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    GeneratorRead,
    GeneratorManage,
    EnvironmentRead,
    EnvironmentManage,
    GrantRead,
    GrantManage,
    JoinTokenRead,
    JoinTokenManage,
    Join,
    AgentRead,
    AgentManage,
    AgentRegister,
    AgentUnregister,
    OwnUnregister,
    KeyRead,
    KeyManage,
    OwnKeyRead,
    OwnKeyManage,
    OwnKeyRotate,
    StackRead,
    StackManage,
    DeploymentObjectRead,
    SecretRead,
    Publish,
    TargetManage,
    Release,
    PinManage,
    BreakGlass,
    TargetAbandon,
    PlacementRead,
    TargetStateRead,
    Report,
    ConfirmEpoch,
    ControllerRead,
    EventRead,
    AuditRead,
    FeedRead,
    OwnFeedRead,
}

/// The kinds of keys of people and systems that act on the whole fleet.
const ADMINS: &[KeyKind] = &[KeyKind::Admin, KeyKind::AdminReadOnly];
const GENERATORS: &[KeyKind] = &[KeyKind::Generator];
const AGENTS: &[KeyKind] = &[KeyKind::Agent];
const JOIN_TOKENS: &[KeyKind] = &[KeyKind::JoinToken];
const ADMINS_GENERATORS: &[KeyKind] = &[KeyKind::Admin, KeyKind::AdminReadOnly, KeyKind::Generator];
const ADMINS_AGENTS: &[KeyKind] = &[KeyKind::Admin, KeyKind::AdminReadOnly, KeyKind::Agent];
const GENERATORS_AGENTS: &[KeyKind] = &[KeyKind::Generator, KeyKind::Agent];
const ALL: &[KeyKind] = &[KeyKind::Admin, KeyKind::AdminReadOnly, KeyKind::Generator, KeyKind::Agent];

impl Action {
    /// The kinds of keys that the action exists for, and the scopes of which each permits it.
    fn row(self) -> (&'static [KeyKind], &'static [KeyScope]) {
        match self {
            Self::GeneratorRead => (ADMINS_GENERATORS, &[StacksRead, FleetRead]),
            Self::GeneratorManage => (ADMINS, &[FleetWrite]),
            Self::EnvironmentRead => (ADMINS, &[FleetRead]),
            Self::EnvironmentManage => (ADMINS, &[FleetWrite]),
            Self::GrantRead => (ADMINS, &[FleetRead]),
            Self::GrantManage => (ADMINS, &[FleetWrite]),
            Self::JoinTokenRead => (ADMINS, &[FleetRead]),
            Self::JoinTokenManage => (ADMINS, &[FleetWrite]),
            Self::Join => (JOIN_TOKENS, &[AgentProtocol]),
            Self::AgentRead => (ALL, &[StacksRead, FleetRead, AgentProtocol]),
            Self::AgentManage => (ADMINS, &[FleetWrite]),
            Self::AgentRegister => (ADMINS, &[FleetWrite]),
            Self::AgentUnregister => (ADMINS, &[FleetWrite]),
            Self::OwnUnregister => (GENERATORS, &[StacksWrite]),
            Self::KeyRead => (ADMINS, &[Keys, AuditRead]),
            Self::KeyManage => (ADMINS, &[Keys]),
            Self::OwnKeyRead => (GENERATORS, &[Keys, StacksRead]),
            Self::OwnKeyManage => (GENERATORS, &[Keys]),
            // Rotation is the only way in which an agent replaces its key.
            Self::OwnKeyRotate => (GENERATORS_AGENTS, &[Keys, AgentProtocol]),
            Self::StackRead => (ADMINS_GENERATORS, &[StacksRead]),
            Self::StackManage => (ADMINS_GENERATORS, &[StacksWrite]),
            Self::DeploymentObjectRead => (ALL, &[StacksRead, AgentProtocol]),
            Self::SecretRead => (ALL, &[SecretsRead, AgentProtocol]),
            Self::Publish => (ADMINS_GENERATORS, &[StacksWrite]),
            Self::TargetManage => (ADMINS_GENERATORS, &[StacksWrite]),
            Self::Release => (ADMINS_GENERATORS, &[EnvironmentsPromote]),
            Self::PinManage => (ADMINS_GENERATORS, &[StacksWrite]),
            Self::BreakGlass => (ADMINS, &[BreakGlassScope]),
            Self::TargetAbandon => (ADMINS, &[FleetWrite]),
            Self::PlacementRead => (ADMINS_GENERATORS, &[StacksRead]),
            Self::TargetStateRead => (ADMINS_AGENTS, &[FleetRead, AgentProtocol]),
            Self::Report => (AGENTS, &[AgentProtocol]),
            Self::ConfirmEpoch => (ADMINS, &[FleetWrite]),
            Self::ControllerRead => (ADMINS, &[FleetRead]),
            Self::EventRead => (ALL, &[StacksRead, AgentProtocol]),
            Self::AuditRead => (ADMINS, &[AuditRead]),
            // The feed of the whole fleet contains every key and every agent.
            Self::FeedRead => (ADMINS, &[AuditRead]),
            Self::OwnFeedRead => (GENERATORS, &[StacksRead]),
        }
    }

    /// Whether a key that is limited to environments may perform the action, on rows within its limit. The other actions change
    /// what all environments share, or read records of all of them.
    pub(crate) fn is_of_agents(self) -> bool {
        !matches!(
            self,
            Self::GeneratorManage
                | Self::EnvironmentManage
                | Self::GrantManage
                | Self::AuditRead
                | Self::FeedRead
                | Self::OwnFeedRead
        )
    }

    /// Whether a key of this kind with these scopes may perform the action. The rows that it reaches depend on the owner.
    pub(crate) fn allowed(self, kind: KeyKind, scopes: &KeyScopes) -> bool {
        let (kinds, granting) = self.row();
        kinds.contains(&kind) && granting.iter().any(|scope| scopes.contains(scope))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use brokkr_core::model::Preset;

    use super::*;

    /// Every action, with the single scopes that permit it to an admin, a generator and an agent.
    const TABLE: [(Action, &str, &str, &str); 38] = [
        (Action::GeneratorRead, "stacks:read fleet:read", "stacks:read", ""),
        (Action::GeneratorManage, "fleet:write", "", ""),
        (Action::EnvironmentRead, "fleet:read", "", ""),
        (Action::EnvironmentManage, "fleet:write", "", ""),
        (Action::GrantRead, "fleet:read", "", ""),
        (Action::GrantManage, "fleet:write", "", ""),
        (Action::JoinTokenRead, "fleet:read", "", ""),
        (Action::JoinTokenManage, "fleet:write", "", ""),
        (Action::Join, "", "", ""),
        (Action::AgentRead, "stacks:read fleet:read", "stacks:read", "agent"),
        (Action::AgentManage, "fleet:write", "", ""),
        (Action::AgentRegister, "fleet:write", "", ""),
        (Action::AgentUnregister, "fleet:write", "", ""),
        (Action::OwnUnregister, "", "stacks:write", ""),
        (Action::KeyRead, "audit:read keys", "", ""),
        (Action::KeyManage, "keys", "", ""),
        (Action::OwnKeyRead, "", "stacks:read keys", ""),
        (Action::OwnKeyManage, "", "keys", ""),
        (Action::OwnKeyRotate, "", "keys", "agent"),
        (Action::StackRead, "stacks:read", "stacks:read", ""),
        (Action::StackManage, "stacks:write", "stacks:write", ""),
        (Action::DeploymentObjectRead, "stacks:read", "stacks:read", "agent"),
        (Action::SecretRead, "secrets:read", "secrets:read", "agent"),
        (Action::Publish, "stacks:write", "stacks:write", ""),
        (Action::TargetManage, "stacks:write", "stacks:write", ""),
        (Action::Release, "environments:promote", "environments:promote", ""),
        (Action::PinManage, "stacks:write", "stacks:write", ""),
        (Action::BreakGlass, "break-glass", "", ""),
        (Action::TargetAbandon, "fleet:write", "", ""),
        (Action::PlacementRead, "stacks:read", "stacks:read", ""),
        (Action::TargetStateRead, "fleet:read", "", "agent"),
        (Action::Report, "", "", "agent"),
        (Action::ConfirmEpoch, "fleet:write", "", ""),
        (Action::ControllerRead, "fleet:read", "", ""),
        (Action::EventRead, "stacks:read", "stacks:read", "agent"),
        (Action::AuditRead, "audit:read", "", ""),
        (Action::FeedRead, "audit:read", "", ""),
        (Action::OwnFeedRead, "", "stacks:read", ""),
    ];

    fn only(scope: &KeyScope) -> KeyScopes {
        BTreeSet::from([scope.clone()]).try_into().expect("few")
    }

    #[test]
    fn each_scope_permits_exactly_its_actions() {
        let scopes = || KeyScope::fixed().chain(["gate:tests".parse().expect("a gate")]);
        let tested: BTreeSet<String> = TABLE.iter().map(|(action, ..)| format!("{action:?}")).collect();
        assert_eq!(tested.len(), TABLE.len(), "each action once");
        for (action, admin, generator, agent) in TABLE {
            for (kind, expected) in [(KeyKind::Admin, admin), (KeyKind::Generator, generator), (KeyKind::Agent, agent)]
            {
                // Scopes that a kind cannot have permit nothing to it, if one were stored nevertheless.
                let permitting = scopes().filter(|scope| action.allowed(kind, &only(scope)) && scope.fits(kind));
                let permitting: Vec<String> = permitting.map(|it| it.to_string()).collect();
                assert_eq!(permitting.join(" "), expected, "{action:?} for {kind:?}");
            }
            assert!(!action.allowed(KeyKind::Admin, &KeyScopes::default()), "{action:?} without a scope");
        }
    }

    #[test]
    fn scope_of_another_kind_reaches_nothing_beyond_the_owner() {
        let admin = Preset::Admin.scopes();
        for (action, for_admin, for_generator, for_agent) in TABLE {
            assert_eq!(action.allowed(KeyKind::Admin, &admin), !for_admin.is_empty(), "{action:?}");
            assert_eq!(action.allowed(KeyKind::Generator, &admin), !for_generator.is_empty(), "{action:?}");
            assert!(!action.allowed(KeyKind::Agent, &admin) || for_agent == "agent", "{action:?}");
        }
    }

    #[test]
    fn limited_keys_do_not_touch_what_environments_share() {
        use Action as A;
        let closed = TABLE.iter().map(|(action, ..)| *action).filter(|action| !action.is_of_agents());
        let expected =
            [A::GeneratorManage, A::EnvironmentManage, A::GrantManage, A::AuditRead, A::FeedRead, A::OwnFeedRead];
        assert_eq!(closed.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn join_token_permits_joining_and_nothing_else() {
        let scopes = KeyKind::JoinToken.default_scopes();
        let allowed = TABLE.iter().filter(|(action, ..)| action.allowed(KeyKind::JoinToken, &scopes));
        assert_eq!(allowed.map(|(action, ..)| *action).collect::<Vec<_>>(), [Action::Join]);
    }

    /// The rights of keys from before there were scopes: admin, read-only admin, generator, agent.
    #[test]
    fn default_scopes_equal_the_rights_of_the_kind() {
        use Action as A;
        let of = |kind: KeyKind| {
            let allowed = TABLE.iter().filter(|(action, ..)| action.allowed(kind, &kind.default_scopes()));
            allowed.map(|(action, ..)| *action).collect::<Vec<_>>()
        };
        let own =
            [A::OwnUnregister, A::OwnKeyRead, A::OwnKeyManage, A::OwnKeyRotate, A::OwnFeedRead, A::Report, A::Join];
        let every = TABLE.iter().map(|(action, ..)| *action);
        assert_eq!(of(KeyKind::Admin), every.filter(|it| !own.contains(it)).collect::<Vec<_>>());
        let reads = [
            A::GeneratorRead,
            A::EnvironmentRead,
            A::GrantRead,
            A::JoinTokenRead,
            A::AgentRead,
            A::KeyRead,
            A::StackRead,
            A::DeploymentObjectRead,
            A::PlacementRead,
            A::TargetStateRead,
            A::ControllerRead,
            A::EventRead,
            A::AuditRead,
            A::FeedRead,
        ];
        assert_eq!(of(KeyKind::AdminReadOnly), reads);
        let publisher = [
            A::GeneratorRead,
            A::AgentRead,
            A::OwnUnregister,
            A::OwnKeyRead,
            A::StackRead,
            A::StackManage,
            A::DeploymentObjectRead,
            A::Publish,
            A::TargetManage,
            A::PinManage,
            A::PlacementRead,
            A::EventRead,
            A::OwnFeedRead,
        ];
        assert_eq!(of(KeyKind::Generator), publisher);
        let agent = [
            A::AgentRead,
            A::OwnKeyRotate,
            A::DeploymentObjectRead,
            A::SecretRead,
            A::TargetStateRead,
            A::Report,
            A::EventRead,
        ];
        assert_eq!(of(KeyKind::Agent), agent);
    }
}
