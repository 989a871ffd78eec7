//! Agents that join with a token: one identity across restarts, crashes and replicas.

use brokkr_testbed::{AgentProcess, TestCluster};
use serde_json::{Value, json};

use crate::support::{Broker, clusters, eventually, log};

const MANIFESTS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: joined, namespace: default}\n";

/// An agent without a key, with its own namespace for records, in a cluster where it has only the rights that `brokkr-agent rbac`
/// prints.
fn newcomer(broker: &Broker, cluster: &TestCluster, user: u32, token: &str) -> AgentProcess {
    let kubeconfig = cluster.kubeconfig_of_stranger(user).unwrap();
    let namespace = format!("test-join-{user}");
    super::least::grant(cluster, &format!("stranger-{user}"), MANIFESTS, &["--namespace", &namespace]);
    AgentProcess::new("", "", &broker.url, &kubeconfig, &log("join"))
        .env("BROKKR__AGENT__JOIN_TOKEN", token)
        .env("BROKKR__AGENT__NAMESPACE", &namespace)
        .env("BROKKR__AGENT__CLUSTER_NAME", &cluster.name)
        .env("BROKKR__AGENT__NAME", format!("joined-{user}"))
}

fn token(broker: &Broker, uses: u32) -> (String, String) {
    let body =
        json!({"name": "edge", "max_uses": uses, "expires_at": "9026-01-01T00:00:00Z", "labels": {"site": "edge"}});
    let made = broker.send("POST", "/join-tokens", &body);
    (made["join_token"]["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

fn agents(broker: &Broker) -> Vec<Value> {
    broker.get("/agents")["items"].as_array().unwrap().clone()
}

/// Waits until the only agent has called. Returns its id.
async fn only_agent(broker: &Broker) -> String {
    eventually("one agent has joined and polls", || async {
        let agents = agents(broker);
        let polls = agents.len() == 1 && agents[0]["last_seen_at"].is_string();
        if polls { Ok(()) } else { Err(agents) }
    })
    .await;
    agents(broker)[0]["id"].as_str().unwrap().to_owned()
}

fn key_secret(cluster: &TestCluster, user: u32) -> Value {
    cluster.get("secret", &format!("test-join-{user}"), "brokkr-agent-key").unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_joins_once_and_is_the_same_agent_after_restarts() {
    let (broker, cluster) = (Broker::start(None).await, &clusters()[1]);
    let (id, secret) = token(&broker, 1);
    let mut agent = newcomer(&broker, cluster, 3, &secret);
    agent.start().unwrap();
    agent.id = only_agent(&broker).await;
    let stack = broker.stack("joined");
    broker.target(&stack, &agent);
    broker.publish(&stack, MANIFESTS);
    eventually("applied", || async { broker.applied(&stack, 1) }).await;
    let stored = key_secret(cluster, 3);
    assert!(stored["data"]["pak"].is_string() && stored["data"]["agent-id"].is_string(), "{stored}");
    assert_eq!(agents(&broker)[0]["labels"], json!({"site": "edge"}));

    // The token is gone, in the broker and in the agent's environment.
    let (status, _) = broker.curl("DELETE", &format!("/join-tokens/{id}"), &[], None);
    assert_eq!(status, 204);
    let mut agent = agent.env("BROKKR__AGENT__JOIN_TOKEN", "");
    agent.start().unwrap();
    broker.publish(&stack, &format!("{MANIFESTS}data: {{a: b}}\n"));
    eventually("applied after the restart", || async { broker.applied(&stack, 2) }).await;
    // A token that the broker does not know is ignored.
    let mut agent = agent.env("BROKKR__AGENT__JOIN_TOKEN", &secret);
    agent.start().unwrap();
    broker.publish(&stack, &format!("{MANIFESTS}data: {{a: c}}\n"));
    eventually("applied with a stale token", || async { broker.applied(&stack, 3) }).await;
    assert_eq!(only_agent(&broker).await, agent.id);
    assert_eq!(key_secret(cluster, 3)["data"], stored["data"], "the key is the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_and_a_lost_answer_make_no_second_agent() {
    let (broker, cluster) = (Broker::start(None).await, &clusters()[1]);
    let (id, secret) = token(&broker, 3);
    let mut replicas = [newcomer(&broker, cluster, 4, &secret), newcomer(&broker, cluster, 4, &secret)];
    for replica in &mut replicas {
        replica.start().unwrap();
    }
    let agent = only_agent(&broker).await;
    eventually("both replicas run", || async {
        let said = replicas.each_ref().map(|it| std::fs::read_to_string(it.log_path()).unwrap_or_default());
        if said.iter().all(|it| it.contains("serving")) { Ok(()) } else { Err(said) }
    })
    .await;
    for replica in &mut replicas {
        replica.kill();
    }
    // As after a crash between the broker's commit and the note in the Secret.
    let key = key_secret(cluster, 4)["data"]["pak"].clone();
    let remove = r#"[{"op": "remove", "path": "/data/agent-id"}]"#;
    let place = ["-n", "test-join-4", "patch", "secret", "brokkr-agent-key", "--type", "json", "-p", remove];
    cluster.kubectl(&place).unwrap();
    let [mut first, _] = replicas;
    first.start().unwrap();
    eventually("the agent has joined again", || async {
        let stored = key_secret(cluster, 4);
        let is_noted = stored["data"]["agent-id"].is_string() && stored["data"]["pak"] == key;
        if is_noted { Ok(()) } else { Err(stored) }
    })
    .await;
    assert_eq!(only_agent(&broker).await, agent);
    assert_eq!(broker.get(&format!("/join-tokens/{id}"))["uses"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_token_ends_the_agent_with_a_remedy() {
    let (broker, cluster) = (Broker::start(None).await, &clusters()[1]);
    let (id, secret) = token(&broker, 1);
    broker.curl("DELETE", &format!("/join-tokens/{id}"), &[], None);
    let mut agent = newcomer(&broker, cluster, 5, &secret);
    agent.start().unwrap();
    eventually("the agent says what to do", || async {
        let said = std::fs::read_to_string(agent.log_path()).unwrap_or_default();
        if said.contains("refuses the join token") && said.contains("create another") { Ok(()) } else { Err(said) }
    })
    .await;
    let said = std::fs::read_to_string(agent.log_path()).unwrap();
    assert!(!said.contains(&secret), "the log has no token");
}
