//! Data model and traits of Brokkr, a framework for custom Kubernetes control planes.
//!
//! This crate does no I/O: databases, Kubernetes APIs and the network are implementations of its traits.
//!
//! | responsibility | trait | in-memory implementation |
//! |---|---|---|
//! | storage of all broker state | [`store::Store`] | [`store::MemoryStore`] |
//! | selection of the agents that serve a stack | [`targeting::TargetingPolicy`] | the policies in [`targeting`] |
//! | connection of an agent to its broker | [`protocol::ControlPlane`] | `InProcess` in `brokkr-control` |
//!
//! `brokkr-control` implements the broker on these traits, `brokkr-reconcile` the reconciler. Hosts depend on the
//! facade `brokkr`, which re-exports this crate.
//!
//! All crates keep three invariants:
//!
//! 1. Every write passes through one method, [`store::Store::commit`].
//! 2. Agents receive the complete state that they should hold, never a list of changes.
//! 3. Absence never deletes: an agent removes objects only on an explicit `remove` entry in a complete, current target
//!    state.

pub mod clock;
pub mod desired;
pub mod entropy;
pub mod error;
mod into_shared;
pub mod manifest;
pub mod model;
pub mod pak;
pub mod protocol;
pub mod store;
pub mod targeting;
