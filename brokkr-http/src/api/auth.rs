//! The identity behind a key.

use brokkr_core::model::{KeyKind, KeyScope, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The identity behind the presented key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WhoAmI {
    /// The kind of the key, which decides the rows that it reaches.
    pub kind: KeyKind,
    /// The id of the agent or generator; for an admin key the id of the key itself.
    pub principal_id: String,
    /// The name of the agent or generator; for an admin key the name of the key itself.
    pub name: String,
    /// The id of the presented key.
    pub key_id: Option<String>,
    /// The person or system that holds the key.
    pub subject: Option<String>,
    /// What the holder of the key may do.
    #[schema(value_type = Vec<KeyScope>)]
    pub scopes: Vec<String>,
    /// Expiry time; null if the key does not expire.
    pub expires_at: Option<Timestamp>,
}
