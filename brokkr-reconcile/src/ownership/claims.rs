//! Which stacks of this agent want which objects.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use brokkr_core::model::{GeneratorId, ObjectRef, StackId};
use brokkr_core::protocol::Tenant;

use crate::order::{is_namespace, namespace_ref};
use crate::ownership::inventory::{EntryState, Inventory};
use crate::ownership::objects::Objects;

/// The objects that one stack wants.
#[derive(Debug, Clone)]
pub(crate) enum Want {
    /// Exactly these objects.
    Objects(Arc<Objects>),
    /// All objects that it holds.
    WhatIsHeld,
    /// No objects.
    Nothing,
}

impl Want {
    /// Whether two values are certainly equal, checked in constant time where possible.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Objects(mine), Self::Objects(others)) => Arc::ptr_eq(mine, others),
            (Self::WhatIsHeld, Self::WhatIsHeld) | (Self::Nothing, Self::Nothing) => true,
            _ => false,
        }
    }
}

/// Which stacks of this agent want and hold which objects.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    wants: BTreeMap<StackId, Want>,
    /// The generators that own the stacks, according to the target state.
    tenants: BTreeMap<StackId, Arc<Tenant>>,
    /// The generators that own the stacks, according to their inventories.
    recorded: HashMap<StackId, GeneratorId>,
    /// The Namespaces that the agent created, with the stacks and the UIDs.
    namespaces: HashMap<Arc<ObjectRef>, Vec<(StackId, String)>>,
    /// The stacks that want an object, in order.
    claimants: HashMap<Arc<ObjectRef>, Vec<StackId>>,
    /// The stacks whose inventories list an object, with its state. Several while the object moves between stacks.
    makers: HashMap<Arc<ObjectRef>, Vec<(StackId, EntryState)>>,
    /// The entries of each inventory, to remove them again.
    known: HashMap<StackId, Vec<(Arc<ObjectRef>, EntryState)>>,
}

impl Claims {
    /// Updates the wanted objects and the owners of the stacks. Unchanged stacks cost nothing: a pass is often about one stack
    /// of many.
    pub(crate) fn set_wants(&mut self, wants: BTreeMap<StackId, Want>, tenants: BTreeMap<StackId, Arc<Tenant>>) {
        self.tenants = tenants;
        let before = std::mem::take(&mut self.wants);
        for (stack, want) in &before {
            if let Want::Objects(objects) = want
                && !wants.get(stack).is_some_and(|it| it.is_same(want))
            {
                objects.iter().for_each(|object| self.unclaim(*stack, object));
            }
        }
        for (stack, want) in &wants {
            if let Want::Objects(objects) = want
                && !before.get(stack).is_some_and(|it| it.is_same(want))
            {
                objects.iter().for_each(|object| self.claim(*stack, object));
            }
        }
        self.wants = wants;
    }

    fn claim(&mut self, stack: StackId, object: &Arc<ObjectRef>) {
        let claimants = self.claimants.entry(object.clone()).or_insert_with(|| Vec::with_capacity(1));
        if let Err(place) = claimants.binary_search(&stack) {
            claimants.insert(place, stack);
        }
    }

    fn unclaim(&mut self, stack: StackId, object: &Arc<ObjectRef>) {
        remove(&mut self.claimants, object, |it| *it == stack);
    }

    /// Updates the objects that an inventory holds.
    pub(crate) fn set_held(&mut self, inventory: &Inventory) {
        let stack = inventory.stack;
        let before = self.known.remove(&stack).unwrap_or_default();
        self.set_owner(inventory, &before);
        if before.iter().map(|(object, state)| (object, *state)).ne(states(inventory)) {
            for (object, _) in &before {
                remove(&mut self.makers, object, |(it, _)| *it == stack);
            }
            for (object, state) in states(inventory) {
                let makers = self.makers.entry(object.clone()).or_insert_with(|| Vec::with_capacity(1));
                let place = makers.partition_point(|(it, _)| *it < stack);
                makers.insert(place, (stack, state));
            }
        }
        if !inventory.entries.is_empty() {
            let known = states(inventory).map(|(object, state)| (object.clone(), state));
            self.known.insert(stack, known.collect());
        }
    }

    fn set_owner(&mut self, inventory: &Inventory, before: &[(Arc<ObjectRef>, EntryState)]) {
        let stack = inventory.stack;
        match &inventory.owner {
            Some(owner) if !inventory.entries.is_empty() => drop(self.recorded.insert(stack, owner.generator)),
            _ => drop(self.recorded.remove(&stack)),
        }
        for (object, _) in before.iter().filter(|(object, _)| is_namespace(object)) {
            remove(&mut self.namespaces, object, |(it, _)| *it == stack);
        }
        for (object, uid) in inventory.namespaces() {
            self.namespaces.entry(object.clone()).or_default().push((stack, uid.to_owned()));
        }
    }

    /// Whether a stack still wants an object that it holds. A stack without an entry in the target state keeps all
    /// objects, because absence never removes.
    fn keeps(&self, stack: StackId, object: &ObjectRef) -> bool {
        match self.wants.get(&stack) {
            Some(Want::Objects(objects)) => objects.contains(object),
            Some(Want::WhatIsHeld) | None => true,
            Some(Want::Nothing) => false,
        }
    }

    /// Returns the owner of an object: the stack that holds it and still wants it, or that is about to create it;
    /// otherwise the first stack that wants it.
    pub(crate) fn owner(&self, object: &ObjectRef) -> Option<StackId> {
        let makers = || self.makers.get(object).into_iter().flatten();
        let keeper = |as_what| {
            let mut makers = makers().filter(|(_, state)| *state == as_what).map(|(stack, _)| *stack);
            makers.find(|stack| self.keeps(*stack, object))
        };
        keeper(EntryState::Held).or_else(|| keeper(EntryState::Intent)).or_else(|| self.first_claimant(object))
    }

    /// Returns the first stack that wants an object. Stacks of the generator that holds the object come first, because it moves
    /// only to these; then those that may write to its namespace.
    fn first_claimant(&self, object: &ObjectRef) -> Option<StackId> {
        let claimants = self.claimants.get(object)?;
        if let [only] = claimants.as_slice() {
            return Some(*only);
        }
        let makers = || self.makers.get(object).into_iter().flatten();
        let is_heir = |stack: &&StackId| makers().any(|(maker, _)| !self.are_strangers(*maker, **stack));
        let is_at_home = |stack: &&StackId| object.namespace.as_deref().is_none_or(|it| self.may_write(**stack, it));
        let heir = claimants.iter().find(is_heir).or_else(|| claimants.iter().find(is_at_home));
        heir.or_else(|| claimants.first()).copied()
    }

    fn may_write(&self, stack: StackId, namespace: &str) -> bool {
        !self.needs_own_namespace(stack, namespace) || self.owns_namespace(stack, namespace)
    }

    /// Whether a stack may write to a namespace only if its generator created the Namespace.
    fn needs_own_namespace(&self, stack: StackId, namespace: &str) -> bool {
        self.tenants.get(&stack).is_some_and(|it| it.rules.needs_own_namespace(&it.name, namespace))
    }

    /// Returns the generator that owns a stack. The inventory names it after the stack has left the target state.
    fn generator(&self, stack: StackId) -> Option<GeneratorId> {
        let desired = self.tenants.get(&stack).map(|it| it.generator_id);
        desired.or_else(|| self.recorded.get(&stack).copied())
    }

    /// Whether the owner of a stack is known.
    pub(crate) fn knows(&self, stack: StackId) -> bool {
        self.generator(stack).is_some()
    }

    /// Whether different generators own two stacks: objects never move between these. A stack whose owner is not known is a
    /// stranger to all whose owner is.
    pub(crate) fn are_strangers(&self, one: StackId, other: StackId) -> bool {
        one != other && self.generator(one) != self.generator(other)
    }

    /// Whether the agent created a Namespace for a stack of this stack's generator.
    pub(crate) fn owns_namespace(&self, stack: StackId, namespace: &str) -> bool {
        self.namespace_uids(stack, namespace).next().is_some()
    }

    /// Returns the UIDs of a Namespace that the agent created for stacks of this stack's generator.
    pub(crate) fn namespace_uids(&self, stack: StackId, namespace: &str) -> impl Iterator<Item = &str> {
        let makers = self.namespaces.get(&namespace_ref(namespace)).into_iter().flatten();
        makers.filter(move |(maker, _)| !self.are_strangers(*maker, stack)).map(|(_, uid)| uid.as_str())
    }

    /// Whether a stack of this stack's generator wants to create a Namespace.
    pub(crate) fn wants_namespace(&self, stack: StackId, namespace: &str) -> bool {
        let mut claimants = self.claimants.get(&namespace_ref(namespace)).into_iter().flatten();
        claimants.any(|claimant| !self.are_strangers(*claimant, stack))
    }

    /// Whether a stack holds an object.
    pub(crate) fn holds(&self, stack: StackId, object: &ObjectRef) -> bool {
        let held = |state| matches!(state, EntryState::Held | EntryState::Retained);
        self.makers.get(object).is_some_and(|makers| makers.iter().any(|(it, state)| *it == stack && held(*state)))
    }

    /// Whether a stack holds an object, or may have created it.
    pub(crate) fn made(&self, stack: StackId, object: &ObjectRef) -> bool {
        self.makers.get(object).is_some_and(|makers| makers.iter().any(|(it, _)| *it == stack))
    }
}

/// Returns the objects in an inventory that exist because of the agent.
fn states(inventory: &Inventory) -> impl Iterator<Item = (&Arc<ObjectRef>, EntryState)> {
    let ours = inventory.entries.iter().filter(|(_, entry)| entry.is_ours());
    ours.map(|(object, entry)| (object, entry.state))
}

/// Removes matching items from an object's list, and the list when it is empty.
fn remove<T>(lists: &mut HashMap<Arc<ObjectRef>, Vec<T>>, object: &Arc<ObjectRef>, is_it: impl Fn(&T) -> bool) {
    if let Some(list) = lists.get_mut(object) {
        list.retain(|it| !is_it(it));
        if list.is_empty() {
            lists.remove(object);
        }
    }
}

#[cfg(test)]
mod tests {
    use brokkr_core::model::GrantRules;

    use super::*;
    use crate::ownership::inventory::{Entry, Owner};

    fn object(name: &str) -> Arc<ObjectRef> {
        let (group, kind, namespace) = (String::new(), "ConfigMap".to_owned(), Some("default".to_owned()));
        Arc::new(ObjectRef { group, kind, namespace, name: name.to_owned() })
    }

    /// A generator with the name of the objects' namespace.
    fn tenant(generator_id: GeneratorId) -> Arc<Tenant> {
        Arc::new(Tenant { generator_id, name: "default".to_owned(), rules: GrantRules::default() })
    }

    struct Stacks {
        claims: Claims,
        wants: BTreeMap<StackId, Want>,
    }

    impl Stacks {
        fn wants(&mut self, stack: StackId, names: &[&str]) {
            let objects = names.iter().map(|name| object(name)).collect();
            self.wants.insert(stack, Want::Objects(Arc::new(objects)));
            self.claims.set_wants(self.wants.clone(), BTreeMap::new());
        }

        fn has(&mut self, stack: StackId, entries: &[(&str, EntryState)]) {
            let mut inventory = Inventory::new(stack);
            inventory.entries.extend(entries.iter().map(|(name, state)| (object(name), Entry::new(*state))));
            self.claims.set_held(&inventory);
        }
    }

    fn two() -> (Stacks, StackId, StackId) {
        let (first, second) = (StackId::generate(), StackId::generate());
        (Stacks { claims: Claims::default(), wants: BTreeMap::new() }, first, second)
    }

    #[test]
    fn transferred_object_has_the_new_owner() {
        use EntryState::{Held, Intent};
        for swapped in [false, true] {
            let (mut stacks, mut first, mut second) = two();
            if swapped {
                (first, second) = (second, first);
            }
            let x = object("x");
            stacks.wants(first, &["x"]);
            stacks.has(first, &[("x", Held)]);
            stacks.wants(second, &["x"]);
            assert_eq!(stacks.claims.owner(&x), Some(first), "the stack that holds and wants it");
            // The first stack drops it but cannot prune yet, the second takes it over, and another object of the first
            // changes.
            stacks.wants(first, &["y"]);
            stacks.has(second, &[("x", Held)]);
            stacks.has(first, &[("x", Held), ("y", Intent)]);
            stacks.has(first, &[("x", Held), ("y", Held)]);
            assert_eq!(stacks.claims.owner(&x), Some(second));
            assert!(stacks.claims.holds(second, &x), "the first may drop its entry");
            // The second stack is removed and the first wants the object again, which it still holds.
            stacks.has(second, &[]);
            stacks.wants(second, &[]);
            stacks.wants(first, &["x", "y"]);
            assert_eq!(stacks.claims.owner(&x), Some(first));
            assert!(stacks.claims.made(first, &x) && !stacks.claims.made(second, &x));
        }
    }

    #[test]
    fn stacks_of_different_generators_are_strangers() {
        let [first, second, third, unknown] = [(); 4].map(|()| StackId::generate());
        let (shop, bank) = (GeneratorId::generate(), GeneratorId::generate());
        let mut claims = Claims::default();
        let tenants = [(first, tenant(shop)), (second, tenant(shop)), (third, tenant(bank))];
        claims.set_wants(BTreeMap::new(), tenants.into());
        for (one, other, expected) in [
            (first, second, false),
            (first, first, false),
            (first, third, true),
            (third, second, true),
            (first, unknown, true),
            (unknown, first, true),
            (unknown, unknown, false),
        ] {
            assert_eq!(claims.are_strangers(one, other), expected);
        }
        // After the stack has left the target state, its inventory names the owner.
        let mut retained = Inventory::new(unknown);
        retained.owner = Some(Owner { generator: shop, name: "shop".to_owned() });
        retained.entries.insert(object("x"), Entry::new(EntryState::Retained));
        claims.set_held(&retained);
        assert!(!claims.are_strangers(first, unknown) && claims.are_strangers(third, unknown));
    }

    #[test]
    fn heir_is_a_stack_of_the_same_generator() {
        let [first, second, third] = [(); 3].map(|()| StackId::generate());
        let (shop, bank) = (GeneratorId::generate(), GeneratorId::generate());
        let mut claims = Claims::default();
        let wants = [
            (second, Want::Objects(Arc::new([object("x")].into()))),
            (third, Want::Objects(Arc::new([object("x")].into()))),
        ];
        let tenants = [(first, tenant(bank)), (second, tenant(shop)), (third, tenant(bank))];
        claims.set_wants(wants.into_iter().chain([(first, Want::Nothing)]).collect(), tenants.into());
        assert_eq!(claims.owner(&object("x")), Some(second));
        for state in [EntryState::Held, EntryState::Retained] {
            let mut inventory = Inventory::new(first);
            inventory.entries.insert(object("x"), Entry::new(state));
            claims.set_held(&inventory);
            assert_eq!(claims.owner(&object("x")), Some(third), "{state:?}");
        }
    }

    #[test]
    fn namespace_belongs_to_the_generator_that_created_it() {
        let [first, second, third] = [(); 3].map(|()| StackId::generate());
        let (shop, bank) = (GeneratorId::generate(), GeneratorId::generate());
        let mut claims = Claims::default();
        let place = Arc::new(namespace_ref("default"));
        let wants = [first, second, third].map(|it| (it, Want::Objects(Arc::new([object("x"), place.clone()].into()))));
        let tenants = [(first, tenant(shop)), (second, tenant(bank)), (third, tenant(bank))];
        claims.set_wants(wants.into(), tenants.into());
        assert_eq!(claims.owner(&object("x")), Some(first), "no one owns the Namespace");
        let mut inventory = Inventory::new(third);
        for (state, uid, expected) in [
            (EntryState::Intent, None, false),
            (EntryState::Used, Some("a"), false),
            (EntryState::Held, Some("a"), true),
            (EntryState::Retained, Some("a"), true),
        ] {
            let entry = Entry { uid: uid.map(str::to_owned), ..Entry::new(state) };
            inventory.entries.insert(place.clone(), entry);
            claims.set_held(&inventory);
            assert_eq!(claims.owns_namespace(second, "default"), expected, "{state:?}");
            assert!(!claims.owns_namespace(first, "default"), "{state:?}: of another generator");
            let owner = if expected { second } else { first };
            assert_eq!(claims.owner(&object("x")), Some(owner), "{state:?}");
        }
        inventory.entries.clear();
        claims.set_held(&inventory);
        assert!(!claims.owns_namespace(second, "default"));
        assert!(claims.wants_namespace(second, "default") && !claims.wants_namespace(second, "other"));
    }

    #[test]
    fn unheld_object_belongs_to_its_first_claimant() {
        let (mut stacks, first, second) = two();
        let x = object("x");
        stacks.has(first, &[("x", EntryState::Used)]);
        assert_eq!(stacks.claims.owner(&x), None);
        stacks.wants(second, &["x"]);
        stacks.wants(first, &["x"]);
        assert_eq!(stacks.claims.owner(&x), Some(first.min(second)));
        stacks.has(first.max(second), &[("x", EntryState::Intent)]);
        assert_eq!(stacks.claims.owner(&x), Some(first.max(second)), "the second is about to create it");
        stacks.has(first.max(second), &[("x", EntryState::Retained)]);
        assert_eq!(stacks.claims.owner(&x), Some(first.min(second)), "a retained object does not count");
        stacks.wants(first, &[]);
        stacks.wants(second, &[]);
        stacks.has(first.max(second), &[]);
        assert!(stacks.claims.claimants.is_empty() && stacks.claims.makers.is_empty());
    }
}
