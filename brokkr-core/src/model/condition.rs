//! Conditions, in the shape that Kubernetes made common.

use serde::{Deserialize, Serialize};

use crate::model::{Revision, Timestamp};

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// The agent cannot tell.
    Unknown,
}

/// One aspect of a stack on one agent.
///
/// Types in use: `Applied` (the API server accepted every object of the desired revision), `Available`,
/// `Progressing`, `Degraded`, `Drifted`, `Stalled`. See the Kubernetes API conventions, "Typical status properties".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Condition {
    /// Which aspect.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ShortText))]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word in CamelCase, for programs.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ShortText))]
    pub reason: String,
    /// One sentence, for people.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::Message))]
    pub message: String,
    /// The revision that was looked at.
    pub observed_revision: Option<Revision>,
    /// When the status changed last.
    pub last_transition_at: Timestamp,
}

/// How a stack's objects fare, by the rules of kstatus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Health {
    /// Nobody looked.
    #[default]
    Unknown,
    /// On the way.
    Progressing,
    /// As it should be.
    Healthy,
    /// Something failed.
    Degraded,
    /// Stopped on purpose.
    Suspended,
}
