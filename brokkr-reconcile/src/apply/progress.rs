//! Intermediate results of applying a stack.

use std::collections::HashMap;
use std::sync::Arc;

use brokkr_core::model::ObjectRef;

use crate::health::ObjectHealth;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::stack_outcome::Yielded;

/// Intermediate results of applying a stack.
#[derive(Debug, Default)]
pub(crate) struct Applying {
    pub(crate) problems: Vec<ObjectProblem>,
    /// Objects that other clients changed or deleted, and that the agent restored.
    pub(crate) corrected: Vec<ObjectRef>,
    /// Objects that other clients changed or deleted, and that the agent leaves as they are.
    pub(crate) drifted: Vec<ObjectRef>,
    /// Objects that other clients change repeatedly. The agent does not restore them for a while.
    pub(crate) contested: Vec<ObjectRef>,
    /// Health of the existing objects.
    pub(crate) health: HashMap<Arc<ObjectRef>, ObjectHealth>,
    /// Fields that the manifests set and the agent leaves to other owners.
    pub(crate) yielded: Vec<Yielded>,
    pub(crate) writes: usize,
    /// Whether the pass wrote a custom resource definition, which makes discovery stale.
    pub(crate) defined: bool,
}
