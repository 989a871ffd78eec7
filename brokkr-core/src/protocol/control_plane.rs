//! The agent's side of the protocol.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::into_shared::into_shared;
use crate::model::{AgentId, DeploymentObjectId, Digest, Epoch, Generation};
use crate::protocol::{Report, ReportAnswer, TargetState};

/// Who the broker says the agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub name: String,
}

/// What a poll asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PollRequest {
    /// The digest of the target state that the agent has.
    pub known: Option<Digest>,
    /// The history in which it saw that and `min_generation`.
    pub epoch: Option<Epoch>,
    /// The highest generation that it has seen; a replica behind it catches up or refuses.
    pub min_generation: Option<Generation>,
    /// How long the broker may wait for something new.
    pub wait: Duration,
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Poll {
    /// The agent has the current target state.
    Unchanged {
        /// How far the answering replica has read.
        generation: Generation,
        /// The history that it answers from.
        epoch: Epoch,
    },
    /// The current target state.
    Changed(Arc<TargetState>),
}

/// Why the broker gave no usable answer. Whatever it is, the agent removes nothing because of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlPlaneError {
    /// No answer: the broker is away, the network is, or it took too long.
    #[error("the broker cannot be reached: {0}")]
    Unreachable(String),
    /// The broker cannot answer now.
    #[error("the broker is not ready: {problem}")]
    NotReady {
        /// The problem's slug.
        problem: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// The broker refuses this agent: key unknown or revoked, agent retired.
    #[error("the broker refuses this agent: {0}")]
    Refused(String),
    /// A newer process runs with this agent's key, or the agent is bound to another cluster.
    #[error("this process does not speak for the agent: {0}")]
    Superseded(String),
    /// There is no such thing, for this agent.
    #[error("not found")]
    NotFound,
    /// The broker does not accept what was said; repeating it is useless.
    #[error("the broker rejects the request: {0}")]
    Rejected(String),
    /// The answer is not what the protocol says.
    #[error("the broker's answer is not usable: {0}")]
    Malformed(String),
}

impl ControlPlaneError {
    /// How long the broker asked to wait before the next try, where it did.
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

/// How an agent reaches its broker.
///
/// # To ensure correctness
///
/// 1. **Nothing is made up.** An answer is what the broker said, whole; anything else is an error. In particular no
///    failure turns into an empty target state.
/// 2. `target_state` resolves within the wait that was asked for plus a time-out of its own.
/// 3. `deployment_object` yields the bytes as stored; the caller checks their digest.
/// 4. `report` may be repeated with the same content any number of times.
///
/// All methods are cancellation safe.
#[async_trait]
pub trait ControlPlane: Debug + Send + Sync + 'static {
    /// Who the agent is, by its key.
    async fn identify(&self) -> Result<Identity, ControlPlaneError>;

    /// What the agent should hold now.
    async fn target_state(&self, agent: AgentId, request: PollRequest) -> Result<Poll, ControlPlaneError>;

    /// The bytes of a deployment object.
    async fn deployment_object(&self, id: DeploymentObjectId) -> Result<Bytes, ControlPlaneError>;

    /// Tells the broker what happened.
    async fn report(&self, agent: AgentId, report: &Report) -> Result<ReportAnswer, ControlPlaneError>;
}

const _: Option<&dyn ControlPlane> = None;

into_shared! {
    /// A [`ControlPlane`] by value, in an `Arc`, or as `Arc<dyn ControlPlane>`.
    IntoControlPlane::into_control_plane => ControlPlane
}
