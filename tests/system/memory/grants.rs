//! What a generator may deploy: checked by the broker, and again by the agent.

use brokkr_control::{Actor, BrokerError, BrokerResult, Content, NewGenerator, NewGrant, Published, Rollback};
use brokkr_core::error::InvalidCode;
use brokkr_core::model::{
    Adopt, AgentId, Conflicts, GeneratorId, GrantId, GrantRules, Policies, Revision, StackId, StackSpec,
};
use brokkr_reconcile::cluster::{ApiKind, ApplyOptions, Cluster as _, DeleteOptions, MemoryCluster, PropagationPolicy};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Fleet, config_map, eventually, namespace};

/// A generator that is registered with an agent, and its stack on it.
struct Shop {
    fleet: Fleet,
    cluster: MemoryCluster,
    agent: AgentId,
    pak: SecretString,
    generator: GeneratorId,
    actor: Actor,
    stack: StackId,
}

impl Shop {
    async fn new() -> Self {
        let shop = Self::stopped().await;
        shop.start();
        shop
    }

    /// A shop whose agent does not run yet.
    async fn stopped() -> Self {
        let fleet = Fleet::new().await;
        let (agent, pak) = fleet.create("edge").await;
        let cluster = MemoryCluster::new();
        let admin = fleet.broker.system_actor();
        let new = NewGenerator { name: "shop".to_owned(), ..NewGenerator::default() };
        let generator = fleet.broker.generator_create(&admin, new).await.unwrap().0.id;
        fleet.broker.agent_register(&admin, agent, generator, None).await.unwrap();
        let actor = fleet.broker.generator_actor(generator).unwrap();
        let stack = fleet.broker.stack_create(&actor, None, StackSpec::named("web")).await.unwrap().id;
        fleet.broker.target_set(&actor, stack, agent).await.unwrap();
        Self { fleet, cluster, agent, pak, generator, actor, stack }
    }

    fn start(&self) -> CancellationToken {
        self.fleet.start(&self.pak, &self.cluster)
    }

    async fn publish(&self, documents: Vec<Value>) -> BrokerResult<Published> {
        let content = Content::Documents { documents, message: String::new() };
        self.fleet.broker.publish(&self.actor, self.stack, content).await
    }

    /// Gives the registration another grant.
    async fn grant(&self, name: &str, rules: GrantRules) {
        let admin = self.fleet.broker.system_actor();
        let new = NewGrant { name: name.to_owned(), rules, ..NewGrant::default() };
        let grant = self.fleet.broker.grant_create(&admin, new).await.unwrap().id;
        self.fleet.broker.agent_register(&admin, self.agent, self.generator, Some(grant)).await.unwrap();
    }

    fn object(&self, kind: &str, name: &str) -> Option<Value> {
        self.cluster.objects().into_iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name)
    }

    /// Writes an object as another client.
    async fn others_write(&self, group: &str, kind: &str, plural: &str, body: Value) {
        let namespace = body["metadata"]["namespace"].as_str();
        let kind = ApiKind::v1(group, kind, plural, namespace.is_some());
        let at = kind.at(namespace, body["metadata"]["name"].as_str().unwrap());
        let options = ApplyOptions { field_manager: "operator", force: true, dry_run: false };
        self.cluster.apply(&at, &body, &options).await.unwrap();
    }

    /// What the agent says about the stack.
    async fn said(&self) -> String {
        self.fleet.condition(self.stack, "Applied").await.unwrap().message
    }

    fn value(&self, name: &str) -> Option<Value> {
        let objects = self.cluster.objects();
        Some(objects.into_iter().find(|it| it["metadata"]["name"] == name)?["data"]["k"].clone())
    }
}

fn is_not_granted<T: std::fmt::Debug>(result: &BrokerResult<T>) -> bool {
    matches!(result, Err(BrokerError::Invalid(invalid)) if invalid.code == InvalidCode::NotGranted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broker_refuses_what_the_grant_does_not_allow() {
    let shop = Shop::new().await;
    let role =
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all"}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}, "spec": {"hostPID": true}});
    for refused in [vec![role], vec![pod], vec![config_map("default", "a", "1")], vec![namespace("kube-system")]] {
        let result = shop.publish(refused.clone()).await;
        assert!(is_not_granted(&result), "{refused:?}: {result:?}");
    }
    shop.publish(vec![namespace("shop"), config_map("shop", "a", "1")]).await.unwrap();
    eventually("applied", || shop.fleet.applied(shop.stack)).await;
    for policies in [
        Policies { adopt: Adopt::Always, ..Policies::default() },
        Policies { conflicts: Conflicts::Force, ..Policies::default() },
    ] {
        let spec = StackSpec { policies: policies.clone(), ..StackSpec::named("second") };
        assert!(is_not_granted(&shop.fleet.broker.stack_create(&shop.actor, None, spec).await));
        let edit = |spec: StackSpec| Ok(StackSpec { policies: policies.clone(), ..spec });
        assert!(is_not_granted(&shop.fleet.broker.stack_update(&shop.actor, shop.stack, None, edit).await));
    }
    // Admins publish stacks of the system generator, which is unrestricted.
    let own = shop.fleet.stack("own").await;
    shop.fleet.target(own, shop.agent).await;
    shop.fleet.publish(own, vec![config_map("default", "admins", "1")]).await;
    eventually("applied", || shop.fleet.applied(own)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn narrower_grant_ends_writes_and_removes_nothing() {
    let shop = Shop::new().await;
    let revision = |value: &str| vec![namespace("shop"), config_map("shop", "a", value)];
    shop.publish(revision("1")).await.unwrap();
    shop.publish(revision("2")).await.unwrap();
    eventually("applied", || shop.fleet.applied(shop.stack)).await;
    shop.grant("no-maps", GrantRules { kinds: ["Namespace".parse().unwrap()].into(), ..GrantRules::default() }).await;
    shop.fleet.fails_with(shop.stack, "NotAllowed").await;
    assert_eq!(shop.value("a"), Some(json!("2")), "the object stays as it is");
    assert!(is_not_granted(&shop.publish(revision("3")).await));
    let back = shop.fleet.broker.rollback(&shop.actor, shop.stack, Rollback::to(Revision::FIRST)).await;
    assert!(is_not_granted(&back), "{back:?}");
    shop.grant("maps", GrantRules::default()).await;
    eventually("applied", || shop.fleet.applied(shop.stack)).await;
    shop.fleet.broker.rollback(&shop.actor, shop.stack, Rollback::to(Revision::FIRST)).await.unwrap();
    eventually("the first revision", async || shop.value("a").filter(|it| *it == "1").map(drop).ok_or(())).await;
    // Removing is allowed whatever the grant.
    shop.grant("nothing", GrantRules::nothing()).await;
    shop.fleet.broker.stack_delete(&shop.actor, shop.stack, None).await.unwrap();
    eventually("gone", async || if shop.value("a").is_none() { Ok(()) } else { Err(shop.cluster.objects()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agent_refuses_what_its_target_state_does_not_grant() {
    let shop = Shop::stopped().await;
    let admin = shop.fleet.broker.system_actor();
    // Published under a grant for everything, which then changes: as if the broker had not checked.
    shop.fleet.broker.agent_register(&admin, shop.agent, shop.generator, Some(GrantId::UNRESTRICTED)).await.unwrap();
    shop.publish(vec![namespace("shop"), config_map("default", "stolen", "1")]).await.unwrap();
    shop.fleet.broker.agent_register(&admin, shop.agent, shop.generator, Some(GrantId::DEFAULT)).await.unwrap();
    shop.start();
    shop.fleet.fails_with(shop.stack, "NotAllowed").await;
    let status = shop.fleet.condition(shop.stack, "Applied").await.unwrap();
    assert!(
        status.message.contains("the grant of the generator shop: the namespace \"default\" is not allowed"),
        "{status:?}"
    );
    assert_eq!(shop.value("stolen"), None);
}

/// Finding 2 of a hostile review: a tenant inherited the live objects of another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_never_move_between_generators() {
    let shop = Shop::new().await;
    let (broker, admin) = (&shop.fleet.broker, shop.fleet.broker.system_actor());
    let new = NewGenerator { name: "bank".to_owned(), ..NewGenerator::default() };
    let bank = broker.generator_create(&admin, new).await.unwrap().0.id;
    for generator in [bank, shop.generator] {
        broker.agent_register(&admin, shop.agent, generator, Some(GrantId::UNRESTRICTED)).await.unwrap();
    }
    let bank = broker.generator_actor(bank).unwrap();
    let policies = Policies { adopt: Adopt::Always, conflicts: Conflicts::Force, ..Policies::default() };
    let spec = StackSpec { policies, ..StackSpec::named("theirs") };
    let theirs = broker.stack_create(&bank, None, spec).await.unwrap().id;
    let uid = || {
        let objects = shop.cluster.objects();
        objects.into_iter().find(|it| it["metadata"]["name"] == "ledger").map(|it| it["metadata"]["uid"].clone())
    };
    shop.publish(vec![config_map("default", "ledger", "shop")]).await.unwrap();
    eventually("applied", || shop.fleet.applied(shop.stack)).await;
    let first = uid().unwrap();
    let documents = vec![config_map("default", "ledger", "bank")];
    broker.publish(&bank, theirs, Content::Documents { documents, message: String::new() }).await.unwrap();
    broker.target_set(&bank, theirs, shop.agent).await.unwrap();
    shop.fleet.fails_with(theirs, "HeldByStack").await;
    let said = shop.fleet.condition(theirs, "Applied").await.unwrap().message;
    assert!(said.contains("another tenant holds the object") && !said.contains(&shop.stack.to_string()), "{said}");
    assert_eq!((uid(), shop.value("ledger")), (Some(first.clone()), Some(json!("shop"))));
    // The first one deletes its stack: its object goes, and the second one gets an object of its own.
    broker.stack_delete(&shop.actor, shop.stack, None).await.unwrap();
    eventually("applied", || shop.fleet.applied(theirs)).await;
    assert_eq!(shop.value("ledger"), Some(json!("bank")));
    assert_ne!(uid(), Some(first), "a new object");
}

fn nameless(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "1"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_without_a_namespace_are_in_that_of_the_generator() {
    let shop = Shop::new().await;
    shop.publish(vec![nameless("a")]).await.unwrap();
    eventually("applied", || shop.fleet.applied(shop.stack)).await;
    assert_eq!(shop.object("ConfigMap", "a").unwrap()["metadata"]["namespace"], "shop");
    let place = shop.object("Namespace", "shop").unwrap();
    let labels = &place["metadata"]["labels"];
    assert_eq!(labels["brokkr.io/stack"], json!(shop.stack));
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");
    assert_eq!(labels["pod-security.kubernetes.io/enforce-version"], "latest");
    // The stack of an admin is in `default`, with or without a grant.
    let own = shop.fleet.stack("own").await;
    shop.fleet.target(own, shop.agent).await;
    shop.fleet.publish(own, vec![nameless("admins")]).await;
    eventually("applied", || shop.fleet.applied(own)).await;
    assert_eq!(shop.object("ConfigMap", "admins").unwrap()["metadata"]["namespace"], "default");
    // Another grant moves nothing.
    let uid = || shop.object("ConfigMap", "a").unwrap()["metadata"]["uid"].clone();
    let before = uid();
    shop.grant("all", GrantRules::unrestricted()).await;
    let enforced = async || {
        let labels = shop.object("Namespace", "shop").unwrap()["metadata"]["labels"].clone();
        if labels["pod-security.kubernetes.io/enforce"].is_null() { Ok(()) } else { Err(labels) }
    };
    eventually("the new grant", enforced).await;
    assert_eq!(uid(), before);
    shop.fleet.delete(shop.stack).await;
    assert_eq!((shop.object("ConfigMap", "a"), shop.object("Namespace", "shop")), (None, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespace_of_others_is_closed_to_the_generator_of_its_name() {
    let shop = Shop::stopped().await;
    for name in ["shop", "shop-jobs"] {
        shop.others_write("", "Namespace", "namespaces", namespace(name)).await;
    }
    shop.start();
    shop.publish(vec![namespace("shop-jobs"), nameless("a"), config_map("shop-jobs", "b", "1")]).await.unwrap();
    shop.fleet.fails_with(shop.stack, "NotAllowed").await;
    let said = shop.said().await;
    assert!(said.contains("the Namespace shop exists and was not created by shop"), "{said}");
    assert!(said.contains("ask an admin of the broker for a grant that names"), "{said}");
    assert_eq!((shop.value("a"), shop.value("b")), (None, None));
    // An admin names one of them.
    let namespaces = ["{generator}", "shop-jobs"].map(|it| it.parse().unwrap()).into();
    shop.grant("named", GrantRules { namespaces, ..GrantRules::default() }).await;
    eventually("the named one", async || shop.value("b").ok_or(())).await;
    assert_eq!(shop.value("a"), None);
    let place = shop.object("Namespace", "shop-jobs").unwrap();
    assert_eq!(place["metadata"]["labels"].get("brokkr.io/stack"), None, "it stays the operator's: {place}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_namespace_of_the_generator_names_the_remedy() {
    let shop = Shop::stopped().await;
    let running = shop.start();
    shop.publish(vec![config_map("shop-jobs", "a", "1")]).await.unwrap();
    shop.fleet.fails_with(shop.stack, "NotFound").await;
    assert!(shop.said().await.contains("add the Namespace to the stack"), "{}", shop.said().await);
    shop.publish(vec![namespace("shop-jobs"), config_map("shop-jobs", "a", "1")]).await.unwrap();
    eventually("applied", || shop.fleet.applied(shop.stack)).await;
    // Someone deletes the Namespace and creates another one of the same name: it is not the generator's.
    let live = shop.object("Namespace", "shop-jobs").unwrap();
    let options = DeleteOptions {
        uid: live["metadata"]["uid"].as_str().unwrap(),
        resource_version: None,
        propagation: PropagationPolicy::Background,
    };
    let kind = ApiKind::v1("", "Namespace", "namespaces", false);
    running.cancel();
    shop.cluster.delete(&kind.at(None, "shop-jobs"), &options).await.unwrap();
    shop.others_write("", "Namespace", "namespaces", namespace("shop-jobs")).await;
    shop.start();
    shop.fleet.fails_with(shop.stack, "NotAllowed").await;
    assert_eq!(shop.value("a"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_namespace_is_closed_to_tenants() {
    let shop = Shop::stopped().await;
    let admin = shop.fleet.broker.system_actor();
    shop.fleet.broker.agent_register(&admin, shop.agent, shop.generator, Some(GrantId::UNRESTRICTED)).await.unwrap();
    shop.start();
    let place = "brokkr-system";
    shop.publish(vec![namespace(place), config_map(place, "a", "1"), config_map("default", "b", "1")]).await.unwrap();
    shop.fleet.fails_with(shop.stack, "Reserved").await;
    let said = shop.said().await;
    assert!(said.contains("the namespace brokkr-system is reserved for the agent"), "{said}");
    assert_eq!((shop.value("a"), shop.value("b")), (None, Some(json!("1"))));
    let reserved = shop.object("Namespace", place).unwrap();
    assert_eq!(reserved["metadata"]["labels"].get("brokkr.io/stack"), None);
}

/// A Namespace that stays behind is not handed to another tenant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retained_namespace_keeps_its_owner() {
    let shop = Shop::stopped().await;
    let running = shop.start();
    shop.publish(vec![namespace("shop-data"), config_map("shop-data", "a", "1")]).await.unwrap();
    eventually("applied", || shop.fleet.applied(shop.stack)).await;
    shop.others_write("", "ConfigMap", "configmaps", config_map("shop-data", "operators", "1")).await;
    let labels = || shop.object("Namespace", "shop-data").unwrap()["metadata"]["labels"].clone();
    let before = labels();
    shop.fleet.delete(shop.stack).await;
    // Only the inventory knows the owner of a stack that has left the target state.
    running.cancel();
    shop.start();
    let (broker, admin) = (&shop.fleet.broker, shop.fleet.broker.system_actor());
    let new = NewGenerator { name: "bank".to_owned(), ..NewGenerator::default() };
    let bank = broker.generator_create(&admin, new).await.unwrap().0.id;
    broker.agent_register(&admin, shop.agent, bank, Some(GrantId::UNRESTRICTED)).await.unwrap();
    let bank = broker.generator_actor(bank).unwrap();
    let theirs = broker.stack_create(&bank, None, StackSpec::named("theirs")).await.unwrap().id;
    let documents = vec![namespace("shop-data"), config_map("shop-data", "banks", "1")];
    broker.publish(&bank, theirs, Content::Documents { documents, message: String::new() }).await.unwrap();
    broker.target_set(&bank, theirs, shop.agent).await.unwrap();
    eventually("applied", || shop.fleet.applied(theirs)).await;
    assert_eq!(labels(), before, "the Namespace is used and stays the shop's");
    // Another stack of the shop takes it back.
    let again = broker.stack_create(&shop.actor, None, StackSpec::named("again")).await.unwrap().id;
    let documents = vec![namespace("shop-data"), config_map("shop-data", "b", "1")];
    broker.publish(&shop.actor, again, Content::Documents { documents, message: String::new() }).await.unwrap();
    broker.target_set(&shop.actor, again, shop.agent).await.unwrap();
    eventually("applied", || shop.fleet.applied(again)).await;
    assert_eq!(labels()["brokkr.io/stack"], json!(again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rbac_needs_a_grant_impersonation_and_the_rights_themselves() {
    const RBAC: &str = "rbac.authorization.k8s.io";
    let shop = Shop::stopped().await;
    let kinds = GrantRules::default().kinds.into_iter().chain([format!("*.{RBAC}").parse().unwrap()]).collect();
    shop.grant("rbac", GrantRules { kinds, ..GrantRules::default() }).await;
    let role = |name: &str, verb: &str| {
        let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": [verb]}]);
        let metadata = json!({"name": name, "namespace": "shop"});
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": metadata, "rules": rules})
    };
    shop.publish(vec![nameless("a"), role("reader", "get")]).await.unwrap();
    let running = shop.start();
    shop.fleet.fails_with(shop.stack, "NotAllowed").await;
    let said = shop.said().await;
    assert!(said.contains("BROKKR__AGENT__IMPERSONATE=true") && said.contains("rbac --generator shop"), "{said}");
    assert_eq!(shop.object("Role", "reader"), None);
    running.cancel();
    let a = shop.object("ConfigMap", "a").unwrap();

    let running = shop.fleet.start_impersonating(&shop.pak, &shop.cluster);
    shop.fleet.fails_with(shop.stack, "Forbidden").await;
    assert!(shop.said().await.contains("give the user brokkr:generator:shop this right"), "{}", shop.said().await);
    let group = json!({"kind": "Group", "apiGroup": RBAC, "name": "brokkr:generator:shop"});
    let mut own = role("own", "get");
    own["rules"] = json!([
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "delete"]},
        {"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["create", "patch", "delete"]},
    ]);
    let mut binding = own.clone();
    binding["kind"] = json!("RoleBinding");
    binding.as_object_mut().unwrap().remove("rules");
    binding["roleRef"] = json!({"apiGroup": RBAC, "kind": "Role", "name": "own"});
    binding["subjects"] = json!([group]);
    shop.others_write(RBAC, "Role", "roles", own).await;
    shop.others_write(RBAC, "RoleBinding", "rolebindings", binding).await;
    eventually("applied", || shop.fleet.applied(shop.stack)).await;
    assert!(shop.object("Role", "reader").is_some());
    assert_eq!(shop.object("ConfigMap", "a").unwrap()["metadata"]["uid"], a["metadata"]["uid"]);

    shop.publish(vec![nameless("a"), role("reader", "get"), role("all", "deletecollection")]).await.unwrap();
    shop.fleet.fails_with(shop.stack, "Refused").await;
    let said = shop.said().await;
    assert!(said.contains("attempting to grant RBAC permissions not currently held"), "{said}");
    assert_eq!(shop.object("Role", "all"), None, "the cluster itself refuses it");
    shop.fleet.delete(shop.stack).await;
    assert_eq!((shop.object("Role", "reader"), shop.object("ConfigMap", "a")), (None, None));
    running.cancel();
}
