//! What every recorded noun has in common.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{GeneratorId, Labels, Name, Timestamp, Version};

/// A noun that is recorded: the part of an entity that its own file says.
///
/// The registry in `model/registry.rs` adds the rest: see [`Entity`](crate::model::Entity).
pub trait Record: Clone + Debug + Eq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What identifies it among its kind: an id, or a pair of ids.
    type Id: Copy + Debug + Ord + Send + Sync;

    /// Its identity.
    fn id(&self) -> Self::Id;

    /// How often it has changed. Nouns that never change keep the default, [`Version::FIRST`].
    fn version(&self) -> Version {
        Version::FIRST
    }

    /// When it was deleted; such a record is a tombstone. Default: never.
    fn deleted_at(&self) -> Option<Timestamp> {
        None
    }

    /// Whether a reader may forget it. Default: once it is a tombstone.
    fn is_gone(&self) -> bool {
        self.deleted_at().is_some()
    }

    /// The generator among whose rows it is; `None` for what belongs to admins only. Default: `None`.
    fn generator(&self) -> Option<GeneratorId> {
        None
    }

    /// Its name, for nouns that lists find by name. Default: `None`.
    fn name(&self) -> Option<&Name> {
        None
    }

    /// Its labels, for nouns that lists select by labels. Default: `None`.
    fn labels(&self) -> Option<&Labels> {
        None
    }
}
