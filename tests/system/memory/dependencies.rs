//! Dependencies between stacks.

use brokkr_control::BrokerError;
use brokkr_core::model::{Health, StackId, StackSpec, Wait};
use brokkr_reconcile::cluster::{Cluster as _, Patch};
use serde_json::json;

use crate::support::{Fleet, Scene, config_map, eventually};

async fn reason(fleet: &Fleet, stack: StackId, condition: &str) -> Option<String> {
    let status = fleet.broker.stack_status(&fleet.broker.system_actor(), stack).await.unwrap();
    let status = status.agents.first()?.status.clone()?;
    status.conditions.iter().find(|it| it.kind == condition).map(|it| it.reason.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stack_waits_until_its_dependency_is_ready() {
    let Scene { fleet, cluster, agent, stack: second, running: _running, .. } = Scene::new().await;
    let system = fleet.broker.system_actor();
    let mut spec = StackSpec::named("database");
    spec.policies.wait = Some(Wait { timeout_seconds: 600 });
    let first = fleet.broker.stack_create(&system, None, spec).await.unwrap().id;
    let edit = |mut spec: StackSpec| {
        spec.depends_on = vec![first];
        Ok(spec)
    };
    fleet.broker.stack_update(&system, second, None, edit).await.unwrap();
    fleet.publish(second, vec![config_map("default", "second", "1")]).await;
    let waits = || async {
        let reason = reason(&fleet, second, "Applied").await;
        if reason.as_deref() == Some("DependsOnStack") { Ok(()) } else { Err(reason) }
    };
    eventually("it waits for a stack that does not exist yet", waits).await;
    let spec = json!({"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}}});
    let metadata = json!({"name": "db", "namespace": "default"});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec});
    fleet.publish(first, vec![deployment]).await;
    fleet.target(first, agent).await;
    eventually("the first stack is applied and not ready", || async {
        let reason = reason(&fleet, first, "Progressing").await;
        if reason.as_deref() == Some("NotReady") { Ok(()) } else { Err(reason) }
    })
    .await;
    let is_second = |it: &serde_json::Value| it["metadata"]["name"] == "second";
    assert!(!cluster.objects().iter().any(is_second), "no object of the second stack before the first stack is ready");
    let discovery = cluster.discover().await.unwrap();
    let at = discovery.preferred("apps", "Deployment").unwrap().at(Some("default"), "db");
    let condition = json!({"type": "Available", "status": "True"});
    let status = json!({
        "observedGeneration": 9, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
        "conditions": [condition],
    });
    cluster.patch(&at, &Patch::Merge(json!({"status": status})), "controller").await.unwrap();
    eventually("the second stack is applied", || fleet.applied(second)).await;
    let status = fleet.broker.stack_status(&system, first).await.unwrap();
    assert_eq!(status.agents[0].status.as_ref().unwrap().health, Health::Healthy);
}

#[tokio::test]
async fn cyclic_and_foreign_dependencies_are_refused() {
    let fleet = Fleet::new().await;
    let system = fleet.broker.system_actor();
    let (a, b) = (fleet.stack("a").await, fleet.stack("b").await);
    let depends = |on: Vec<StackId>| {
        move |mut spec: StackSpec| {
            spec.depends_on = on.clone();
            Ok(spec)
        }
    };
    fleet.broker.stack_update(&system, a, None, depends(vec![b])).await.unwrap();
    for (stack, on) in [(b, vec![a]), (b, vec![b]), (b, vec![StackId::generate()]), (a, vec![b, b])] {
        let refused = fleet.broker.stack_update(&system, stack, None, depends(on)).await;
        assert!(matches!(refused, Err(BrokerError::Invalid(_))), "{refused:?}");
    }
    let many: Vec<StackId> = (0..=brokkr_core::model::limits::DEPENDENCIES).map(|_| StackId::generate()).collect();
    let refused = fleet.broker.stack_update(&system, a, None, depends(many)).await;
    assert!(matches!(refused, Err(BrokerError::Invalid(_))), "{refused:?}");
}
