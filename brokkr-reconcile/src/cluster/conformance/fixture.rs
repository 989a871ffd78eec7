//! Fixture of the conformance checks.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{
    ApiKind, ApplyOptions, ApplyOutcome, Cluster, ClusterError, ClusterResult, DeleteOptions, ObjectKey,
    PropagationPolicy, meta,
};

/// The namespace of one check.
pub(super) struct Fixture {
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) namespace: String,
    pub(super) namespaces: ApiKind,
    pub(super) config_maps: ApiKind,
}

impl Fixture {
    pub(super) async fn new(cluster: Arc<dyn Cluster>) -> Self {
        let discovery = cluster.discover().await.expect("discovery");
        let kind = |name| discovery.preferred("", name).cloned().expect("a kind of the core group");
        let id = uuid::Uuid::now_v7().simple().to_string();
        let namespace = format!("conformance-{id}");
        let fixture = Self { cluster, namespace, namespaces: kind("Namespace"), config_maps: kind("ConfigMap") };
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": fixture.namespace}});
        let at = fixture.namespaces.at(None, &fixture.namespace);
        fixture.cluster.apply(&at, &body, &by("fixture")).await.expect("a namespace");
        fixture
    }

    pub(super) fn at<'a>(&'a self, name: &'a str) -> ObjectKey<'a> {
        self.config_maps.at(Some(&self.namespace), name)
    }

    /// Returns a ConfigMap with this data.
    pub(super) fn config_map(&self, name: &str, data: Value) -> Value {
        let metadata = json!({"name": name, "namespace": self.namespace});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    }

    pub(super) async fn apply(&self, manager: &str, name: &str, data: Value) -> ClusterResult<ApplyOutcome> {
        self.cluster.apply(&self.at(name), &self.config_map(name, data), &by(manager)).await
    }

    pub(super) async fn get(&self, name: &str) -> Option<Value> {
        self.cluster.get(&self.at(name)).await.expect("a read")
    }

    pub(super) async fn data(&self, name: &str) -> Value {
        self.get(name).await.map(|it| it["data"].clone()).unwrap_or_default()
    }

    pub(super) async fn delete(&self, name: &str) -> ClusterResult<()> {
        let live = self.get(name).await.ok_or_else(|| ClusterError::NotFound(name.to_owned()))?;
        let uid = meta::uid(&live).unwrap_or_default();
        self.cluster.delete(&self.at(name), &only(uid)).await
    }
}

pub(super) fn by(manager: &str) -> ApplyOptions<'_> {
    ApplyOptions { field_manager: manager, force: false, dry_run: false }
}

pub(super) fn only(uid: &str) -> DeleteOptions<'_> {
    DeleteOptions { uid, resource_version: None, propagation: PropagationPolicy::Background }
}

/// Polls until `look` returns true; panics after 30 s.
pub(super) async fn eventually<F: Future<Output = bool>>(what: &str, look: impl Fn() -> F) {
    let looking = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), looking).await.is_ok(), "not within 30 s: {what}");
}
