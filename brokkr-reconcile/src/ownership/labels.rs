//! Labels that mark the objects of a stack.
//!
//! Every object has the labels below, and our field manager owns them. So the API server itself rejects another agent's
//! write to the object.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brokkr_core::model::{AgentId, StackId};
use sha2::{Digest as _, Sha256};

/// Label with the agent's ID.
pub const AGENT_LABEL: &str = "brokkr.io/agent";
/// Label with the stack's ID.
pub const STACK_LABEL: &str = "brokkr.io/stack";
/// Label that marks an agent's inventories.
pub const INVENTORY_LABEL: &str = "brokkr.io/inventory";
/// Label of ApplySet members (KEP-3659, in the form that kubectl shipped).
pub const PART_OF_LABEL: &str = "applyset.kubernetes.io/part-of";
/// Annotation that keeps an object in the cluster when its stack drops it: with the value `true`, the agent only ends its
/// ownership.
pub const KEEP_ANNOTATION: &str = "brokkr.io/keep";

/// Annotation of an inventory with the ID of the generator that owns the stack.
pub(crate) const GENERATOR_ANNOTATION: &str = "brokkr.io/generator";
/// Annotation of an inventory with the name of the generator that owns the stack.
pub(crate) const GENERATOR_NAME_ANNOTATION: &str = "brokkr.io/generator-name";
pub(crate) const APPLYSET_ID_LABEL: &str = "applyset.kubernetes.io/id";
pub(crate) const APPLYSET_TOOLING: &str = "applyset.kubernetes.io/tooling";
pub(crate) const APPLYSET_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
pub(crate) const APPLYSET_NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
/// Name and version of the tool, for the ApplySet's parent.
pub(crate) const TOOLING: &str = concat!("brokkr/v", env!("CARGO_PKG_VERSION"));

/// Prefix of the field managers of all agents.
pub(crate) const MANAGER_PREFIX: &str = "brokkr-";

/// Returns the field manager of an agent: `brokkr-<agent ID>`.
pub fn field_manager(agent: AgentId) -> String {
    format!("{MANAGER_PREFIX}{agent}")
}

/// Returns the name of the Secret that stores a stack's inventory.
pub(crate) fn inventory_name(agent: AgentId, stack: StackId) -> String {
    format!("brokkr-{agent}-{stack}")
}

/// Returns the ID of the ApplySet whose parent is the Secret of this name.
pub(crate) fn applyset_id(name: &str, namespace: &str) -> String {
    let parent = format!("{name}.{namespace}.Secret.");
    format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(Sha256::digest(parent)))
}
