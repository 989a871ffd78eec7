//! From a target state to a cluster: plan → apply → prune, over any [`Cluster`](crate::cluster::Cluster).
//!
//! The reconciler is the same code in production, in the demonstration and in tests: only the cluster behind
//! it differs. Everything it does is decided from three things: what is desired, what the inventory says that we hold, and what is
//! there.

mod applier;
mod apply;
mod claims;
mod inventory;
mod live;
mod observe;
mod order;
mod outcome;
mod ownership;
mod plan;
mod prepare;
mod prune;
mod reconciler;
mod strays;
mod vacancy;

pub use applier::{Applier, ApplierError, Desired, DesiredStack, Goal, HeldStack};
pub use outcome::{Progress, StackOutcome};
pub use ownership::{AGENT_LABEL, INVENTORY_LABEL, KEEP_ANNOTATION, PART_OF_LABEL, STACK_LABEL, field_manager};
pub use reconciler::{Reconciler, ReconcilerConfig};
