//! Problems: every error of the API (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem_type::{PREFIX, ProblemType};

/// Why a request was not carried out (RFC 9457).
///
/// `type` is for programs; `title`, `detail` and the place (`pointer`, `parameter` or `header`) are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem, examples(json!({
    "type": "/problems/label-invalid",
    "title": "Invalid label",
    "status": 422,
    "detail": "\"no way\" is not a valid label value; use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
    "pointer": "/labels/ok",
    "request_id": "019a1fcd-4803-75bf-9d5b-27edfd6611d6",
})))]
pub struct ProblemDocument {
    /// The type of the problem, stable.
    #[serde(rename = "type")]
    #[schema(value_type = ProblemType)]
    pub kind: String,
    /// The kind of problem in a few words; the same for every problem of the type.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong with this request, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub detail: Option<String>,
    /// JSON pointer (RFC 6901) to the offending value of the body; empty for the whole body, absent when it is not about the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub pointer: Option<String>,
    /// The offending query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub parameter: Option<String>,
    /// The offending header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub header: Option<String>,
    /// The request, as the broker's log and audit name it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(format = Uuid, required = true)]
    pub request_id: String,
}

impl ProblemDocument {
    /// The slug alone.
    pub fn slug(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }

    /// The type; `None` for one that this version does not know.
    pub fn problem_type(&self) -> Option<ProblemType> {
        self.kind.strip_prefix(PREFIX).and_then(ProblemType::from_slug)
    }
}
