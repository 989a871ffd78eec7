//! Conflicts with others, on real API servers.

use serde_json::json;

use crate::support::{Broker, agent_of, clusters, eventually};

fn map(namespace: &str, name: &str, value: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{k: \"{value}\"}}\n"
    )
}

fn namespace(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
}

async fn fails_with(broker: &Broker, stack: &str, reason: &str) {
    eventually(reason, || async {
        let status = broker.get(&format!("/stacks/{stack}/status"));
        if status["agents"][0]["last_error"]["reason"] == reason { Ok(()) } else { Err(status) }
    })
    .await;
}

async fn gone(broker: &Broker, stack: &str) {
    broker.curl("DELETE", &format!("/stacks/{stack}"), &[], None);
    eventually("the stack is gone", || async {
        let (status, body) = broker.curl("GET", &format!("/stacks/{stack}"), &[], None);
        if status == 404 {
            Ok(())
        } else {
            Err((body, broker.curl("GET", &format!("/stacks/{stack}/status"), &[], None)))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_brokkr_did_not_make_is_reported_and_survives() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[0];
    let agent = agent_of(&broker, "conflicts", cluster);
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test-conflict"}})).unwrap();
    cluster.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "test-conflict"}, "data": {"k": "human"}})).unwrap();
    let before = cluster.get("configmap", "test-conflict", "theirs").unwrap();
    let stack = broker.stack("conflict");
    broker.target(&stack, &agent);
    broker.publish(
        &stack,
        &(namespace("test-conflict") + &map("test-conflict", "theirs", "ours") + &map("test-conflict", "ours", "1")),
    );
    fails_with(&broker, &stack, "NotOwned").await;
    assert!(cluster.get("configmap", "test-conflict", "ours").unwrap().is_some(), "the others go on");
    gone(&broker, &stack).await;
    assert_eq!(cluster.get("configmap", "test-conflict", "theirs").unwrap(), before);
    assert_eq!(cluster.get("configmap", "test-conflict", "ours").unwrap(), None);
    let ours = cluster.get("namespace", "", "test-conflict").unwrap().unwrap();
    assert!(!ours.to_string().contains(&agent.manager()), "a Namespace that was there is only used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_of_two_stacks_and_a_human_goes_with_the_last() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[0];
    let agent = agent_of(&broker, "shared", cluster);
    let stacks = [broker.stack("one"), broker.stack("two")];
    for (n, stack) in stacks.iter().enumerate() {
        broker.target(stack, &agent);
        broker.publish(stack, &(namespace("test-shared") + &map("test-shared", &format!("c{n}"), "1")));
        eventually("applied", || async { broker.applied(stack, 1) }).await;
    }
    cluster.kubectl(&["create", "configmap", "human", "-n", "test-shared"]).unwrap();
    let uid = cluster.get("namespace", "", "test-shared").unwrap().unwrap()["metadata"]["uid"].clone();
    for stack in &stacks {
        gone(&broker, stack).await;
        let there = cluster.get("namespace", "", "test-shared").unwrap().unwrap();
        assert_eq!((&there["metadata"]["uid"], &there["metadata"]["deletionTimestamp"]), (&uid, &json!(null)));
        assert!(cluster.get("configmap", "test-shared", "human").unwrap().is_some());
    }
    cluster.kubectl(&["delete", "configmap", "human", "-n", "test-shared"]).unwrap();
    eventually("the namespace goes with the last", || async {
        cluster.get("namespace", "", "test-shared").unwrap().map_or(Ok(()), Err)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_stack_takes_over_with_the_uid_unchanged() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[0];
    let agent = agent_of(&broker, "handover", cluster);
    let (first, second) = (broker.stack("first"), broker.stack("second"));
    broker.target(&first, &agent);
    broker.publish(&first, &(map("default", "test-handover", "first") + &map("default", "test-own", "1")));
    eventually("applied", || async { broker.applied(&first, 1) }).await;
    let uid = cluster.get("configmap", "default", "test-handover").unwrap().unwrap()["metadata"]["uid"].clone();
    broker.target(&second, &agent);
    broker.publish(&second, &map("default", "test-handover", "second"));
    fails_with(&broker, &second, "HeldByStack").await;
    broker.publish(&first, &map("default", "test-own", "1"));
    eventually("taken over", || async { broker.applied(&second, 1) }).await;
    let object = cluster.get("configmap", "default", "test-handover").unwrap().unwrap();
    assert_eq!((&object["metadata"]["uid"], &object["data"]["k"]), (&uid, &json!("second")));
    gone(&broker, &first).await;
    assert!(cluster.get("configmap", "default", "test-handover").unwrap().is_some());
    gone(&broker, &second).await;
    assert_eq!(cluster.get("configmap", "default", "test-handover").unwrap(), None);
}
