//! Conditions, as in Kubernetes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Revision, Timestamp};

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ConditionStatus {
    /// The condition is true.
    True,
    /// The condition is false.
    False,
    /// The agent cannot determine the condition.
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
    /// The type of the condition.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ShortText))]
    pub kind: String,
    /// The status of the condition.
    pub status: ConditionStatus,
    /// The reason as one CamelCase word, for programs.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::ShortText))]
    pub reason: String,
    /// One sentence for people.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::Message))]
    pub message: String,
    /// The revision that the condition is about.
    pub observed_revision: Option<Revision>,
    /// The time of the last change of `status`.
    pub last_transition_at: Timestamp,
}

/// The health of a stack's objects, by the rules of kstatus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Health {
    /// The agent has not observed the objects yet.
    #[default]
    Unknown,
    /// The cluster is still working towards the desired state.
    Progressing,
    /// The desired state is reached.
    Healthy,
    /// Something failed.
    Degraded,
    /// Suspended on purpose, for example a paused Deployment.
    Suspended,
}

impl fmt::Display for Health {
    /// Writes the word that JSON uses, such as `degraded`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Progressing => "progressing",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Suspended => "suspended",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_displayed_as_in_json() {
        for health in [Health::Unknown, Health::Progressing, Health::Healthy, Health::Degraded, Health::Suspended] {
            assert_eq!(serde_json::json!(health), serde_json::json!(health.to_string()));
        }
    }
}
