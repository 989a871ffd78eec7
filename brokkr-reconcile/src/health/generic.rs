//! Rules for objects of every kind, and for kinds without their own rules.

use serde_json::Value;

use crate::cluster::meta;
use crate::health::ObjectHealth;
use crate::health::status::Status;

/// Rules that precede the kind's own: a status of an earlier generation does not count, and the conditions `Reconciling`
/// and `Stalled` have the same meaning for every kind.
pub(crate) fn ahead_of_kind(status: &Status<'_>) -> Option<ObjectHealth> {
    if let (Some(generation), Some(observed)) = (status.generation(), status.number("/status/observedGeneration"))
        && observed < generation
    {
        let message = format!("its controller has observed generation {observed} of {generation}");
        return Some(ObjectHealth::progressing("NotObserved", message));
    }
    if let Some(stalled) = status.holds("Stalled") {
        return Some(ObjectHealth::degraded(stalled.reason_or("Stalled"), stalled.message()));
    }
    let reconciling = status.holds("Reconciling")?;
    Some(ObjectHealth::progressing(reconciling.reason_or("Reconciling"), reconciling.message()))
}

/// Judges an object of a kind without its own rules: healthy unless its status says otherwise.
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
        let message = format!("its condition Ready is of generation {observed}, not {generation}");
        return ObjectHealth::progressing("NotObserved", message);
    }
    if ready.is_true() {
        ObjectHealth::healthy()
    } else {
        ObjectHealth::progressing(ready.reason_or("NotReady"), ready.message())
    }
}

/// Conditions that report a failure of an object without `Ready`.
const BAD: [&str; 3] = ["Failed", "Degraded", "Error"];
/// Conditions that report success of an object without `Ready`: those of the Gateway API, of Crossplane, and of kinds
/// that follow the Deployment.
const GOOD: [&str; 6] = ["Available", "Healthy", "Synced", "Accepted", "Programmed", "Established"];
/// Phases that mean failure for every kind.
const FAILED_PHASES: [&str; 5] = ["Failed", "Failure", "Error", "Errored", "Degraded"];

/// Judges an object without `Ready` by its other conditions and its phase.
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

/// Conditions in which a Namespace or a definition reports why its deletion is not complete.
const DELETION: [&str; 6] = [
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
    "Terminating",
];

/// Judges an object that is being deleted, with the reason why it still exists if known.
pub(crate) fn deleting(status: &Status<'_>, object: &Value) -> ObjectHealth {
    let condition = DELETION.iter().find_map(|kind| status.holds(kind)).map(|it| it.message()).unwrap_or_default();
    let finalizers: Vec<&str> = meta::finalizers(object).collect();
    let message = match (condition, finalizers.as_slice()) {
        ("", []) => "it is being deleted".to_owned(),
        ("", finalizers) => format!("it is being deleted, blocked by the finalizers {}", finalizers.join(", ")),
        (condition, _) => format!("it is being deleted: {condition}"),
    };
    ObjectHealth::progressing("Terminating", message)
}
