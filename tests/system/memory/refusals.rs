//! Refused objects, and objects that others create at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use brokkr_core::model::{Conflicts, Policies};
use brokkr_reconcile::cluster::{Cluster as _, ClusterError, MemoryCluster, Verb};
use serde_json::{Value, json};

use crate::support::{Counted, Fleet, Scene, config_map, eventually, start_on};

fn object(cluster: &MemoryCluster, name: &str) -> Option<Value> {
    cluster.objects().into_iter().find(|it| it["kind"] == "ConfigMap" && it["metadata"]["name"] == name)
}

fn value(cluster: &MemoryCluster, name: &str) -> Option<Value> {
    object(cluster, name).map(|it| it["data"]["k"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_update_delays_only_other_updates() {
    let Scene { fleet, cluster, stack, .. } = Scene::new().await;
    let maps = |value: &str| ["bad", "good"].map(|name| config_map("default", name, value)).to_vec();
    let lost = config_map("default", "lost", "1");
    fleet.publish(stack, [maps("1"), vec![lost.clone()]].concat()).await;
    eventually("applied", || fleet.applied(stack)).await;
    cluster.set_fault(Some(Box::new(|request| {
        (request.verb == Verb::Apply && request.name == "bad").then(|| ClusterError::Denied("frozen".to_owned()))
    })));
    fleet.publish(stack, [maps("2"), vec![lost, config_map("default", "new", "2")]].concat()).await;
    fleet.fails_with(stack, "ValidationFailed").await;
    eventually("the new object is created", async || value(&cluster, "new").map(drop).ok_or(())).await;
    assert_eq!((value(&cluster, "bad"), value(&cluster, "good")), (Some(json!("1")), Some(json!("1"))));
    let kind = cluster.discover().await.unwrap().exact("", "v1", "ConfigMap").unwrap().clone();
    let uid = object(&cluster, "lost").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    let options = brokkr_reconcile::cluster::DeleteOptions {
        uid: &uid,
        resource_version: None,
        propagation: brokkr_reconcile::cluster::PropagationPolicy::Background,
    };
    cluster.delete(&kind.at(Some("default"), "lost"), &options).await.unwrap();
    eventually("the deleted object is recreated", async || value(&cluster, "lost").map(drop).ok_or(())).await;
    cluster.set_fault(None);
    eventually("the retry succeeds", || fleet.applied(stack)).await;
    assert_eq!((value(&cluster, "bad"), value(&cluster, "good")), (Some(json!("2")), Some(json!("2"))));
}

/// A pass that a fence interrupts has no valid outcome, so the agent does not report one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fenced_pass_is_not_reported() {
    let Scene { fleet, cluster, stack, .. } = Scene::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    cluster.set_fault(Some(Box::new(move |request| {
        let led = request.verb != Verb::Apply || request.name != "a" && request.name != "refused";
        let denied = || match request.name {
            "refused" => ClusterError::Denied("never".to_owned()),
            _ => ClusterError::Fenced,
        };
        (!led).then(|| {
            counted.fetch_add(1, Ordering::Relaxed);
            denied()
        })
    })));
    fleet.publish(stack, vec![config_map("default", "a", "1"), config_map("default", "refused", "1")]).await;
    eventually("the agent has retried", async || {
        let asked = asked.load(Ordering::Relaxed);
        if asked >= 4 { Ok(()) } else { Err(asked) }
    })
    .await;
    assert_eq!(fleet.condition(stack, "Applied").await, None);
    cluster.set_fault(None);
    eventually("the retry succeeds", || fleet.applied(stack)).await;
}

/// Another client creates an object of the same name between the agent's read and its write. The object stays theirs under every policy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_created_by_others_meanwhile_stays_theirs() {
    for (conflicts, manager) in
        [(Conflicts::Fail, "human"), (Conflicts::Force, "human"), (Conflicts::Force, "brokkr-other")]
    {
        let (fleet, cluster) = (Fleet::new().await, MemoryCluster::new());
        let counted = Counted::new(Arc::new(cluster.clone())).preceded(manager, config_map("default", "a", "theirs"));
        let (agent, pak) = fleet.create("edge").await;
        let stop = tokio_util::sync::CancellationToken::new();
        start_on(&fleet.broker, &pak, Arc::new(counted), stop.clone());
        let stack = fleet.stack_with("web", Policies { conflicts, ..Policies::default() }).await;
        fleet.target(stack, agent).await;
        fleet.publish(stack, vec![config_map("default", "a", "ours")]).await;
        let reason = if manager == "human" { "NotOwned" } else { "HeldByAnotherAgent" };
        fleet.fails_with(stack, reason).await;
        assert_eq!(value(&cluster, "a"), Some(json!("theirs")), "{conflicts:?} {manager}");
        let managers = object(&cluster, "a").unwrap()["metadata"]["managedFields"].to_string();
        assert!(!managers.contains(&format!("brokkr-{agent}")), "{managers}");
        fleet.delete(stack).await;
        assert_eq!(value(&cluster, "a"), Some(json!("theirs")));
        stop.cancel();
    }
}
