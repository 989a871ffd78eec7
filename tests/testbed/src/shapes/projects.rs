//! Projects with two releases, and files with an unusual order or unusual kinds.

use super::{Names, Release};

/// A server with its database, 11 objects in each of two releases.
///
/// Represents the upgrade of a server: a Job of the same name with another template, a StatefulSet whose
/// `podManagementPolicy` and a Service whose `clusterIP` cannot change, a renamed Deployment, a HorizontalPodAutoscaler and a
/// CronJob in newer versions or with dropped fields, a definition that gains a version, dropped and added keys, an immutable ConfigMap.
pub fn release(at: &Names, release: Release) -> String {
    at.fill(release.pick(include_str!("release-1.yaml"), include_str!("release-2.yaml")))
}

/// A project that moves its kinds to another API group, 6 objects in each of two releases.
///
/// Represents certificate and gateway projects that moved to their own group: definitions, custom resources and the rules about
/// them change, names stay the same; an Event moves from the core group to `events.k8s.io` and stays the same object.
pub fn new_group(at: &Names, release: Release) -> String {
    let text = include_str!("new-group.yaml");
    let event = release.pick(include_str!("event-core.yaml"), include_str!("event-events.yaml"));
    at.fill(&format!("{text}---\n{event}").replace("__own__", release.pick("alpha.__group__", "__group__")))
}

/// 9 objects, each before the objects that it needs.
///
/// Represents files that are sorted by kind or by name: custom resource before definition, binding before role, workload before
/// account and configuration, Namespace last.
pub fn wrong_order(at: &Names) -> String {
    at.fill(include_str!("wrong-order.yaml"))
}

/// An aggregated API with its server: APIService, Service, Deployment and the roles that such servers need.
///
/// Represents metrics servers and adapters. No server answers behind the service here, so discovery of the cluster is incomplete
/// while the APIService exists. Not part of [`all`](super::all).
pub fn api_service(at: &Names) -> String {
    at.fill(include_str!("api-service.yaml"))
}
