//! Watches, parallel stacks and local limits of an agent.

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent_runtime::{Agent, AgentConfig};
use brokkr_control::InProcess;
use brokkr_core::model::{AgentId, StackId};
use brokkr_reconcile::LocalLimits;
use brokkr_reconcile::cluster::{Cluster as _, DeleteOptions, Fenceable, MemoryCluster, Patch, PropagationPolicy};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Counted, Fleet, config_map, eventually, stays};

/// An agent with such a long interval that only watches can report changes.
fn start(
    fleet: &Fleet,
    pak: &SecretString,
    cluster: Arc<dyn Fenceable>,
    limits: LocalLimits,
) -> tokio_util::sync::DropGuard {
    let config = AgentConfig::default().interval(Duration::from_secs(3600)).lease(None).limits(limits);
    let agent = Agent::new(InProcess::new(fleet.broker.clone(), pak.clone()), cluster, config);
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move { agent.run(token).await });
    stop.drop_guard()
}

async fn stack(fleet: &Fleet, agent: AgentId, name: &str, documents: Vec<Value>) -> StackId {
    let stack = fleet.stack(name).await;
    fleet.publish(stack, documents).await;
    fleet.target(stack, agent).await;
    stack
}

fn value(cluster: &MemoryCluster, name: &str) -> Option<Value> {
    let is_it = |it: &Value| it["metadata"]["name"] == name && it["kind"] == "ConfigMap";
    cluster.objects().into_iter().find(is_it).map(|it| it["data"]["k"].clone())
}

async fn write(cluster: &MemoryCluster, name: &str, written: &str) {
    let discovery = cluster.discover().await.unwrap();
    let maps = discovery.preferred("", "ConfigMap").unwrap();
    let patch = Patch::Merge(json!({"data": {"k": written}}));
    cluster.patch(&maps.at(Some("default"), name), &patch, "human").await.unwrap();
}

#[tokio::test]
async fn changes_by_others_are_corrected_at_once() {
    let (fleet, cluster) = (Fleet::new().await, MemoryCluster::new());
    let (agent, pak) = fleet.create("edge").await;
    let _running = start(&fleet, &pak, Arc::new(cluster.clone()), LocalLimits::default());
    let stack = stack(&fleet, agent, "web", vec![config_map("default", "a", "1")]).await;
    eventually("applied", || fleet.applied(stack)).await;
    for round in 0..3 {
        write(&cluster, "a", &format!("changed {round}")).await;
        eventually("the field is restored", || async {
            (value(&cluster, "a") == Some(json!("1"))).then_some(()).ok_or("changed")
        })
        .await;
    }
    let discovery = cluster.discover().await.unwrap();
    let at = discovery.preferred("", "ConfigMap").unwrap().at(Some("default"), "a");
    let uid = cluster.get(&at).await.unwrap().unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    let options = DeleteOptions { uid: &uid, resource_version: None, propagation: PropagationPolicy::Background };
    cluster.delete(&at, &options).await.unwrap();
    eventually("the object is recreated", || async { value(&cluster, "a").map(drop).ok_or("gone") }).await;
}

#[tokio::test]
async fn hanging_stack_does_not_delay_others() {
    let (fleet, cluster) = (Fleet::new().await, MemoryCluster::new());
    let (agent, pak) = fleet.create("edge").await;
    let _running = start(
        &fleet,
        &pak,
        Arc::new(Counted::new(Arc::new(cluster.clone())).unanswered("hangs")),
        LocalLimits::default(),
    );
    let quick = stack(&fleet, agent, "quick", vec![config_map("default", "a", "1")]).await;
    eventually("applied", || fleet.applied(quick)).await;
    stack(&fleet, agent, "slow", vec![config_map("default", "hangs", "1")]).await;
    // The inventory exists as soon as the agent works on the stack.
    let is_begun =
        |it: &Value| it["type"] == "brokkr.io/inventory" && it["metadata"]["labels"]["brokkr.io/stack"] != json!(quick);
    eventually("the agent works on the other stack", || async {
        cluster.objects().iter().any(is_begun).then_some(()).ok_or("not begun")
    })
    .await;
    for revision in 2..5 {
        fleet.publish(quick, vec![config_map("default", "a", &revision.to_string())]).await;
        eventually("the quick stack is applied in parallel", || fleet.applied(quick)).await;
        assert_eq!(value(&cluster, "a"), Some(json!(revision.to_string())));
    }
}

#[tokio::test]
async fn broker_cannot_widen_local_limits() {
    let (fleet, cluster) = (Fleet::new().await, MemoryCluster::new());
    let (agent, pak) = fleet.create("edge").await;
    let limits = LocalLimits::default().only_kinds(["ConfigMap".parse().unwrap()]).only_namespaces(["default"]);
    let _running = start(&fleet, &pak, Arc::new(cluster.clone()), limits);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}});
    let elsewhere = config_map("kube-system", "elsewhere", "1");
    let stack = stack(&fleet, agent, "web", vec![config_map("default", "a", "1"), secret, role, elsewhere]).await;
    eventually("the agent reports it", || async {
        let status = fleet.broker.stack_status(&fleet.broker.system_actor(), stack).await.unwrap();
        let error = status.agents.first().and_then(|it| it.status.as_ref()?.last_error.clone());
        let error = error.ok_or("no error yet")?;
        if error.reason == "NotAllowed" && error.objects.len() == 3 { Ok(()) } else { Err("another error") }
    })
    .await;
    assert!(value(&cluster, "a").is_some(), "allowed kinds are applied");
    stays(Duration::from_millis(300), "nothing else", || async {
        let names = ["s", "r", "elsewhere"];
        let there = cluster.objects().into_iter().any(|it| names.iter().any(|name| it["metadata"]["name"] == *name));
        if there { Err("the object was written") } else { Ok(()) }
    })
    .await;
}
