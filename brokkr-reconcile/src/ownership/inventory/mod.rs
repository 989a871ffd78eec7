//! The inventory: the held objects of a stack, stored in the cluster itself.
//!
//! One ApplySet parent per agent and stack: a Secret in the agent's namespace, and further Secrets as it grows. An entry
//! is written *before* its object is created (the intent), so that a crash neither claims objects of others nor leaks
//! objects.

pub(crate) mod cache;
mod entry;
mod keeper;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) use entry::{Entry, EntryState, ManifestHash};
pub(crate) use keeper::Keeper;

use brokkr_core::model::{GeneratorId, ObjectRef, StackId};

use crate::order::is_namespace;
use crate::ownership::objects::Objects;

/// The generator that owns a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) generator: GeneratorId,
    pub(crate) name: String,
}

/// The held objects of one stack.
#[derive(Debug, Clone)]
pub(crate) struct Inventory {
    pub(crate) stack: StackId,
    /// Known from the target state, and from the cluster once the stack has left the target state. Absent if neither names
    /// it.
    pub(crate) owner: Option<Owner>,
    pub(crate) entries: BTreeMap<Arc<ObjectRef>, Entry>,
    /// The resource version and content hash of each Secret.
    shards: Vec<keeper::Shard>,
}

impl Inventory {
    pub(crate) fn new(stack: StackId) -> Self {
        Self { stack, owner: None, entries: BTreeMap::new(), shards: Vec::new() }
    }

    /// Whether only retained objects are left.
    pub(crate) fn is_retained_only(&self) -> bool {
        self.entries.values().all(|entry| entry.state == EntryState::Retained)
    }

    /// Returns the number of objects that a user would count as the stack's.
    pub(crate) fn held_count(&self) -> usize {
        self.entries.values().filter(|entry| entry.state != EntryState::Retained).count()
    }

    /// Returns the UIDs of those held objects that are in `wanted`.
    pub(crate) fn uids_of(&self, wanted: &Objects) -> BTreeSet<String> {
        let ours = self.entries.iter().filter(|(object, entry)| entry.is_ours() && wanted.contains(*object));
        ours.filter_map(|(_, entry)| entry.uid.clone()).collect()
    }

    /// Returns the Namespaces that the agent created for the stack, with their UIDs.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = (&Arc<ObjectRef>, &str)> {
        let ours = self.entries.iter().filter(|(object, entry)| is_namespace(object) && entry.is_ours());
        ours.filter_map(|(object, entry)| Some((object, entry.uid.as_deref()?)))
    }

    /// Returns the UIDs of all objects that may exist because of the agent.
    pub(crate) fn uids(&self) -> BTreeSet<String> {
        self.entries.values().filter(|entry| entry.is_ours()).filter_map(|entry| entry.uid.clone()).collect()
    }
}
