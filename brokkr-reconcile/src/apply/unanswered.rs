//! Limits how long a pass waits for an API that does not respond.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::cluster::ClusterError;
use crate::outcome::problem::ObjectProblem;
use crate::outcome::reason::Reason;

/// Slow failures of one kind, after which the rest of the kind waits for the next pass.
const MAX_UNANSWERED_WRITES: usize = 4;
/// Failures below this duration do not count: they do not delay the pass.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// Counts the slow failures of writes, by kind, because the cause may be a webhook for this kind.
///
/// A fast failure does not count: the server responded.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    writes: AtomicUsize,
    reason: OnceLock<Reason>,
}

impl Unanswered {
    /// Records a problem and how long the request took.
    pub(crate) fn note(&self, problem: &ObjectProblem, took: Duration) {
        let Some(ClusterError::Unavailable { .. } | ClusterError::Webhook(_)) = &problem.refusal else { return };
        if took >= SLOW_ANSWER {
            self.reason.get_or_init(|| problem.reason);
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns why the pass stops writing this kind; `None` while it continues.
    pub(crate) fn exhausted(&self) -> Option<Reason> {
        self.reason.get().copied().filter(|_| self.writes.load(Ordering::Relaxed) >= MAX_UNANSWERED_WRITES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brokkr_core::model::ObjectRef;

    fn problem(error: &ClusterError) -> ObjectProblem {
        let object =
            ObjectRef { group: String::new(), kind: "ConfigMap".to_owned(), namespace: None, name: "a".to_owned() };
        ObjectProblem::api(object, error)
    }

    #[test]
    fn only_slow_failures_exhaust_a_kind() {
        let unavailable = problem(&ClusterError::unavailable("timed out"));
        let webhook = problem(&ClusterError::Webhook("failed calling webhook".to_owned()));
        let refused = problem(&ClusterError::Invalid("no".to_owned()));
        let unanswered = Unanswered::default();
        for _ in 0..20 {
            unanswered.note(&unavailable, SLOW_ANSWER - Duration::from_millis(1));
            unanswered.note(&refused, SLOW_ANSWER * 20);
        }
        assert_eq!(unanswered.exhausted(), None);
        for _ in 0..MAX_UNANSWERED_WRITES - 1 {
            unanswered.note(&webhook, SLOW_ANSWER);
        }
        assert_eq!(unanswered.exhausted(), None);
        unanswered.note(&unavailable, SLOW_ANSWER);
        assert_eq!(unanswered.exhausted(), Some(Reason::WebhookFailed), "the first reason is kept");
    }
}
