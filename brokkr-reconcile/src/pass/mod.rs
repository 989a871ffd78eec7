//! A pass: what is due is applied, judged and pruned.

pub(crate) mod readiness;
pub(crate) mod reconciler;
pub(crate) mod referred;
pub(crate) mod stack_pass;
pub(crate) mod waits;
