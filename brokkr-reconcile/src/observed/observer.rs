//! Reads objects with as few requests as possible.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use brokkr_core::model::{AgentId, ObjectRef};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::cluster::{ApiKind, Cluster, ClusterError, ClusterResult, ListOptions, meta};
use crate::desired::ignore::Ignored;
use crate::desired::prepare::Prepared;
use crate::health::has_health;
use crate::limits::LocalLimits;
use crate::observed::live::Live;
use crate::ownership::labels::AGENT_LABEL;

/// Maximum number of objects of a kind to read individually. Beyond it, the labelled objects are listed.
const READ_ONE_BY_ONE: usize = 16;
/// Maximum number of concurrent requests.
pub(crate) const CONCURRENCY: usize = 32;

/// Runs futures with bounded concurrency, and creates each one when it starts. Results arrive in any order.
pub(crate) fn concurrently<'f, T: Send + 'f>(
    futures: impl Iterator<Item = BoxFuture<'f, T>> + Send + 'f,
    limit: usize,
) -> BoxFuture<'f, Vec<T>> {
    stream::iter(futures).buffer_unordered(limit).collect().boxed()
}

type Listed = Arc<HashMap<ObjectRef, Arc<Live>>>;
/// The objects that exist, and the errors of those that could not be read.
pub(crate) type Seen = (HashMap<Arc<ObjectRef>, Arc<Live>>, HashMap<Arc<ObjectRef>, ClusterError>);

/// Reads objects during one pass. Makes each list at most once per pass and kind.
pub(crate) struct Observer<'a> {
    cluster: &'a dyn Cluster,
    agent: AgentId,
    manager: &'a str,
    limits: &'a LocalLimits,
    /// The ignored fields of the objects that have some.
    ignored: HashMap<Arc<ObjectRef>, Arc<Ignored>>,
    lists: Mutex<HashMap<ApiKind, Option<Listed>>>,
}

impl<'a> Observer<'a> {
    pub(crate) fn new(cluster: &'a dyn Cluster, agent: AgentId, manager: &'a str, limits: &'a LocalLimits) -> Self {
        Self { cluster, agent, manager, limits, ignored: HashMap::new(), lists: Mutex::new(HashMap::new()) }
    }

    /// Sets the ignored fields of these objects.
    pub(crate) fn ignoring<'p>(mut self, prepared: impl Iterator<Item = &'p Prepared>) -> Self {
        let ignoring = prepared.filter(|it| !it.ignored.is_empty());
        self.ignored.extend(ignoring.map(|it| (it.object.clone(), it.ignored.clone())));
        self
    }

    fn ignored(&self, object: &ObjectRef) -> Option<&Ignored> {
        self.ignored.get(object).map(|it| &**it)
    }

    /// Reads one object, without the cache.
    pub(crate) async fn read(&self, kind: &ApiKind, object: &ObjectRef) -> ClusterResult<Option<Live>> {
        let at = kind.at(object.namespace.as_deref(), &object.name);
        Ok(self.cluster.get(&at).await?.and_then(|body| Live::of(kind, &body, self.manager, self.ignored(object))))
    }

    /// Returns those of the given objects that exist. An error applies to all objects of the kind: an object that could
    /// not be read is not absent.
    pub(crate) async fn observe(&self, prepared: &[Prepared]) -> Seen {
        let mut by_kind: HashMap<&ApiKind, Vec<&Arc<ObjectRef>>> = HashMap::new();
        for it in prepared {
            by_kind.entry(&it.kind).or_default().push(&it.object);
        }
        let (mut found, mut failed) = (HashMap::new(), HashMap::new());
        for (kind, objects) in by_kind {
            match self.observe_kind(kind, &objects).await {
                Ok(live) => found.extend(live),
                Err(error) => failed.extend(objects.into_iter().map(|object| (object.clone(), error.clone()))),
            }
        }
        (found, failed)
    }

    /// Like [`observe`](Self::observe), for objects of one kind.
    pub(crate) async fn observe_kind(
        &self,
        kind: &ApiKind,
        objects: &[&Arc<ObjectRef>],
    ) -> ClusterResult<Vec<(Arc<ObjectRef>, Arc<Live>)>> {
        let listed = if objects.len() > READ_ONE_BY_ONE { self.list(kind).await? } else { None };
        let known = |object: &ObjectRef| listed.as_ref().and_then(|list| list.get(object)).cloned();
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for object in objects {
            match known(object) {
                Some(live) => found.push(((*object).clone(), live)),
                None => missing.push(*object),
            }
        }
        // An object that is missing in the list may exist without our label, which only a read detects.
        let absent = if missing.len() > READ_ONE_BY_ONE { self.absent(kind, &missing).await } else { HashSet::new() };
        let looks = missing.into_iter().filter(|object| !absent.contains(*object)).map(|object| {
            async move {
                let live = self.read(kind, object).await?;
                Ok::<_, ClusterError>(live.map(|live| (object.clone(), Arc::new(live))))
            }
            .boxed()
        });
        for looked in concurrently(looks, CONCURRENCY).await {
            found.extend(looked?);
        }
        Ok(found)
    }

    /// Returns the objects that certainly do not exist, according to a few bounded lists.
    async fn absent(&self, kind: &ApiKind, objects: &[&Arc<ObjectRef>]) -> HashSet<Arc<ObjectRef>> {
        let mut by_namespace: BTreeMap<Option<&str>, Vec<&Arc<ObjectRef>>> = BTreeMap::new();
        for object in objects {
            by_namespace.entry(object.namespace.as_deref()).or_default().push(object);
        }
        by_namespace.retain(|_, objects| objects.len() > READ_ONE_BY_ONE);
        let lists = by_namespace.into_iter().map(|(namespace, objects)| {
            async move {
                // Listing some objects of others costs less than reading each of ours; listing all of theirs may cost
                // more.
                let limit = u32::try_from(objects.len()).unwrap_or(u32::MAX).saturating_mul(2).saturating_add(100);
                let options = ListOptions { metadata_only: true, limit: Some(limit), ..ListOptions::default() };
                let mut there: HashSet<String> = HashSet::new();
                let mut note = |body: Value| there.extend(meta::name(&body).map(str::to_owned));
                let listed = self.cluster.list_each(kind, namespace, &options, &mut note).await.ok();
                listed.filter(|listed| !listed.truncated)?;
                let is_absent = |object: &&&Arc<ObjectRef>| !there.contains(object.name.as_str());
                Some(objects.iter().filter(is_absent).map(|object| (**object).clone()).collect::<Vec<_>>())
            }
            .boxed()
        });
        concurrently(lists, CONCURRENCY).await.into_iter().flatten().flatten().collect()
    }

    /// Lists the labelled objects of a kind. Returns `None` if the agent may not list them cluster-wide.
    async fn list(&self, kind: &ApiKind) -> ClusterResult<Option<Listed>> {
        let mut lists = self.lists.lock().await;
        if let Some(list) = lists.get(kind) {
            return Ok(list.clone());
        }
        let options = ListOptions {
            label_selector: format!("{AGENT_LABEL}={}", self.agent),
            metadata_only: !has_health(&kind.group, &kind.kind),
            ..ListOptions::default()
        };
        let mut found = Some(HashMap::new());
        for place in self.limits.places(kind.namespaced) {
            let mut here = Vec::new();
            let mut note = |body: Value| {
                let object = ObjectRef {
                    group: kind.group.clone(),
                    kind: kind.kind.clone(),
                    namespace: meta::namespace(&body).map(str::to_owned),
                    name: meta::name(&body).unwrap_or_default().to_owned(),
                };
                if let Some(live) = Live::of(kind, &body, self.manager, self.ignored(&object)) {
                    here.push((object, Arc::new(live)));
                }
            };
            match self.cluster.list_each(kind, place, &options, &mut note).await {
                Ok(_) => found.iter_mut().for_each(|found: &mut HashMap<_, _>| found.extend(here.drain(..))),
                Err(ClusterError::Forbidden(_)) => found = None,
                Err(error) => return Err(error),
            }
        }
        let list = found.map(Arc::new);
        lists.insert(kind.clone(), list.clone());
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::cluster::Verb;
    use crate::samples::{Fixture, manifest};

    #[tokio::test]
    async fn many_objects_are_listed_and_few_are_read() {
        let few = READ_ONE_BY_ONE;
        for (wanted, there, expected_reads, expected_lists) in
            [(few, few, few, 0), (few, 0, few, 0), (few + 1, few + 1, 0, 1), (few + 1, 1, few, 1), (few + 1, 0, 0, 2)]
        {
            let fixture = Fixture::new().await;
            let prepare = |number: usize| {
                let mut body = manifest("v1", "ConfigMap", &format!("it-{number}"));
                body["data"] = json!({"k": "1"});
                fixture.sample.prepared(&body)
            };
            let prepared: Vec<Prepared> = (0..wanted).map(prepare).collect();
            for it in &prepared[..there] {
                fixture.apply(it, &fixture.manager).await;
            }
            let (reads, lists) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let counted = (reads.clone(), lists.clone());
            fixture.cluster.set_fault(Some(Box::new(move |request| {
                match request.verb {
                    Verb::Get => counted.0.fetch_add(1, Ordering::SeqCst),
                    Verb::List => counted.1.fetch_add(1, Ordering::SeqCst),
                    _ => 0,
                };
                None
            })));
            let (found, failed) = fixture.observer().observe(&prepared).await;
            assert_eq!((found.len(), failed.len()), (there, 0), "{wanted} wanted, {there} there");
            let requests = (reads.load(Ordering::SeqCst), lists.load(Ordering::SeqCst));
            assert_eq!(requests, (expected_reads, expected_lists), "{wanted} wanted, {there} there");
        }
    }
}
