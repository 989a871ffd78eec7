//! Agents as processes on real API servers, with an agent's rights only. The tests check the clusters and their audit logs.

mod applyset;
mod conformance;
mod crashes;
mod decoys;
mod health;
mod join;
mod least;
mod lies;
mod main_job;
mod neighbours;
mod ownership;
