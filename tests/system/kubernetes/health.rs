//! The health of workloads under real controllers, with a scheduler and simulated pods.

use std::time::{Duration, Instant};

use brokkr_testbed::TestCluster;
use serde_json::{Value, json};

use crate::support::{Broker, agent_of, cluster_with_nodes, eventually, stays};

/// The node selector of a stack's pods. They stay pending until a node has this label.
const SITE: &str = "brokkr.test/site";

fn pods(name: &str, site: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"nodeSelector": {SITE: site}, "containers": [{"name": "c", "image": "registry.example/c"}]},
    })
}

fn workload(kind: &str, namespace: &str, name: &str, site: &str) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": pods(name, site)},
    });
    match kind {
        "Deployment" => object["spec"]["progressDeadlineSeconds"] = json!(3),
        _ => object["spec"]["serviceName"] = json!(name),
    }
    object
}

/// A Job with one pod, which fails on request.
fn job(namespace: &str, site: &str, fails: bool) -> Value {
    let mut template = pods("job", site);
    template["spec"]["restartPolicy"] = json!("Never");
    template["metadata"]["labels"]["brokkr.test/fails"] = json!(fails.to_string());
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job", "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": template},
    })
}

fn map(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}})
}

fn roll_back(broker: &Broker, stack: &str, revision: u64) -> u64 {
    let rolled = broker.send("POST", &format!("/stacks/{stack}/rollback"), &json!({"revision": revision}));
    rolled["revision"].as_u64().unwrap()
}

/// Waits until the agent reports this health for this revision.
async fn fares(broker: &Broker, stack: &str, revision: u64, health: &str) {
    eventually(&format!("revision {revision} is {health}"), || async {
        let status = broker.status(stack);
        let is_so = status["applied_revision"] == revision && status["health"] == health;
        if is_so { Ok(()) } else { Err(status) }
    })
    .await;
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let conditions = status["conditions"].as_array().unwrap();
    conditions.iter().find(|it| it["type"] == kind).unwrap()
}

/// Labels the node, so that pods of this site can run.
fn open(cluster: &TestCluster, site: &str) {
    // The label has one value, so each test needs its own node.
    let labels = json!({"kubernetes.io/hostname": site, SITE: site});
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": site, "labels": labels}})).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workloads_progress_become_ready_fail_and_recover() {
    let broker = Broker::start(None).await;
    let cluster = cluster_with_nodes();
    let agent = agent_of(&broker, "health", cluster);
    let namespace = "test-health";
    cluster.kubectl(&["create", "namespace", namespace]).unwrap();
    let stack = broker.stack("health");
    broker.target(&stack, &agent);
    let good = [
        workload("Deployment", namespace, "web", "test-health"),
        workload("StatefulSet", namespace, "db", "test-health"),
        job(namespace, "test-health", false),
    ];
    // No node matches yet. A Deployment reports the failure only after its deadline.
    let first = broker.publish_all(&stack, &good);
    fares(&broker, &stack, first, "progressing").await;
    let status = broker.status(&stack);
    assert_eq!(condition(&status, "Available")["status"], "False", "{status}");
    open(cluster, "test-health");
    fares(&broker, &stack, first, "healthy").await;
    let status = broker.status(&stack);
    for (kind, expected) in
        [("Available", "True"), ("Degraded", "False"), ("Progressing", "False"), ("Stalled", "False")]
    {
        assert_eq!(condition(&status, kind)["status"], expected, "{status}");
    }
    let deployment = cluster.get("deployment", namespace, "web").unwrap().unwrap();
    let complete = cluster.get("job", namespace, "job").unwrap().unwrap();
    let ready = cluster.get("statefulset", namespace, "db").unwrap().unwrap();
    assert_eq!((&deployment["status"]["availableReplicas"], &complete["status"]["succeeded"]), (&json!(2), &json!(1)));
    assert_eq!(ready["status"]["readyReplicas"], 2);

    // A revision that no node can run, and a rollback to the previous one.
    let mut bad = good.clone();
    bad[0] = workload("Deployment", namespace, "web", "nowhere");
    let second = broker.publish_all(&stack, &bad);
    fares(&broker, &stack, second, "degraded").await;
    let status = broker.status(&stack);
    let degraded = condition(&status, "Degraded");
    assert_eq!((&degraded["status"], &degraded["observed_revision"]), (&json!("True"), &json!(second)));
    assert!(degraded["message"].as_str().unwrap().contains("ProgressDeadlineExceeded"), "{degraded}");
    assert_eq!(condition(&status, "Applied")["status"], "True", "health does not affect the condition: {status}");
    let third = roll_back(&broker, &stack, first);
    assert_eq!(third, second + 1);
    fares(&broker, &stack, third, "healthy").await;
    let now = cluster.get("deployment", namespace, "web").unwrap().unwrap();
    assert_eq!(now["spec"]["template"]["spec"]["nodeSelector"][SITE], "test-health");
    assert_eq!(now["metadata"]["uid"], deployment["metadata"]["uid"]);
    broker.delete_stack(&stack).await;
    let left = || cluster.kubectl(&["get", "pods,jobs,replicasets", "-n", namespace, "-o", "name"]).unwrap();
    eventually("its pods are deleted with it", || async { if left().is_empty() { Ok(()) } else { Err(left()) } }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_job_is_reported_and_replaced_by_the_next_revision() {
    let broker = Broker::start(None).await;
    let cluster = cluster_with_nodes();
    let agent = agent_of(&broker, "health-job", cluster);
    let namespace = "test-health-job";
    cluster.kubectl(&["create", "namespace", namespace]).unwrap();
    open(cluster, namespace);
    // A Job's template is immutable: a changed template needs a new Job.
    let stack = broker.stack_with("job", json!({"replace_immutable": true}));
    broker.target(&stack, &agent);
    let first = broker.publish_all(&stack, &[job(namespace, namespace, false)]);
    fares(&broker, &stack, first, "healthy").await;
    let uid = || cluster.get("job", namespace, "job").unwrap().map(|it| it["metadata"]["uid"].clone());
    let good = uid();
    let second = broker.publish_all(&stack, &[job(namespace, namespace, true)]);
    fares(&broker, &stack, second, "degraded").await;
    let status = broker.status(&stack);
    assert!(condition(&status, "Degraded")["message"].as_str().unwrap().contains("BackoffLimitExceeded"), "{status}");
    let bad = uid();
    assert!(bad.is_some() && bad != good);
    let third = roll_back(&broker, &stack, first);
    fares(&broker, &stack, third, "healthy").await;
    assert!(uid().is_some() && uid() != bad);
    let owned_by = |it: &Value| {
        cluster
            .kubectl(&[
                "get",
                "pods",
                "-n",
                namespace,
                "-l",
                &format!("batch.kubernetes.io/controller-uid={}", it.as_str().unwrap()),
                "-o",
                "name",
            ])
            .unwrap()
    };
    eventually("the pods of the failed Job are deleted with it", || async {
        let left = owned_by(bad.as_ref().unwrap());
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait_policy_prunes_only_after_the_new_revision_is_ready() {
    let broker = Broker::start(None).await;
    let cluster = cluster_with_nodes();
    let agent = agent_of(&broker, "health-wait", cluster);
    let namespace = "test-health-wait";
    cluster.kubectl(&["create", "namespace", namespace]).unwrap();
    open(cluster, namespace);
    // A timeout that passes at once, and one longer than the test.
    let brief = broker.stack_with("brief", json!({"wait": {"timeout_seconds": 3}}));
    let long = broker.stack_with("long", json!({"wait": {"timeout_seconds": 3600}}));
    // The Deployment's deadline is longer, so that it does not end the wait.
    let web = |name: &str, site: &str| {
        let mut object = workload("Deployment", namespace, name, site);
        object["spec"]["progressDeadlineSeconds"] = json!(600);
        object
    };
    for (stack, name) in [(&brief, "brief"), (&long, "long")] {
        broker.target(stack, &agent);
        broker.publish_all(stack, &[web(name, namespace), map(namespace, &format!("{name}-old"))]);
    }
    for (stack, name) in [(&brief, "brief"), (&long, "long")] {
        fares(&broker, stack, 1, "healthy").await;
        broker.publish_all(stack, &[web(name, "nowhere"), map(namespace, &format!("{name}-new"))]);
        eventually("applied, and not ready", || async { broker.applied(stack, 2) }).await;
    }
    eventually("stalled", || async { broker.condition(&brief, "Stalled", "True") }).await;
    let exists = |name: &str| cluster.get("configmap", namespace, name).unwrap().is_some();
    stays(Duration::from_secs(3), "the dropped objects stay", || async {
        let there = [exists("brief-old"), exists("long-old"), exists("brief-new"), exists("long-new")];
        let stalled = [broker.condition(&brief, "Stalled", "True"), broker.condition(&long, "Stalled", "False")];
        if there == [true; 4] && stalled.iter().all(Result::is_ok) { Ok(()) } else { Err((there, stalled)) }
    })
    .await;
    broker.fails_with(&brief, "Stalled").unwrap();
    broker.condition(&brief, "Applied", "True").unwrap();
    broker.condition(&long, "Progressing", "True").unwrap();

    // A newer revision ends both waits at once.
    let began = Instant::now();
    for (stack, name) in [(&brief, "brief"), (&long, "long")] {
        broker.publish_all(stack, &[web(name, namespace), map(namespace, &format!("{name}-new"))]);
    }
    for (stack, name) in [(&brief, "brief"), (&long, "long")] {
        fares(&broker, stack, 3, "healthy").await;
        eventually("pruned", || async {
            if exists(&format!("{name}-old")) { Err(broker.status(stack)) } else { Ok(()) }
        })
        .await;
        eventually("not stalled", || async { broker.condition(stack, "Stalled", "False") }).await;
    }
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    // So does a removal.
    broker.publish_all(&long, &[web("long", "nowhere")]);
    eventually("applied, and not ready", || async { broker.condition(&long, "Progressing", "True") }).await;
    broker.delete_stack(&long).await;
    assert_eq!(cluster.get("deployment", namespace, "long").unwrap(), None);
}
