//! How a new agent gets its identity and its key.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::into_shared::into_shared;
use crate::pak::KeyHash;
use crate::protocol::{ControlPlaneError, Identity};

/// The parameters of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The name of the agent: a DNS label, unique among agents.
    pub name: String,
    /// The name of the cluster, for display only. May be empty.
    pub cluster_name: String,
    /// UID of the Namespace `kube-system`, which identifies the cluster.
    pub cluster_uid: String,
    /// The hash of the key that the agent has generated.
    pub key_hash: KeyHash,
}

/// The connection of a new agent to its broker, with a join token.
///
/// # To ensure correctness
///
/// 1. `join` is idempotent: a repetition with the same name and key returns the same agent, also if the answer to the first
///    request was lost.
/// 2. Another caller with the same name and another key gets an error, never that agent.
#[async_trait]
pub trait Enrolment: Debug + Send + Sync + 'static {
    /// Exchanges the join token for an agent that owns the key.
    ///
    /// # Errors
    ///
    /// [`Refused`](ControlPlaneError::Refused) if the broker refuses the token, [`Rejected`](ControlPlaneError::Rejected) if
    /// another agent has the name.
    async fn join(&self, request: &JoinRequest) -> Result<Identity, ControlPlaneError>;
}

const _: Option<&dyn Enrolment> = None;

into_shared! {
    /// Conversion into a shared [`Enrolment`]. Implemented for every `Enrolment`, for `Arc<T>` of one, and for
    /// `Arc<dyn Enrolment>`.
    IntoEnrolment::into_enrolment => Enrolment
}
