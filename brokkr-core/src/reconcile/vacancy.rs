//! Whether anything of others is in a namespace or a custom resource definition.

use std::collections::{BTreeSet, HashMap};

use futures::FutureExt as _;
use serde_json::Value;

use super::apply::Work;
use super::observe::{CONCURRENCY, concurrently};
use super::order::{is_built_in, is_namespace};
use crate::cluster::{ApiKind, ClusterError, ClusterResult, ListOptions, meta};
use crate::model::ObjectRef;

impl Work<'_> {
    /// Whether nothing of others would go with this namespace or definition. Not being able to see counts as
    /// not vacant; an error is only what may be different at the next try.
    pub(super) async fn is_vacant(&self, object: &ObjectRef, departed: &BTreeSet<String>) -> ClusterResult<bool> {
        if is_namespace(object) {
            self.is_namespace_vacant(&object.name, departed).await
        } else {
            self.is_crd_unused(object).await
        }
    }

    async fn is_namespace_vacant(&self, namespace: &str, departed: &BTreeSet<String>) -> ClusterResult<bool> {
        if !self.discovery.failed.is_empty() {
            return Ok(false);
        }
        if !self.is_everything_served().await? {
            return Ok(false);
        }
        let kinds = one_version_each(self.discovery.kinds.iter().filter(|it| it.namespaced));
        let kinds = kinds.into_iter().filter(|kind| !comes_and_goes(kind));
        let options = ListOptions { metadata_only: true, ..ListOptions::default() };
        let options = &options;
        let lists =
            kinds.map(|kind| async move { (kind, self.cluster.list(kind, Some(namespace), options).await) }.boxed());
        let mut there = Vec::new();
        for (kind, list) in concurrently(lists, CONCURRENCY).await {
            match list {
                Ok(list) if list.cut => return Ok(false),
                Ok(list) => there.extend(list.items.into_iter().map(|object| (kind, object))),
                // Not seen is not empty; a kind that went away is no longer asked for next time.
                Err(ClusterError::NotFound(_) | ClusterError::Forbidden(_)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        let owners: HashMap<&str, Vec<&str>> =
            there.iter().filter_map(|(_, it)| Some((meta::uid(it)?, meta::owners(it).collect()))).collect();
        Ok(there.iter().all(|(kind, object)| is_furniture(kind, object) || descends(kind, object, &owners, departed)))
    }

    /// All definitions of custom resources, without their content, and their kind; nothing for who may not read them.
    async fn definitions(&self) -> ClusterResult<Option<(&ApiKind, Vec<Value>)>> {
        let Some(kind) = self.discovery.preferred("apiextensions.k8s.io", "CustomResourceDefinition") else {
            return Ok(None);
        };
        let options = ListOptions { metadata_only: true, ..ListOptions::default() };
        match self.cluster.list(kind, None, &options).await {
            Ok(list) => Ok(Some((kind, list.items))),
            Err(ClusterError::Forbidden(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether discovery knows of each definition: an API server that has just started serves for a while without them. Who may not
    /// read definitions goes by what is served.
    async fn is_everything_served(&self) -> ClusterResult<bool> {
        let Some((definitions, there)) = self.definitions().await? else { return Ok(true) };
        let served: BTreeSet<String> =
            self.discovery.kinds.iter().map(|kind| format!("{}.{}", kind.plural, kind.group)).collect();
        for name in there.iter().filter_map(meta::name).filter(|name| !served.contains(*name)) {
            let definition = self.cluster.get(&definitions.at(None, name)).await?;
            let conditions = definition.as_ref().and_then(|it| it.pointer("/status/conditions")?.as_array());
            let is_true = |it: &Value| it["type"] == "Established" && it["status"] == "True";
            if conditions.is_some_and(|it| it.iter().any(is_true)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a kind that is not served has a definition nevertheless. Who may not read definitions goes by what is served.
    pub(super) async fn is_still_defined(&self, group: &str, kind: &str) -> ClusterResult<bool> {
        if is_built_in(group) {
            return Ok(false);
        }
        let Some((definitions, there)) = self.definitions().await? else { return Ok(false) };
        // A definition's name is `<plural>.<group>`.
        let of_group = |name: &&str| name.split_once('.').is_some_and(|(_, its)| its == group);
        for name in there.iter().filter_map(meta::name).filter(of_group) {
            let definition = self.cluster.get(&definitions.at(None, name)).await?;
            let defined = definition.as_ref().and_then(|it| it.pointer("/spec/names/kind")).and_then(Value::as_str);
            if defined == Some(kind) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_crd_unused(&self, crd: &ObjectRef) -> ClusterResult<bool> {
        let at_kinds: Vec<&ApiKind> =
            self.discovery.kinds.iter().filter(|kind| crd.name == format!("{}.{}", kind.plural, kind.group)).collect();
        // What is not served cannot be listed, and what cannot be seen is not taken for nothing.
        let Some(kind) = at_kinds.first() else { return Ok(false) };
        let options = ListOptions { metadata_only: true, limit: Some(1), ..ListOptions::default() };
        match self.cluster.list(kind, None, &options).await {
            Ok(list) => Ok(list.items.is_empty()),
            Err(ClusterError::NotFound(_) | ClusterError::Forbidden(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The kinds that can be listed, each in one version: versions of one kind show the same objects.
pub(super) fn one_version_each<'a>(kinds: impl Iterator<Item = &'a ApiKind>) -> Vec<&'a ApiKind> {
    let mut kinds: Vec<&ApiKind> = kinds.filter(|it| it.listable).collect();
    kinds.sort_by(|a, b| (&a.group, &a.kind).cmp(&(&b.group, &b.kind)));
    kinds.dedup_by(|a, b| a.group == b.group && a.kind == b.kind);
    kinds
}

/// Kinds whose objects come and go by themselves and mean nothing to anybody once the rest is gone.
fn comes_and_goes(kind: &ApiKind) -> bool {
    matches!(
        (kind.group.as_str(), kind.kind.as_str()),
        ("" | "events.k8s.io", "Event")
            | ("coordination.k8s.io", "Lease")
            | ("", "Endpoints")
            | ("discovery.k8s.io", "EndpointSlice")
    )
}

/// What every namespace has from the beginning.
fn is_furniture(kind: &ApiKind, object: &Value) -> bool {
    kind.group.is_empty()
        && matches!(
            (kind.kind.as_str(), meta::name(object)),
            ("ServiceAccount", Some("default")) | ("ConfigMap", Some("kube-root-ca.crt"))
        )
}

/// Whether an object descends by owner references from what was ours. Claims on storage always count as somebody's: their
/// data outlives what made them.
fn descends(kind: &ApiKind, object: &Value, owners: &HashMap<&str, Vec<&str>>, departed: &BTreeSet<String>) -> bool {
    if kind.group.is_empty() && kind.kind == "PersistentVolumeClaim" {
        return false;
    }
    let mut open: Vec<&str> = meta::owners(object).collect();
    let mut seen = BTreeSet::new();
    while let Some(owner) = open.pop() {
        if departed.contains(owner) {
            return true;
        }
        if seen.insert(owner) {
            open.extend(owners.get(owner).into_iter().flatten());
        }
    }
    false
}
