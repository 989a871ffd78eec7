//! Removals: absence is never an order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brokkr_control::Broker;
use brokkr_core::store::MemoryStore;
use brokkr_reconcile::cluster::{ClusterError, MemoryCluster, Verb};

use crate::support::{Fleet, Scene, config_map, eventually, stays};

fn names(cluster: &MemoryCluster, kind: &str) -> Vec<String> {
    let of_kind =
        cluster.objects().into_iter().filter(|it| it["kind"] == kind && it["metadata"]["namespace"] != "brokkr-system");
    of_kind.map(|it| it["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

fn has(cluster: &MemoryCluster, kind: &str, expected: &[&str]) -> Result<(), Vec<String>> {
    let there = names(cluster, kind);
    if there == expected { Ok(()) } else { Err(there) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_without_data_removes_nothing() {
    let Scene { fleet, cluster, stack, agent, running, .. } = Scene::new().await;
    fleet.publish(stack, vec![config_map("default", "a", "1")]).await;
    eventually("applied", || async { fleet.applied(stack).await }).await;
    running.cancel();

    // Another broker with another epoch, and an agent with the same id.
    let actor = fleet.broker.system_actor();
    let known = fleet.broker.agent_get(&actor, agent).await.unwrap();
    let store = Arc::new(MemoryStore::new());
    let forgetful = Broker::builder(store.clone()).start().await.unwrap();
    let key = brokkr_control::Pak::generate(brokkr_core::model::KeyKind::Agent, &brokkr_core::entropy::SystemEntropy)
        .unwrap();
    let mut stored = brokkr_core::store::conformance::sample::key(agent.into(), key.short_id());
    (stored.hash, stored.expires_at) = (key.hash(), None);
    let changes = vec![
        brokkr_core::model::Change::Agent(brokkr_core::model::Agent {
            version: brokkr_core::model::Version::FIRST,
            ..known
        }),
        brokkr_core::model::Change::Key(stored),
    ];
    let commit = brokkr_core::store::Commit {
        actor: actor.reference(),
        request_id: actor.request_id(),
        at: brokkr_core::store::conformance::sample::time(0),
        preconditions: Vec::new(),
        idempotency: None,
        changes,
        contents: Default::default(),
        audit: vec![brokkr_core::store::conformance::sample::audit("restore", 0)],
    };
    brokkr_core::store::Store::commit(&*store, commit).await.unwrap();
    let other = Fleet::over(forgetful.clone());
    let pak = key.into_secret();
    eventually("the broker knows the agent", || async {
        use secrecy::ExposeSecret as _;
        forgetful
            .authenticate(pak.expose_secret(), brokkr_control::Origin::in_process())
            .map(drop)
            .map_err(|it| it.to_string())
    })
    .await;
    other.start(&pak, &cluster);
    // The agent applies new objects and removes none, not even on an explicit order.
    let new = other.stack("new").await;
    other.target(new, agent).await;
    other.publish(new, vec![config_map("default", "n", "1"), config_map("default", "m", "1")]).await;
    eventually("the new objects are applied", || async { has(&cluster, "ConfigMap", &["a", "m", "n"]) }).await;
    other.publish(new, vec![config_map("default", "n", "2")]).await;
    stays(Duration::from_secs(3), "nothing is removed", || async { has(&cluster, "ConfigMap", &["a", "m", "n"]) })
        .await;
    let actor = forgetful.system_actor();
    forgetful.agent_confirm_epoch(&actor, agent).await.unwrap();
    eventually("after confirmation, dropped objects are deleted and unknown ones stay", || async {
        has(&cluster, "ConfigMap", &["a", "n"])
    })
    .await;
    stays(Duration::from_secs(2), "unknown objects stay", || async { has(&cluster, "ConfigMap", &["a", "n"]) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_api_is_not_read_as_an_empty_cluster() {
    let Scene { fleet, cluster, stack, .. } = Scene::new().await;
    fleet.publish(stack, vec![config_map("default", "a", "1"), config_map("default", "b", "1")]).await;
    eventually("applied", || async { fleet.applied(stack).await }).await;
    // Reads fail: the agent neither recreates unreadable objects nor treats them as deleted.
    cluster.set_fault(Some(Box::new(|request| {
        matches!(request.verb, Verb::Get | Verb::List).then(|| ClusterError::unavailable("down"))
    })));
    fleet.publish(stack, vec![config_map("default", "a", "2")]).await;
    stays(Duration::from_secs(2), "nothing happens", || async { has(&cluster, "ConfigMap", &["a", "b"]) }).await;
    cluster.set_fault(None);
    eventually("the agent continues without help", || async { has(&cluster, "ConfigMap", &["a"]) }).await;
}

/// A new role or definition becomes visible to the API server some milliseconds after its creation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_visibility_is_not_a_failure() {
    let Scene { fleet, cluster, stack, .. } = Scene::new().await;
    let refusals = AtomicU32::new(0);
    cluster.set_fault(Some(Box::new(move |request| {
        let is_late = request.verb == Verb::Apply && request.name == "late";
        (is_late && refusals.fetch_add(1, Ordering::SeqCst) < 2)
            .then(|| ClusterError::NotFound("roles \"a\"".to_owned()))
    })));
    fleet.publish(stack, vec![config_map("default", "late", "1"), config_map("default", "role", "1")]).await;
    eventually("applied", || fleet.applied(stack)).await;
    let filter = brokkr_core::store::EventFilter { stack: Some(stack), ..Default::default() };
    let told = fleet.broker.event_list(&fleet.broker.system_actor(), &filter, &Default::default()).await.unwrap().items;
    let reasons: Vec<&str> = told.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(reasons, ["Applied"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_object_is_reported_once_and_retried() {
    let fleet = Fleet::new().await;
    let cluster = MemoryCluster::new();
    let (agent, pak) = fleet.create("edge").await;
    fleet.start(&pak, &cluster);
    cluster.set_fault(Some(Box::new(|request| {
        (request.verb == Verb::Apply && request.name == "bad").then(|| ClusterError::Invalid("spec.x: no".to_owned()))
    })));
    let (bad, good) = (fleet.stack("bad").await, fleet.stack("good").await);
    for (stack, name) in [(bad, "bad"), (good, "good")] {
        fleet.target(stack, agent).await;
        fleet.publish(stack, vec![config_map("default", name, "1")]).await;
    }
    eventually("the good stack is applied", || async { fleet.applied(good).await }).await;
    let actor = fleet.broker.system_actor();
    let events = async || {
        let filter = brokkr_core::store::EventFilter { stack: Some(bad), ..Default::default() };
        fleet.broker.event_list(&actor, &filter, &Default::default()).await.unwrap().items
    };
    eventually("the agent has retried", || async {
        let status = fleet.broker.stack_status(&actor, bad).await.unwrap();
        let attempts = status.agents.first().and_then(|it| it.status.as_ref()).map_or(0, |it| it.attempts);
        if attempts >= 4 { Ok(()) } else { Err(status) }
    })
    .await;
    let told = events().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].reason.as_str(), told[0].objects.len()), ("Refused", 1));
    cluster.set_fault(None);
    eventually("the retry succeeds", || async { fleet.applied(bad).await }).await;
    eventually("the success is recorded", || async {
        if events().await.len() == 2 { Ok(()) } else { Err(events().await) }
    })
    .await;
}
