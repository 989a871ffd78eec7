//! Which stacks of this agent want which objects.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::inventory::{EntryState, Inventory};
use super::prepare::Objects;
use crate::model::{ObjectRef, StackId};

/// What one stack wants.
#[derive(Debug, Clone)]
pub(super) enum Want {
    /// These objects and no others.
    Objects(Arc<Objects>),
    /// Whatever it holds.
    WhatIsHeld,
    /// Nothing.
    Nothing,
}

impl Want {
    /// Whether it is the same as far as it can be told at once.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Objects(mine), Self::Objects(others)) => Arc::ptr_eq(mine, others),
            (Self::WhatIsHeld, Self::WhatIsHeld) | (Self::Nothing, Self::Nothing) => true,
            _ => false,
        }
    }
}

/// Which stacks of this agent want which objects, and which hold them.
#[derive(Debug, Default)]
pub(super) struct Claims {
    wants: BTreeMap<StackId, Want>,
    claimants: HashMap<Arc<ObjectRef>, Vec<StackId>>,
    holders: HashMap<Arc<ObjectRef>, StackId>,
    /// Stacks that were about to create an object, and may have.
    intending: HashMap<Arc<ObjectRef>, StackId>,
    /// What is known of each stack, to forget it again.
    known: HashMap<StackId, Vec<(Arc<ObjectRef>, EntryState)>>,
    /// Objects whose holder only waits for them to become empty.
    retained: HashSet<Arc<ObjectRef>>,
}

impl Claims {
    /// Takes over what the stacks want now. What has not changed costs nothing: a pass is often about one stack of many.
    pub(super) fn set_wants(&mut self, wants: BTreeMap<StackId, Want>) {
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
        if let Entry::Occupied(mut claimants) = self.claimants.entry(object.clone()) {
            claimants.get_mut().retain(|it| *it != stack);
            if claimants.get().is_empty() {
                claimants.remove();
            }
        }
    }

    /// Takes over what an inventory holds now.
    pub(super) fn set_held(&mut self, inventory: &Inventory) {
        let stack = inventory.stack;
        let before = self.known.remove(&stack).unwrap_or_default();
        if before.iter().map(|(object, state)| (object, *state)).eq(states(inventory)) {
            if !before.is_empty() {
                self.known.insert(stack, before);
            }
            return;
        }
        for (object, _) in before {
            if self.holders.get(&object) == Some(&stack) {
                self.holders.remove(&object);
                self.retained.remove(&object);
            }
            if self.intending.get(&object) == Some(&stack) {
                self.intending.remove(&object);
            }
        }
        for (object, state) in states(inventory) {
            match state {
                EntryState::Used => {}
                EntryState::Intent => drop(self.intending.insert(object.clone(), stack)),
                EntryState::Held => {
                    self.holders.insert(object.clone(), stack);
                    self.retained.remove(object);
                }
                EntryState::Retained => {
                    self.holders.insert(object.clone(), stack);
                    self.retained.insert(object.clone());
                }
            }
        }
        if !inventory.entries.is_empty() {
            let known = states(inventory).map(|(object, state)| (object.clone(), state));
            self.known.insert(stack, known.collect());
        }
    }

    /// Whether a stack still wants an object that it holds. One without an entry in the target state keeps everything: absence
    /// is never an order.
    fn keeps(&self, stack: StackId, object: &ObjectRef) -> bool {
        match self.wants.get(&stack) {
            Some(Want::Objects(objects)) => objects.contains(object),
            Some(Want::WhatIsHeld) | None => true,
            Some(Want::Nothing) => false,
        }
    }

    /// The stack whose an object is: who holds it and still wants it, otherwise the first that wants it.
    pub(super) fn owner(&self, object: &ObjectRef) -> Option<StackId> {
        self.maker(object)
            .filter(|maker| self.keeps(*maker, object) && !self.retained.contains(object))
            .or_else(|| self.claimants.get(object)?.first().copied())
    }

    /// The stack that holds an object, or may have created it.
    pub(super) fn maker(&self, object: &ObjectRef) -> Option<StackId> {
        self.holders.get(object).or_else(|| self.intending.get(object)).copied()
    }

    /// The stack that holds an object now.
    pub(super) fn holder(&self, object: &ObjectRef) -> Option<StackId> {
        self.holders.get(object).copied()
    }
}

fn states(inventory: &Inventory) -> impl Iterator<Item = (&Arc<ObjectRef>, EntryState)> {
    inventory.entries.iter().map(|(object, entry)| (object, entry.state))
}
