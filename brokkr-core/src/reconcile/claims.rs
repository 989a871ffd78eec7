//! Which stacks of this agent want which objects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::inventory::{EntryState, Inventory};
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
    /// What is known of each stack, to forget it again.
    known: HashMap<StackId, Vec<ObjectRef>>,
    /// Objects whose holder only waits for them to become empty.
    retained: HashSet<ObjectRef>,
}

impl Claims {
    /// Takes over what the stacks want now.
    pub(super) fn set_wants(&mut self, wants: BTreeMap<StackId, Want>) {
        self.claimants.clear();
        for (stack, want) in &wants {
            if let Want::Objects(objects) = want {
                for object in objects {
                    self.claimants.entry(object.clone()).or_default().insert(*stack);
                }
            }
        }
        self.wants = wants;
    }

    /// Takes over what an inventory holds now.
    pub(super) fn set_held(&mut self, inventory: &Inventory) {
        let stack = inventory.stack;
        for object in self.known.remove(&stack).unwrap_or_default() {
            if self.holders.get(&object) == Some(&stack) {
                self.holders.remove(&object);
                self.retained.remove(&object);
            }
            if self.intending.get(&object) == Some(&stack) {
                self.intending.remove(&object);
            }
        }
        for (object, entry) in &inventory.entries {
            match entry.state {
                EntryState::Used => continue,
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
            self.known.entry(stack).or_default().push(object.clone());
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
