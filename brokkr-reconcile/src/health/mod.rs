//! How objects fare, read from their status.
//!
//! The rules are those of kstatus (<https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus>), with three
//! differences that the tests name: a Job is ready when it is complete and not when it has begun, what was suspended on purpose is a
//! state of its own, and a HorizontalPodAutoscaler that cannot scale has failed.
//!
//! They read one object and nothing else, so they are pure, and the same over every cluster.

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
pub(crate) use jobs::JobEnd;
use status::Status;

/// The reason of a volume claim that is not bound yet.
pub(crate) const UNBOUND: &str = "NotBound";

/// How one object fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHealth {
    /// The verdict.
    pub health: Health,
    /// One word in CamelCase; empty when all is well.
    pub reason: String,
    /// One sentence; empty when all is well. Controllers write it, and may quote what they were given.
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

    /// It is not there, and is about to come.
    pub(crate) fn coming() -> Self {
        Self::progressing("Missing", "it is not created yet")
    }

    /// It is not there, and stays so.
    pub(crate) fn missing(why: &str) -> Self {
        Self::degraded("Missing", format!("it is not created: {why}"))
    }

    /// What is there is somebody else's.
    pub(crate) fn foreign(why: &str) -> Self {
        Self::degraded("NotOfThisStack", format!("the object in the cluster is not of this stack: {why}"))
    }

    pub(crate) fn degraded(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Health::Degraded, reason, message)
    }

    /// Pods that are refused, in a controller's words, with what to do about it where they tell.
    fn refused_pods(reason: &str, message: &str) -> Self {
        let remedy = of_denial(message).map(|remedy| fix(message, &remedy)).unwrap_or_default();
        Self::degraded(reason, format!("{message}{remedy}"))
    }

    fn suspended(message: impl Into<String>) -> Self {
        Self::new(Health::Suspended, "Suspended", message)
    }
}

/// How an object of a kind fares, judged by its status as the server sent it. The kind is named because items of lists do not
/// name theirs.
///
/// An object of a kind without status is healthy as soon as it exists.
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

/// The same for an object of which perhaps only the metadata was read.
pub(crate) fn of(group: &str, kind: &str, object: &Value) -> ObjectHealth {
    if has_health(group, kind) || meta::is_deleting(object) {
        assess(group, kind, object)
    } else {
        ObjectHealth::healthy()
    }
}

/// Whether objects of a kind have a status to be judged by. Of all others nothing but their existence matters, and their
/// content need not be read.
pub(crate) fn has_health(group: &str, kind: &str) -> bool {
    match (group, kind) {
        ("apps", "ControllerRevision") => false,
        ("apps" | "batch" | "apiregistration.k8s.io" | "apiextensions.k8s.io", _) => true,
        ("", "Pod" | "ReplicationController" | "PersistentVolumeClaim" | "PersistentVolume" | "Service") => true,
        ("autoscaling", "HorizontalPodAutoscaler") => true,
        (group, _) => !crate::order::is_built_in(group),
    }
}

/// How a Job ended; `None` while it may still run.
pub(crate) fn job_end(object: &Value) -> Option<JobEnd> {
    jobs::job_end(&Status::of(object))
}

/// How a Job counts whose object is gone.
pub(crate) fn ended_job(end: &JobEnd) -> ObjectHealth {
    jobs::ended_job(end)
}

/// The worst of several verdicts; nothing at all is healthy.
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
