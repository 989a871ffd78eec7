//! Gated, pinned and suspended stacks on agents with clusters in memory.

use std::time::Duration;

use brokkr_control::{EnvironmentPatch, NewAgent, NewEnvironment, NewPin, Rollback};
use brokkr_core::clock::{Clock as _, SystemClock};
use brokkr_core::model::{AgentId, Environment, Health, Revision, StackId, StackSpec, TargetingRule};
use brokkr_core::protocol::EntryAction;
use brokkr_reconcile::cluster::{Cluster as _, MemoryCluster, Patch};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::{Fleet, config_map, eventually, stays};

async fn environment(fleet: &Fleet, name: &str, rank: u32) -> Environment {
    let new = NewEnvironment { name: name.to_owned(), rank, ..NewEnvironment::default() };
    fleet.broker.environment_create(&fleet.broker.system_actor(), new).await.unwrap()
}

async fn agent_in(fleet: &Fleet, name: &str) -> (AgentId, SecretString) {
    let new = NewAgent::named(format!("edge-{name}")).environment(name);
    let (agent, key) = fleet.broker.agent_create(&fleet.broker.system_actor(), new).await.unwrap();
    (agent.id, key.pak.unwrap())
}

/// A stack for all agents.
async fn everywhere(fleet: &Fleet, spec: StackSpec) -> StackId {
    let rule = TargetingRule { match_labels: Some(Default::default()), ..TargetingRule::default() };
    fleet.broker.stack_create(&fleet.broker.system_actor(), None, spec.targeting(rule)).await.unwrap().id
}

fn value(cluster: &MemoryCluster, name: &str) -> Option<Value> {
    let is_it = |it: &Value| it["metadata"]["name"] == name && it["kind"] == "ConfigMap";
    cluster.objects().into_iter().find(is_it).map(|it| it["data"]["k"].clone())
}

async fn becomes(cluster: &MemoryCluster, expected: &str) {
    eventually(expected, || async {
        let found = value(cluster, "a");
        if found == Some(json!(expected)) { Ok(()) } else { Err(found) }
    })
    .await;
}

async fn write(cluster: &MemoryCluster, written: &str) {
    let discovery = cluster.discover().await.unwrap();
    let maps = discovery.preferred("", "ConfigMap").unwrap();
    let patch = Patch::Merge(json!({"data": {"k": written}}));
    cluster.patch(&maps.at(Some("default"), "a"), &patch, "human").await.unwrap();
}

/// What the agent should hold and has applied.
async fn row(fleet: &Fleet, stack: StackId, agent: AgentId) -> (EntryAction, Option<Revision>, Option<Health>) {
    let status = fleet.broker.stack_status(&fleet.broker.system_actor(), stack).await.unwrap();
    let row = status.agents.into_iter().find(|it| it.agent_id == agent).unwrap();
    (row.action, row.desired_revision, row.status.map(|it| it.health))
}

#[tokio::test]
async fn revision_goes_from_environment_to_environment() {
    let fleet = Fleet::new().await;
    let actor = fleet.broker.system_actor();
    let (staging, production) = (MemoryCluster::new(), MemoryCluster::new());
    for (name, rank, cluster) in [("staging", 1, &staging), ("production", 2, &production)] {
        environment(&fleet, name, rank).await;
        let (_, key) = agent_in(&fleet, name).await;
        fleet.start(&key, cluster);
    }
    let stack = everywhere(&fleet, StackSpec::named("web").gated()).await;
    fleet.publish(stack, vec![config_map("default", "a", "1")]).await;
    let stable = |environment: &'static str, revision| {
        fleet.broker.stable_set(&actor, stack, Some(environment), Revision::new(revision), "tested")
    };
    stable("staging", 1).await.unwrap();
    becomes(&staging, "1").await;
    assert_eq!(value(&production, "a"), None);
    let promote = || fleet.broker.stack_promote(&actor, stack, "staging", "production", "release");
    eventually("promotion", promote).await;
    becomes(&production, "1").await;
    fleet.publish(stack, vec![config_map("default", "a", "2")]).await;
    stable("staging", 2).await.unwrap();
    becomes(&staging, "2").await;
    assert_eq!(value(&production, "a"), Some(json!("1")));
    let back = Rollback { environment: Some("staging".to_owned()), ..Rollback::to(Revision::new(1)) };
    fleet.broker.rollback(&actor, stack, back).await.unwrap();
    becomes(&staging, "1").await;
}

#[tokio::test]
async fn suspended_stack_is_left_alone_and_then_put_right() {
    let fleet = Fleet::new().await;
    let actor = fleet.broker.system_actor();
    let cluster = MemoryCluster::new();
    environment(&fleet, "staging", 1).await;
    let (agent, key) = agent_in(&fleet, "staging").await;
    fleet.start(&key, &cluster);
    let stack = everywhere(&fleet, StackSpec::named("web")).await;
    fleet.publish(stack, vec![config_map("default", "a", "1"), config_map("default", "b", "1")]).await;
    becomes(&cluster, "1").await;
    eventually("applied", || fleet.applied(stack)).await;
    fleet.broker.stack_suspend(&actor, stack, Some("staging"), "incident").await.unwrap();
    assert_eq!(row(&fleet, stack, agent).await.0, EntryAction::Hold);
    fleet.publish(stack, vec![config_map("default", "a", "2")]).await;
    eventually("the agent knows that it holds", async || {
        write(&cluster, "changed").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        if value(&cluster, "a") == Some(json!("changed")) { Ok(()) } else { Err("corrected") }
    })
    .await;
    stays(Duration::from_secs(2), "nothing is applied, corrected or pruned", || async {
        let found = (value(&cluster, "a"), value(&cluster, "b"));
        if found == (Some(json!("changed")), Some(json!("1"))) { Ok(()) } else { Err(found) }
    })
    .await;
    eventually("drift is reported", || fleet.is(stack, "Drifted", "ChangedByOthers")).await;
    let status = fleet.broker.stack_status(&actor, stack).await.unwrap().agents.remove(0).status.unwrap();
    assert_eq!(status.applied_revision, Some(Revision::FIRST), "all else that is known stays");
    fleet.broker.stack_resume(&actor, stack, Some("staging")).await.unwrap();
    becomes(&cluster, "2").await;
    eventually("what the new revision lacks is pruned", || async { value(&cluster, "b").map_or(Ok(()), Err) }).await;
}

#[tokio::test]
async fn protection_of_a_running_environment_removes_nothing() {
    let fleet = Fleet::new().await;
    let actor = fleet.broker.system_actor();
    let cluster = MemoryCluster::new();
    let production = environment(&fleet, "production", 2).await;
    let (agent, key) = agent_in(&fleet, "production").await;
    fleet.start(&key, &cluster);
    let stack = everywhere(&fleet, StackSpec::named("web")).await;
    fleet.publish(stack, vec![config_map("default", "a", "1")]).await;
    becomes(&cluster, "1").await;
    let protect = |it: &Environment| {
        Ok(EnvironmentPatch {
            description: it.description.clone(),
            rank: it.rank,
            values: it.values.clone(),
            protected: true,
        })
    };
    fleet.broker.environment_update(&actor, production.id, None, protect).await.unwrap();
    fleet.publish(stack, vec![config_map("default", "a", "2")]).await;
    stays(Duration::from_secs(2), "the present revision stays", || async {
        let found = (value(&cluster, "a"), row(&fleet, stack, agent).await.1);
        if found == (Some(json!("1")), Some(Revision::new(1))) { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test]
async fn expired_pin_is_removed() {
    let fleet = Fleet::new().await;
    let actor = fleet.broker.system_actor();
    let cluster = MemoryCluster::new();
    environment(&fleet, "staging", 1).await;
    let (agent, key) = agent_in(&fleet, "staging").await;
    fleet.start(&key, &cluster);
    let stack = everywhere(&fleet, StackSpec::named("web")).await;
    for number in ["1", "2"] {
        fleet.publish(stack, vec![config_map("default", "a", number)]).await;
    }
    becomes(&cluster, "2").await;
    let expires_at = Some(SystemClock.now().plus(Duration::from_secs(3)));
    let pin = NewPin { revision: Revision::FIRST, reason: "bug".to_owned(), expires_at };
    fleet.broker.pin_set(&actor, stack, agent, pin).await.unwrap();
    becomes(&cluster, "1").await;
    becomes(&cluster, "2").await;
}
