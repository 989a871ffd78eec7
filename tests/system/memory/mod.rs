//! Agents on clusters in memory: the real loop and reconciler, with faults that a real API server cannot inject.

mod crashes;
mod dependencies;
mod grants;
mod refusals;
mod releases;
mod removal;
mod steady;
