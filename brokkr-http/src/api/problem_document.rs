//! Problem documents, the body of every error response (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::exceeded_limit::ExceededLimit;
use super::problem_type::{PREFIX, ProblemType};

/// The body of every error response (RFC 9457).
///
/// Programs evaluate `type`. `title`, `detail` and the location (`pointer`, `parameter` or `header`) are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem, examples(json!({
    "type": "/problems/label-invalid",
    "title": "Invalid label",
    "status": 422,
    "detail": "\"no way\" is not a valid Kubernetes label value",
    "pointer": "/labels/ok",
    "request_id": "019a1fcd-4803-75bf-9d5b-27edfd6611d6",
})))]
pub struct ProblemDocument {
    /// The problem type; stable across releases.
    #[serde(rename = "type")]
    #[schema(value_type = ProblemType)]
    pub kind: String,
    /// Summary of the problem type; the same for every problem of this type.
    pub title: String,
    /// The HTTP status of the response.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong with this request and how to correct it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub detail: Option<String>,
    /// JSON pointer (RFC 6901) to the invalid value in the request body. Empty for the whole body, absent if the problem is
    /// not in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub pointer: Option<String>,
    /// The invalid query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub parameter: Option<String>,
    /// The invalid header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub header: Option<String>,
    /// The limit that the request exceeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ExceededLimit, required = false)]
    pub limit: Option<ExceededLimit>,
    /// The request id, as in the broker's log and audit records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(format = Uuid, required = true)]
    pub request_id: String,
}

impl ProblemDocument {
    /// The problem type without its URI prefix.
    pub fn slug(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }

    /// The problem type; `None` if this version does not know it.
    pub fn problem_type(&self) -> Option<ProblemType> {
        self.kind.strip_prefix(PREFIX).and_then(ProblemType::from_slug)
    }
}
