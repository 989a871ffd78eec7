//! Reconciles a target state with a cluster: plan, apply, prune, over any [`Cluster`](cluster::Cluster).
//!
//! Production, demonstration and tests run the same reconciler; only the cluster differs. Every decision depends on three
//! inputs: the desired state, the inventory of held objects, and the objects in the cluster.

mod applier;
mod apply;
pub mod cluster;
mod context;
mod desired;
pub mod health;
mod limits;
mod observed;
mod order;
mod outcome;
mod ownership;
mod pass;
pub mod plan;
mod prune;
mod remedy;
#[cfg(test)]
mod samples;
mod wording;

pub use applier::{Applier, ApplierError, Desired, DesiredStack, Goal, HeldStack};
pub use cluster::generator_user;
pub use desired::depends_on::DEPENDS_ON_ANNOTATION;
pub use limits::LocalLimits;
pub use outcome::reason::Reason;
pub use outcome::stack_outcome::{Progress, Retained, StackOutcome, Unhealthy, Yielded};
pub use ownership::labels::{AGENT_LABEL, INVENTORY_LABEL, KEEP_ANNOTATION, PART_OF_LABEL, STACK_LABEL, field_manager};
pub use pass::reconciler::{Reconciler, ReconcilerConfig};
pub use plan::Plan;
