//! What broker and agent say to each other.
//!
//! The agent asks for its [`TargetState`], fetches deployment objects that it does not hold, and sends
//! [`Report`]s. Every exchange stands on its own: lost messages heal at the next one.

mod control_plane;
mod report;
mod target_state;

pub use control_plane::{ControlPlane, ControlPlaneError, Identity, IntoControlPlane, Poll, PollRequest};
pub use report::{EventReport, RejectedEvent, Report, ReportAnswer, StatusReport};
pub use target_state::{EntryAction, TargetEntry, TargetState};
