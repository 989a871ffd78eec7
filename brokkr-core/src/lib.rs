//! The pure core of Brokkr, a framework for custom Kubernetes control planes.
//!
//! Nothing here talks to a database, a Kubernetes API or the network: those stand behind traits.
//! A host composes the parts:
//!
//! | part | trait | ready-made |
//! |---|---|---|
//! | the record of everything | [`store::Store`] | [`store::MemoryStore`] |
//! | who serves what | [`targeting::TargetingPolicy`] | the policies in [`targeting`] |
//! | who makes manifests | [`generate::Generator`] | – |
//! | a Kubernetes API | [`cluster::Cluster`] | [`cluster::MemoryCluster`] |
//! | what the agent does with its target state | [`reconcile::Applier`] | [`reconcile::Reconciler`] |
//! | how the agent reaches its broker | [`protocol::ControlPlane`] | [`protocol::InProcess`] |
//!
//! [`broker::Broker`] ties the first three together and answers agents; `brokkr-http` puts a REST API
//! in front of it, `brokkr-agent-runtime` runs the agent's side.
//!
//! The invariants that every part keeps: one door for writes ([`store::Store::commit`]), level instead
//! of edge (an agent is told what it should hold, never what changed), and absence is never an order (an object goes only on an explicit
//! `remove` in a complete, fresh target state).

pub mod broker;
pub mod clock;
pub mod cluster;
pub mod error;
pub mod generate;
pub mod manifest;
pub mod model;
pub mod protocol;
pub mod reconcile;
pub mod store;
pub mod targeting;
