//! Checks with published files and real clusters, as a user sees them: through the broker's API, the
//! objects in the cluster, and the API server's audit log.
//!
//! Each check has several cases of one class of defects, other than the example that revealed the class.

mod admission;
mod adopted;
mod authority;
mod conversion;
mod failed_jobs;
mod files;
mod groups;
mod look;
mod low_api;
mod low_cluster;
mod present_texts;
mod reading;
mod refused;
mod removals;
mod replicas;
mod shapes;
mod unlucky;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_testbed::{Kwok, Nodes, Tools};
use futures::StreamExt as _;
use serde_json::json;

use crate::agent::World;
use crate::{Outcome, Result, chosen, tell};

/// The names of all checks. The longest start first.
const ALL: [&str; 19] = [
    "low-delete-webhook",
    "authority",
    "shapes",
    "f1-failed-jobs",
    "f10-namespace-goes",
    "f5-replicas",
    "f2-present-texts",
    "f3-own-admission",
    "f4-refused-objects",
    "f6-reading",
    "f7-crd-never-established",
    "f8-adopted-fields",
    "f9-one-object-two-groups",
    "low-crd-recreated",
    "low-priority-class",
    "low-pvc-class",
    "low-user-agent",
    "low-if-match-star",
    "low-big-integers",
];

/// Collects status texts for a reader. Runs only by name.
const UNLUCKY: &str = "unlucky";

/// Time limit of a check.
const LONGEST: Duration = Duration::from_secs(420);
/// Number of parallel checks. Each has one or two agents, and all share two API servers.
const BESIDE: usize = 9;

/// Runs all checks or one of them. Returns true if a check failed.
pub(crate) async fn run(only: Option<&str>, write: Option<PathBuf>) -> Result<bool> {
    let names = if only == Some(UNLUCKY) { vec![UNLUCKY] } else { chosen(&ALL, only)? };
    let mut world = World::start("real").await?;
    // Many agents share this machine, and none may lose its Lease, so use the default duration.
    world.lease_seconds = 15;
    let folder = world.file("nodes");
    // Only the first cluster has a node. The second one is for checks with incomplete discovery.
    let _nodes = Nodes::start(&Tools::ensure()?, &Kwok::ensure()?, world.cluster(0)?, &folder)?;
    for cluster in &world.clusters.all {
        cluster.apply(&administrators())?;
    }
    let world = Arc::new(world);
    if names == [UNLUCKY] {
        let wrong = unlucky::run(&world, write).await?;
        return Ok(tell(UNLUCKY, Ok(wrong)));
    }
    let checks = futures::stream::iter(names).map(|name| {
        let world = world.clone();
        async move {
            let began = Instant::now();
            let task = tokio::spawn(async move { tokio::time::timeout(LONGEST, one(&world, name)).await });
            let outcome = match task.await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err("the check exceeded its time limit".into()),
                Err(error) => Err(error.into()),
            };
            (name, outcome, began.elapsed())
        }
    });
    let mut checks = checks.buffer_unordered(BESIDE);
    let mut wrong = false;
    while let Some((name, outcome, took)) = checks.next().await {
        println!("==> {name}: {} s", took.as_secs());
        wrong |= tell(name, outcome);
    }
    Ok(wrong)
}

/// Published files contain every kind, so this agent is a cluster administrator.
fn administrators() -> serde_json::Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "agents-are-administrators"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "brokkr-agents"}],
    })
}

async fn one(world: &World, name: &str) -> Result<Outcome> {
    match name {
        "f1-failed-jobs" => failed_jobs::check(world, name).await,
        "f2-present-texts" => present_texts::check(world, name).await,
        "f3-own-admission" => admission::check(world, name).await,
        "f4-refused-objects" => refused::check(world, name).await,
        "f5-replicas" => replicas::check(world, name).await,
        "f6-reading" => reading::check(world, name).await,
        "f7-crd-never-established" => conversion::check(world, name).await,
        "f8-adopted-fields" => adopted::check(world, name).await,
        "f9-one-object-two-groups" => groups::check(world, name).await,
        "f10-namespace-goes" => removals::check(world, name).await,
        "low-crd-recreated" => low_cluster::definition_recreated(world, name).await,
        "low-priority-class" => low_cluster::priority_class(world, name).await,
        "low-pvc-class" => low_cluster::storage_class(world, name).await,
        "low-delete-webhook" => low_cluster::delete_webhook(world, name).await,
        "low-user-agent" => low_api::user_agent(world, name).await,
        "low-if-match-star" => low_api::if_match_star(world, name).await,
        "low-big-integers" => low_api::big_integers(world, name).await,
        "shapes" => shapes::check(world, name).await,
        "authority" => authority::check(world, name).await,
        name => Err(format!("no check named {name}").into()),
    }
}
