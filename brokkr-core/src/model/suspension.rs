//! Suspensions.

use serde::{Deserialize, Serialize};

use crate::model::{ActorRef, Timestamp};

/// Why something is suspended: its agents keep what they hold, and no further agent gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Suspension {
    /// The reason, for people.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::schema::Message))]
    pub reason: String,
    /// The actor that suspended it.
    pub by: ActorRef,
    /// The time when it was suspended.
    pub at: Timestamp,
}
