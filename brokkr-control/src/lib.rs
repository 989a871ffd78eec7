//! The broker of Brokkr, a framework for custom Kubernetes control planes. It authorises, decides and commits operations,
//! and answers agents from the fleet view.
//!
//! Every operation of the [`Broker`] takes the [`Actor`] first and follows one pattern: authorise the actor, decide on the
//! current state, and make one [`commit`](brokkr_core::store::Store::commit) that includes the audit record. An attempt
//! without a commit is audited as denied or failed.
//!
//! If the future of an operation is dropped, each of its commits happens completely or not at all.

mod access;
mod agent_protocol;
mod background;
mod broker;
mod builder;
mod commit;
pub mod controller;
mod controllers;
mod error;
pub mod generate;
mod intake;
mod metrics;
mod operations;
mod origin;
mod recent;
mod store_clock;
pub mod transport;
mod view;

pub use access::actor::Actor;
pub use access::idempotency::Idempotency;
pub use access::key_terms::KeyTerms;
pub use access::right::{Permission, Right, rights};
pub use agent_protocol::in_process::InProcess;
pub use broker::Broker;
pub use brokkr_core::pak::{KeyHash, Pak, PakError};
pub use builder::{BrokerBuilder, StartError};
pub use error::{BrokerError, BrokerErrorKind, BrokerResult};
pub use intake::parsing::Turn;
pub use intake::quotas::Quotas;
pub use intake::shares::{Part, Share, Shares};
pub use operations::agents::{AgentDetails, AgentPatch, NewAgent, default_grant};
pub use operations::controllers::ControllerStatus;
pub use operations::environments::{EnvironmentPatch, NewEnvironment};
pub use operations::generators::{GeneratorPatch, NewGenerator};
pub use operations::grants::{GrantPatch, NewGrant};
pub use operations::impact::{Impact, WantedChange};
pub use operations::join::{Joined, NewMember};
pub use operations::join_tokens::{NewJoinToken, NewToken};
pub use operations::keys::{KeyDetails, NewKey, NewPak};
pub use operations::pins::NewPin;
pub use operations::placement::Placed;
pub use operations::preparation::Content;
pub use operations::publish::{Published, Rollback};
pub use operations::secrets::ShownContent;
pub use operations::stack_removal::Removal;
pub use operations::stacks::Applied;
pub use operations::status::{AgentStackStatus, StackOverview, StackState, Summary};
pub use origin::Origin;
pub use recent::controllers::ControllerState;
