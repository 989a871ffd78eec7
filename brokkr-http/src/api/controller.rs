//! Controllers.

use brokkr_core::model::schema::ShortText;
use brokkr_core::model::{InstanceId, Name, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Work that the broker does later than a request. One replica runs each controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Controller {
    /// Unique.
    #[schema(value_type = Name)]
    pub name: String,
    /// The run of the controller that holds its lease; null while none does.
    pub holder: Option<InstanceId>,
    /// Whether the replica that answers runs the controller. Otherwise the fields below are those that the holder noted last,
    /// at most some seconds ago.
    pub here: bool,
    /// Why the controller rests; null if it works.
    #[schema(value_type = Option<ShortText>)]
    pub paused: Option<String>,
    /// Keys that wait for their turn.
    #[schema(maximum = 10000)]
    pub queued: usize,
    /// Since when the oldest key waits for its turn; null if none waits.
    pub waiting_since: Option<Timestamp>,
    /// The next time at which the controller wakes by itself; null if only changes wake it.
    pub next_wake_at: Option<Timestamp>,
    /// The end of the last run; null before the first one.
    pub last_run_at: Option<Timestamp>,
    /// The error of the last run; null if it succeeded. The controller repeats failed runs.
    #[schema(value_type = Option<ShortText>)]
    pub last_error: Option<String>,
}
