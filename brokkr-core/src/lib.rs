//! The nouns and contracts of Brokkr, a framework for custom Kubernetes control planes.
//!
//! Nothing here talks to a database, a Kubernetes API or the network: those stand behind traits.
//!
//! | contract | trait | in memory |
//! |---|---|---|
//! | the record of everything | [`store::Store`] | [`store::MemoryStore`] |
//! | which agents serve which stacks | [`targeting::TargetingPolicy`] | the policies in [`targeting`] |
//! | how an agent reaches its broker | [`protocol::ControlPlane`] | `InProcess` in `brokkr-control` |
//!
//! `brokkr-control` builds the broker on them, `brokkr-reconcile` the reconciler. Hosts depend on the facade `brokkr`, which
//! re-exports all of it.
//!
//! Every part keeps three invariants: one door for writes ([`store::Store::commit`]); level instead of edge (an agent is sent
//! what it should hold, never what changed); and absence is never an order (an object goes only on an explicit `remove` in a
//! complete, fresh target state).

pub mod clock;
pub mod entropy;
pub mod error;
mod into_shared;
pub mod manifest;
pub mod model;
pub mod protocol;
pub mod store;
pub mod targeting;
