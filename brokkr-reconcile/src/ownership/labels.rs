//! How the objects of a stack say whose they are.
//!
//! Every member carries the labels below, and they are among the fields that our manager owns: so the API server
//! itself refuses another agent that wants the object.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brokkr_core::model::{AgentId, StackId};
use sha2::{Digest as _, Sha256};

/// Label with the agent's id.
pub const AGENT_LABEL: &str = "brokkr.io/agent";
/// Label with the stack's id.
pub const STACK_LABEL: &str = "brokkr.io/stack";
/// Label that marks an agent's inventories.
pub const INVENTORY_LABEL: &str = "brokkr.io/inventory";
/// Label of ApplySet members (KEP-3659, in the form that kubectl shipped).
pub const PART_OF_LABEL: &str = "applyset.kubernetes.io/part-of";
/// Annotation that keeps an object when it should be deleted.
pub const KEEP_ANNOTATION: &str = "brokkr.io/keep";

pub(crate) const APPLYSET_ID_LABEL: &str = "applyset.kubernetes.io/id";
pub(crate) const APPLYSET_TOOLING: &str = "applyset.kubernetes.io/tooling";
pub(crate) const APPLYSET_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
pub(crate) const APPLYSET_NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
/// Name and version of the tool, as the ApplySet's parent tells it.
pub(crate) const TOOLING: &str = concat!("brokkr/v", env!("CARGO_PKG_VERSION"));

/// What the field managers of all agents begin with.
pub(crate) const MANAGER_PREFIX: &str = "brokkr-";

/// The field manager of an agent.
pub fn field_manager(agent: AgentId) -> String {
    format!("{MANAGER_PREFIX}{agent}")
}

/// The name of the object that keeps the inventory of a stack.
pub(crate) fn inventory_name(agent: AgentId, stack: StackId) -> String {
    format!("brokkr-{agent}-{stack}")
}

/// The id of the ApplySet whose parent is the Secret of this name.
pub(crate) fn applyset_id(name: &str, namespace: &str) -> String {
    let parent = format!("{name}.{namespace}.Secret.");
    format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(Sha256::digest(parent)))
}
