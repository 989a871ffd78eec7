//! Fixtures of the system tests.

mod agent_cluster;
mod api;
mod audit;
mod authority;
mod counted;
mod database;
mod eventually;
mod feed;
mod fleet;
mod freezing_store;
mod inventory;
mod liar;
mod real;
mod stage;
mod tenants;

pub(crate) use agent_cluster::AgentCluster;
pub(crate) use api::{Api, Reply};
pub(crate) use audit::{AuditMark, succeeded};
pub(crate) use authority::{Authority, Pair};
pub(crate) use counted::Counted;
pub(crate) use database::Database;
pub(crate) use eventually::{eventually, stays};
pub(crate) use feed::stacks_of_feed;
pub(crate) use fleet::{Fleet, Scene, config_map, namespace, start_on};
pub(crate) use freezing_store::{FreezingStore, Side};
pub(crate) use inventory::{inventory, inventory_name};
pub(crate) use liar::{Liar, Lie, Told, json};
pub(crate) use real::{Broker, agent_of, agent_through, cluster_with_nodes, clusters, log};
pub(crate) use stage::Stage;
pub(crate) use tenants::{Act, Tenants, orders};
