//! The protocol between agents and their broker.
//!
//! The agent polls for its [`TargetState`], fetches the deployment objects that it does not have, and sends
//! [`Report`]s. Each exchange is independent: the next one makes up for a lost message.

mod control_plane;
mod enrolment;
mod report;
mod target_state;
mod tenant;

pub use control_plane::{ControlPlane, ControlPlaneError, Identity, IntoControlPlane, PollAnswer, PollRequest};
pub use enrolment::{Enrolment, IntoEnrolment, JoinRequest};
pub use report::{EventReport, RejectedEvent, Report, ReportAnswer, StatusReport};
pub use target_state::{EntryAction, TargetEntry, TargetState};
pub use tenant::Tenant;
