//! The agent's interface to its broker.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::into_shared::into_shared;
use crate::model::{AgentId, DeploymentObjectId, Digest, Epoch, Generation};
use crate::protocol::{Report, ReportAnswer, TargetState};

/// The identity of the agent, as the broker derives it from the agent's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The agent.
    pub agent_id: AgentId,
    /// The agent's name.
    pub name: String,
}

/// The parameters of a poll. The default asks for the current target state without waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PollRequest {
    /// The digest of the target state that the agent has. `None`: the answer always contains the target state.
    pub known: Option<Digest>,
    /// The epoch that `known` and `min_generation` belong to.
    pub epoch: Option<Epoch>,
    /// The highest generation that the agent has seen. A broker with an older view catches up first, or refuses.
    pub min_generation: Option<Generation>,
    /// How long the broker may wait for a change before it answers [`PollAnswer::Unchanged`]. Default: zero.
    pub wait: Duration,
    /// Whether the agent knows [`EntryAction::Hold`](crate::protocol::EntryAction::Hold). If not, the broker refuses to answer
    /// with a target state that contains it, and the agent keeps what it has.
    pub knows_hold: bool,
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollAnswer {
    /// The target state that the agent has is current.
    Unchanged {
        /// The generation of the answering broker's view.
        generation: Generation,
        /// The epoch of the answering broker.
        epoch: Epoch,
    },
    /// The target state differs from the one that the agent has.
    Changed(Arc<TargetState>),
}

/// An error that left the agent without a usable answer. The agent removes nothing because of an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlPlaneError {
    /// The broker did not answer: it is down, the network failed, or the request timed out. Retry.
    #[error("broker unreachable: {0}")]
    Unreachable(String),
    /// The broker cannot answer now. Retry.
    #[error("the broker is not ready: {problem}")]
    NotReady {
        /// The problem's slug.
        problem: String,
        /// How long the broker asked to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// The broker refuses the agent: its key is unknown or revoked, or the agent is retired. An admin must act.
    #[error("the broker refuses this agent: {0}")]
    Refused(String),
    /// A newer process runs with the agent's key, or the agent is bound to another cluster. Stop this process.
    #[error("another process or cluster has taken over this agent: {0}")]
    Superseded(String),
    /// The requested object does not exist for this agent.
    #[error("not found")]
    NotFound,
    /// The broker rejects the request. Retrying the same request fails again.
    #[error("the broker rejects the request: {0}")]
    Rejected(String),
    /// The answer violates the protocol. Retry.
    #[error("invalid answer from the broker: {0}")]
    Malformed(String),
}

impl ControlPlaneError {
    /// How long the broker asked to wait before the next attempt; `None` if it did not ask.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotReady { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NotReady { .. } | Self::Malformed(_))
    }
}

/// The connection of an agent to its broker.
///
/// # To ensure correctness
///
/// 1. **Only complete answers.** An implementation returns the broker's answer unchanged, and an error for anything
///    else. In particular, no failure turns into an empty target state.
/// 2. `target_state` completes within [`PollRequest::wait`] plus a timeout of the implementation.
/// 3. `deployment_object` returns the bytes as stored. The caller checks their digest.
/// 4. `report` is idempotent: repeating the same report changes nothing.
///
/// All methods are cancellation safe. If the future of `report` is dropped, the broker may or may not have the report;
/// send it again.
///
/// ```
/// use async_trait::async_trait;
/// use brokkr_core::model::{AgentId, DeploymentObjectId};
/// use brokkr_core::protocol::{ControlPlane, ControlPlaneError, Identity, PollAnswer, PollRequest, Report, ReportAnswer};
/// use bytes::Bytes;
///
/// /// A broker that is down, to test how an agent behaves without one.
/// #[derive(Debug)]
/// struct Down;
///
/// fn down<T>() -> Result<T, ControlPlaneError> {
///     Err(ControlPlaneError::Unreachable("connection refused".to_owned()))
/// }
///
/// #[async_trait]
/// impl ControlPlane for Down {
///     async fn identify(&self) -> Result<Identity, ControlPlaneError> {
///         down()
///     }
///
///     async fn target_state(&self, _: AgentId, _: PollRequest) -> Result<PollAnswer, ControlPlaneError> {
///         down()
///     }
///
///     async fn deployment_object(&self, _: DeploymentObjectId) -> Result<Bytes, ControlPlaneError> {
///         down()
///     }
///
///     async fn report(&self, _: AgentId, _: &Report) -> Result<ReportAnswer, ControlPlaneError> {
///         down()
///     }
/// }
/// ```
#[async_trait]
pub trait ControlPlane: Debug + Send + Sync + 'static {
    /// Returns the identity that belongs to the agent's key.
    async fn identify(&self) -> Result<Identity, ControlPlaneError>;

    /// Returns the agent's target state, or that it is unchanged. Waits up to [`PollRequest::wait`] for a change.
    async fn target_state(&self, agent: AgentId, request: PollRequest) -> Result<PollAnswer, ControlPlaneError>;

    /// Returns the content of a deployment object.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ControlPlaneError::NotFound) when it does not exist or is not in the agent's target state.
    async fn deployment_object(&self, id: DeploymentObjectId) -> Result<Bytes, ControlPlaneError>;

    /// Sends outcomes and statuses to the broker.
    async fn report(&self, agent: AgentId, report: &Report) -> Result<ReportAnswer, ControlPlaneError>;
}

const _: Option<&dyn ControlPlane> = None;

into_shared! {
    /// Conversion into a shared [`ControlPlane`]. Implemented for every `ControlPlane`, for `Arc<T>` of one, and for
    /// `Arc<dyn ControlPlane>`.
    IntoControlPlane::into_control_plane => ControlPlane
}
