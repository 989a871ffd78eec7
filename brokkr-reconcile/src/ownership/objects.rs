//! Sets of objects.

use std::collections::BTreeSet;
use std::sync::Arc;

use brokkr_core::model::ObjectRef;

/// Objects by what identifies them. The names are shared: each is known in many places at the same time.
pub(crate) type Objects = BTreeSet<Arc<ObjectRef>>;
