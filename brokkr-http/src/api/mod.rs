//! Request and response documents. Every field is part of the API contract; requests with unknown fields are refused.

mod agent;
mod auth;
mod change;
mod controller;
mod deployment_object;
mod environment;
mod exceeded_limit;
mod generator;
mod grant;
mod impact;
mod join_token;
mod key;
mod list;
mod manifest;
mod patch;
mod problem_document;
mod problem_type;
mod record;
mod release;
mod stack;
mod status;
mod target;

pub use agent::{
    Agent, AgentSessionInfo, AgentSilenceInfo, CreateAgent, CreatedAgent, PatchAgent, RegisterAgent, Registration,
};
pub use auth::WhoAmI;
pub use change::{Change, ChangePage};
pub use controller::Controller;
pub use deployment_object::{DeploymentObject, PublishManifests, Rollback};
pub use environment::{CreateEnvironment, Environment, PatchEnvironment};
pub use exceeded_limit::ExceededLimit;
pub use generator::{CreateGenerator, CreatedGenerator, Generator, PatchGenerator};
pub use grant::{CreateGrant, Grant, PatchGrant};
pub use impact::{AgentChange, AskImpact, Effect, GeneratorChange, Impact};
pub use join_token::{CreateJoinToken, CreatedJoinToken, JoinAgent, JoinToken, WantedRegistration};
pub use key::{AdminKeyKind, CreateAdminKey, CreateAgentKey, CreateKey, CreatedKey, FirstKey, Key, RotatePak};
pub use list::List;
pub use manifest::ManifestOrList;
pub use patch::{PatchExclusion, PatchPolicies, PatchTargeting, PatchWait};
pub use problem_document::ProblemDocument;
pub use problem_type::ProblemType;
pub use record::{AuditChanges, AuditPage, AuditRecord, Event};
pub use release::{Pin, Promote, Release, ResumeStack, SetPin, SetStable, SuspendAgent, SuspendStack};
pub use stack::{AppliedStack, ApplyStack, CreateStack, Generate, PatchStack, Stack};
pub use status::{AgentStackStatus, StackStatus, Summary};
pub use target::{Abandon, Placement, Target};

/// The media type of problem documents (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The response header with the generation of a target state.
pub const GENERATION_HEADER: &str = "brokkr-generation";
/// The response header with the epoch of a target state.
pub const EPOCH_HEADER: &str = "brokkr-epoch";

/// The path prefix of version 1 of the API.
pub const API_V1: &str = "/api/v1";
