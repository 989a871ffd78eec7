//! Which stacks of this agent want which objects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::inventory::{Entry, EntryState, Inventory};
use crate::model::{ObjectRef, StackId};

/// What one stack wants.
#[derive(Debug, Clone)]
pub(super) enum Want {
    /// These objects and no others.
    Objects(BTreeSet<ObjectRef>),
    /// Whatever it holds.
    WhatIsHeld,
    /// Nothing.
    Nothing,
}

/// Which stacks of this agent want which objects, and which hold them.
#[derive(Debug, Default)]
pub(super) struct Claims {
    wants: BTreeMap<StackId, Want>,
    claimants: HashMap<ObjectRef, BTreeSet<StackId>>,
    holders: HashMap<ObjectRef, StackId>,
    /// Stacks that were about to create an object, and may have.
    intending: HashMap<ObjectRef, StackId>,
    /// Objects whose holder only waits for them to become empty.
    retained: HashSet<ObjectRef>,
}

impl Claims {
    pub(super) fn new(wants: BTreeMap<StackId, Want>, inventories: &BTreeMap<StackId, Inventory>) -> Self {
        let mut claimants: HashMap<ObjectRef, BTreeSet<StackId>> = HashMap::new();
        for (stack, want) in &wants {
            if let Want::Objects(objects) = want {
                for object in objects {
                    claimants.entry(object.clone()).or_default().insert(*stack);
                }
            }
        }
        let mut claims = Self { wants, claimants, ..Self::default() };
        for inventory in inventories.values() {
            claims.set_held(inventory);
        }
        claims
    }

    /// Takes over what an inventory holds now.
    pub(super) fn set_held(&mut self, inventory: &Inventory) {
        self.holders.retain(|_, holder| *holder != inventory.stack);
        self.intending.retain(|_, holder| *holder != inventory.stack);
        let holds = |entry: &Entry| matches!(entry.state, EntryState::Held | EntryState::Retained);
        for (object, entry) in &inventory.entries {
            if holds(entry) {
                self.holders.insert(object.clone(), inventory.stack);
                if entry.state == EntryState::Retained {
                    self.retained.insert(object.clone());
                } else {
                    self.retained.remove(object);
                }
            } else if entry.state == EntryState::Intent {
                self.intending.insert(object.clone(), inventory.stack);
            }
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
