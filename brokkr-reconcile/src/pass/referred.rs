//! Health that depends on other objects: the class of a volume claim, the service of a webhook, the pods of a workload.

use std::collections::HashMap;
use std::sync::Arc;

use brokkr_core::model::{Health, ObjectRef};
use serde_json::Value;

use crate::cluster::{ClusterError, ListOptions};
use crate::context::PassContext;
use crate::health;
use crate::health::{JOB_FAILED, ObjectHealth, UNBOUND, UNBOUND_CLAIMS};
use crate::observed::job_ends::{JOB_REMEDY, is_job};

/// Maximum number of workloads per stack whose pods a pass reads.
const WORKLOADS: usize = 10;
/// Maximum number of pods per workload.
const PODS: u32 = 50;

/// Maximum number of volume claims of one pod that a pass reads.
const CLAIMS: usize = 3;

/// The other way to give the pods of a StatefulSet volumes: its claim templates cannot be changed.
const OTHER_SET: &str = ", or publish the StatefulSet under another name with another StorageClass";

/// Whether an object creates pods that its selector matches.
fn is_workload(object: &ObjectRef) -> bool {
    matches!(
        (object.group.as_str(), object.kind.as_str()),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("batch", "Job")
    )
}

/// Whether a volume claim can get a volume.
enum Provision {
    Possible,
    /// It waits for its first pod, or nothing is known about its class.
    NotExpected,
    Impossible {
        reason: &'static str,
        why: String,
        /// What gives it a volume.
        provide: String,
    },
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
            // The text about a deleted Job has its own remedy.
            if is_job(object) && health.health == Health::Degraded && health.reason != JOB_FAILED {
                *health = health.clone().with_fix(JOB_REMEDY);
            }
        }
    }

    /// Returns the worst problem in the pods of a workload. Only a command to read a log names the pod, because the name
    /// changes with each replacement.
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
                    return Some(match self.provision(&found).await {
                        Provision::Impossible { why, provide, .. } => {
                            let other = if is_of_stateful_set(pod) { OTHER_SET } else { "" };
                            format!("its {claim} has no volume: {why}. Fix: {provide}{other}.")
                        }
                        Provision::Possible | Provision::NotExpected => format!("its {claim} has no volume yet"),
                    });
                }
                Referred::There(_) | Referred::Unseen => {}
            }
        }
        None
    }

    /// Judges an unbound volume claim. It is healthy if it waits for its first consumer, and blocked if its class does
    /// not exist. Returns `None` if the claim's own status decides.
    async fn unbound_volume_claim(&self, claim: &ObjectRef) -> Option<ObjectHealth> {
        let Referred::There(claim) =
            self.referred("", "PersistentVolumeClaim", claim.namespace.as_deref(), &claim.name).await
        else {
            return Some(ObjectHealth::healthy());
        };
        let (reason, why, provide) = match self.provision(&claim).await {
            Provision::Possible => return None,
            Provision::NotExpected => return Some(ObjectHealth::healthy()),
            Provision::Impossible { reason, why, provide } => (reason, why, provide),
        };
        let message = format!("it has no volume: {why}");
        let health = match reason {
            UNBOUND => ObjectHealth::progressing(reason, message),
            reason => ObjectHealth::degraded(reason, message),
        };
        // A claim that names its volume may get back data.
        if !text(&claim, "/spec/volumeName").is_empty() {
            return Some(health.with_fix(&provide));
        }
        let class = if reason == UNBOUND { "a StorageClass" } else { "another StorageClass" };
        Some(health.with_fix(&format!(
            "{provide}, or publish the claim with {class} and delete it in the cluster, which loses nothing; the agent \
             creates it again"
        )))
    }

    /// Returns whether a volume claim can get a volume.
    async fn provision(&self, claim: &Value) -> Provision {
        let (class, volume) = (text(claim, "/spec/storageClassName"), text(claim, "/spec/volumeName"));
        if class.is_empty() {
            let (why, provide) = match claim.pointer("/spec/storageClassName") {
                _ if !volume.is_empty() => (
                    format!("it waits for the PersistentVolume \"{volume}\""),
                    "create this PersistentVolume, or make it match the claim",
                ),
                Some(_) => (
                    "its storageClassName is empty, so no volume is provisioned".to_owned(),
                    "create a PersistentVolume that matches it",
                ),
                None => (
                    "it names no StorageClass, and the cluster has no default one".to_owned(),
                    "create a PersistentVolume that matches it",
                ),
            };
            return Provision::Impossible { reason: UNBOUND, why, provide: provide.to_owned() };
        }
        match self.referred("storage.k8s.io", "StorageClass", None, class).await {
            Referred::There(found) if text(&found, "/volumeBindingMode") == "WaitForFirstConsumer" => {
                Provision::NotExpected
            }
            Referred::Missing if volume.is_empty() => Provision::Impossible {
                reason: "ClassMissing",
                why: format!("the StorageClass \"{class}\" does not exist"),
                provide: format!("create the StorageClass \"{class}\""),
            },
            Referred::There(_) | Referred::Missing => Provision::Possible,
            Referred::Unseen => Provision::NotExpected,
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
                    return Some(
                        ObjectHealth::progressing(
                            "NoBackend",
                            format!(
                                "the Service {namespace}/{service} of the webhook {name} does not exist, so all requests that the webhook must admit fail"
                            ),
                        )
                        .with_fix("create the Service, or remove the webhook"),
                    );
                }
                Referred::There(_) if self.has_no_ready_endpoint(namespace, service).await => {
                    return Some(
                        ObjectHealth::progressing(
                            "NoBackend",
                            format!(
                                "the Service {namespace}/{service} of the webhook {name} has no ready endpoint, so all requests that the webhook must admit fail"
                            ),
                        )
                        .with_fix("restore the pods behind the Service, or remove the webhook"),
                    );
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

fn is_of_stateful_set(pod: &Value) -> bool {
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|it| text(it, "/kind") == "StatefulSet")
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::{ApplyOptions, Cluster as _};
    use crate::samples::Fixture;

    fn object(api_version: &str, kind: &str, more: Value) -> Value {
        let mut object =
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "it", "namespace": "default"}});
        more.as_object().into_iter().flatten().for_each(|(key, value)| object[key] = value.clone());
        object
    }

    async fn assessed(fixture: &Fixture, group: &str, kind: &str, health: ObjectHealth) -> ObjectHealth {
        let (namespace, name) = (Some("default".to_owned()), "it".to_owned());
        let object = Arc::new(ObjectRef { group: group.to_owned(), kind: kind.to_owned(), namespace, name });
        let mut all = HashMap::from([(object.clone(), health)]);
        let observer = fixture.observer();
        fixture.context(&observer).judge_by_others(&mut all).await;
        all.remove(&object).expect("the object")
    }

    #[tokio::test]
    async fn unbound_claim_names_its_cause_and_fix() {
        let again = "and delete it in the cluster, which loses nothing; the agent creates it again.";
        for (spec, reason, expected) in [
            (
                json!({"storageClassName": "gone"}),
                "ClassMissing",
                format!(
                    "it has no volume: the StorageClass \"gone\" does not exist. Fix: create the StorageClass \"gone\", or publish the claim with another StorageClass {again}"
                ),
            ),
            (
                json!({"storageClassName": ""}),
                UNBOUND,
                format!(
                    "it has no volume: its storageClassName is empty, so no volume is provisioned. Fix: create a PersistentVolume that matches it, or publish the claim with a StorageClass {again}"
                ),
            ),
            (
                json!({"storageClassName": "", "volumeName": "mine"}),
                UNBOUND,
                "it has no volume: it waits for the PersistentVolume \"mine\". Fix: create this PersistentVolume, or make it match the claim.".to_owned(),
            ),
        ] {
            let fixture = Fixture::new().await;
            fixture.others_apply(&object("v1", "PersistentVolumeClaim", json!({"spec": spec}))).await;
            let health = ObjectHealth::progressing(UNBOUND, "it is not bound to a volume yet");
            let assessed = assessed(&fixture, "", "PersistentVolumeClaim", health).await;
            assert_eq!((assessed.reason.as_str(), assessed.message), (reason, expected));
        }
    }

    #[tokio::test]
    async fn unscheduled_pods_name_their_claim() {
        let fixture = Fixture::new().await;
        let labels = json!({"app": "it"});
        let set = json!({"spec": {"selector": {"matchLabels": labels}}});
        let set = fixture.others_apply(&object("apps/v1", "StatefulSet", set)).await;
        fixture
            .others_apply(&object("v1", "PersistentVolumeClaim", json!({"spec": {"storageClassName": "gone"}})))
            .await;
        let message = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
        let pod = json!({
            "metadata": {
                "name": "it",
                "namespace": "default",
                "labels": labels,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "it", "uid": set["metadata"]["uid"]}],
            },
            "spec": {"volumes": [{"persistentVolumeClaim": {"claimName": "it"}}]},
            "status": {"conditions": [condition]},
        });
        let kind = fixture.discovery.preferred("", "Pod").expect("pods");
        let options = ApplyOptions { field_manager: "another-client", force: true, dry_run: false };
        fixture
            .cluster
            .apply(&kind.at(Some("default"), "it"), &object("v1", "Pod", pod), &options)
            .await
            .expect("a pod");
        let health = ObjectHealth::progressing("NotReady", "0 of 1 replicas are ready");
        let assessed = assessed(&fixture, "apps", "StatefulSet", health).await;
        assert_eq!(
            assessed.message,
            "0 of 1 replicas are ready; its pods: Unschedulable (its PersistentVolumeClaim default/it has no volume: the \
             StorageClass \"gone\" does not exist. Fix: create the StorageClass \"gone\", or publish the StatefulSet under another \
             name with another StorageClass.)"
        );
    }

    #[tokio::test]
    async fn failed_job_says_how_to_run_it_again() {
        let fixture = Fixture::new().await;
        for (reason, expected) in [("BackoffLimitExceeded", true), (JOB_FAILED, false)] {
            let assessed = assessed(&fixture, "batch", "Job", ObjectHealth::degraded(reason, "it failed")).await;
            assert_eq!(assessed.message.ends_with(&format!("it failed. Fix: {JOB_REMEDY}.")), expected, "{assessed:?}");
        }
    }
}
