//! Controllers: work that the broker does later than a request.
//!
//! [`Controller`] is the contract. [`BrokerBuilder::controller`](crate::BrokerBuilder::controller) adds those of the host.

mod command;
mod contract;
mod execute;
mod interest;
mod lead;
mod pace;
mod plan;
mod queue;
mod reads;
mod runner;

pub use command::Command;
pub(crate) use command::Own;
pub use contract::Controller;
pub use interest::Interest;
pub use pace::Pace;
pub use plan::Plan;
pub use reads::Reads;
pub(crate) use runner::{Principal, run};
