//! Agents on clusters in memory: the real loop, the real reconciler, faults that a real API server cannot be asked for.

mod crashes;
mod dependencies;
mod refusals;
mod removal;
mod steady;
