//! The health of objects, derived from their status.
//!
//! The rules follow kstatus (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>), with three
//! differences: a Job is ready when it is complete, not when it has started; a suspended object has a state of its own;
//! and a HorizontalPodAutoscaler that cannot scale has failed.
//!
//! The rules are pure: they depend only on the object itself.

mod generic;
mod jobs;
mod others;
mod pods;
mod status;
mod workloads;

#[cfg(test)]
mod controllers;
#[cfg(test)]
mod tests;

use brokkr_core::model::Health;
use serde_json::Value;

use crate::cluster::meta;
use crate::remedy::{fix, of_denial};
use crate::wording::tidy;
pub(crate) use jobs::{JOB_FAILED, JobEnd};
pub(crate) use pods::UNBOUND_CLAIMS;
use status::Status;

/// Reason of an unbound volume claim.
pub(crate) const UNBOUND: &str = "NotBound";
/// Reason of an object that the agent does not create.
pub(crate) const NOT_CREATED: &str = "NotCreated";
/// Reason of an object that exists and does not belong to the stack.
pub(crate) const NOT_OF_THIS_STACK: &str = "NotOfThisStack";

/// The health of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHealth {
    /// The overall state.
    pub health: Health,
    /// Reason in CamelCase; empty for a healthy object.
    pub reason: String,
    /// Message in one sentence; empty for a healthy object. Controllers write it, and may quote the object.
    pub message: String,
}

impl ObjectHealth {
    fn new(health: Health, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { health, reason: reason.into(), message: message.into() }
    }

    pub(crate) fn healthy() -> Self {
        Self::new(Health::Healthy, "", "")
    }

    pub(crate) fn progressing(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Health::Progressing, reason, message)
    }

    /// The object does not exist yet.
    pub(crate) fn coming() -> Self {
        Self::progressing("Missing", "it is not created yet")
    }

    /// The object does not exist: another client deleted it, and the agent does not restore it.
    pub(crate) fn deleted_by_others() -> Self {
        Self::degraded("Missing", "another client deleted it")
    }

    /// The object does not exist, and a problem keeps the agent from creating it.
    pub(crate) fn not_created(why: &str) -> Self {
        Self::degraded(NOT_CREATED, format!("{why}: see the condition Applied"))
    }

    /// The object in the cluster does not belong to the stack.
    pub(crate) fn foreign(why: &str) -> Self {
        Self::degraded(NOT_OF_THIS_STACK, format!("{why}: see the condition Applied"))
    }

    pub(crate) fn degraded(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Health::Degraded, reason, message)
    }

    /// Pods that admission rejects, with the controller's message and a remedy if one is known.
    fn refused_pods(reason: &str, message: &str, namespace: &str) -> Self {
        let tidied = tidy(message);
        match of_denial(message, Some(namespace).filter(|it| !it.is_empty())) {
            Some(remedy) => Self::degraded(reason, tidied).with_fix(&remedy),
            None => Self::degraded(reason, tidied),
        }
    }

    /// Appends how to fix it to the message.
    pub(crate) fn with_fix(self, remedy: &str) -> Self {
        let message = format!("{}{}", self.message, fix(&self.message, remedy));
        Self { message: message.trim_start().to_owned(), ..self }
    }

    fn suspended(message: impl Into<String>) -> Self {
        Self::new(Health::Suspended, "Suspended", message)
    }
}

/// Judges the health of an object by its status, as the server sent it. Group and kind are parameters, because list items
/// lack them.
///
/// An object of a kind without status is healthy as soon as it exists.
///
/// ```
/// use brokkr_core::model::Health;
/// use brokkr_reconcile::health;
/// use serde_json::json;
///
/// let pod = json!({"status": {"phase": "Pending"}});
/// assert_eq!(health::assess("", "Pod", &pod).health, Health::Progressing);
/// assert_eq!(health::assess("", "ConfigMap", &json!({})).health, Health::Healthy);
/// ```
pub fn assess(group: &str, kind: &str, object: &Value) -> ObjectHealth {
    let status = Status::of(object);
    if meta::is_deleting(object) {
        return generic::deleting(&status, object);
    }
    if let Some(verdict) = generic::ahead_of_kind(&status) {
        return verdict;
    }
    match (group, kind) {
        ("apps", "Deployment") => workloads::deployment(&status),
        ("apps", "StatefulSet") => workloads::stateful_set(&status),
        ("apps", "DaemonSet") => workloads::daemon_set(&status),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workloads::replica_set(&status),
        ("", "Pod") => pods::pod(&status),
        ("batch", "Job") => jobs::job(&status),
        ("batch", "CronJob") => jobs::cron_job(&status),
        ("", "PersistentVolumeClaim") => others::volume_claim(&status),
        ("", "PersistentVolume") => others::volume(&status),
        ("", "Service") => others::service(&status),
        ("autoscaling", "HorizontalPodAutoscaler") => others::autoscaler(&status),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => others::definition(&status),
        ("apiregistration.k8s.io", "APIService") => others::api_service(&status),
        (group, _) if crate::order::is_built_in(group) => ObjectHealth::healthy(),
        _ => generic::custom_resource(&status),
    }
}

/// Like [`assess`], for an object whose metadata may be all that was read.
pub(crate) fn of(group: &str, kind: &str, object: &Value) -> ObjectHealth {
    if has_health(group, kind) || meta::is_deleting(object) {
        assess(group, kind, object)
    } else {
        ObjectHealth::healthy()
    }
}

/// Whether objects of a kind have a status that determines their health. For other kinds only existence counts, so that
/// their content need not be read.
pub(crate) fn has_health(group: &str, kind: &str) -> bool {
    match (group, kind) {
        ("apps", "ControllerRevision") => false,
        ("apps" | "batch" | "apiregistration.k8s.io" | "apiextensions.k8s.io", _) => true,
        ("", "Pod" | "ReplicationController" | "PersistentVolumeClaim" | "PersistentVolume" | "Service") => true,
        ("autoscaling", "HorizontalPodAutoscaler") => true,
        (group, _) => !crate::order::is_built_in(group),
    }
}

/// Returns the result of a Job; `None` while it may still run.
pub(crate) fn job_end(object: &Value) -> Option<JobEnd> {
    jobs::job_end(&Status::of(object))
}

/// Returns the health of a Job whose object is gone.
pub(crate) fn ended_job(end: &JobEnd) -> ObjectHealth {
    jobs::ended_job(end)
}

/// Returns the worst state; healthy if there is none.
pub(crate) fn worst(verdicts: impl Iterator<Item = Health>) -> Health {
    let rank = |health: &Health| match health {
        Health::Healthy => 0,
        Health::Suspended => 1,
        Health::Unknown => 2,
        Health::Progressing => 3,
        Health::Degraded => 4,
    };
    verdicts.max_by_key(rank).unwrap_or(Health::Healthy)
}
