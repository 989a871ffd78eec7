//! The problem of one object.

use std::sync::Arc;
use std::time::Duration;

use brokkr_core::model::ObjectRef;

use crate::cluster::ClusterError;
use crate::outcome::reason::Reason;
use crate::remedy::remedy;
use crate::wording;

/// A problem that keeps one object from its desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectProblem {
    pub(crate) object: Arc<ObjectRef>,
    pub(crate) reason: Reason,
    pub(crate) message: String,
    /// Whether the problem resolves without intervention.
    pub(crate) waiting: bool,
    /// How to fix the problem, in one sentence.
    pub(crate) remedy: Option<String>,
    /// The API server's error, if the problem is one.
    pub(crate) refusal: Option<ClusterError>,
    /// The delay that the server requested before the next attempt.
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

    pub(crate) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// Whether the problem lasts until a person changes something: it is neither a wait nor an unavailable API.
    pub(crate) fn is_lasting(&self) -> bool {
        let is_away = matches!(self.refusal, Some(ClusterError::Unavailable { .. }));
        !self.waiting && !is_away && self.reason != Reason::ApiUnavailable
    }

    /// The problem for an API server's error. The message may quote values, so a Secret's problem has only the reason.
    pub(crate) fn api(object: impl Into<Arc<ObjectRef>>, error: &ClusterError) -> Self {
        let object = object.into();
        let reason = Reason::from(error);
        let message = if object.kind == "Secret" { reason.to_string() } else { wording::of(error) };
        let remedy = remedy(&object, error);
        // The replica that leads continues the work.
        let waiting = matches!(error, ClusterError::Fenced);
        let (refusal, retry_after) = (Some(error.clone()), error.retry_after());
        Self { waiting, remedy, refusal, retry_after, ..Self::failed(object, reason, message) }
    }
}
