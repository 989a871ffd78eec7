//! The limit that a request exceeds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The limit that a request exceeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"name": "stacks", "maximum": 1000, "used": 1000})))]
pub struct ExceededLimit {
    /// The name of the limit, such as `requests-per-key`, `concurrent-writes` or `stacks`.
    pub name: String,
    /// The largest value that the limit allows.
    pub maximum: u64,
    /// What counted towards the limit when the request came; absent for rates and for requests at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    pub used: Option<u64>,
}
