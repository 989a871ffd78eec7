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
        return of_autoscaler(status, unable.reason_or("NotAbleToScale"), unable.message());
    }
    match status.fails("ScalingActive") {
        // A user scaled its target to zero.
        Some(inactive) if inactive.reason() == "ScalingDisabled" => ObjectHealth::suspended(inactive.message()),
        Some(inactive) => of_autoscaler(status, inactive.reason_or("ScalingInactive"), inactive.message()),
        None => ObjectHealth::healthy(),
    }
}

/// Rewords the nested errors of an autoscaler that cannot scale.
fn of_autoscaler(status: &Status<'_>, reason: &str, message: &str) -> ObjectHealth {
    let verdict = |message: String| ObjectHealth::degraded(reason, message);
    let is_missing = message.ends_with(" not found");
    if reason == "FailedGetScale" && is_missing {
        let text = |field: &str| status.text(&format!("/spec/scaleTargetRef/{field}"));
        let (kind, name, namespace) = (text("kind"), text("name"), status.text("/metadata/namespace"));
        return verdict(format!("its target {kind} {namespace}/{name} does not exist"))
            .with_fix("correct scaleTargetRef, or create it");
    }
    let is_unserved = message.contains("could not find the requested resource");
    for (api, remedy) in [
        ("custom.metrics.k8s.io", "install an adapter that serves custom metrics"),
        ("external.metrics.k8s.io", "install an adapter that serves external metrics"),
        ("metrics.k8s.io", "install metrics-server"),
    ] {
        if is_unserved && message.contains(api) {
            return verdict(format!("the cluster does not serve {api}")).with_fix(remedy);
        }
    }
    verdict(message.to_owned())
}

/// Returns how to correct a name that another definition uses; `None` for another reason.
fn name_conflict(reason: &str) -> Option<String> {
    let fields = match reason {
        "KindConflict" | "ListKindConflict" => "spec.names.kind and listKind",
        "PluralConflict" => "spec.names.plural",
        "SingularConflict" => "spec.names.singular",
        "ShortNamesConflict" => "spec.names.shortNames",
        _ => return None,
    };
    Some(format!("change {fields}, or remove the CustomResourceDefinition of this group that uses the name"))
}

pub(crate) fn definition(status: &Status<'_>) -> ObjectHealth {
    if let Some(refused) = status.fails("NamesAccepted") {
        let verdict = ObjectHealth::degraded(refused.reason_or("NamesNotAccepted"), refused.message());
        return match name_conflict(refused.reason()) {
            Some(remedy) => verdict.with_fix(&remedy),
            None => verdict,
        };
    }
    match status.condition("Established") {
        Some(established) if established.is_true() => ObjectHealth::healthy(),
        // Any other reason does not resolve by itself.
        Some(established) if !matches!(established.reason(), "" | "Installing" | "NotAccepted") => {
            let verdict = ObjectHealth::degraded(established.reason(), established.message());
            match established.reason() {
                "InvalidCABundle" => verdict.with_fix("correct spec.conversion.webhook.clientConfig.caBundle"),
                _ => verdict,
            }
        }
        _ => ObjectHealth::progressing("Installing", "the API server does not serve it yet"),
    }
}

pub(crate) fn api_service(status: &Status<'_>) -> ObjectHealth {
    match status.condition("Available") {
        Some(available) if available.is_true() => ObjectHealth::healthy(),
        Some(available) => {
            let verdict = ObjectHealth::progressing(available.reason_or("NotAvailable"), available.message());
            let service = format!("{}/{}", status.text("/spec/service/namespace"), status.text("/spec/service/name"));
            match available.reason() {
                "ServiceNotFound" => {
                    verdict.with_fix(&format!("create the Service {service}, or remove the APIService"))
                }
                "MissingEndpoints" | "EndpointsNotFound" | "FailedDiscoveryCheck" => verdict
                    .with_fix(&format!("restore the pods behind the Service {service}, or remove the APIService")),
                _ => verdict,
            }
        }
        None => {
            ObjectHealth::progressing("NotObserved", "the API server has not checked the aggregated API server yet")
        }
    }
}
