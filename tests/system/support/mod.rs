//! What the tests have in common.

mod api;
mod database;
mod eventually;
mod feed;
mod fleet;
mod real;

pub(crate) use api::{Api, Reply};
pub(crate) use database::Database;
pub(crate) use eventually::{eventually, stays};
pub(crate) use feed::stacks_of_feed;
pub(crate) use fleet::{Fleet, Scene, config_map, namespace};
pub(crate) use real::{Broker, agent_of, binary, clusters};
