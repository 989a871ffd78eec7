//! Applying: decides the step for each object, and executes it.

pub(crate) mod adopt;
pub(crate) mod applying;
pub(crate) mod decide;
pub(crate) mod dependencies;
pub(crate) mod establish;
pub(crate) mod guard;
pub(crate) mod immutable;
pub(crate) mod own_rules;
pub(crate) mod progress;
pub(crate) mod replace;
pub(crate) mod replicas;
pub(crate) mod unanswered;
pub(crate) mod write;
