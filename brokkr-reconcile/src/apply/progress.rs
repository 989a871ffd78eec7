//! How far applying a stack got.

use std::collections::HashMap;
use std::sync::Arc;

use brokkr_core::model::ObjectRef;

use crate::health::ObjectHealth;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::stack_outcome::Yielded;

/// What came of applying a stack so far.
#[derive(Debug, Default)]
pub(crate) struct Applying {
    pub(crate) problems: Vec<ObjectProblem>,
    /// What others had changed or deleted and is right again.
    pub(crate) corrected: Vec<ObjectRef>,
    /// What others changed or deleted and stays so.
    pub(crate) drifted: Vec<ObjectRef>,
    /// What others change again and again, and is left to them for a while.
    pub(crate) contested: Vec<ObjectRef>,
    /// How the objects fare that are there.
    pub(crate) health: HashMap<Arc<ObjectRef>, ObjectHealth>,
    /// Fields that the manifests name and others set.
    pub(crate) yielded: Vec<Yielded>,
    pub(crate) writes: usize,
    /// Whether a custom resource definition was written, so that discovery is out of date.
    pub(crate) defined: bool,
}
