//! The broker of Brokkr, a framework for custom Kubernetes control planes: authorise, decide, commit; and the fleet view
//! that answers agents.
//!
//! Every operation of the [`Broker`] takes the [`Actor`] first and follows one pattern: what may this actor see and do, what
//! does that make of the present state, and one [`commit`](brokkr_core::store::Store::commit) with the audit record in it. An
//! attempt that does not end in a commit is recorded as denied or failed.

mod access;
mod agents_api;
mod broker;
mod builder;
mod commit;
mod error;
mod follower;
pub mod generate;
mod metrics;
mod operations;
mod recent;
pub mod transport;
mod view;

pub use access::actor::{Actor, Origin};
pub use access::idempotency::Idempotency;
pub use access::pak::{Pak, PakError};
pub use agents_api::in_process::InProcess;
pub use broker::Broker;
pub use builder::{BrokerBuilder, StartError};
pub use error::{BrokerError, BrokerErrorKind, BrokerResult};
pub use operations::agents::{AgentDetails, AgentPatch, NewAgent};
pub use operations::environments::{EnvironmentPatch, NewEnvironment};
pub use operations::generators::{GeneratorPatch, NewGenerator};
pub use operations::keys::{NewKey, NewPak};
pub use operations::placement::Placed;
pub use operations::publish::{Content, Published};
pub use operations::stack_removal::Removal;
pub use operations::stacks::Applied;
pub use operations::status::{AgentStackStatus, StackOverview, Summary};
