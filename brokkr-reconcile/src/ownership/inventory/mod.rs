//! The inventory: what we hold of a stack, kept in the cluster itself.
//!
//! One ApplySet parent per (agent, stack): a Secret in the agent's namespace, and further ones when it grows.
//! An entry is written *before* its object is created (the intent), so that a crash leaves neither strangers nor leftovers.

pub(crate) mod cache;
mod entry;
mod keeper;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) use entry::{Entry, EntryState, ManifestHash};
pub(crate) use keeper::Keeper;

use brokkr_core::model::{ObjectRef, StackId};

use crate::ownership::objects::Objects;

/// What we hold of one stack.
#[derive(Debug, Clone)]
pub(crate) struct Inventory {
    pub(crate) stack: StackId,
    pub(crate) entries: BTreeMap<Arc<ObjectRef>, Entry>,
    /// The resource version of each Secret that keeps a part, and what it keeps.
    shards: Vec<keeper::Shard>,
}

impl Inventory {
    pub(crate) fn new(stack: StackId) -> Self {
        Self { stack, entries: BTreeMap::new(), shards: Vec::new() }
    }

    /// Whether nothing is left but what is waited for because of others.
    pub(crate) fn is_retained_only(&self) -> bool {
        self.entries.values().all(|entry| entry.state == EntryState::Retained)
    }

    /// Objects of which the stack's owner would say that they are there because of the stack.
    pub(crate) fn held_count(&self) -> usize {
        self.entries.values().filter(|entry| entry.state != EntryState::Retained).count()
    }

    /// The UIDs of those of our objects that are wanted.
    pub(crate) fn uids_of(&self, wanted: &Objects) -> BTreeSet<String> {
        let ours = self.entries.iter().filter(|(object, entry)| entry.is_ours() && wanted.contains(*object));
        ours.filter_map(|(_, entry)| entry.uid.clone()).collect()
    }

    /// What may still exist because of us: its UIDs.
    pub(crate) fn uids(&self) -> BTreeSet<String> {
        self.entries.values().filter(|entry| entry.is_ours()).filter_map(|entry| entry.uid.clone()).collect()
    }
}
