//! Releases, pins and suspensions.

use brokkr_core::model::schema::Message;
use brokkr_core::model::{
    ActorRef, AgentId, DeploymentObjectId, EnvironmentId, Name, Revision, StackId, Suspension, Timestamp, Version,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is released of a stack in one environment, or on the agents without one.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Release {
    /// The stack.
    pub stack_id: StackId,
    /// The environment; null for the agents without one.
    pub environment_id: Option<EnvironmentId>,
    /// The name of the environment; null for the agents without one.
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
    /// The revision that gated agents hold; null before the first release.
    pub stable: Option<Revision>,
    /// The deployment object of that revision.
    pub stable_object_id: Option<DeploymentObjectId>,
    /// Earlier stable revisions, the latest first. A rollback can return to them.
    pub earlier: Vec<Revision>,
    /// Why the stack is suspended in the environment; null if it is not.
    pub suspended: Option<Suspension>,
    /// The reason of the last release.
    #[schema(value_type = Message)]
    pub reason: String,
    /// Increases with every change.
    pub version: Version,
    /// Time of the first release or suspension.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Request body that makes a revision stable.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"environment": "staging", "revision": 1, "reason": "passed the tests"})))]
pub struct SetStable {
    /// The name of the environment. Default: the agents without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
    /// The revision that gated agents of the environment hold from now on.
    pub revision: Revision,
    /// The reason, for people.
    #[schema(value_type = Message)]
    pub reason: String,
}

/// Request body that promotes a stack.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"from": "staging", "to": "production", "reason": "release 1.4"})))]
pub struct Promote {
    /// The name of the environment that runs the revision.
    #[schema(value_type = Name)]
    pub from: String,
    /// The name of the environment that gets it.
    #[schema(value_type = Name)]
    pub to: String,
    /// The reason, for people.
    #[schema(value_type = Message)]
    pub reason: String,
}

/// The revision that one agent holds, whatever is newest or stable.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Pin {
    /// The stack.
    pub stack_id: StackId,
    /// The agent.
    pub agent_id: AgentId,
    /// The revision.
    pub revision: Revision,
    /// The reason, for people.
    #[schema(value_type = Message)]
    pub reason: String,
    /// The actor that set the pin.
    pub created_by: ActorRef,
    /// Time after which the broker removes the pin; null if never.
    pub expires_at: Option<Timestamp>,
    /// Increases with every change, also when a removed pin is set again.
    pub version: Version,
    /// Time when the pin was set.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Request body that pins an agent to a revision.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"revision": 1, "reason": "bug 42 in revision 2"})))]
pub struct SetPin {
    /// The revision that the agent holds.
    pub revision: Revision,
    /// The reason, for people.
    #[schema(value_type = Message)]
    pub reason: String,
    /// Time after which the broker removes the pin. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Request body that suspends a stack.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reason": "incident 7"})))]
pub struct SuspendStack {
    /// The name of the environment. Default: all agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
    /// The reason, for people.
    #[schema(value_type = Message)]
    pub reason: String,
}

/// Request body that resumes a stack.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({})))]
pub struct ResumeStack {
    /// The name of the environment. Default: the suspension on all agents ends; those in environments stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>)]
    pub environment: Option<String>,
}

/// Request body that suspends an agent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reason": "maintenance of the cluster"})))]
pub struct SuspendAgent {
    /// The reason, for people.
    #[schema(value_type = Message)]
    pub reason: String,
}

impl From<brokkr_core::model::StackRelease> for Release {
    fn from(it: brokkr_core::model::StackRelease) -> Self {
        Self {
            stack_id: it.stack_id,
            environment_id: it.environment_id,
            environment: it.environment.map(Into::into),
            stable: it.stable.as_ref().map(|stable| stable.revision),
            stable_object_id: it.stable.map(|stable| stable.object_id),
            earlier: it.earlier,
            suspended: it.suspended,
            reason: it.reason,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}

impl From<brokkr_core::model::Pin> for Pin {
    fn from(it: brokkr_core::model::Pin) -> Self {
        Self {
            stack_id: it.stack_id,
            agent_id: it.agent_id,
            revision: it.revision.revision,
            reason: it.reason,
            created_by: it.created_by,
            expires_at: it.expires_at,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
