//! Which stacks of this agent want which objects.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use brokkr_core::model::{GeneratorId, ObjectRef, StackId};

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
    /// The generators that own the stacks.
    tenants: BTreeMap<StackId, GeneratorId>,
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
    pub(crate) fn set_wants(&mut self, wants: BTreeMap<StackId, Want>, tenants: BTreeMap<StackId, GeneratorId>) {
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
        keeper(EntryState::Held)
            .or_else(|| keeper(EntryState::Intent))
            .or_else(|| self.claimants.get(object)?.first().copied())
    }

    /// Whether different generators own two stacks: objects never move between these. The owner of a stack without an entry
    /// in the target state is not known; it holds only retained Namespaces and CustomResourceDefinitions.
    pub(crate) fn are_strangers(&self, one: StackId, other: StackId) -> bool {
        self.tenants.get(&one).zip(self.tenants.get(&other)).is_some_and(|(one, other)| one != other)
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
    use super::*;
    use crate::ownership::inventory::Entry;

    fn object(name: &str) -> Arc<ObjectRef> {
        let (group, kind, namespace) = (String::new(), "ConfigMap".to_owned(), Some("default".to_owned()));
        Arc::new(ObjectRef { group, kind, namespace, name: name.to_owned() })
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
        claims.set_wants(BTreeMap::new(), BTreeMap::from([(first, shop), (second, shop), (third, bank)]));
        for (one, other, expected) in [
            (first, second, false),
            (first, first, false),
            (first, third, true),
            (third, second, true),
            (first, unknown, false),
            (unknown, first, false),
        ] {
            assert_eq!(claims.are_strangers(one, other), expected);
        }
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
