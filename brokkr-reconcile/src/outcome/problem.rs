//! What keeps one object from being as it should.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::ObjectRef;

use crate::cluster::ClusterError;
use crate::outcome::reason::Reason;
use crate::remedy::remedy;

/// What kept one object from being as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectProblem {
    pub(crate) object: Arc<ObjectRef>,
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// Whether it only takes time.
    pub(crate) waiting: bool,
    /// What a person can do about it, in one sentence.
    pub(crate) remedy: Option<String>,
    /// What the API server said, where it is its refusal.
    pub(crate) refusal: Option<ClusterError>,
    /// How long the server asked to wait.
    pub(crate) retry_after: Option<Duration>,
}

impl ObjectProblem {
    pub(crate) fn failed(object: impl Into<Arc<ObjectRef>>, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            object: object.into(),
            reason,
            message: message.into(),
            waiting: false,
            remedy: None,
            refusal: None,
            retry_after: None,
        }
    }

    pub(crate) fn waiting(object: impl Into<Arc<ObjectRef>>, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            object: object.into(),
            reason,
            message: message.into(),
            waiting: true,
            remedy: None,
            refusal: None,
            retry_after: None,
        }
    }

    /// The same with what a person can do about it.
    pub(crate) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Whether it stays until somebody changes something: it neither takes time only, nor waits for an API to answer.
    pub(crate) fn is_lasting(&self) -> bool {
        let is_away = matches!(self.refusal, Some(ClusterError::Unavailable { .. }));
        !self.waiting && !is_away && self.reason != Reason::ApiUnavailable
    }

    /// What the API said. A server's text may quote values, so for Secrets only the reason is kept.
    pub(crate) fn api(object: impl Into<Arc<ObjectRef>>, error: &ClusterError) -> Self {
        let object = object.into();
        let reason = Reason::from(error);
        let message = if object.kind == "Secret" { reason.to_string() } else { error.to_string() };
        let remedy = remedy(&object, error);
        // Another replica goes on with it.
        let waiting = matches!(error, ClusterError::Fenced);
        let (refusal, retry_after) = (Some(error.clone()), error.retry_after());
        Self { waiting, remedy, refusal, retry_after, ..Self::failed(object, reason, message) }
    }
}
