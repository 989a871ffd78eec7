//! What a generator may deploy: checked by the broker, and again by the agent.

use brokkr_control::{Actor, BrokerError, BrokerResult, Content, NewGenerator, NewGrant, Published};
use brokkr_core::error::InvalidCode;
use brokkr_core::model::{
    Adopt, AgentId, Conflicts, GeneratorId, GrantId, GrantRules, Policies, Revision, StackId, StackSpec,
};
use brokkr_reconcile::cluster::MemoryCluster;
use secrecy::SecretString;
use serde_json::{Value, json};

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

    fn start(&self) {
        self.fleet.start(&self.pak, &self.cluster);
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
    let back = shop.fleet.broker.rollback(&shop.actor, shop.stack, Revision::FIRST).await;
    assert!(is_not_granted(&back), "{back:?}");
    shop.grant("maps", GrantRules::default()).await;
    eventually("applied", || shop.fleet.applied(shop.stack)).await;
    shop.fleet.broker.rollback(&shop.actor, shop.stack, Revision::FIRST).await.unwrap();
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
