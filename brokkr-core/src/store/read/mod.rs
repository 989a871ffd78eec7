//! The read side of a store: one small trait per noun.
//!
//! Every method takes the [`Scope`](crate::store::Scope) it may see and makes it part of the query.

mod agent;
mod assignment;
mod audit;
mod deployment_object;
mod event;
mod generator;
mod key;
mod stack;
mod stack_status;
mod target;

pub use agent::{AgentFilter, AgentReader};
pub use assignment::AssignmentReader;
pub use audit::{AuditFilter, AuditReader};
pub use deployment_object::DeploymentObjectReader;
pub use event::{EventFilter, EventReader};
pub use generator::GeneratorReader;
pub use key::KeyReader;
pub use stack::{StackFilter, StackReader};
pub use stack_status::StackStatusReader;
pub use target::TargetReader;
