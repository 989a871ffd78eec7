//! Problems: every error of the API (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `/problems/<slug>`; the slug is stable.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in words that do not change.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, in words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// JSON pointer to the offending value of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The request, as the broker's log and audit name it.
    #[serde(default)]
    pub request_id: String,
}

impl Problem {
    /// The slug alone.
    pub fn slug(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }
}
