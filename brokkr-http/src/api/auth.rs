//! Who a key speaks for.

use brokkr_core::model::{KeyKind, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who the presented key speaks for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// What the key's holder may be.
    pub kind: KeyKind,
    /// The agent or generator; for admins the key itself.
    pub principal_id: String,
    /// The name of the agent or generator; for admins that of the key.
    pub name: String,
    /// The key.
    pub key_id: Option<String>,
    /// When the key stops being valid.
    pub expires_at: Option<Timestamp>,
}
