//! Health of the status that the in-memory controllers write.

use brokkr_core::model::Health;
use serde_json::{Value, json};

use crate::cluster::{ApplyOptions, ApplyOutcome, Cluster as _, Discovery, MemoryCluster, ObjectKey, meta};
use crate::health;

/// A cluster with controllers, for objects of one namespace.
struct Scene {
    cluster: MemoryCluster,
    discovery: Discovery,
}

impl Scene {
    async fn new() -> Self {
        let cluster = MemoryCluster::with_controllers();
        let discovery = cluster.discover().await.expect("a discovery");
        Self { cluster, discovery }
    }

    fn address<'a>(&'a self, body: &'a Value) -> ObjectKey<'a> {
        let (group, _) = body["apiVersion"].as_str().and_then(|it| it.split_once('/')).unwrap_or_default();
        let kind =
            self.discovery.preferred(group, body["kind"].as_str().expect("a kind")).expect("a kind that is served");
        kind.at(kind.namespaced.then_some("default"), meta::name(body).expect("a name"))
    }

    async fn apply(&self, body: &Value) -> ApplyOutcome {
        let options = ApplyOptions { field_manager: "test", force: true, dry_run: false };
        self.cluster.apply(&self.address(body), body, &options).await.expect("applied")
    }

    async fn live(&self, body: &Value) -> Value {
        self.cluster.get(&self.address(body)).await.expect("an answer").expect("an object")
    }

    /// Applies an object, and returns its state in the cluster and its health.
    async fn settled(&self, body: &Value) -> (Value, Health) {
        self.apply(body).await;
        let live = self.live(body).await;
        let kind = self.address(body).kind.clone();
        let health = health::assess(&kind.group, &kind.kind, &live).health;
        (live, health)
    }
}

fn object(api_version: &str, kind: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "it"}, "spec": spec})
}

/// apiVersion, kind, spec, JSON pointer, the value there, and the health.
type Case = (&'static str, &'static str, Value, &'static str, Value, Health);

fn cases() -> Vec<Case> {
    use Health::{Degraded, Healthy, Progressing, Suspended};
    let (apps, hpa, pdb) = ("apps/v1", "HorizontalPodAutoscaler", "PodDisruptionBudget");
    let claim = json!({"resources": {"requests": {"storage": "1Gi"}}});
    let unknown_class = json!({"storageClassName": "missing"});
    let target = json!({"scaleTargetRef": {"apiVersion": apps, "kind": "Deployment", "name": "missing"}});
    vec![
        (apps, "Deployment", json!({"replicas": 3}), "/status/availableReplicas", json!(3), Healthy),
        (apps, "Deployment", json!({}), "/status/updatedReplicas", json!(1), Healthy),
        (apps, "Deployment", json!({"replicas": 0}), "/status/replicas", json!(0), Healthy),
        (apps, "Deployment", json!({"paused": true}), "/status/observedGeneration", json!(1), Suspended),
        (apps, "ReplicaSet", json!({"replicas": 2}), "/status/readyReplicas", json!(2), Healthy),
        (apps, "StatefulSet", json!({"replicas": 2}), "/status/updatedReplicas", json!(2), Healthy),
        (apps, "DaemonSet", json!({}), "/status/numberAvailable", json!(1), Healthy),
        ("v1", "Pod", json!({}), "/status/phase", json!("Running"), Healthy),
        ("batch/v1", "Job", json!({}), "/status/succeeded", json!(1), Healthy),
        ("batch/v1", "Job", json!({"completions": 5}), "/status/conditions/1/type", json!("Complete"), Healthy),
        ("batch/v1", "Job", json!({"suspend": true}), "/status/conditions/0/type", json!("Suspended"), Suspended),
        ("v1", "Service", json!({"type": "LoadBalancer"}), "/spec/type", json!("LoadBalancer"), Healthy),
        ("v1", "Service", json!({"clusterIP": "None"}), "/spec/clusterIP", json!("None"), Healthy),
        ("v1", "Service", json!({"type": "ExternalName"}), "/spec/clusterIP", Value::Null, Healthy),
        ("v1", "PersistentVolumeClaim", claim, "/status/capacity/storage", json!("1Gi"), Healthy),
        ("v1", "PersistentVolumeClaim", unknown_class, "/status/phase", json!("Pending"), Progressing),
        ("v1", "PersistentVolume", json!({}), "/status/phase", json!("Available"), Healthy),
        ("autoscaling/v2", hpa, target, "/status/conditions/0/reason", json!("FailedGetScale"), Degraded),
        ("policy/v1", pdb, json!({"maxUnavailable": 1}), "/status/disruptionsAllowed", json!(0), Healthy),
    ]
}

#[tokio::test]
async fn every_kind_is_judged_by_the_status_that_its_controller_writes() {
    for (api_version, kind, spec, pointer, expected, health) in cases() {
        let scene = Scene::new().await;
        let (live, assessed) = scene.settled(&object(api_version, kind, spec)).await;
        assert_eq!(live.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer} of {live}");
        assert_eq!(assessed, health, "{live}");
    }
}

fn deployment(replicas: i64) -> Value {
    let template = json!({"metadata": {"labels": {"app": "web"}}});
    object("apps/v1", "Deployment", json!({"replicas": replicas, "template": template}))
}

#[tokio::test]
async fn autoscalers_and_budgets_follow_their_workload() {
    let scene = Scene::new().await;
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "it"});
    let autoscaler = object("autoscaling/v2", "HorizontalPodAutoscaler", json!({"scaleTargetRef": target}));
    let selector = json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]});
    let budget = object("policy/v1", "PodDisruptionBudget", json!({"minAvailable": "50%", "selector": selector}));
    for body in [&autoscaler, &budget, &deployment(3)] {
        scene.apply(body).await;
    }
    let count = |live: &Value, field: &str| live["status"][field].as_i64();
    assert_eq!(scene.settled(&autoscaler).await.1, Health::Healthy);
    assert_eq!(count(&scene.live(&autoscaler).await, "currentReplicas"), Some(3));
    let live = scene.live(&budget).await;
    assert_eq!((count(&live, "desiredHealthy"), count(&live, "disruptionsAllowed")), (Some(2), Some(1)), "{live}");

    scene.apply(&deployment(0)).await;
    assert_eq!(scene.settled(&autoscaler).await.1, Health::Suspended);
    assert_eq!(count(&scene.live(&budget).await, "expectedPods"), Some(0));
}

#[tokio::test]
async fn a_changed_spec_is_observed_and_nothing_else_is_written() {
    let scene = Scene::new().await;
    let (first, _) = scene.settled(&deployment(1)).await;
    let (second, health) = scene.settled(&deployment(2)).await;
    assert_eq!(second["status"]["observedGeneration"], json!(2));
    assert_eq!(health, Health::Healthy);
    assert_eq!(first["metadata"]["managedFields"], second["metadata"]["managedFields"]);
    let (again, _) = scene.settled(&deployment(2)).await;
    assert_eq!(again, second);
}

#[tokio::test]
async fn a_plain_cluster_writes_no_status() {
    let cluster = MemoryCluster::new();
    let scene = Scene { discovery: cluster.discover().await.expect("a discovery"), cluster };
    let (live, health) = scene.settled(&deployment(1)).await;
    assert_eq!(live.get("status"), None);
    assert_eq!(health, Health::Progressing);
}
