//! The trait of all types that the store records as entities.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::{GeneratorId, Labels, Name, Timestamp, Version};

/// A type that the store records as an entity. Each type implements this in its own file.
///
/// The registry in `model/registry.rs` implements [`Entity`](crate::model::Entity) for each of them.
pub trait Record: Clone + Debug + Eq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The key within the kind: an id or a pair of ids.
    type Id: Copy + Debug + Ord + Send + Sync;

    /// The id of the entity.
    fn id(&self) -> Self::Id;

    /// The version of the entity. Default: [`Version::FIRST`], for types that never change.
    fn version(&self) -> Version {
        Version::FIRST
    }

    /// The time of deletion; `Some` makes the entity a tombstone. Default: `None`.
    fn deleted_at(&self) -> Option<Timestamp> {
        None
    }

    /// Whether a reader may forget the entity. Default: true for tombstones.
    fn is_gone(&self) -> bool {
        self.deleted_at().is_some()
    }

    /// The generator that owns the entity; `None` if only admins may see it. Default: `None`.
    fn generator(&self) -> Option<GeneratorId> {
        None
    }

    /// The name, for kinds whose lists can be filtered by name. Default: `None`.
    fn name(&self) -> Option<&Name> {
        None
    }

    /// The entity as the API shows it, without what the API adds from elsewhere. The audit compares it before and after an
    /// update. Default: all fields but `deleted_at`. A secret, or its hash, must not be in it.
    fn shown(&self) -> Value {
        let mut shown = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("deleted_at");
        }
        shown
    }

    /// The labels, for kinds whose lists can be filtered by labels. Default: `None`.
    fn labels(&self) -> Option<&Labels> {
        None
    }
}
