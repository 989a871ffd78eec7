//! The data model: entities, one file each, and their value types.
//!
//! Entities are plain data. Each has a [`Version`] that grows by one with every change; `deleted_at` turns an entity
//! into a tombstone. The broker decides who may change an entity; the [`store`](crate::store) records it.

mod actor_ref;
mod agent;
mod agent_session;
mod agent_silence;
mod assignment;
mod audit;
mod condition;
mod deployment_object;
mod digest;
mod entity;
mod environment;
mod environment_label;
mod environment_set;
mod event;
mod frozen_revision;
mod generation;
mod generator;
mod grant;
mod id;
mod ignore_rule;
mod join_token;
mod key;
mod key_kind;
mod key_scope;
mod label_selector;
mod labels;
pub mod limits;
mod name;
mod pin;
mod policies;
mod quota;
mod registry;
#[cfg(feature = "openapi")]
pub mod schema;
mod source_network;
mod stack;
mod stack_release;
mod stack_spec;
mod stack_status;
mod suspension;
mod target;
mod targeting_rule;
mod text;
mod time;
mod version;

pub use actor_ref::ActorRef;
pub use agent::{Agent, AgentStatus};
pub use agent_session::AgentSession;
pub use agent_silence::AgentSilence;
pub use assignment::{Assignment, AssignmentState};
pub use audit::{AuditChanges, AuditOutcome, AuditRecord};
pub use condition::{Condition, ConditionStatus, Health};
pub use deployment_object::{DeploymentObject, Provenance};
pub use digest::Digest;
pub use entity::Record;
pub use environment::Environment;
pub use environment_label::{ENVIRONMENT_LABEL, agent_labels};
pub use environment_set::{EnvironmentSet, is_within};
pub use event::{AgentEvent, EventAction, EventOutcome, ObjectRef};
pub use frozen_revision::FrozenRevision;
pub use generation::Generation;
pub use generator::GeneratorPrincipal;
pub use grant::{
    Grant, GrantRules, GrantedField, KindPattern, NamespacePattern, NotANamespacePattern, NotAPattern, PodSecurity,
    Violation,
};
pub use id::{
    AgentId, AuditId, DeploymentObjectId, EnvironmentId, Epoch, EventId, GeneratorId, GrantId, InstanceId, JoinTokenId,
    KeyId, PinId, RequestId, StackId, StackReleaseId,
};
pub use ignore_rule::IgnoreRule;
pub use join_token::JoinToken;
pub use key::{ApiKey, KeyOwner};
pub use key_kind::KeyKind;
pub use key_scope::{KeyScope, KeyScopes, Preset};
pub use label_selector::{LabelSelector, Operator, Requirement};
pub use labels::{Annotations, Labels, validate_label_key, validate_label_value};
pub use name::Name;
pub(crate) use name::{is_dns_label, is_dns_subdomain};
pub use pin::Pin;
pub use policies::{Adopt, Conflicts, Deletion, Drift, Policies, Validate, Wait};
pub use quota::{Quota, QuotaExceeded};
pub use registry::{Change, Entity, EntityKey, EntityKind, Storage};
pub use source_network::SourceNetwork;
pub use stack::{Stack, StackPhase};
pub use stack_release::{ReleaseMode, StackRelease};
pub use stack_spec::StackSpec;
pub use stack_status::{LastError, OutcomeKey, StackProgress, StackStatus};
pub use suspension::Suspension;
pub use target::Target;
pub use targeting_rule::{Exclusion, SharedKeys, TargetingRule};
pub use text::{shorten, validate_text};
pub use time::Timestamp;
pub use version::{Revision, Version};
