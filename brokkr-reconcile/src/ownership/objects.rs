//! Sets of objects.

use std::collections::BTreeSet;
use std::sync::Arc;

use brokkr_core::model::ObjectRef;

/// A set of object identities. Shared, because many structures refer to each identity.
pub(crate) type Objects = BTreeSet<Arc<ObjectRef>>;
