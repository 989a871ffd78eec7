//! Killed agents and restarted brokers.

use std::time::Duration;

use crate::support::{Broker, agent_of, clusters, eventually, stays};

fn many(namespace: &str, count: usize, value: &str) -> String {
    let object = |n| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}, namespace: {namespace}}}\ndata: {{k: \"{value}\"}}\n"
        )
    };
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n{}",
        (0..count).map(object).collect::<String>()
    )
}

fn count(cluster: &brokkr_testbed::TestCluster, namespace: &str) -> usize {
    let names = cluster.kubectl(&["get", "configmaps", "-n", namespace, "-o", "name"]).unwrap_or_default();
    names.lines().filter(|it| it.starts_with("configmap/c")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_killed_amid_300_objects_continues() {
    let broker = Broker::start(None).await;
    let cluster = &clusters()[2];
    let mut agent = agent_of(&broker, "killed", cluster);
    let stack = broker.stack("killed");
    broker.target(&stack, &agent);
    cluster.kubectl(&["create", "namespace", "test-foreign"]).unwrap();
    cluster.kubectl(&["create", "configmap", "c1", "-n", "test-foreign"]).unwrap();
    for (round, millis) in [20_u64, 60, 120, 250, 500].into_iter().enumerate() {
        let revision = broker.publish(&stack, &many("test-killed", 300, &format!("{round}")));
        tokio::time::sleep(Duration::from_millis(millis)).await;
        agent.kill();
        agent.start().unwrap();
        eventually("applied after the crash", || async { broker.applied(&stack, revision) }).await;
        assert_eq!(count(cluster, "test-killed"), 300);
    }
    let failures = broker.get(&format!("/stacks/{stack}/events?outcome=failure"));
    assert!(!failures.to_string().contains("Conflict") && !failures.to_string().contains("NotOwned"), "{failures}");
    // A revision that drops most objects. The agent is killed while it prunes.
    let revision = broker.publish(&stack, &many("test-killed", 3, "last"));
    tokio::time::sleep(Duration::from_millis(150)).await;
    agent.kill();
    agent.start().unwrap();
    eventually("applied", || async { broker.applied(&stack, revision) }).await;
    eventually("no leftover", || async {
        let there = count(cluster, "test-killed");
        if there == 3 { Ok(()) } else { Err(there) }
    })
    .await;
    assert_eq!(count(cluster, "test-foreign"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_restarted_without_data_removes_nothing() {
    let mut broker = Broker::start(None).await;
    let cluster = &clusters()[2];
    let agent = agent_of(&broker, "orphaned", cluster);
    let stack = broker.stack("orphaned");
    broker.target(&stack, &agent);
    broker.publish(&stack, &many("test-orphaned", 5, "1"));
    eventually("applied", || async { broker.applied(&stack, 1) }).await;
    let port = broker.port();
    broker.process.take().unwrap().kill();
    let _empty = Broker::start(Some(port)).await;
    stays(Duration::from_secs(8), "everything stays", || async {
        let there = count(cluster, "test-orphaned");
        if there == 5 { Ok(()) } else { Err(there) }
    })
    .await;
    let deletions = cluster
        .writes_by("brokkr-agent")
        .unwrap()
        .into_iter()
        .filter(|it| it["verb"] == "delete" && it["requestURI"].as_str().unwrap().contains("test-orphaned"));
    assert_eq!(deletions.count(), 0);
}
