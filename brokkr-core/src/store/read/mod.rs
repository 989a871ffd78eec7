//! The read side of a store: [`EntityReader`] for entities of any kind, and one small trait per noun for further
//! queries.
//!
//! Every method takes a [`Scope`](crate::store::Scope) and applies it in the query.

mod agent;
mod assignment;
mod audit;
mod deployment_object;
mod entity;
mod event;
mod key;
mod stack;
mod stack_status;
mod target;

pub use agent::AgentReader;
pub use assignment::AssignmentReader;
pub use audit::{AuditFilter, AuditListing, AuditReader};
pub use deployment_object::DeploymentObjectReader;
pub use entity::{EntityQuery, EntityReader};
pub use event::{EventFilter, EventReader};
pub use key::KeyReader;
pub use stack::StackReader;
pub use stack_status::StackStatusReader;
pub use target::TargetReader;
