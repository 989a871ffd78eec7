//! Ownership of fields and objects that the API server and its controllers also write.

use std::time::Duration;

use brokkr_testbed::TestCluster;
use serde_json::{Value, json};

use crate::support::{AuditMark, Broker, agent_of, clusters, config_map, eventually, stays};

fn deployment(namespace: &str, name: &str, replicas: Option<u32>) -> Value {
    let container = json!({"name": "c", "image": "registry.example/c", "ports": [{"containerPort": 8080}]});
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    });
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = json!(replicas);
    }
    object
}

fn data(cluster: &TestCluster, namespace: &str, name: &str) -> Option<Value> {
    cluster.get("configmap", namespace, name).unwrap().map(|it| it["data"]["k"].clone())
}

fn uid(cluster: &TestCluster, kind: &str, namespace: &str, name: &str) -> Option<Value> {
    cluster.get(kind, namespace, name).unwrap().map(|it| it["metadata"]["uid"].clone())
}

async fn applied(broker: &Broker, stack: &str, revision: u64) {
    eventually(&format!("revision {revision} is applied"), || async { broker.applied(stack, revision) }).await;
}

async fn fails_with(broker: &Broker, stack: &str, reason: &str) {
    eventually(reason, || async { broker.fails_with(stack, reason) }).await;
}

/// Values that the API server normalises or sets by default are not drift.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_defaults_are_not_drift() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let agent = agent_of(&broker, "defaults", cluster);
    let namespace = "test-defaults";
    cluster.kubectl(&["create", "namespace", namespace]).unwrap();
    // A controller fills in the rules of this role from all roles with the label.
    let source = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "test-defaults-source", "labels": {"brokkr.test/aggregate": "defaults"}},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    });
    cluster.apply(&source).unwrap();
    let set = |label: &str| {
        let metadata = |name: &str| json!({"name": name, "namespace": namespace, "labels": {"revision": label}});
        let mut deployment = deployment(namespace, "ports", Some(0));
        deployment["metadata"] = metadata("ports");
        [
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata("texts"), "stringData": {"a": "x", "b": "y"}, "data": {"b": "eg==", "c": "eg=="}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata("ports"), "spec": {"selector": {"app": "ports"}, "ports": [{"port": 80}]}}),
            deployment,
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": "test-defaults", "labels": {"revision": label}},
                "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"brokkr.test/aggregate": "defaults"}}]},
                "rules": [],
            }),
        ]
    };
    let stack = broker.stack("defaults");
    broker.target(&stack, &agent);
    broker.publish_all(&stack, &set("1"));
    applied(&broker, &stack, 1).await;
    let rules = || cluster.get("clusterrole", "", "test-defaults").unwrap().unwrap()["rules"].clone();
    eventually("the controller has filled in the rules", || async {
        if rules() == source["rules"] { Ok(()) } else { Err(rules()) }
    })
    .await;
    let secret = cluster.get("secret", namespace, "texts").unwrap().unwrap();
    assert_eq!(secret["data"], json!({"a": "eA==", "b": "eQ==", "c": "eg=="}), "stringData overrides data");
    let service = cluster.get("service", namespace, "ports").unwrap().unwrap();
    assert_eq!(service["spec"]["ports"][0]["protocol"], "TCP");
    let mark = AuditMark::now(cluster);
    stays(Duration::from_secs(6), "three comparisons find nothing", || async {
        mark.none(&[namespace, &agent.id]).map_err(|it| json!(it))?;
        broker.condition(&stack, "Drifted", "False")
    })
    .await;
    let again = cluster.get("secret", namespace, "texts").unwrap().unwrap();
    assert_eq!(again["metadata"]["resourceVersion"], secret["metadata"]["resourceVersion"]);

    // A revision that applies every object again keeps the rules of the controller.
    broker.publish_all(&stack, &set("2"));
    applied(&broker, &stack, 2).await;
    assert_eq!(rules(), source["rules"]);
    // A changed text is still drift.
    cluster.kubectl(&["patch", "secret", "texts", "-n", namespace, "-p", r#"{"data":{"a":"Y2hhbmdlZA=="}}"#]).unwrap();
    eventually("put right", || async {
        let now = cluster.get("secret", namespace, "texts").unwrap().unwrap();
        if now["data"]["a"] == "eA==" { Ok(()) } else { Err(now) }
    })
    .await;
    broker.delete_stack(&stack).await;
    assert_eq!(cluster.get("clusterrole", "", "test-defaults").unwrap(), None);
    assert!(cluster.get("clusterrole", "", "test-defaults-source").unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autoscaled_replicas_are_yielded_without_a_reset() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let agent = agent_of(&broker, "replicas", cluster);
    let namespace = "test-replicas";
    cluster.kubectl(&["create", "namespace", namespace]).unwrap();
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "scaled", "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"},
            "minReplicas": 2, "maxReplicas": 9,
        },
    });
    let (scaled, plain) = (broker.stack("scaled"), broker.stack("plain"));
    for stack in [&scaled, &plain] {
        broker.target(stack, &agent);
    }
    broker.publish_all(&scaled, &[deployment(namespace, "scaled", Some(5)), autoscaler.clone()]);
    broker.publish_all(&plain, &[deployment(namespace, "plain", Some(5))]);
    applied(&broker, &scaled, 1).await;
    applied(&broker, &plain, 1).await;
    let replicas =
        |name: &str| cluster.get("deployment", namespace, name).unwrap().unwrap()["spec"]["replicas"].clone();
    assert_eq!((replicas("scaled"), replicas("plain")), (json!(5), json!(5)));
    broker.publish_all(&scaled, &[deployment(namespace, "scaled", None), autoscaler]);
    broker.publish_all(&plain, &[deployment(namespace, "plain", None)]);
    // A reset, even for a moment, would stop pods.
    stays(Duration::from_secs(4), "the number is not reset", || async {
        let now = replicas("scaled");
        if now == 5 { Ok(()) } else { Err(now) }
    })
    .await;
    applied(&broker, &scaled, 2).await;
    applied(&broker, &plain, 2).await;
    let generation = cluster.get("deployment", namespace, "scaled").unwrap().unwrap()["metadata"]["generation"].clone();
    assert_eq!(generation, 1, "the specification has never changed");
    assert_eq!(replicas("plain"), 1, "without an autoscaler the default comes back, as server-side apply has it");
    // Scale through the subresource, as an autoscaler does.
    cluster.kubectl(&["scale", "deployment", "scaled", "-n", namespace, "--replicas=7"]).unwrap();
    stays(Duration::from_secs(4), "the number stays", || async {
        let now = replicas("scaled");
        if now == 7 { Ok(()) } else { Err(now) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cleaned_up_completed_job_is_not_recreated() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let agent = agent_of(&broker, "done", cluster);
    let namespace = "test-done";
    cluster.kubectl(&["create", "namespace", namespace]).unwrap();
    // The Job completes without pods, because there is no node.
    let job = |label: &str| {
        let template = json!({"metadata": {"labels": {"app": label}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.example/c"}]}});
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": namespace},
            "spec": {"completions": 0, "ttlSecondsAfterFinished": 1, "template": template},
        })
    };
    let stack = broker.stack("done");
    broker.target(&stack, &agent);
    let mark = AuditMark::now(cluster);
    broker.publish_all(&stack, &[job("a"), config_map(namespace, "beside", "1")]);
    applied(&broker, &stack, 1).await;
    eventually("the cluster deletes the completed Job", || async {
        cluster.get("job", namespace, "once").unwrap().map_or(Ok(()), Err)
    })
    .await;
    stays(Duration::from_secs(6), "the agent does not recreate it", || async {
        cluster.get("job", namespace, "once").unwrap().map_or(Ok(()), Err)
    })
    .await;
    assert_eq!(mark.writes(&[&format!("/namespaces/{namespace}/jobs/once")]).len(), 1);
    let status = broker.status(&stack);
    assert_eq!((&status["health"], &status["applied_revision"]), (&json!("healthy"), &json!(1)), "{status}");
    // A changed Job runs again.
    broker.publish_all(&stack, &[job("b"), config_map(namespace, "beside", "1")]);
    applied(&broker, &stack, 2).await;
    assert_eq!(mark.writes(&[&format!("/namespaces/{namespace}/jobs/once")]).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_waits_until_its_dependency_is_ready() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let agent = agent_of(&broker, "depends", cluster);
    let namespace = "test-depends";
    cluster.kubectl(&["create", "namespace", namespace]).unwrap();
    let after = |mut object: Value, reference: &str| {
        object["metadata"]["annotations"] = json!({"config.kubernetes.io/depends-on": reference});
        object
    };
    let chain = |name: &str, next: &str| {
        after(config_map(namespace, name, "1"), &format!("/namespaces/{namespace}/ConfigMap/{next}"))
    };
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "base", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "registry.example/c"}]},
    });
    let stack = broker.stack("depends");
    broker.target(&stack, &agent);
    // By kind and name alone, the order would be reversed.
    let last = config_map(namespace, "d", "1");
    let waits = after(config_map(namespace, "waits", "1"), &format!("/namespaces/{namespace}/Pod/base"));
    broker.publish_all(&stack, &[chain("a", "b"), chain("b", "c"), chain("c", "d"), last, waits, pod]);
    let version = |name: &str| {
        let object = cluster.get("configmap", namespace, name).unwrap()?;
        object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().ok()
    };
    eventually("the chain is created", || async { version("a").map(drop).ok_or(broker.status(&stack)) }).await;
    let made = ["d", "c", "b", "a"].map(version);
    assert!(made.is_sorted(), "{made:?}");
    // There is no node, so the pod does not run, and its dependent is not created.
    eventually("the status names the waiting object", || async {
        let status = broker.status(&stack);
        let applied = &status["conditions"].as_array().unwrap()[0];
        if applied["reason"] == "DependencyPending" { Ok(()) } else { Err(status) }
    })
    .await;
    stays(Duration::from_secs(3), "it waits", || async { version("waits").map_or(Ok(()), Err) }).await;
    let running = r#"{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}"#;
    cluster.kubectl(&["patch", "pod", "base", "-n", namespace, "--subresource=status", "-p", running]).unwrap();
    applied(&broker, &stack, 1).await;
    assert!(version("waits").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn immutable_object_is_replaced_only_if_the_policy_allows() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let agent = agent_of(&broker, "immutable", cluster);
    let namespace = "test-immutable";
    cluster.kubectl(&["create", "namespace", namespace]).unwrap();
    let fixed = |name: &str, value: &str| {
        let mut object = config_map(namespace, name, value);
        object["immutable"] = json!(true);
        object
    };
    let kept = broker.stack("kept");
    let replaced = broker.stack_with("replaced", json!({"replace_immutable": true}));
    for (stack, name) in [(&kept, "kept"), (&replaced, "replaced")] {
        broker.target(stack, &agent);
        broker.publish_all(stack, &[fixed(name, "1")]);
        applied(&broker, stack, 1).await;
    }
    let before = ["kept", "replaced"].map(|name| uid(cluster, "configmap", namespace, name));
    broker.publish_all(&kept, &[fixed("kept", "2")]);
    broker.publish_all(&replaced, &[fixed("replaced", "2")]);
    applied(&broker, &replaced, 2).await;
    fails_with(&broker, &kept, "Immutable").await;
    let after = ["kept", "replaced"].map(|name| uid(cluster, "configmap", namespace, name));
    assert_eq!(after[0], before[0]);
    assert!(after[1].is_some() && after[1] != before[1]);
    assert_eq!(["kept", "replaced"].map(|name| data(cluster, namespace, name)), [Some(json!("1")), Some(json!("2"))]);
    // The agent does not replace an object with a finalizer of others.
    let patch = r#"{"metadata":{"finalizers":["brokkr.test/hold"]}}"#;
    cluster.kubectl(&["patch", "configmap", "replaced", "-n", namespace, "-p", patch]).unwrap();
    broker.publish_all(&replaced, &[fixed("replaced", "3")]);
    fails_with(&broker, &replaced, "NotReplaceable").await;
    assert_eq!(uid(cluster, "configmap", namespace, "replaced"), after[1]);
    // The previous value again: no change is left.
    broker.publish_all(&replaced, &[fixed("replaced", "2")]);
    applied(&broker, &replaced, 4).await;
}
