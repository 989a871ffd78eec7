//! Two generators with the same objects on one agent.

use std::collections::BTreeMap;

use brokkr_control::{Actor, Content, NewGenerator, NewGrant, Rollback};
use brokkr_core::model::{Adopt, Conflicts, GrantRules, Policies, Revision, StackId, StackSpec};
use serde_json::{Value, json};

use super::{Fleet, Stage, config_map, eventually, namespace};

/// What a tenant does with its stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Publishes the first revision.
    Publish,
    /// Publishes a second revision, and returns to the first one.
    RollBack,
    /// Asks to take over whatever exists.
    Adopt,
    /// Deletes the stack.
    Delete,
}

/// A step of a story: the number of the tenant, and what it does.
pub(crate) type Turn = (usize, Act);

/// Every order in which two tenants can take their turns; each tenant keeps its own order.
pub(crate) fn orders(first: &[Act], second: &[Act]) -> Vec<Vec<Turn>> {
    let after = |tenant: usize, act: Act, rest: Vec<Vec<Turn>>| {
        rest.into_iter().map(move |rest| [vec![(tenant, act)], rest].concat()).collect::<Vec<_>>()
    };
    match (first.split_first(), second.split_first()) {
        (None, None) => vec![Vec::new()],
        (Some((act, rest)), None) => after(0, *act, orders(rest, second)),
        (None, Some((act, rest))) => after(1, *act, orders(first, rest)),
        (Some((one, ones)), Some((other, others))) => {
            [after(0, *one, orders(ones, second)), after(1, *other, orders(first, others))].concat()
        }
    }
}

struct Tenant {
    name: &'static str,
    actor: Actor,
    stack: StackId,
    /// The value of its objects in its newest revision; absent before the first one.
    value: Option<String>,
    is_deleted: bool,
}

/// Two tenants, an agent, and a namespace that both may use.
pub(crate) struct Tenants {
    fleet: Fleet,
    stage: Stage,
    tenants: Vec<Tenant>,
    place: String,
    /// The stack that each object belonged to when it was first seen, by UID.
    owners: BTreeMap<String, String>,
    /// The tenant that holds the common object.
    holder: Option<usize>,
}

impl Tenants {
    pub(crate) async fn on(stage: Stage) -> Self {
        let fleet = Fleet::new().await;
        let (agent, pak) = fleet.create("edge").await;
        fleet.start(&pak, &stage);
        let admin = fleet.broker.system_actor();
        let place = stage.beside("common");
        let namespaces = [place.parse().unwrap()].into();
        let rules = GrantRules { namespaces, adopt: Adopt::Always, force_conflicts: true, ..GrantRules::default() };
        let grant = NewGrant { name: "common".to_owned(), rules, ..NewGrant::default() };
        let grant = fleet.broker.grant_create(&admin, grant).await.unwrap().id;
        let mut tenants = Vec::new();
        for name in ["shop", "bank"] {
            let new = NewGenerator { name: name.to_owned(), ..NewGenerator::default() };
            let generator = fleet.broker.generator_create(&admin, new).await.unwrap().0.id;
            fleet.broker.agent_register(&admin, agent, generator, Some(grant)).await.unwrap();
            let actor = fleet.broker.generator_actor(generator).unwrap();
            let stack = fleet.broker.stack_create(&actor, None, StackSpec::named(name)).await.unwrap().id;
            fleet.broker.target_set(&actor, stack, agent).await.unwrap();
            tenants.push(Tenant { name, actor, stack, value: None, is_deleted: false });
        }
        Self { fleet, stage, tenants, place, owners: BTreeMap::new(), holder: None }
    }

    /// Takes all turns, and checks after each that no one has got an object of the other.
    pub(crate) async fn live(mut self, order: &[Turn]) {
        for (number, (tenant, act)) in order.iter().enumerate() {
            self.act(*tenant, *act).await;
            self.settle(&format!("after {} turns of {order:?}", number + 1)).await;
            self.check(&format!("after {} turns of {order:?}", number + 1)).await;
        }
        self.stage.goes("Namespace", "", &self.place).await;
    }

    async fn act(&mut self, number: usize, act: Act) {
        let Tenant { name, stack, ref actor, ref value, .. } = self.tenants[number];
        let (broker, actor, is_published) = (self.fleet.broker.clone(), actor.clone(), value.is_some());
        match act {
            Act::Publish => {
                self.publish(number, name.to_owned()).await;
                self.holder = self.holder.or(Some(number));
            }
            Act::RollBack => {
                self.publish(number, format!("{name}-second")).await;
                broker.rollback(&actor, stack, Rollback::to(Revision::FIRST)).await.unwrap();
                self.tenants[number].value = Some(name.to_owned());
            }
            Act::Adopt => {
                let policies = Policies { adopt: Adopt::Always, conflicts: Conflicts::Force, ..Policies::default() };
                let edit = |spec: StackSpec| Ok(StackSpec { policies: policies.clone(), ..spec });
                broker.stack_update(&actor, stack, None, edit).await.unwrap();
                // A new revision shows when the agent has seen the policies.
                if is_published {
                    self.publish(number, format!("{name}-adopting")).await;
                }
            }
            Act::Delete => {
                self.fleet.delete(stack).await;
                self.tenants[number].is_deleted = true;
                if self.holder == Some(number) {
                    let other = &self.tenants[1 - number];
                    let is_waiting = other.value.is_some() && !other.is_deleted;
                    self.holder = is_waiting.then_some(1 - number);
                }
            }
        }
    }

    /// Publishes a Namespace and an object that both tenants have, and one of the tenant's own. Waits until the agent has
    /// applied the last one.
    async fn publish(&mut self, number: usize, value: String) {
        let (place, tenant) = (&self.place, &self.tenants[number]);
        let own = format!("own-{}", tenant.name);
        let documents = vec![namespace(place), config_map(place, "common", &value), config_map(place, &own, &value)];
        let content = Content::Documents { documents, message: String::new() };
        self.fleet.broker.publish(&tenant.actor, tenant.stack, content).await.unwrap();
        eventually("the tenant's own object", || self.has_value(&own, &value)).await;
        self.tenants[number].value = Some(value);
    }

    /// Waits until the agent has reported about every published stack.
    async fn settle(&self, when: &str) {
        for (number, tenant) in self.tenants.iter().enumerate().filter(|(_, it)| !it.is_deleted) {
            let Some(value) = &tenant.value else { continue };
            if self.holder == Some(number) {
                eventually(when, || self.fleet.applied(tenant.stack)).await;
            } else {
                self.fleet.fails_with(tenant.stack, "HeldByStack").await;
            }
            let own = format!("own-{}", tenant.name);
            eventually(when, || self.has_value(&own, value)).await;
        }
    }

    async fn has_value(&self, name: &str, value: &str) -> Result<(), Option<Value>> {
        let object = self.stage.object("ConfigMap", &self.place, name).await;
        if object.as_ref().is_some_and(|it| it["data"]["k"] == value) { Ok(()) } else { Err(object) }
    }

    async fn check(&mut self, when: &str) {
        let common = self.stage.object("ConfigMap", &self.place, "common").await;
        let place = self.stage.object("Namespace", "", &self.place).await;
        for object in common.iter().chain(&place) {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (uid, stack) = (text("/metadata/uid"), text("/metadata/labels/brokkr.io~1stack"));
            let first = self.owners.entry(uid).or_insert_with(|| stack.clone());
            assert_eq!(*first, stack, "{when}: an object has another owner: {object}");
        }
        let holder = self.holder.map(|it| &self.tenants[it]);
        let expected = holder.map(|it| json!([it.stack.to_string(), it.value]));
        let found = common.map(|it| json!([it["metadata"]["labels"]["brokkr.io/stack"], it["data"]["k"]]));
        assert_eq!(found, expected, "{when}: the common object");
    }
}
