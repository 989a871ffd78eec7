//! A cluster in memory, for demonstrations, simulations and tests.
//!
//! It behaves like an API server where a reconciler depends on it: server-side apply with field managers and conflicts,
//! UIDs, resource versions and generations, namespaces, custom resource definitions, finalizers, deletion of namespace
//! contents and dependents, watches, and RBAC for impersonated users. It has no schemas and no admission, and controllers only
//! after [`MemoryCluster::with_controllers`].

mod apply;
mod controllers;
mod fields;
mod impersonated;
mod kinds;
mod rights;
mod state;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use brokkr_core::model::LabelSelector;
use futures::stream::{BoxStream, StreamExt as _};
use impersonated::Impersonated;
use serde_json::Value;
use state::State;
use tokio::sync::watch;

use crate::cluster::{
    ApiKind, ApplyOptions, ApplyOutcome, Cluster, ClusterError, ClusterResult, DeleteOptions, Discovery,
    ImpersonatedUser, ListMeta, ListOptions, ObjectKey, ObjectList, Patch, WatchEvent, meta,
};

/// The operation of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// API discovery.
    Discover,
    /// Reads one object.
    Get,
    /// Lists objects.
    List,
    /// Server-side apply, including dry runs.
    Apply,
    /// Patches an object.
    Patch,
    /// Deletes an object.
    Delete,
    /// Watches objects.
    Watch,
}

/// A request, as passed to a [`Fault`].
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The operation.
    pub verb: Verb,
    /// The kind; empty for discovery.
    pub kind: &'a str,
    /// The object's name; empty for requests on several objects.
    pub name: &'a str,
    /// Number of earlier requests.
    pub number: u64,
}

/// Returns the error that a request fails with; `None` lets it pass.
pub type Fault = Box<dyn Fn(&Request<'_>) -> Option<ClusterError> + Send + Sync>;

/// A cluster in memory. Clones share the same objects.
#[derive(Clone)]
pub struct MemoryCluster(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    version: watch::Sender<u64>,
    fault: RwLock<Option<Fault>>,
    requests: AtomicU64,
    writes: AtomicU64,
}

impl MemoryCluster {
    /// Creates a cluster with the namespaces `default` and `kube-system`, without controllers: a Deployment gets no
    /// status.
    pub fn new() -> Self {
        Self::of(State::new())
    }

    /// Creates a cluster with simulated controllers, so that applied objects become ready.
    ///
    /// The controllers write the status of Deployments, ReplicaSets, StatefulSets, DaemonSets, Pods, Jobs, Services,
    /// volume claims, volumes, autoscalers and disruption budgets, within the write that causes it. Everything succeeds
    /// at once, without pods: Jobs complete, claims are bound, and autoscalers keep the replicas of their targets.
    ///
    /// ```
    /// use brokkr_core::model::Health;
    /// use brokkr_reconcile::cluster::{ApiKind, ApplyOptions, Cluster as _, MemoryCluster};
    /// use brokkr_reconcile::health;
    /// use serde_json::json;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let cluster = MemoryCluster::with_controllers();
    /// let deployments = ApiKind::v1("apps", "Deployment", "deployments", true);
    /// let web = deployments.at(Some("default"), "web");
    /// let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}});
    /// let options = ApplyOptions { field_manager: "example", force: false, dry_run: false };
    /// cluster.apply(&web, &body, &options).await.unwrap();
    ///
    /// let object = cluster.get(&web).await.unwrap().unwrap();
    /// assert_eq!(object["status"]["readyReplicas"], 3);
    /// assert_eq!(health::assess("apps", "Deployment", &object).health, Health::Healthy);
    /// # });
    /// ```
    pub fn with_controllers() -> Self {
        let mut state = State::new();
        state.has_controllers = true;
        Self::of(state)
    }

    fn of(state: State) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            version: watch::Sender::new(0),
            fault: RwLock::new(None),
            requests: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        }))
    }

    /// Sets a function that lets requests fail from now on; `None` removes it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *self.0.fault.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = fault;
    }

    /// Sets how long a custom resource definition takes to be established. Default: no time.
    pub fn set_crd_delay(&self, delay: Duration) {
        self.state().crd_delay = delay;
    }

    /// Sets the groups that discovery reports as failed.
    pub fn set_failed_groups(&self, groups: Vec<String>) {
        self.state().failed_groups = groups;
    }

    /// Returns the number of write requests so far, including failed ones, without dry runs.
    pub fn writes(&self) -> u64 {
        self.0.writes.load(Ordering::Relaxed)
    }

    /// Returns all objects, for assertions.
    pub fn objects(&self) -> Vec<Value> {
        self.state().all().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn admit(&self, verb: Verb, kind: &str, name: &str) -> ClusterResult<()> {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        let fault = self.0.fault.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        match fault.as_ref().and_then(|fault| fault(&Request { verb, kind, name, number })) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Runs a write, and notifies the watches.
    fn write<T>(&self, change: impl FnOnce(&mut State) -> ClusterResult<T>) -> ClusterResult<T> {
        self.0.writes.fetch_add(1, Ordering::Relaxed);
        let (result, version) = {
            let mut state = self.state();
            let result = change(&mut state);
            state.settle();
            (result, state.version())
        };
        self.0.version.send_replace(version);
        result
    }
}

impl Default for MemoryCluster {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCluster").finish_non_exhaustive()
    }
}

fn selector(text: &str) -> ClusterResult<LabelSelector> {
    text.parse().map_err(|_| ClusterError::Invalid(format!("unable to parse the selector {text}")))
}

fn labels(object: &Value) -> std::collections::BTreeMap<String, String> {
    let labels = object.get("metadata").and_then(|meta| meta.get("labels")).and_then(Value::as_object);
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    labels.into_iter().flatten().filter_map(text).collect()
}

/// Returns an object as a metadata-only request does.
fn metadata_only(object: &Value) -> Value {
    serde_json::json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": object.get("metadata"),
    })
}

#[async_trait]
impl Cluster for MemoryCluster {
    fn impersonate(self: Arc<Self>, user: &ImpersonatedUser) -> Arc<dyn Cluster> {
        Arc::new(Impersonated { cluster: (*self).clone(), user: user.clone() })
    }

    async fn discover(&self) -> ClusterResult<Discovery> {
        self.admit(Verb::Discover, "", "")?;
        let mut state = self.state();
        state.settle();
        Ok(state.discovery())
    }

    async fn get(&self, at: &ObjectKey<'_>) -> ClusterResult<Option<Value>> {
        self.admit(Verb::Get, &at.kind.kind, at.name)?;
        let mut state = self.state();
        state.settle();
        state.check_served(at.kind)?;
        Ok(state.get(at).cloned())
    }

    async fn list(&self, kind: &ApiKind, namespace: Option<&str>, options: &ListOptions) -> ClusterResult<ObjectList> {
        self.admit(Verb::List, &kind.kind, "")?;
        let selector = selector(&options.label_selector)?;
        let mut state = self.state();
        state.settle();
        state.check_served(kind)?;
        let matching = state.of_kind(kind, namespace).filter(|object| selector.matches(&labels(object)));
        let mut items: Vec<Value> =
            matching.map(|it| if options.metadata_only { metadata_only(it) } else { it.clone() }).collect();
        let limit = options.limit.map_or(usize::MAX, |limit| limit as usize);
        let truncated = items.len() > limit;
        items.truncate(limit);
        Ok(ObjectList { items, meta: ListMeta { resource_version: state.version().to_string(), truncated } })
    }

    async fn apply(&self, at: &ObjectKey<'_>, body: &Value, options: &ApplyOptions<'_>) -> ClusterResult<ApplyOutcome> {
        self.admit(Verb::Apply, &at.kind.kind, at.name)?;
        if options.dry_run {
            return self.state().apply(at, body, options);
        }
        self.write(|state| state.apply(at, body, options))
    }

    async fn patch(&self, at: &ObjectKey<'_>, patch: &Patch, manager: &str) -> ClusterResult<Value> {
        self.admit(Verb::Patch, &at.kind.kind, at.name)?;
        self.write(|state| state.patch(at, patch, manager))
    }

    async fn delete(&self, at: &ObjectKey<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()> {
        self.admit(Verb::Delete, &at.kind.kind, at.name)?;
        self.write(|state| state.delete(at, options))
    }

    async fn watch(
        &self,
        kind: &ApiKind,
        namespace: Option<&str>,
        options: &ListOptions,
        resource_version: &str,
    ) -> ClusterResult<BoxStream<'static, ClusterResult<WatchEvent>>> {
        self.admit(Verb::Watch, &kind.kind, "")?;
        let selector = selector(&options.label_selector)?;
        let from: u64 = resource_version
            .parse()
            .map_err(|_| ClusterError::Invalid(format!("not a resource version: {resource_version}")))?;
        self.state().check_served(kind)?;
        let (kind, namespace) = (kind.clone(), namespace.map(str::to_owned));
        let metadata = options.metadata_only;
        let (inner, changes) = (self.clone(), self.0.version.subscribe());
        let start = (inner, changes, from);
        let batches = futures::stream::unfold(Some(start), move |next| {
            let (kind, namespace, selector) = (kind.clone(), namespace.clone(), selector.clone());
            async move {
                let (inner, mut changes, from) = next?;
                loop {
                    changes.mark_unchanged();
                    let events = inner.state().events_since(from, &kind, namespace.as_deref());
                    match events {
                        Err(error) => return Some((vec![Err(error)], None)),
                        Ok((events, until)) => {
                            let events: Vec<_> = events
                                .into_iter()
                                .filter(|event| match event {
                                    WatchEvent::Changed(object) | WatchEvent::Deleted(object) => {
                                        selector.matches(&labels(object))
                                    }
                                    WatchEvent::Bookmark(_) => true,
                                })
                                .map(|event| match event {
                                    WatchEvent::Changed(object) if metadata => {
                                        WatchEvent::Changed(metadata_only(&object))
                                    }
                                    WatchEvent::Deleted(object) if metadata => {
                                        WatchEvent::Deleted(metadata_only(&object))
                                    }
                                    event => event,
                                })
                                .map(Ok)
                                .collect();
                            if !events.is_empty() {
                                return Some((events, Some((inner, changes, until))));
                            }
                        }
                    }
                    if changes.changed().await.is_err() {
                        return None;
                    }
                }
            }
        });
        Ok(batches.flat_map(futures::stream::iter).boxed())
    }
}

/// Checks the UID and the resource version that an applied body or a deletion requires.
fn check_precondition(live: &Value, uid: Option<&str>, version: Option<&str>) -> ClusterResult<()> {
    if uid.is_some_and(|uid| meta::uid(live) != Some(uid)) {
        return Err(ClusterError::Precondition("the object has another UID".to_owned()));
    }
    if version.is_some_and(|version| meta::resource_version(live) != Some(version)) {
        return Err(ClusterError::Precondition("the object has been modified".to_owned()));
    }
    Ok(())
}
