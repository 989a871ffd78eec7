//! What holds for objects of every kind, and for those without rules of their own.

use serde_json::Value;

use crate::cluster::meta;
use crate::health::ObjectHealth;
use crate::health::status::Status;

/// What decides before a kind's own rules do: a status that speaks of an earlier spec says nothing about this one, and
/// the conditions `Reconciling` and `Stalled` mean the same everywhere.
pub(crate) fn ahead_of_kind(status: &Status<'_>) -> Option<ObjectHealth> {
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
pub(crate) fn custom_resource(status: &Status<'_>) -> ObjectHealth {
    if status.is_set("/spec/suspend") || status.holds("Suspended").is_some() {
        return ObjectHealth::suspended("it is suspended");
    }
    if status.is_set("/spec/paused") || status.holds("Paused").is_some() {
        return ObjectHealth::suspended("it is paused");
    }
    let Some(ready) = status.condition("Ready") else {
        return without_ready(status);
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

/// Conditions that say of an object without `Ready` that something is wrong.
const BAD: [&str; 3] = ["Failed", "Degraded", "Error"];
/// Conditions that say of an object without `Ready` that it works, or will: those of the Gateway API, of Crossplane, and of what
/// describes itself as a Deployment does.
const GOOD: [&str; 6] = ["Available", "Healthy", "Synced", "Accepted", "Programmed", "Established"];
/// Phases that mean failure in whatever kind they occur.
const FAILED_PHASES: [&str; 5] = ["Failed", "Failure", "Error", "Errored", "Degraded"];

/// An object that does not say whether it is ready, but perhaps something else that is clear.
fn without_ready(status: &Status<'_>) -> ObjectHealth {
    if let Some((name, bad)) = BAD.iter().find_map(|name| Some((*name, status.holds(name)?))) {
        return ObjectHealth::degraded(bad.reason_or(name), bad.message());
    }
    if let Some((name, missing)) = GOOD.iter().find_map(|name| Some((*name, status.fails(name)?))) {
        let reason = missing.reason_or(&format!("Not{name}")).to_owned();
        return ObjectHealth::progressing(reason, missing.message());
    }
    for pointer in ["/status/phase", "/status/state"] {
        let phase = status.text(pointer);
        if FAILED_PHASES.contains(&phase) {
            return ObjectHealth::degraded(phase, status.text("/status/message"));
        }
    }
    ObjectHealth::healthy()
}

/// Conditions by which a Namespace or a definition says what its deletion waits for.
const DELETION: [&str; 6] = [
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
    "Terminating",
];

/// An object that is being deleted: what holds it, as far as it says.
pub(crate) fn deleting(status: &Status<'_>, object: &Value) -> ObjectHealth {
    let said = DELETION.iter().find_map(|kind| status.holds(kind)).map(|it| it.message()).unwrap_or_default();
    let finalizers: Vec<&str> = meta::finalizers(object).collect();
    let message = match (said, finalizers.as_slice()) {
        ("", []) => "it is being deleted".to_owned(),
        ("", finalizers) => format!("it is being deleted, held by the finalizers {}", finalizers.join(", ")),
        (said, _) => format!("it is being deleted: {said}"),
    };
    ObjectHealth::progressing("Terminating", message)
}
