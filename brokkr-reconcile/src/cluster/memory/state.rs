//! The state of an in-memory cluster, and its automatic changes.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use brokkr_core::model::ObjectRef;
use serde_json::{Value, json};

use crate::cluster::memory::{check_precondition, controllers, kinds};
use crate::cluster::{
    ApiKind, ClusterError, ClusterResult, DeleteOptions, Discovery, ObjectKey, PropagationPolicy, WatchEvent, meta,
};

/// Maximum number of past events that a watch can start from.
const EVENTS_KEPT: usize = 10_000;

struct Event {
    version: u64,
    object: ObjectRef,
    event: WatchEvent,
}

pub(super) struct State {
    objects: BTreeMap<ObjectRef, Value>,
    version: u64,
    events: VecDeque<Event>,
    built_in: Vec<ApiKind>,
    /// When each custom resource definition was created, by name.
    defined_at: BTreeMap<String, Instant>,
    pub(super) crd_delay: Duration,
    pub(super) failed_groups: Vec<String>,
    /// Whether the simulated controllers run.
    pub(super) has_controllers: bool,
}

fn namespace_ref(name: &str) -> ObjectRef {
    ObjectRef { group: String::new(), kind: "Namespace".to_owned(), namespace: None, name: name.to_owned() }
}

fn is_crd(object: &ObjectRef) -> bool {
    object.group == "apiextensions.k8s.io" && object.kind == "CustomResourceDefinition"
}

fn is_namespace(object: &ObjectRef) -> bool {
    object.group.is_empty() && object.kind == "Namespace"
}

impl State {
    pub(super) fn new() -> Self {
        let mut state = Self {
            objects: BTreeMap::new(),
            version: 1,
            events: VecDeque::new(),
            built_in: kinds::built_in(),
            defined_at: BTreeMap::new(),
            crd_delay: Duration::ZERO,
            failed_groups: Vec::new(),
            has_controllers: false,
        };
        for name in ["default", "kube-system"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            state.put_new(namespace_ref(name), namespace);
        }
        state
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Value> {
        self.objects.values()
    }

    pub(super) fn get(&self, at: &ObjectKey<'_>) -> Option<&Value> {
        self.objects.get(&at.object_ref())
    }

    pub(super) fn of_kind(&self, kind: &ApiKind, namespace: Option<&str>) -> impl Iterator<Item = &Value> {
        self.objects
            .iter()
            .filter(move |(key, _)| {
                key.group == kind.group
                    && key.kind == kind.kind
                    && namespace.is_none_or(|namespace| key.namespace.as_deref() == Some(namespace))
            })
            .map(|(_, object)| object)
    }

    fn crds(&self) -> impl Iterator<Item = (&ObjectRef, &Value)> {
        self.objects.iter().filter(|(key, _)| is_crd(key))
    }

    fn is_established(crd: &Value) -> bool {
        crd.pointer("/status/conditions/0/type").is_some_and(|kind| kind == "Established")
    }

    pub(super) fn discovery(&self) -> Discovery {
        let defined =
            self.crds().filter(|(_, crd)| Self::is_established(crd)).flat_map(|(_, crd)| kinds::defined_by(crd));
        let mut kinds: Vec<ApiKind> = self.built_in.iter().cloned().chain(defined).collect();
        kinds.retain(|kind| !self.failed_groups.contains(&kind.group));
        Discovery { kinds, failed: self.failed_groups.clone() }
    }

    pub(super) fn check_served(&self, kind: &ApiKind) -> ClusterResult<()> {
        let discovery = self.discovery();
        if discovery.exact(&kind.group, &kind.version, &kind.kind).is_some() {
            return Ok(());
        }
        if self.failed_groups.contains(&kind.group) {
            return Err(ClusterError::unavailable("the aggregated API does not answer"));
        }
        Err(ClusterError::NotFound(format!("the server does not serve {}/{}", kind.api_version(), kind.plural)))
    }

    pub(super) fn check_namespace(&self, at: &ObjectKey<'_>) -> ClusterResult<()> {
        let Some(namespace) = at.namespace else {
            return Ok(());
        };
        match self.objects.get(&namespace_ref(namespace)) {
            None => Err(ClusterError::NotFound(format!("namespaces \"{namespace}\" not found"))),
            Some(object) if meta::is_deleting(object) => Err(ClusterError::Terminating(namespace.to_owned())),
            Some(_) => Ok(()),
        }
    }

    fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    fn record(&mut self, object: ObjectRef, event: WatchEvent) {
        self.events.push_back(Event { version: self.version, object, event });
        if self.events.len() > EVENTS_KEPT {
            self.events.pop_front();
        }
    }

    fn put_new(&mut self, key: ObjectRef, mut object: Value) -> Value {
        let version = self.next_version();
        let metadata = &mut object["metadata"];
        metadata["uid"] = json!(uuid::Uuid::now_v7());
        metadata["resourceVersion"] = json!(version.to_string());
        metadata["generation"] = json!(1);
        metadata["creationTimestamp"] = json!(jiff::Timestamp::now().to_string());
        if is_namespace(&key) {
            metadata["labels"]["kubernetes.io/metadata.name"] = json!(key.name);
            object["status"] = json!({"phase": "Active"});
        }
        if is_crd(&key) {
            self.defined_at.insert(key.name.clone(), Instant::now());
        }
        self.record(key.clone(), WatchEvent::Changed(object.clone()));
        self.objects.insert(key, object.clone());
        object
    }

    pub(super) fn insert(&mut self, at: &ObjectKey<'_>, object: Value) -> Value {
        self.put_new(at.object_ref(), object)
    }

    /// Replaces an object if it differs.
    pub(super) fn replace(&mut self, at: &ObjectKey<'_>, live: &Value, object: Value) -> Value {
        self.put(at.object_ref(), live, object)
    }

    fn put(&mut self, key: ObjectRef, live: &Value, mut object: Value) -> Value {
        // Only the server writes these fields.
        for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"] {
            if let Some(value) = live["metadata"].get(field) {
                object["metadata"][field] = value.clone();
            }
        }
        if object == *live {
            return object;
        }
        let content = |object: &Value| {
            let mut content = object.clone();
            if let Some(map) = content.as_object_mut() {
                map.remove("metadata");
                map.remove("status");
            }
            content
        };
        if content(&object) != content(live) {
            object["metadata"]["generation"] = json!(live["metadata"]["generation"].as_u64().unwrap_or(0) + 1);
        }
        object["metadata"]["resourceVersion"] = json!(self.next_version().to_string());
        self.record(key.clone(), WatchEvent::Changed(object.clone()));
        self.objects.insert(key, object.clone());
        object
    }

    pub(super) fn delete(&mut self, at: &ObjectKey<'_>, options: &DeleteOptions<'_>) -> ClusterResult<()> {
        self.check_served(at.kind)?;
        let key = at.object_ref();
        let live = self.objects.get(&key).cloned().ok_or_else(|| ClusterError::NotFound(key.to_string()))?;
        check_precondition(&live, Some(options.uid), options.resource_version)?;
        if options.propagation == PropagationPolicy::Orphan {
            self.orphan_dependents(options.uid);
        }
        self.begin_deletion(&key, &live);
        Ok(())
    }

    fn orphan_dependents(&mut self, uid: &str) {
        for object in self.objects.values_mut().filter(|it| meta::owners(it).any(|owner| owner == uid)) {
            if let Some(owners) = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut) {
                owners.retain(|owner| owner["uid"] != uid);
            }
        }
    }

    fn begin_deletion(&mut self, key: &ObjectRef, live: &Value) {
        if meta::is_deleting(live) {
            return;
        }
        let mut object = live.clone();
        object["metadata"]["deletionTimestamp"] = json!(jiff::Timestamp::now().to_string());
        if is_namespace(key) {
            object["status"]["phase"] = json!("Terminating");
        }
        object["metadata"]["resourceVersion"] = json!(self.next_version().to_string());
        self.record(key.clone(), WatchEvent::Changed(object.clone()));
        self.objects.insert(key.clone(), object);
    }

    /// Performs all automatic changes: establishes definitions, completes deletions without finalizers, and deletes the
    /// contents of namespaces and definitions, and the dependents of deleted owners.
    pub(super) fn settle(&mut self) {
        self.establish();
        loop {
            let mut to_remove: Vec<ObjectRef> = Vec::new();
            let mut ready: Vec<ObjectRef> = Vec::new();
            let uids: HashSet<&str> = self.objects.values().filter_map(meta::uid).collect();
            for (key, object) in &self.objects {
                if meta::is_deleting(object) {
                    let content = self.content_of(key, object);
                    if content.is_empty() && meta::finalizers(object).next().is_none() {
                        ready.push(key.clone());
                    }
                    to_remove.extend(
                        content
                            .into_iter()
                            .filter(|key| self.objects.get(key).is_some_and(|it| !meta::is_deleting(it))),
                    );
                } else {
                    let mut owners = meta::owners(object).peekable();
                    if owners.peek().is_some() && owners.all(|owner| !uids.contains(owner)) {
                        to_remove.push(key.clone());
                    }
                }
            }
            if to_remove.is_empty() && ready.is_empty() {
                break;
            }
            for key in to_remove {
                if let Some(live) = self.objects.get(&key).cloned() {
                    self.begin_deletion(&key, &live);
                }
            }
            for key in ready {
                if let Some(object) = self.objects.remove(&key) {
                    self.next_version();
                    self.defined_at.remove(&key.name);
                    self.record(key, WatchEvent::Deleted(object));
                }
            }
        }
        if self.has_controllers {
            self.control();
        }
    }

    /// Runs the controllers until nothing changes.
    fn control(&mut self) {
        for _ in 0..controllers::ROUNDS {
            let changes = controllers::changes(&self.objects);
            if changes.is_empty() {
                return;
            }
            for (key, object) in changes {
                if let Some(live) = self.objects.get(&key).cloned() {
                    self.put(key, &live, object);
                }
            }
        }
    }

    fn establish(&mut self) {
        let due: Vec<(ObjectRef, Value)> = self
            .crds()
            .filter(|(key, crd)| {
                !Self::is_established(crd)
                    && self.defined_at.get(&key.name).is_some_and(|at| at.elapsed() >= self.crd_delay)
            })
            .map(|(key, crd)| (key.clone(), crd.clone()))
            .collect();
        for (key, live) in due {
            let mut crd = live.clone();
            crd["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
            self.put(key, &live, crd);
        }
    }

    /// Returns the objects that are deleted with a namespace or a custom resource definition.
    fn content_of(&self, key: &ObjectRef, object: &Value) -> Vec<ObjectRef> {
        if is_namespace(key) {
            return self.objects.keys().filter(|it| it.namespace.as_deref() == Some(&key.name)).cloned().collect();
        }
        if is_crd(key) {
            let kinds = kinds::defined_by(object);
            let defined = |it: &&ObjectRef| kinds.iter().any(|kind| kind.group == it.group && kind.kind == it.kind);
            return self.objects.keys().filter(defined).cloned().collect();
        }
        Vec::new()
    }

    /// Returns the events of a kind after a version, and the version up to which they are complete.
    pub(super) fn events_since(
        &self,
        from: u64,
        kind: &ApiKind,
        namespace: Option<&str>,
    ) -> ClusterResult<(Vec<WatchEvent>, u64)> {
        if self.events.len() >= EVENTS_KEPT && self.events.front().is_some_and(|oldest| from + 1 < oldest.version) {
            return Err(ClusterError::Expired(format!("too old resource version: {from}")));
        }
        let matching = self.events.iter().filter(|it| {
            it.version > from
                && it.object.group == kind.group
                && it.object.kind == kind.kind
                && namespace.is_none_or(|namespace| it.object.namespace.as_deref() == Some(namespace))
        });
        Ok((matching.map(|it| it.event.clone()).collect(), self.version))
    }
}
