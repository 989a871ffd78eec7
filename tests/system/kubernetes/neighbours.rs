//! Three agents on one cluster, with the same kinds in the same namespace, and one object that all three want.

use std::time::Duration;

use brokkr_testbed::{AgentProcess, TestCluster};
use serde_json::Value;

use crate::support::{AuditMark, Broker, agent_of, clusters, eventually, inventory, stays, succeeded};

const NAMESPACE: &str = "test-neighbours";

/// Objects of several kinds, of which only the names differ between the agents.
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

/// Whose the common object is: what it says, and which agents own fields in it.
fn holder(cluster: &TestCluster) -> Option<(String, Vec<String>)> {
    let object = cluster.get("configmap", NAMESPACE, "common").unwrap()?;
    Some((object["data"]["of"].as_str().unwrap().to_owned(), managers(&object)))
}

fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let names = entries.iter().map(|it| it["manager"].as_str().unwrap());
    names.filter(|it| it.starts_with("brokkr-")).map(str::to_owned).collect()
}

/// Each object of an agent's is as that agent made it, and nobody else's.
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

/// A Namespace that two agents bring: the one that comes second uses it, and it goes with the last that is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_of_one_agent_is_used_by_the_other() {
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
    eventually("the Namespace goes as well", || async {
        let there = cluster.get("namespace", "", "test-room").unwrap();
        if there.is_none() { Ok(()) } else { Err(there) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_agents_hold_exactly_their_own() {
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
            eventually("the first has it", || async { broker.applied(&stacks[0], 1) }).await;
        }
    }
    for stack in &stacks[1..] {
        eventually("the others say whose it is", || async { broker.fails_with(stack, "HeldByAnotherAgent") }).await;
    }
    let before = cluster.get("configmap", NAMESPACE, "common").unwrap();
    stays(Duration::from_secs(3), "it is the first's, untouched", || async {
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

    // The first drops it: another takes it, and only one.
    broker.publish(&stacks[0], &own("first"));
    eventually("applied", || async { broker.applied(&stacks[0], 2) }).await;
    let taken_by = |n: usize| broker.applied(&stacks[n], 1).is_ok();
    eventually("another has it", || async { if taken_by(1) || taken_by(2) { Ok(()) } else { Err(holder(cluster)) } })
        .await;
    let (taker, other) = if taken_by(1) { (1, 2) } else { (2, 1) };
    assert_eq!(holder(cluster), Some((names[taker].to_owned(), vec![agents[taker].manager()])));
    broker.fails_with(&stacks[other], "HeldByAnotherAgent").unwrap();
    // The other one may have tried for it too: its intent is written down until it has given up.
    eventually("the other one has given up", || async {
        let held = inventory(cluster, &agents[other].id, &stacks[other]);
        if held.iter().any(|[_, _, name, _]| name == "common") { Err(held) } else { Ok(()) }
    })
    .await;
    for n in 0..3 {
        exactly_its_own(cluster, &agents[n], &stacks[n], names[n], n == taker);
    }

    // Who goes takes only its own along.
    broker.delete_stack(&stacks[0]).await;
    assert_eq!(inventory(cluster, &agents[0].id, &stacks[0]), Vec::<[String; 4]>::new());
    assert_eq!(cluster.get("deployment", NAMESPACE, "first").unwrap(), None);
    for n in 1..3 {
        exactly_its_own(cluster, &agents[n], &stacks[n], names[n], n == taker);
    }
}
