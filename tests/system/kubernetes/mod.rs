//! Agents as processes on real API servers, with an agent's rights only. Asserted is what is in the clusters and in their audit logs.

mod conflicts;
mod conformance;
mod crashes;
mod main_job;
