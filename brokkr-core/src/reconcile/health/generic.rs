//! What holds for objects of every kind, and for those that nobody knows more about.

use super::ObjectHealth;
use super::status::Status;

/// What decides before a kind's own rules do: a status that speaks of an earlier spec says nothing about this one, and
/// the conditions `Reconciling` and `Stalled` mean the same everywhere.
pub(super) fn ahead_of_kind(status: &Status<'_>) -> Option<ObjectHealth> {
    if let (Some(generation), Some(observed)) = (status.generation(), status.number("/status/observedGeneration"))
        && observed < generation
    {
        let message = format!("its controller has seen generation {observed} of {generation}");
        return Some(ObjectHealth::progressing("NotObserved", message));
    }
    if let Some(stalled) = status.holds("Stalled") {
        return Some(ObjectHealth::degraded(stalled.reason_or("Stalled"), stalled.message()));
    }
    let reconciling = status.holds("Reconciling")?;
    Some(ObjectHealth::progressing(reconciling.reason_or("Reconciling"), reconciling.message()))
}

/// An object of a kind without rules of its own: healthy unless it says that it is not ready.
pub(super) fn custom_resource(status: &Status<'_>) -> ObjectHealth {
    if status.is_set("/spec/suspend") || status.holds("Suspended").is_some() {
        return ObjectHealth::suspended("it is suspended");
    }
    let Some(ready) = status.condition("Ready") else {
        return ObjectHealth::healthy();
    };
    if let (Some(generation), Some(observed)) = (status.generation(), ready.observed_generation())
        && observed < generation
    {
        let message = format!("it was ready or not in generation {observed} of {generation}");
        return ObjectHealth::progressing("NotObserved", message);
    }
    if ready.is_true() {
        ObjectHealth::healthy()
    } else {
        ObjectHealth::progressing(ready.reason_or("NotReady"), ready.message())
    }
}
