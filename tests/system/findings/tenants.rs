//! What one tenant could do to others and to clusters.

use brokkr_control::{Actor, Content, NewGenerator};
use brokkr_core::model::{Adopt, AgentId, Conflicts, GrantId, Policies, StackId, StackSpec};
use brokkr_reconcile::cluster::MemoryCluster;
use serde_json::{Value, json};

use crate::support::{Api, Fleet, Reply, config_map, eventually};

const MISSING: &str = "01a1fcd4-803a-75bf-9d5b-27edfd6611d6";

/// A generator with a key, and an agent that serves it under the default grant.
struct Tenant {
    id: String,
    key: String,
}

impl Tenant {
    async fn new(api: &Api, name: &str) -> Self {
        let made = api.send("POST", "/generators", json!({"name": name})).await;
        Self { id: made.text("/generator/id"), key: made.text("/pak") }
    }

    async fn stack(&self, api: &Api, name: &str) -> String {
        api.send_as(&self.key, "POST", "/stacks", json!({"name": name})).await.text("/id")
    }

    async fn publish(&self, api: &Api, stack: &str, manifests: Value) -> Reply {
        let path = format!("/stacks/{stack}/deployment-objects");
        api.send_as(&self.key, "POST", &path, json!({"manifests": manifests})).await
    }

    async fn register(&self, api: &Api, agent: &str) {
        let reply = api.send("PUT", &format!("/agents/{agent}/generators/{}", self.id), json!({})).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }

    async fn target(&self, api: &Api, stack: &str, agent: &str) {
        let reply = api.send_as(&self.key, "PUT", &format!("/stacks/{stack}/targets/{agent}"), json!({})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

async fn report(api: &Api, agent: &str, key: &str, sequence: u64, held: Value) -> Reply {
    let report = json!({"instance_id": MISSING, "sequence": sequence, "cluster_uid": "one", "held": held});
    api.send_as(key, "POST", &format!("/agents/{agent}/reports"), report).await
}

/// The agent's authority was the tenant's: whatever a generator published was applied.
#[tokio::test]
async fn f01_tenant_deploys_only_what_its_grant_allows() {
    let api = Api::new().await;
    let (shop, (agent, _)) = (Tenant::new(&api, "shop").await, api.agent("edge", json!({})).await);
    shop.register(&api, &agent).await;
    let stack = shop.stack(&api, "web").await;
    shop.target(&api, &stack, &agent).await;
    let rbac = "rbac.authorization.k8s.io";
    for refused in [
        json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "shop-admin"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "shop"}]}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"},
            "spec": {"hostPID": true, "containers": [{"name": "c", "image": "i", "securityContext": {"privileged": true}}]}}),
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "hostPath": {"path": "/"}}]}}}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "brokkr-system"}}),
        config_map("kube-system", "coredns", "x"),
        config_map("bank", "theirs", "x"),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "w"}, "webhooks": []}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "a.example.com"}, "spec": {}}),
    ] {
        let reply = shop.publish(&api, &stack, json!([refused])).await;
        assert_eq!((reply.status.as_u16(), reply.slug().as_str()), (422, "not-granted"), "{refused}: {reply:?}");
    }
    assert_eq!(shop.publish(&api, &stack, json!([config_map("shop", "own", "x")])).await.status, 201);
}

async fn generator(fleet: &Fleet, agent: AgentId, name: &str) -> Actor {
    let admin = fleet.broker.system_actor();
    let new = NewGenerator { name: name.to_owned(), ..NewGenerator::default() };
    let id = fleet.broker.generator_create(&admin, new).await.unwrap().0.id;
    fleet.broker.agent_register(&admin, agent, id, Some(GrantId::UNRESTRICTED)).await.unwrap();
    fleet.broker.generator_actor(id).unwrap()
}

async fn deploy(fleet: &Fleet, actor: &Actor, agent: AgentId, policies: Policies, value: &str) -> StackId {
    let spec = StackSpec { policies, ..StackSpec::named("web") };
    let stack = fleet.broker.stack_create(actor, None, spec).await.unwrap().id;
    fleet.broker.target_set(actor, stack, agent).await.unwrap();
    let documents = vec![config_map("default", "ledger", value)];
    fleet.broker.publish(actor, stack, Content::Documents { documents, message: String::new() }).await.unwrap();
    stack
}

/// A second generator that published the same object learnt the first one's stack, and inherited the live object.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f02_objects_pass_from_stack_to_stack_only_within_one_generator() {
    let (fleet, cluster) = (Fleet::new().await, MemoryCluster::new());
    let (agent, pak) = fleet.create("edge").await;
    let (shop, bank) = (generator(&fleet, agent, "shop").await, generator(&fleet, agent, "bank").await);
    fleet.start(&pak, &cluster);
    let ledger = || cluster.objects().into_iter().find(|it| it["metadata"]["name"] == "ledger");
    let ours = deploy(&fleet, &shop, agent, Policies::default(), "shop").await;
    eventually("applied", || fleet.applied(ours)).await;
    let uid = ledger().unwrap()["metadata"]["uid"].clone();
    let force = Policies { adopt: Adopt::Always, conflicts: Conflicts::Force, ..Policies::default() };
    let theirs = deploy(&fleet, &bank, agent, force, "bank").await;
    fleet.fails_with(theirs, "HeldByStack").await;
    let said = format!("{:?}", fleet.broker.stack_status(&bank, theirs).await.unwrap());
    assert!(!said.contains(&ours.to_string()), "names the foreign stack: {said}");
    assert_eq!(ledger().unwrap()["data"]["k"], "shop");
    fleet.broker.stack_delete(&shop, ours, None).await.unwrap();
    eventually("applied", || fleet.applied(theirs)).await;
    let new = ledger().unwrap();
    assert_eq!(new["data"]["k"], "bank");
    assert_ne!(new["metadata"]["uid"], uid, "the first tenant's object was removed, not inherited");
}

/// A generator chose `adopt: always` and `conflicts: force` itself, and took over objects of the cluster.
#[tokio::test]
async fn f03_dangerous_policies_need_a_grant() {
    let api = Api::new().await;
    let (shop, (agent, _)) = (Tenant::new(&api, "shop").await, api.agent("edge", json!({})).await);
    shop.register(&api, &agent).await;
    let own = shop.stack(&api, "web").await;
    shop.target(&api, &own, &agent).await;
    assert_eq!(shop.publish(&api, &own, json!([config_map("shop", "own", "x")])).await.status, 201);
    for policies in [
        json!({"adopt": "always"}),
        json!({"adopt": "if-equal"}),
        json!({"conflicts": "force"}),
        json!({"adopt": "always", "conflicts": "force"}),
    ] {
        let headers = [("content-type", "application/merge-patch+json"), ("if-match", "*")];
        let (path, body) = (format!("/api/v1/stacks/{own}"), json!({"policies": policies}).to_string());
        let patched = api.call(&shop.key, "PATCH", &path, &headers, body).await;
        assert_eq!(patched.slug(), "not-granted", "{policies}: {patched:?}");
        let body = json!({"policies": policies, "manifests": [config_map("shop", "own", "y")]});
        let applied = api.send_as(&shop.key, "PUT", "/stacks/by-name/web", body).await;
        assert_eq!(applied.slug(), "not-granted", "{policies}: {applied:?}");
    }
    let after = api.get(&format!("/stacks/{own}")).await.json();
    assert_eq!((&after["policies"]["adopt"], &after["policies"]["conflicts"]), (&json!("never"), &json!("fail")));
}

/// An agent that reported a foreign stack as held could read its revisions, with the Secrets in them.
#[tokio::test]
async fn f07_claim_to_hold_a_stack_gives_no_right_to_it() {
    let api = Api::new().await;
    let (shop, bank) = (Tenant::new(&api, "shop").await, Tenant::new(&api, "bank").await);
    let (agent, key) = api.agent("edge", json!({})).await;
    shop.register(&api, &agent).await;
    let secret = |space: &str| {
        let metadata = json!({"name": "s", "namespace": space});
        json!([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"a": "hunter2"}}])
    };
    // Of a generator that the agent serves, and of one that it does not serve.
    let (own, foreign) = (shop.stack(&api, "untargeted").await, bank.stack(&api, "web").await);
    let mut objects = Vec::new();
    for (tenant, stack, space) in [(&shop, &own, "shop"), (&bank, &foreign, "bank")] {
        objects.push(tenant.publish(&api, stack, secret(space)).await.text("/id"));
    }
    let hidden = async |when: &str| {
        for object in &objects {
            let path = format!("/api/v1/deployment-objects/{object}");
            let reply = api.call(&key, "GET", &path, &[("accept", "application/yaml")], "").await;
            assert_eq!(reply.slug(), "not-found", "{when}: {reply:?}");
        }
    };
    hidden("at first").await;
    let reported = report(&api, &agent, &key, 1, json!([own, foreign])).await;
    assert_eq!(reported.status, 200, "{reported:?}");
    hidden("after the claim").await;
    assert_eq!(api.get_as(&key, &format!("/agents/{agent}/target-state")).await.status, 200);
    hidden("after a poll").await;
    // A listed stack is readable, its earlier revisions are not.
    let listed = shop.stack(&api, "listed").await;
    shop.target(&api, &listed, &agent).await;
    let first = shop.publish(&api, &listed, secret("shop")).await.text("/id");
    let second = shop.publish(&api, &listed, json!([config_map("shop", "a", "x")])).await.text("/id");
    let state = api.get_as(&key, &format!("/agents/{agent}/target-state")).await;
    assert!(state.json().to_string().contains(&second), "{state:?}");
    let status = async |object: &str| api.get_as(&key, &format!("/deployment-objects/{object}")).await.status.as_u16();
    assert_eq!((status(&second).await, status(&first).await), (200, 404));
    let unregistered = api.send("DELETE", &format!("/agents/{agent}/generators/{}", shop.id), json!({})).await;
    assert_eq!(unregistered.status, 204);
    assert_eq!(status(&second).await, 404, "after unregistering");
    report(&api, &agent, &key, 2, json!([own, foreign, listed])).await;
    hidden("after unregistering").await;
    assert_eq!(status(&second).await, 404, "after unregistering and a claim");
}

/// The agent's `unknown_stacks` showed one tenant's stack to another.
#[tokio::test]
async fn f15_unknown_stacks_are_for_admins_only() {
    let api = Api::new().await;
    let (shop, bank) = (Tenant::new(&api, "shop").await, Tenant::new(&api, "bank").await);
    let (agent, key) = api.agent("edge", json!({})).await;
    shop.register(&api, &agent).await;
    let foreign = bank.stack(&api, "web").await;
    assert_eq!(report(&api, &agent, &key, 1, json!([foreign])).await.status, 200);
    let path = format!("/agents/{agent}");
    assert_eq!(api.get(&path).await.json()["session"]["unknown_stacks"], json!([foreign]), "an admin sees it");
    for path in [path.as_str(), "/agents"] {
        let seen = api.get_as(&shop.key, path).await;
        assert_eq!(seen.status, 200);
        assert!(!String::from_utf8_lossy(&seen.body).contains(&foreign), "{path}: {seen:?}");
    }
}
