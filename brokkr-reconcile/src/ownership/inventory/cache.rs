//! A cache of the inventories, with the passes that use them.
//!
//! Several passes may run concurrently over different stacks. A pass takes the inventories of its stacks, and returns
//! them at its end. If the pass is dropped in between, they are read again from the cluster, which has the true state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brokkr_core::model::{ObjectRef, StackId};
use tokio::sync::Notify;

use crate::health::JobEnd;
use crate::ownership::field_hashes::FieldHashes;
use crate::ownership::inventory::Inventory;

#[derive(Debug)]
enum Slot {
    Here(Inventory),
    /// A pass works on the stack, which held this number of objects at the start.
    Out(usize),
    /// The state must be read from the cluster.
    Lost,
}

/// The state of an object in a watch event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The object exists. Has the fields that our manager owns.
    There { uid: String, fields: FieldHashes },
    /// The object was deleted.
    Gone,
    /// The object changed, and only a read tells whether the change matters.
    Changed,
}

#[derive(Debug, Default)]
struct State {
    /// Absent before the first read.
    slots: Option<BTreeMap<StackId, Slot>>,
    /// Events for stacks in use, evaluated when the stack is returned.
    sights: HashMap<StackId, HashMap<ObjectRef, Sight>>,
    /// Stacks with changes by other clients.
    changed: BTreeSet<StackId>,
}

/// The inventories of all stacks.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    state: Mutex<State>,
    /// Notified when a stack must be reconciled.
    pub(crate) wake: Arc<Notify>,
}

impl Slots {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some inventories must be read from the cluster before use.
    pub(crate) fn must_read(&self) -> bool {
        let state = self.state();
        state.slots.as_ref().is_none_or(|slots| slots.values().any(|slot| matches!(slot, Slot::Lost)))
    }

    /// Stores the inventories that were read from the cluster, except for stacks in use.
    pub(crate) fn fill(&self, mut read: BTreeMap<StackId, Inventory>, mut noted: impl FnMut(&Inventory)) {
        let mut state = self.state();
        let is_first = state.slots.is_none();
        let slots = state.slots.get_or_insert_default();
        slots.retain(|stack, slot| {
            if matches!(slot, Slot::Lost) {
                let inventory = read.remove(stack).unwrap_or_else(|| Inventory::new(*stack));
                noted(&inventory);
                let is_there = !inventory.entries.is_empty();
                *slot = Slot::Here(inventory);
                return is_there;
            }
            true
        });
        // Inventories in the cache are newer, or in use.
        if is_first {
            read.values().for_each(noted);
            slots.extend(read.into_iter().map(|(stack, inventory)| (stack, Slot::Here(inventory))));
        }
    }

    /// Returns the stacks with held objects, and the number of objects.
    pub(crate) fn held(&self) -> Vec<(StackId, usize)> {
        let state = self.state();
        let held = |(stack, slot): (&StackId, &Slot)| match slot {
            Slot::Here(inventory) => Some((*stack, inventory.held_count())),
            Slot::Out(objects) => Some((*stack, *objects)),
            Slot::Lost => None,
        };
        state.slots.iter().flatten().filter_map(held).filter(|(_, objects)| *objects > 0).collect()
    }

    /// Returns the stacks that have an inventory.
    pub(crate) fn held_or_retained(&self) -> BTreeSet<StackId> {
        self.state().slots.iter().flat_map(BTreeMap::keys).copied().collect()
    }

    /// Whether some inventories are in use or must be read, so that the cache is incomplete.
    pub(crate) fn is_anything_out(&self) -> bool {
        self.state().slots.iter().flat_map(BTreeMap::values).any(|slot| !matches!(slot, Slot::Here(_)))
    }

    /// Takes inventories for a pass. Skips stacks that another pass uses.
    pub(crate) fn take(&self, stacks: impl Iterator<Item = StackId>) -> Taken<'_> {
        let mut state = self.state();
        let slots = state.slots.get_or_insert_default();
        let mut inventories = BTreeMap::new();
        for stack in stacks {
            let inventory = match slots.remove(&stack) {
                Some(Slot::Here(inventory)) => inventory,
                None => Inventory::new(stack),
                Some(busy) => {
                    slots.insert(stack, busy);
                    continue;
                }
            };
            slots.insert(stack, Slot::Out(inventory.held_count()));
            inventories.insert(stack, inventory);
        }
        let out = inventories.keys().copied().collect();
        Taken { slots: self, inventories, out }
    }

    /// Takes the inventories with only retained objects, of stacks without an entry.
    pub(crate) fn take_retained(&self, known: &BTreeSet<StackId>) -> Taken<'_> {
        let retained = |(stack, slot): (&StackId, &Slot)| match slot {
            Slot::Here(it) if it.is_retained_only() && !it.entries.is_empty() && !known.contains(stack) => Some(*stack),
            _ => None,
        };
        let stacks: Vec<StackId> = self.state().slots.iter().flatten().filter_map(retained).collect();
        self.take(stacks.into_iter())
    }

    /// Whether any inventory has only retained objects.
    pub(crate) fn has_retained(&self) -> bool {
        let is_retained =
            |slot: &Slot| matches!(slot, Slot::Here(it) if it.is_retained_only() && !it.entries.is_empty());
        self.state().slots.iter().flat_map(BTreeMap::values).any(is_retained)
    }

    fn put_back(&self, inventory: Inventory) {
        let mut state = self.state();
        let stack = inventory.stack;
        let sights = state.sights.remove(&stack).unwrap_or_default();
        if sights.iter().any(|(object, sight)| matters(&inventory, object, sight)) {
            state.changed.insert(stack);
            self.wake.notify_one();
        }
        let slots = state.slots.get_or_insert_default();
        if inventory.entries.is_empty() {
            slots.remove(&stack);
        } else {
            slots.insert(stack, Slot::Here(inventory));
        }
    }

    fn lose(&self, stack: StackId) {
        let mut state = self.state();
        state.sights.remove(&stack);
        state.slots.get_or_insert_default().insert(stack, Slot::Lost);
    }

    /// Records a watch event for an object with a stack's label.
    pub(crate) fn saw(&self, stack: StackId, object: ObjectRef, sight: Sight) {
        let mut state = self.state();
        let stirs = match state.slots.as_ref().and_then(|slots| slots.get(&stack)) {
            Some(Slot::Here(inventory)) => matters(inventory, &object, &sight),
            Some(Slot::Out(_)) => {
                state.sights.entry(stack).or_default().insert(object, sight);
                false
            }
            // Labels alone prove nothing.
            Some(Slot::Lost) | None => false,
        };
        if stirs {
            state.changed.insert(stack);
            self.wake.notify_one();
        }
    }

    /// Records that objects of a kind may have changed unseen.
    pub(crate) fn mark_kind_changed(&self, group: &str, kind: &str) {
        let mut state = self.state();
        let has = |inventory: &Inventory| inventory.entries.keys().any(|it| it.group == group && it.kind == kind);
        let stacks = state.slots.iter().flatten().filter_map(|(stack, slot)| match slot {
            Slot::Here(inventory) => has(inventory).then_some(*stack),
            Slot::Out(_) | Slot::Lost => Some(*stack),
        });
        let stacks: Vec<StackId> = stacks.collect();
        state.changed.extend(stacks);
        self.wake.notify_one();
    }

    /// Returns the stacks with changes, and clears the set.
    pub(crate) fn take_changed(&self) -> BTreeSet<StackId> {
        std::mem::take(&mut self.state().changed)
    }

    /// Returns group and kind of all held objects in the cache.
    pub(crate) fn kinds(&self) -> BTreeSet<(String, String)> {
        let state = self.state();
        let inventories = state.slots.iter().flat_map(BTreeMap::values).filter_map(|slot| match slot {
            Slot::Here(inventory) => Some(inventory),
            _ => None,
        });
        let ours = inventories.flat_map(|it| it.entries.iter()).filter(|(_, entry)| entry.is_ours());
        let mut kinds = BTreeSet::new();
        for (object, _) in ours {
            if !kinds.iter().any(|(group, kind)| *group == object.group && *kind == object.kind) {
                kinds.insert((object.group.clone(), object.kind.clone()));
            }
        }
        kinds
    }
}

/// Whether an event differs from the inventory.
fn matters(inventory: &Inventory, object: &ObjectRef, sight: &Sight) -> bool {
    let Some(entry) = inventory.entries.get(object).filter(|entry| entry.is_ours()) else { return false };
    match sight {
        Sight::There { uid, fields } => entry.uid.as_ref() != Some(uid) || entry.fields != *fields,
        // The deletion of a completed Job is expected. Other deletions need a pass.
        Sight::Gone => entry.ended != Some(JobEnd::Complete),
        Sight::Changed => true,
    }
}

/// The inventories of a pass. Those that are not returned are read again from the cluster.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    slots: &'a Slots,
    pub(crate) inventories: BTreeMap<StackId, Inventory>,
    out: BTreeSet<StackId>,
}

impl Taken<'_> {
    /// Returns an inventory in its current state.
    pub(crate) fn put_back(&mut self, inventory: Inventory) {
        if self.out.remove(&inventory.stack) {
            self.slots.put_back(inventory);
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.out.iter().for_each(|stack| self.slots.lose(*stack));
    }
}
