//! An agent that writes the objects of generators with their rights, itself with only those that `brokkr-agent rbac` prints.

use std::process::Command;

use brokkr_testbed::{AgentProcess, TestCluster, program};
use serde_json::{Value, json};

use crate::support::{Broker, clusters, eventually, log, succeeded};

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const TENANT: &str = "test-acting";
const USER: &str = "brokkr:generator:test-acting";
const AGENT: &str = "stranger-9";

/// Grants what `brokkr-agent rbac` prints. The generator's role fails as long as its Namespace does not exist.
fn grant(cluster: &TestCluster) -> Result<(), String> {
    let mut command = Command::new(program("brokkr-agent").unwrap());
    let output = command.args(["rbac", "--name", AGENT, "--user", AGENT, "--generator", TENANT]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rights = cluster.audit_log.parent().unwrap().join("acting-rights.yaml");
    std::fs::write(&rights, output.stdout).unwrap();
    cluster.kubectl(&["apply", "-f", &rights.display().to_string()]).map(drop).map_err(|error| error.to_string())
}

/// A generator with a grant for everything that the default one allows, and for RBAC.
struct Tenant {
    broker: Broker,
    agent: AgentProcess,
    /// The broker with the generator's key.
    own: Broker,
    stack: String,
}

impl Tenant {
    async fn new(cluster: &TestCluster) -> Self {
        let broker = Broker::start(None).await;
        let created = broker.send("POST", "/agents", &json!({"name": "acting", "cluster_name": cluster.name}));
        let (id, pak) = (created["agent"]["id"].as_str().unwrap(), created["pak"].as_str().unwrap());
        let kubeconfig = cluster.kubeconfig_of_stranger(9).unwrap();
        let agent = AgentProcess::new(id, pak, &broker.url, &kubeconfig, &log("acting"))
            .env("BROKKR__AGENT__IMPERSONATE", "true");
        let generator = broker.send("POST", "/generators", &json!({"name": TENANT}));
        let grants = broker.get("/grants?limit=500");
        let default = grants["items"].as_array().unwrap().iter().find(|it| it["name"] == "default").unwrap();
        let mut rules = default["rules"].clone();
        rules["kinds"].as_array_mut().unwrap().push(json!("*.rbac.authorization.k8s.io"));
        let grant = broker.send("POST", "/grants", &json!({"name": "with-rbac", "rules": rules}));
        let path = format!("/agents/{id}/generators/{}", generator["generator"]["id"].as_str().unwrap());
        broker.send("PUT", &path, &json!({"grant_id": grant["id"]}));
        let own =
            Broker { url: broker.url.clone(), admin: generator["pak"].as_str().unwrap().to_owned(), process: None };
        let stack = own.stack(TENANT);
        own.target(&stack, &agent);
        Self { broker, agent, own, stack }
    }

    async fn fails(&self, reason: &str, text: &str) {
        eventually(text, || async {
            let status = self.own.status(&self.stack);
            let is_so =
                status["last_error"]["reason"] == reason && status["last_error"]["message"].to_string().contains(text);
            if is_so { Ok(()) } else { Err(status) }
        })
        .await;
    }
}

fn config_map() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}})
}

fn role(name: &str, group: &str, resource: &str) -> Value {
    let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": ["get"]}]);
    json!({"apiVersion": RBAC, "kind": "Role", "metadata": {"name": name}, "rules": rules})
}

/// A binding of the generator's own service account to the role of cluster administrators.
fn to_administrators() -> Value {
    json!({
        "apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": {"name": "test-acting-admin"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": TENANT}],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_itself_refuses_the_escalation_of_a_tenant() {
    let cluster = &clusters()[1];
    assert!(grant(cluster).is_err(), "the generator's Namespace does not exist yet");
    let mut tenant = Tenant::new(cluster).await;
    let mark = cluster.audit_length().unwrap();
    tenant.own.publish_all(&tenant.stack, &[config_map()]);
    tenant.agent.start().unwrap();
    tenant.fails("Forbidden", "give the user brokkr:generator:test-acting this right").await;
    assert_eq!(cluster.get("configmap", TENANT, "a").unwrap(), None);
    // The agent has created the Namespace, so the generator can get its role.
    grant(cluster).unwrap();
    eventually("applied", || async { tenant.own.applied(&tenant.stack, 1) }).await;

    // The starter role has no RBAC. The operator allows it in the generator's namespace.
    let mut more = role("more", "rbac.authorization.k8s.io", "roles");
    more["metadata"]["namespace"] = json!(TENANT);
    more["rules"][0]["verbs"] = json!(["create", "patch", "delete"]);
    let mut bound = more.clone();
    bound["kind"] = json!("RoleBinding");
    bound.as_object_mut().unwrap().remove("rules");
    bound["roleRef"] = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "more"});
    bound["subjects"] = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": USER}]);
    for document in [&more, &bound] {
        cluster.apply(document).unwrap();
    }
    tenant.own.publish_all(&tenant.stack, &[config_map(), role("reader", "", "configmaps")]);
    eventually("a role with rights of its own", || async { tenant.own.applied(&tenant.stack, 2) }).await;
    tenant
        .own
        .publish_all(&tenant.stack, &[config_map(), role("reader", "", "configmaps"), role("nodes", "", "nodes")]);
    tenant.fails("Refused", "attempting to grant RBAC permissions not currently held").await;
    tenant.own.publish_all(&tenant.stack, &[config_map(), role("reader", "", "configmaps"), to_administrators()]);
    tenant.fails("Forbidden", "clusterrolebindings").await;
    assert_eq!(cluster.get("role", TENANT, "nodes").unwrap(), None);
    assert_eq!(cluster.get("clusterrolebinding", "", "test-acting-admin").unwrap(), None);

    tenant.broker.delete_stack(&tenant.stack).await;
    assert_eq!(cluster.get("configmap", TENANT, "a").unwrap(), None);
    assert_eq!(cluster.get("role", TENANT, "reader").unwrap(), None);
    // Who wrote what: the generator's objects as the generator, Namespaces and records as the agent.
    let writes: Vec<Value> = cluster.writes_since(mark, AGENT).unwrap().into_iter().filter(succeeded).collect();
    for kind in ["configmaps", "roles"] {
        let of_kind =
            || writes.iter().filter(|it| it["objectRef"]["resource"] == kind && it["objectRef"]["namespace"] == TENANT);
        assert!(of_kind().count() > 0 && of_kind().all(|it| it["impersonatedUser"]["username"] == USER), "{kind}");
    }
    let own =
        |it: &&Value| it["objectRef"]["resource"] == "namespaces" || it["objectRef"]["namespace"] == "brokkr-system";
    assert!(writes.iter().filter(own).count() > 1);
    assert!(writes.iter().filter(own).all(|it| it["impersonatedUser"].is_null()));
}
