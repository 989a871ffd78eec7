//! The texts of conditions.

use brokkr_core::model::{ConditionStatus, ObjectRef, Revision};
use brokkr_reconcile::{Progress, StackOutcome};

/// Maximum number of objects in a condition's message.
pub(super) const NAMED: usize = 5;

/// Whether others changed objects, as a condition.
pub(super) fn drift(outcome: &StackOutcome) -> (ConditionStatus, &'static str, String) {
    if !outcome.drifted.is_empty() {
        let objects: Vec<String> = outcome.drifted.iter().take(NAMED).map(ObjectRef::to_string).collect();
        let reason = if outcome.contested.is_empty() { "ChangedByOthers" } else { "Contested" };
        (ConditionStatus::True, reason, objects.join(", "))
    } else if !outcome.yielded.is_empty() {
        (ConditionStatus::False, "Yielded", yielded(outcome))
    } else {
        (ConditionStatus::False, "NoDrift", String::new())
    }
}

/// Lists objects and fields that the agent leaves as they are despite the manifests, with the reasons.
pub(super) fn left_alone(outcome: &StackOutcome) -> String {
    let retained = outcome.retained.iter().take(NAMED).map(ToString::to_string);
    let yielded = outcome.yielded.iter().take(NAMED).map(ToString::to_string);
    retained.chain(yielded).collect::<Vec<_>>().join("; ")
}

/// Says that the healthy objects are not those of the desired revision; empty if they are.
pub(super) fn behind(
    before: Option<Revision>,
    is_applied: bool,
    revision: Option<Revision>,
    progress: &Progress,
) -> String {
    let (Some(revision), Progress::Waiting { reason, .. } | Progress::Failed { reason, .. }) = (revision, progress)
    else {
        return String::new();
    };
    if is_applied {
        return String::new();
    }
    let last = match before.filter(|before| *before != revision) {
        Some(before) => format!("; revision {before} is the last one applied in full"),
        None => String::new(),
    };
    format!("the objects in the cluster are healthy, but revision {revision} is not applied ({reason}){last}")
}

fn yielded(outcome: &StackOutcome) -> String {
    outcome.yielded.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use brokkr_reconcile::Reason;

    use super::*;

    #[test]
    fn available_says_that_a_revision_is_not_applied() {
        let revision = Revision::new;
        let failed = Progress::Failed { reason: Reason::Immutable, message: String::new(), objects: Vec::new() };
        let of = |before: Option<u64>, is_applied| behind(before.map(revision), is_applied, Some(revision(2)), &failed);
        let healthy = "the objects in the cluster are healthy, but revision 2 is not applied (Immutable)";
        assert_eq!(of(Some(1), false), format!("{healthy}; revision 1 is the last one applied in full"));
        assert_eq!((of(Some(2), false).as_str(), of(None, false).as_str()), (healthy, healthy));
        assert_eq!(of(Some(1), true), "", "it only waits for the pruning of old objects");
        assert_eq!(behind(None, false, Some(revision(2)), &Progress::Done), "");
    }
}
