//! Three agents on one cluster, with the same kinds in the same namespace, and one common object.

use std::time::Duration;

use brokkr_testbed::{AgentProcess, TestCluster};
use serde_json::Value;

use crate::support::{AuditMark, Broker, agent_of, clusters, eventually, inventory, stays, succeeded};

const NAMESPACE: &str = "test-neighbours";

/// Objects of several kinds. Only their names differ between the agents.
fn own(name: &str) -> String {
    let meta = |kind: &str, name: &str| format!("kind: {kind}\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\n");
    [
        (0..8).map(|n| format!("---\napiVersion: v1\n{}data: {{of: {name}}}\n", meta("ConfigMap", &format!("{name}-{n}")))).collect::<String>(),
        format!("---\napiVersion: v1\n{}stringData: {{of: {name}}}\n", meta("Secret", name)),
        format!("---\napiVersion: v1\n{}spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n", meta("Service", name)),
        format!(
            "---\napiVersion: apps/v1\n{}spec:\n  replicas: 0\n  selector: {{matchLabels: {{app: {name}}}}}\n  template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: c, image: registry.example/c}}]}}}}\n",
            meta("Deployment", name)
        ),
    ]
    .concat()
}

fn common(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: common, namespace: {NAMESPACE}}}\ndata: {{of: {name}}}\n"
    )
}

/// The owner of the common object: its content, and the agents that own fields.
fn holder(cluster: &TestCluster) -> Option<(String, Vec<String>)> {
    let object = cluster.get("configmap", NAMESPACE, "common").unwrap()?;
    Some((object["data"]["of"].as_str().unwrap().to_owned(), managers(&object)))
}

fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let names = entries.iter().map(|it| it["manager"].as_str().unwrap());
    names.filter(|it| it.starts_with("brokkr-")).map(str::to_owned).collect()
}

/// Asserts that each object of an agent is unchanged and has no other owner.
fn exactly_its_own(cluster: &TestCluster, agent: &AgentProcess, stack: &str, name: &str, with_common: bool) {
    let held = inventory(cluster, &agent.id, stack);
    let mut expected: Vec<_> = (0..8).map(|n| ("ConfigMap", format!("{name}-{n}"))).collect();
    expected.extend(with_common.then(|| ("ConfigMap", "common".to_owned())));
    expected.extend(["Deployment.apps", "Secret", "Service"].map(|kind| (kind, name.to_owned())));
    expected.sort();
    let found: Vec<_> = held.iter().map(|[kind, _, name, _]| (kind.as_str(), name.clone())).collect();
    assert_eq!(found, expected);
    for [kind, namespace, object, uid] in held {
        let there = cluster.get(&kind, &namespace, &object).unwrap().unwrap();
        assert_eq!(there["metadata"]["uid"], uid);
        assert_eq!(there["metadata"]["labels"]["brokkr.io/agent"], agent.id);
        assert_eq!(there["metadata"]["labels"]["brokkr.io/stack"], stack);
        assert_eq!(managers(&there), [agent.manager()]);
    }
}

/// Two agents have the same Namespace in their stacks: the second one uses it, and the last one deletes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_agent_uses_the_namespace_of_the_first() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    let names = ["one", "other"];
    let agents = names.map(|name| agent_of(&broker, &format!("roommate-{name}"), cluster));
    let stacks = names.map(|name| broker.stack(&format!("room-of-{name}")));
    for n in 0..2 {
        broker.target(&stacks[n], &agents[n]);
        broker.publish(
            &stacks[n],
            &format!(
                "apiVersion: v1\nkind: Namespace\nmetadata: {{name: test-room}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {}, namespace: test-room}}\n",
                names[n]
            ),
        );
        eventually("applied", || async { broker.applied(&stacks[n], 1) }).await;
    }
    broker.delete_stack(&stacks[0]).await;
    assert_eq!(cluster.get("configmap", "test-room", "one").unwrap(), None);
    assert!(cluster.get("configmap", "test-room", "other").unwrap().is_some());
    assert!(broker.applied(&stacks[1], 1).is_ok());
    broker.delete_stack(&stacks[1]).await;
    eventually("the Namespace is deleted too", || async {
        let there = cluster.get("namespace", "", "test-room").unwrap();
        if there.is_none() { Ok(()) } else { Err(there) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_agents_on_one_cluster_keep_their_own_objects() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[1];
    cluster.kubectl(&["create", "namespace", NAMESPACE]).unwrap();
    let names = ["first", "second", "third"];
    let agents = names.map(|name| agent_of(&broker, &format!("neighbour-{name}"), cluster));
    let stacks = names.map(|name| broker.stack(&format!("of-{name}")));
    let mark = AuditMark::now(cluster);
    for n in 0..3 {
        broker.target(&stacks[n], &agents[n]);
        broker.publish(&stacks[n], &(own(names[n]) + &common(names[n])));
        if n == 0 {
            eventually("the first agent owns the object", || async { broker.applied(&stacks[0], 1) }).await;
        }
    }
    for stack in &stacks[1..] {
        eventually("the other agents report the owner", || async { broker.fails_with(stack, "HeldByAnotherAgent") })
            .await;
    }
    let before = cluster.get("configmap", NAMESPACE, "common").unwrap();
    stays(Duration::from_secs(3), "the object of the first agent is unchanged", || async {
        let now = cluster.get("configmap", NAMESPACE, "common").unwrap();
        if now == before { Ok(()) } else { Err(now) }
    })
    .await;
    assert_eq!(holder(cluster), Some(("first".to_owned(), vec![agents[0].manager()])));
    for n in 0..3 {
        exactly_its_own(cluster, &agents[n], &stacks[n], names[n], n == 0);
    }
    let by_others = mark.writes(&["/configmaps/common"]).into_iter().filter(succeeded);
    let by_others: Vec<_> =
        by_others.filter(|it| !it["requestURI"].as_str().unwrap().contains(&agents[0].id)).collect();
    assert_eq!(by_others, Vec::<Value>::new());

    // The first agent drops the object: exactly one other agent takes it.
    broker.publish(&stacks[0], &own("first"));
    eventually("applied", || async { broker.applied(&stacks[0], 2) }).await;
    let taken_by = |n: usize| broker.applied(&stacks[n], 1).is_ok();
    eventually("another agent owns the object", || async {
        if taken_by(1) || taken_by(2) { Ok(()) } else { Err(holder(cluster)) }
    })
    .await;
    let (taker, other) = if taken_by(1) { (1, 2) } else { (2, 1) };
    assert_eq!(holder(cluster), Some((names[taker].to_owned(), vec![agents[taker].manager()])));
    broker.fails_with(&stacks[other], "HeldByAnotherAgent").unwrap();
    // The third agent may have tried to take it too. Its inventory lists the intent until it gives up.
    eventually("the third agent has given up", || async {
        let held = inventory(cluster, &agents[other].id, &stacks[other]);
        if held.iter().any(|[_, _, name, _]| name == "common") { Err(held) } else { Ok(()) }
    })
    .await;
    for n in 0..3 {
        exactly_its_own(cluster, &agents[n], &stacks[n], names[n], n == taker);
    }

    // A removed stack deletes only its own objects.
    broker.delete_stack(&stacks[0]).await;
    assert_eq!(inventory(cluster, &agents[0].id, &stacks[0]), Vec::<[String; 4]>::new());
    assert_eq!(cluster.get("deployment", NAMESPACE, "first").unwrap(), None);
    for n in 1..3 {
        exactly_its_own(cluster, &agents[n], &stacks[n], names[n], n == taker);
    }
}
