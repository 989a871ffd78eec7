//! Health that depends on other objects: the class of a volume claim, the service of a webhook, the pods of a workload.

use std::collections::HashMap;
use std::sync::Arc;

use brokkr_core::model::{Health, ObjectRef};
use serde_json::Value;

use crate::cluster::{ClusterError, ListOptions};
use crate::context::PassContext;
use crate::health;
use crate::health::{ObjectHealth, UNBOUND, UNBOUND_CLAIMS};

/// Maximum number of workloads per stack whose pods a pass reads.
const WORKLOADS: usize = 10;
/// Maximum number of pods per workload.
const PODS: u32 = 50;

/// Maximum number of volume claims of one pod that a pass reads.
const CLAIMS: usize = 3;

/// Whether an object creates pods that its selector matches.
fn is_workload(object: &ObjectRef) -> bool {
    matches!(
        (object.group.as_str(), object.kind.as_str()),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job")
    )
}

/// Why a volume claim cannot get a volume.
struct Unbound {
    reason: &'static str,
    why: String,
    /// What gives it a volume.
    provide: &'static str,
}

/// The state of a referenced object.
enum Referred {
    There(Value),
    Missing,
    /// The object cannot be read, so nothing is reported about it.
    Unseen,
}

impl PassContext<'_> {
    /// Completes the health of objects that depends on other objects.
    pub(crate) async fn judge_by_others(&self, health: &mut HashMap<Arc<ObjectRef>, ObjectHealth>) {
        for (object, health) in health.iter_mut() {
            match (object.group.as_str(), object.kind.as_str()) {
                ("", "PersistentVolumeClaim") if health.reason == UNBOUND => {
                    if let Some(verdict) = self.unbound_volume_claim(object).await {
                        *health = verdict;
                    }
                }
                ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration")
                    if health.health == Health::Healthy =>
                {
                    if let Some(verdict) = self.webhook_without_backend(object).await {
                        *health = verdict;
                    }
                }
                _ => {}
            }
        }
        let is_short = |(object, health): &(&Arc<ObjectRef>, &mut ObjectHealth)| {
            is_workload(object) && health.health != Health::Healthy && health.reason != "NotObserved"
        };
        for (object, health) in health.iter_mut().filter(is_short).take(WORKLOADS) {
            if let Some(cause) = self.cause_in_pods(object).await {
                // A Job replaces failed pods, up to its backoffLimit.
                if cause.health == Health::Degraded && object.group == "apps" {
                    health.health = Health::Degraded;
                }
                let detail = if cause.message.is_empty() { String::new() } else { format!(" ({})", cause.message) };
                health.message = format!("{}; its pods: {}{detail}", health.message, cause.reason);
            }
        }
    }

    /// Returns the worst problem in the pods of a workload, without the pod's name, which changes with each replacement.
    async fn cause_in_pods(&self, workload: &ObjectRef) -> Option<ObjectHealth> {
        let namespace = workload.namespace.as_deref();
        let found = self.referred(&workload.group, &workload.kind, namespace, &workload.name).await;
        let Referred::There(workload) = found else { return None };
        let labels = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object)?;
        let pairs = labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
        let label_selector = pairs.collect::<Vec<_>>().join(",");
        if label_selector.is_empty() {
            return None;
        }
        let options = ListOptions { label_selector, limit: Some(PODS), ..ListOptions::default() };
        let pods = self.cluster.list(self.discovery.preferred("", "Pod")?, namespace, &options).await.ok()?;
        let verdicts = pods.items.iter().map(|pod| (pod, health::assess("", "Pod", pod)));
        let telling = verdicts.filter(|(_, it)| !matches!(it.reason.as_str(), "" | "NotReady" | "Terminating"));
        // Worst first, then by reason, then the oldest pod, so that the message is stable.
        let (pod, verdict) = telling.min_by_key(|(pod, it)| {
            let age = (text(pod, "/metadata/creationTimestamp"), text(pod, "/metadata/name"));
            (it.health != Health::Degraded, it.reason.clone(), age)
        })?;
        if verdict.message.contains(UNBOUND_CLAIMS)
            && let Some(message) = self.unbound_claims_of(pod).await
        {
            return Some(ObjectHealth { message, ..verdict });
        }
        Some(verdict)
    }

    /// Returns why a pod's volume claims have no volume.
    async fn unbound_claims_of(&self, pod: &Value) -> Option<String> {
        let namespace = text(pod, "/metadata/namespace");
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
        let names = volumes.map(|it| text(it, "/persistentVolumeClaim/claimName")).filter(|it| !it.is_empty());
        for name in names.take(CLAIMS) {
            let found = self.referred("", "PersistentVolumeClaim", Some(namespace), name).await;
            let claim = format!("PersistentVolumeClaim {namespace}/{name}");
            match found {
                Referred::Missing => return Some(format!("its {claim} does not exist")),
                Referred::There(found) if text(&found, "/status/phase") != "Bound" => {
                    return Some(match self.unbound(&found).await {
                        Some(Unbound { why, provide, .. }) => {
                            format!("its {claim} has no volume: {why}. Fix: {provide}.")
                        }
                        None => format!("its {claim} has no volume yet"),
                    });
                }
                Referred::There(_) | Referred::Unseen => {}
            }
        }
        None
    }

    /// Returns why a volume claim cannot get a volume; `None` if it may, or if nothing is known about its class.
    async fn unbound(&self, claim: &Value) -> Option<Unbound> {
        let class = text(claim, "/spec/storageClassName");
        if class.is_empty() {
            let why = match claim.pointer("/spec/storageClassName") {
                Some(_) => "its storageClassName is empty, so no volume is provisioned",
                None => "it names no StorageClass, and the cluster has no default one",
            };
            return Some(Unbound {
                reason: UNBOUND,
                why: why.to_owned(),
                provide: "create a PersistentVolume that matches it",
            });
        }
        if !text(claim, "/spec/volumeName").is_empty() {
            return None;
        }
        let found = self.referred("storage.k8s.io", "StorageClass", None, class).await;
        let why = format!("the StorageClass \"{class}\" does not exist");
        matches!(found, Referred::Missing).then_some(Unbound {
            reason: "ClassMissing",
            why,
            provide: "create the StorageClass",
        })
    }

    /// Judges an unbound volume claim. It is healthy if it waits for its first consumer, and blocked if its class does
    /// not exist. Returns `None` if the claim's own status decides.
    async fn unbound_volume_claim(&self, claim: &ObjectRef) -> Option<ObjectHealth> {
        let Referred::There(claim) =
            self.referred("", "PersistentVolumeClaim", claim.namespace.as_deref(), &claim.name).await
        else {
            return Some(ObjectHealth::healthy());
        };
        if let Some(Unbound { reason, why, provide }) = self.unbound(&claim).await {
            let remedy = format!(
                "{provide}, or publish the claim with another StorageClass and delete it in the cluster, which loses \
                 nothing; the agent creates it again"
            );
            let message = format!("it has no volume: {why}");
            return Some(match reason {
                UNBOUND => ObjectHealth::progressing(reason, message).with_fix(&remedy),
                reason => ObjectHealth::degraded(reason, message).with_fix(&remedy),
            });
        }
        let class = text(&claim, "/spec/storageClassName");
        match self.referred("storage.k8s.io", "StorageClass", None, class).await {
            Referred::There(found) if text(&found, "/volumeBindingMode") == "WaitForFirstConsumer" => {
                Some(ObjectHealth::healthy())
            }
            Referred::There(_) | Referred::Missing => None,
            Referred::Unseen => Some(ObjectHealth::healthy()),
        }
    }

    /// Reports a webhook without a ready backend: all requests that it must admit fail.
    async fn webhook_without_backend(&self, configuration: &ObjectRef) -> Option<ObjectHealth> {
        let found = self.referred(&configuration.group, &configuration.kind, None, &configuration.name).await;
        let Referred::There(configuration) = found else { return None };
        for webhook in configuration.pointer("/webhooks").and_then(Value::as_array).into_iter().flatten() {
            let (namespace, service) =
                (text(webhook, "/clientConfig/service/namespace"), text(webhook, "/clientConfig/service/name"));
            if service.is_empty() || text(webhook, "/failurePolicy") == "Ignore" {
                continue;
            }
            let name = text(webhook, "/name");
            match self.referred("", "Service", Some(namespace), service).await {
                Referred::Missing => {
                    return Some(ObjectHealth::progressing(
                        "NoBackend",
                        format!(
                            "the Service {namespace}/{service} of the webhook {name} does not exist, so all requests that the webhook must admit fail"
                        ),
                    ));
                }
                Referred::There(_) if self.has_no_ready_endpoint(namespace, service).await => {
                    return Some(ObjectHealth::progressing(
                        "NoBackend",
                        format!(
                            "the Service {namespace}/{service} of the webhook {name} has no ready endpoint, so all requests that the webhook must admit fail"
                        ),
                    ));
                }
                Referred::There(_) | Referred::Unseen => {}
            }
        }
        None
    }

    /// Whether the endpoints of a Service can be read and none of them is ready.
    async fn has_no_ready_endpoint(&self, namespace: &str, service: &str) -> bool {
        let Some(kind) = self.discovery.preferred("discovery.k8s.io", "EndpointSlice") else { return false };
        let label_selector = format!("kubernetes.io/service-name={service}");
        let options = ListOptions { label_selector, ..ListOptions::default() };
        let Ok(slices) = self.cluster.list(kind, Some(namespace), &options).await else { return false };
        // The API defines an absent value as ready.
        let is_ready = |endpoint: &Value| endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false));
        let endpoints = |slice: &Value| {
            let list = slice.get("endpoints").and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(is_ready))
        };
        !slices.items.iter().any(endpoints)
    }

    async fn referred(&self, group: &str, kind: &str, namespace: Option<&str>, name: &str) -> Referred {
        let Some(kind) = self.discovery.preferred(group, kind) else { return Referred::Unseen };
        match self.cluster.get(&kind.at(namespace, name)).await {
            Ok(Some(object)) => Referred::There(object),
            Ok(None) | Err(ClusterError::NotFound(_)) => Referred::Missing,
            Err(_) => Referred::Unseen,
        }
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
