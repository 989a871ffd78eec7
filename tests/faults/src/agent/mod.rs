//! Faults of the agent and of its cluster, on real API servers.
//!
//! The agent is the shipped program with an agent's rights. Proxies, the cluster and signals inject the faults. After each fault the
//! agent must reach the desired state without help, and must not write any other object.

pub(crate) mod admission;
mod definitions;
mod ends;
mod gate;
pub(crate) mod groups;
mod jobs;
pub(crate) mod key;
mod kills;
mod leases;
pub(crate) mod manifests;
mod oracle;
pub(crate) mod proxy;
mod refusals;
pub(crate) mod replica;
pub(crate) mod rest;
pub(crate) mod rounds;
pub(crate) mod scene;
mod servers;
mod webhooks;
mod world;

use std::time::Duration;

pub(crate) use world::World;

use crate::{Outcome, Result};

/// The names of all faults, in order of execution.
pub(crate) const ALL: [&str; 32] = [
    "killed-fetched",
    "killed-validated",
    "killed-intent",
    "killed-applying",
    "killed-before-report",
    "killed-before-prune",
    "killed-pruning",
    "apiserver-killed",
    "apiserver-frozen",
    "apiserver-429",
    "apiserver-503",
    "etcd-killed",
    "webhook-denies",
    "webhook-times-out",
    "webhook-no-dry-run",
    "crd-late",
    "crd-with-object",
    "immutable-field",
    "foreign-manager",
    "quota-exceeded",
    "namespace-terminating",
    "stuck-finalizer",
    "object-too-large",
    "aggregated-api-down",
    "operator-removed",
    "lease-frozen",
    "lease-second-replica",
    "key-used-twice",
    "job-fails-and-vanishes",
    "crd-never-established",
    "own-admission-widened",
    "object-changes-group",
];

/// Time limit of a fault.
const LONGEST: Duration = Duration::from_secs(600);

pub(crate) async fn one(world: &mut World, name: &str) -> Result<Outcome> {
    tokio::time::timeout(LONGEST, run(world, name))
        .await
        .unwrap_or_else(|_| Err("the fault exceeded its time limit".into()))
}

async fn run(world: &mut World, name: &str) -> Result<Outcome> {
    match name {
        "killed-fetched" => kills::fetched(world).await,
        "killed-validated" => kills::validated(world).await,
        "killed-intent" => kills::intent(world).await,
        "killed-applying" => kills::applying(world).await,
        "killed-before-report" => kills::before_report(world).await,
        "killed-before-prune" => kills::before_prune(world).await,
        "killed-pruning" => kills::pruning(world).await,
        "apiserver-killed" => servers::killed(world).await,
        "apiserver-frozen" => servers::frozen(world).await,
        "apiserver-429" => servers::refusing(world, 429).await,
        "apiserver-503" => servers::refusing(world, 503).await,
        "etcd-killed" => servers::etcd_killed(world).await,
        "webhook-denies" => webhooks::denies(world).await,
        "webhook-times-out" => webhooks::times_out(world).await,
        "webhook-no-dry-run" => webhooks::no_dry_run(world).await,
        "crd-late" => definitions::late(world).await,
        "crd-with-object" => definitions::together(world).await,
        "aggregated-api-down" => definitions::down(world).await,
        "operator-removed" => definitions::operator_removed(world).await,
        "immutable-field" => refusals::immutable(world).await,
        "foreign-manager" => refusals::foreign_manager(world).await,
        "quota-exceeded" => refusals::quota(world).await,
        "namespace-terminating" => ends::terminating(world).await,
        "stuck-finalizer" => ends::finalizer(world).await,
        "object-too-large" => refusals::too_large(world).await,
        "lease-frozen" => leases::frozen(world).await,
        "lease-second-replica" => leases::second_replica(world).await,
        "key-used-twice" => leases::key_used_twice(world).await,
        "job-fails-and-vanishes" => jobs::fails_and_vanishes(world).await,
        "crd-never-established" => definitions::never_established(world).await,
        "own-admission-widened" => refusals::own_admission_widened(world).await,
        "object-changes-group" => groups::changes(world).await,
        name => Err(format!("no fault named {name}").into()),
    }
}
