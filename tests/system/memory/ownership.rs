//! Agents touch only what they own.

use std::time::Duration;

use brokkr_core::cluster::{ApplyOptions, Cluster, DeleteOptions, MemoryCluster, Propagation, meta};
use brokkr_core::model::StackId;
use serde_json::{Value, json};

use crate::support::{Fleet, Scene, config_map, eventually, namespace, stays};

fn object(cluster: &MemoryCluster, kind: &str, name: &str) -> Option<Value> {
    cluster.objects().into_iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name)
}

async fn by_hand(cluster: &MemoryCluster, body: Value, force: bool) {
    let discovery = cluster.discover().await.unwrap();
    let kind = discovery.preferred("", body["kind"].as_str().unwrap()).unwrap().clone();
    let (name, namespace) = (body["metadata"]["name"].as_str().unwrap(), body["metadata"]["namespace"].as_str());
    let options = ApplyOptions { manager: "human", force, dry_run: false };
    cluster.apply(&kind.at(namespace, name), &body, &options).await.unwrap();
}

async fn delete_by_hand(cluster: &MemoryCluster, kind: &str, name: &str) {
    let live = object(cluster, kind, name).unwrap();
    let discovery = cluster.discover().await.unwrap();
    let kind = discovery.preferred("", kind).unwrap().clone();
    let options =
        DeleteOptions { uid: meta::uid(&live).unwrap(), resource_version: None, propagation: Propagation::Background };
    cluster.delete(&kind.at(meta::namespace(&live), name), &options).await.unwrap();
}

async fn error_of(fleet: &Fleet, stack: StackId) -> Option<String> {
    let status = fleet.broker.stack_status(&fleet.broker.system_actor(), stack).await.unwrap();
    status.agents.first()?.status.as_ref()?.last_error.as_ref().map(|it| it.reason.clone())
}

async fn fails_with(fleet: &Fleet, stack: StackId, reason: &str) {
    eventually(reason, || async {
        let error = error_of(fleet, stack).await;
        if error.as_deref() == Some(reason) { Ok(()) } else { Err(error) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_exists_already_is_reported_and_survives() {
    let cluster = MemoryCluster::new();
    by_hand(&cluster, config_map("default", "a", "human"), false).await;
    let before = object(&cluster, "ConfigMap", "a");
    let Scene { fleet, cluster, stack, .. } = Scene::on(cluster).await;
    fleet.publish(stack, vec![config_map("default", "a", "ours"), config_map("default", "b", "ours")]).await;
    fails_with(&fleet, stack, "NotOwned").await;
    assert!(object(&cluster, "ConfigMap", "b").is_some(), "the others go on");
    fleet.broker.stack_delete(&fleet.broker.system_actor(), stack, None).await.unwrap();
    eventually("ours is gone", || async { object(&cluster, "ConfigMap", "b").map_or(Ok(()), Err) }).await;
    assert_eq!(object(&cluster, "ConfigMap", "a"), before, "not even touched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_put_right_and_conflicts_are_not_fought() {
    let Scene { fleet, cluster, stack, .. } = Scene::new().await;
    fleet.publish(stack, vec![config_map("default", "a", "1")]).await;
    eventually("applied", || async { fleet.applied(stack).await }).await;
    let mut changed = config_map("default", "a", "changed");
    changed["data"]["added"] = json!("by a human");
    by_hand(&cluster, changed, true).await;
    let data = || object(&cluster, "ConfigMap", "a").map(|it| it["data"].clone());
    let expected = Some(json!({"k": "1", "added": "by a human"}));
    eventually("put right, and what was added stays", || async {
        if data() == expected { Ok(()) } else { Err(data()) }
    })
    .await;
    delete_by_hand(&cluster, "ConfigMap", "a").await;
    eventually("back", || async { if data() == Some(json!({"k": "1"})) { Ok(()) } else { Err(data()) } }).await;
    // A field that we never owned is the other's.
    by_hand(&cluster, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}, "data": {"theirs": "1"}}), false).await;
    let mut wanted = config_map("default", "a", "1");
    wanted["data"]["theirs"] = json!("2");
    fleet.publish(stack, vec![wanted]).await;
    fails_with(&fleet, stack, "Conflict").await;
    assert_eq!(data().unwrap()["theirs"], "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_changes_hands_without_going_away() {
    let fleet = Fleet::new().await;
    let cluster = MemoryCluster::new();
    let (agent, pak) = fleet.create("edge").await;
    fleet.start(&pak, &cluster);
    let (first, second) = (fleet.stack("first").await, fleet.stack("second").await);
    fleet.target(first, agent).await;
    fleet.publish(first, vec![config_map("default", "shared", "first"), config_map("default", "own", "1")]).await;
    eventually("applied", || async { fleet.applied(first).await }).await;
    let uid = object(&cluster, "ConfigMap", "shared").unwrap()["metadata"]["uid"].clone();
    fleet.target(second, agent).await;
    fleet.publish(second, vec![config_map("default", "shared", "second")]).await;
    fails_with(&fleet, second, "HeldByStack").await;
    assert_eq!(object(&cluster, "ConfigMap", "shared").unwrap()["data"]["k"], "first");
    fleet.publish(first, vec![config_map("default", "own", "1")]).await;
    eventually("taken over", || async { fleet.applied(second).await }).await;
    let shared = object(&cluster, "ConfigMap", "shared").unwrap();
    assert_eq!((&shared["data"]["k"], &shared["metadata"]["uid"]), (&json!("second"), &uid));
    eventually("the first is content", || async { fleet.applied(first).await }).await;
    fleet.broker.stack_delete(&fleet.broker.system_actor(), first, None).await.unwrap();
    eventually("the first is gone", || async { object(&cluster, "ConfigMap", "own").map_or(Ok(()), Err) }).await;
    assert_eq!(object(&cluster, "ConfigMap", "shared").unwrap()["metadata"]["uid"], uid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_stays_until_the_last_has_left() {
    let fleet = Fleet::new().await;
    let cluster = MemoryCluster::new();
    let (agent, pak) = fleet.create("edge").await;
    fleet.start(&pak, &cluster);
    let (first, second) = (fleet.stack("first").await, fleet.stack("second").await);
    for (stack, name) in [(first, "a"), (second, "b")] {
        fleet.target(stack, agent).await;
        fleet.publish(stack, vec![namespace("shared"), config_map("shared", name, "1")]).await;
        eventually("applied", || async { fleet.applied(stack).await }).await;
    }
    by_hand(&cluster, config_map("shared", "human", "1"), false).await;
    let there = |name: &str| object(&cluster, "ConfigMap", name).is_some();
    let actor = fleet.broker.system_actor();
    for (stack, name) in [(first, "a"), (second, "b")] {
        fleet.broker.stack_delete(&actor, stack, None).await.unwrap();
        eventually("its objects are gone and it is confirmed", || async {
            let gone = !there(name) && fleet.broker.stack_get(&actor, stack).await.is_err();
            if gone { Ok(()) } else { Err(name) }
        })
        .await;
        assert!(object(&cluster, "Namespace", "shared").is_some() && there("human"));
    }
    stays(Duration::from_secs(2), "the human's things stay", || async {
        if there("human") { Ok(()) } else { Err("gone") }
    })
    .await;
    delete_by_hand(&cluster, "ConfigMap", "human").await;
    eventually("the namespace goes with the last", || async {
        object(&cluster, "Namespace", "shared").map_or(Ok(()), Err)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_was_there_is_used_and_left() {
    let cluster = MemoryCluster::new();
    by_hand(&cluster, namespace("theirs"), false).await;
    let before = object(&cluster, "Namespace", "theirs");
    let Scene { fleet, cluster, stack, .. } = Scene::on(cluster).await;
    fleet.publish(stack, vec![namespace("theirs"), config_map("theirs", "a", "1")]).await;
    eventually("applied", || async { fleet.applied(stack).await }).await;
    let actor = fleet.broker.system_actor();
    fleet.broker.stack_delete(&actor, stack, None).await.unwrap();
    eventually("removed", || async {
        if fleet.broker.stack_get(&actor, stack).await.is_err() { Ok(()) } else { Err("there") }
    })
    .await;
    assert!(object(&cluster, "ConfigMap", "a").is_none());
    assert_eq!(object(&cluster, "Namespace", "theirs"), before);
}
