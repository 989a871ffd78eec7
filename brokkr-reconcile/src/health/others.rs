//! Other built-in kinds with a status.

use crate::health::ObjectHealth;
use crate::health::status::Status;

pub(crate) fn volume_claim(status: &Status<'_>) -> ObjectHealth {
    match status.text("/status/phase") {
        "Bound" => ObjectHealth::healthy(),
        "Lost" => ObjectHealth::degraded("Lost", "its volume is gone"),
        _ => ObjectHealth::progressing(crate::health::UNBOUND, "it is not bound to a volume yet"),
    }
}

pub(crate) fn volume(status: &Status<'_>) -> ObjectHealth {
    match status.text("/status/phase") {
        "Failed" => ObjectHealth::degraded("Failed", status.text("/status/message")),
        "Pending" => ObjectHealth::progressing("Pending", "it is not available yet"),
        _ => ObjectHealth::healthy(),
    }
}

/// As in kstatus, only the address inside the cluster counts: external addresses depend on the cluster's load balancer.
pub(crate) fn service(status: &Status<'_>) -> ObjectHealth {
    if status.text("/spec/type") == "LoadBalancer" && status.text("/spec/clusterIP").is_empty() {
        return ObjectHealth::progressing("NoAddress", "it has no address in the cluster yet");
    }
    ObjectHealth::healthy()
}

pub(crate) fn autoscaler(status: &Status<'_>) -> ObjectHealth {
    if let Some(unable) = status.fails("AbleToScale") {
        return ObjectHealth::degraded(unable.reason_or("NotAbleToScale"), unable.message());
    }
    match status.fails("ScalingActive") {
        // A user scaled its target to zero.
        Some(inactive) if inactive.reason() == "ScalingDisabled" => ObjectHealth::suspended(inactive.message()),
        Some(inactive) => ObjectHealth::degraded(inactive.reason_or("ScalingInactive"), inactive.message()),
        None => ObjectHealth::healthy(),
    }
}

pub(crate) fn definition(status: &Status<'_>) -> ObjectHealth {
    if let Some(refused) = status.fails("NamesAccepted") {
        return ObjectHealth::degraded(refused.reason_or("NamesNotAccepted"), refused.message());
    }
    match status.condition("Established") {
        Some(established) if established.is_true() => ObjectHealth::healthy(),
        // Any other reason does not resolve by itself.
        Some(established) if !matches!(established.reason(), "" | "Installing" | "NotAccepted") => {
            ObjectHealth::degraded(established.reason(), established.message())
        }
        _ => ObjectHealth::progressing("Installing", "the API server does not serve it yet"),
    }
}

pub(crate) fn api_service(status: &Status<'_>) -> ObjectHealth {
    match status.condition("Available") {
        Some(available) if available.is_true() => ObjectHealth::healthy(),
        Some(available) => ObjectHealth::progressing(available.reason_or("NotAvailable"), available.message()),
        None => {
            ObjectHealth::progressing("NotObserved", "the API server has not checked the aggregated API server yet")
        }
    }
}
