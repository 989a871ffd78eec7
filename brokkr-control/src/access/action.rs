//! The permission table: which kind of key may perform which action.

use brokkr_core::model::KeyKind;

/// An operation, for authorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    GeneratorRead,
    GeneratorManage,
    EnvironmentRead,
    EnvironmentManage,
    GrantRead,
    GrantManage,
    AgentRead,
    AgentManage,
    AgentRegister,
    AgentUnregister,
    AdminKeyRead,
    AdminKeyManage,
    AgentKeyRead,
    AgentKeyManage,
    AgentKeyRotate,
    GeneratorKeyRead,
    GeneratorKeyManage,
    StackRead,
    StackManage,
    DeploymentObjectRead,
    Publish,
    TargetManage,
    TargetAbandon,
    PlacementRead,
    TargetStateRead,
    Report,
    ConfirmEpoch,
    EventRead,
    AuditRead,
    FeedRead,
}

impl Action {
    /// Whether keys of this kind may perform the action. The scope then limits the rows.
    pub(crate) fn allowed(self, kind: KeyKind) -> bool {
        use KeyKind::{Admin, AdminReadOnly, Agent, Generator};
        match self {
            Self::GeneratorRead | Self::GeneratorKeyRead | Self::StackRead | Self::PlacementRead | Self::FeedRead => {
                matches!(kind, Admin | AdminReadOnly | Generator)
            }
            Self::AgentRead | Self::DeploymentObjectRead | Self::EventRead => true,
            Self::TargetStateRead => matches!(kind, Admin | AdminReadOnly | Agent),
            Self::EnvironmentRead | Self::GrantRead | Self::AdminKeyRead | Self::AgentKeyRead | Self::AuditRead => {
                matches!(kind, Admin | AdminReadOnly)
            }
            Self::StackManage
            | Self::Publish
            | Self::TargetManage
            | Self::GeneratorKeyManage
            | Self::AgentUnregister => {
                matches!(kind, Admin | Generator)
            }
            Self::AgentKeyRotate => matches!(kind, Admin | Agent),
            Self::Report => kind == Agent,
            Self::GeneratorManage
            | Self::EnvironmentManage
            | Self::GrantManage
            | Self::AgentManage
            | Self::AgentRegister
            | Self::AdminKeyManage
            | Self::AgentKeyManage
            | Self::TargetAbandon
            | Self::ConfirmEpoch => kind == Admin,
        }
    }
}
