//! From a target state to a cluster: plan → apply → prune, over any [`Cluster`](crate::cluster::Cluster).
//!
//! The reconciler is the same code in production, in the demonstration and in tests: only the cluster behind
//! it differs. Everything it does is decided from three things: what is desired, what the inventory says that we hold, and what is
//! there.

mod adopt;
mod applier;
mod apply;
mod changes;
mod claims;
mod depend;
mod establish;
mod fights;
pub mod health;
mod ignore;
mod inventory;
mod job;
mod job_ends;
mod live;
mod local_limits;
mod observe;
mod order;
mod outcome;
mod own_rules;
mod ownership;
pub mod plan;
mod prepare;
mod prune;
mod readiness;
mod reconciler;
mod referred;
mod remedy;
mod replace;
mod replicas;
#[cfg(test)]
mod samples;
mod slots;
mod step;
mod strays;
mod summary;
mod unanswered;
mod vacancy;
mod watches;
mod write;

pub use applier::{Applier, ApplierError, Desired, DesiredStack, Goal, HeldStack};
pub use depend::DEPENDS_ON_ANNOTATION;
pub use local_limits::{KindPattern, LocalLimits, NotAPattern};
pub use outcome::{Progress, Retained, StackOutcome, Unhealthy, Yielded};
pub use ownership::{AGENT_LABEL, INVENTORY_LABEL, KEEP_ANNOTATION, PART_OF_LABEL, STACK_LABEL, field_manager};
pub use plan::Plan;
pub use reconciler::{Reconciler, ReconcilerConfig};
