//! Checks of reads, lists, deletions, watches, namespaces and definitions.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::json;

use crate::cluster::conformance::fixture::{Fixture, by, eventually, only};
use crate::cluster::{Cluster, ClusterError, ListOptions, Patch, WatchEvent, meta};

/// A missing object is `None`, not an error, even in a missing namespace.
pub async fn missing_object_is_none(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    assert_eq!(fixture.get("missing").await, None);
    let at = fixture.config_maps.at(Some("no-such-namespace"), "missing");
    assert_eq!(fixture.cluster.get(&at).await, Ok(None));
}

/// A deletion with another UID deletes nothing, and a missing object is `NotFound`.
pub async fn deletion_checks_the_uid(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply");
    let other = uuid::Uuid::now_v7().to_string();
    let other_uid = fixture.cluster.delete(&fixture.at("a"), &only(&other)).await;
    assert!(matches!(other_uid, Err(ClusterError::Precondition(_))), "{other_uid:?}");
    assert!(fixture.get("a").await.is_some());
    fixture.delete("a").await.expect("the right UID");
    assert_eq!(fixture.get("a").await, None);
    let missing = fixture.cluster.delete(&fixture.at("a"), &only(&other)).await;
    assert!(matches!(missing, Err(ClusterError::NotFound(_))), "{missing:?}");
}

/// An object with a finalizer stays, with a deletion timestamp, until the finalizer is removed.
pub async fn finalizers_delay_deletion(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    let mut body = fixture.config_map("a", json!({"k": "1"}));
    body["metadata"]["finalizers"] = json!(["example.brokkr.io/hold"]);
    fixture.cluster.apply(&fixture.at("a"), &body, &by("one")).await.expect("an apply");
    fixture.delete("a").await.expect("a deletion");
    let held = fixture.get("a").await.expect("held");
    assert!(meta::is_deleting(&held));
    assert_eq!(meta::finalizers(&held).collect::<Vec<_>>(), ["example.brokkr.io/hold"]);
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    fixture.cluster.patch(&fixture.at("a"), &patch, "one").await.expect("a patch");
    assert_eq!(fixture.get("a").await, None);
}

/// Creating an object in a missing namespace fails.
pub async fn missing_namespace_is_an_error(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    let metadata = json!({"name": "a", "namespace": "no-such-namespace"});
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    let at = fixture.config_maps.at(Some("no-such-namespace"), "a");
    let refused = fixture.cluster.apply(&at, &body, &by("one")).await;
    assert!(matches!(refused, Err(ClusterError::NotFound(_))), "{refused:?}");
}

/// The deletion of a namespace deletes all objects in it.
pub async fn namespace_deletion_deletes_its_objects(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply");
    let at = fixture.namespaces.at(None, &fixture.namespace);
    let live = fixture.cluster.get(&at).await.expect("a read").expect("the namespace");
    fixture.cluster.delete(&at, &only(meta::uid(&live).unwrap_or_default())).await.expect("a deletion");
    eventually("the namespace is gone", || async { fixture.cluster.get(&at).await == Ok(None) }).await;
    assert_eq!(fixture.get("a").await, None);
}

/// A kind is served once its definition is established, until the definition is deleted.
pub async fn kind_is_served_while_defined(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    let group = format!("g{}.example.brokkr.io", uuid::Uuid::now_v7().simple());
    let discovery = fixture.cluster.discover().await.expect("discovery");
    assert!(discovery.certainly_lacks(&group, "Thing"));
    let crds = discovery.preferred("apiextensions.k8s.io", "CustomResourceDefinition").cloned().expect("definitions");
    let name = format!("things.{group}");
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let body = json!({
        "apiVersion": crds.api_version(), "kind": "CustomResourceDefinition", "metadata": {"name": name},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let at = crds.at(None, &name);
    fixture.cluster.apply(&at, &body, &by("one")).await.expect("a definition");
    let find = || async { fixture.cluster.discover().await.ok()?.preferred(&group, "Thing").cloned() };
    eventually("the kind is served", || async { find().await.is_some() }).await;
    let things = find().await.expect("the kind");
    assert!(things.namespaced && things.plural == "things" && things.version == "v1");
    let metadata = json!({"name": "a", "namespace": fixture.namespace});
    let thing = json!({"apiVersion": things.api_version(), "kind": "Thing", "metadata": metadata, "spec": {"n": 1}});
    let thing_at = things.at(Some(&fixture.namespace), "a");
    eventually("an object of the kind is accepted", || async {
        fixture.cluster.apply(&thing_at, &thing, &by("one")).await.is_ok()
    })
    .await;
    let live = fixture.cluster.get(&at).await.expect("a read").expect("the definition");
    fixture.cluster.delete(&at, &only(meta::uid(&live).unwrap_or_default())).await.expect("a deletion");
    eventually("the kind is gone", || async {
        fixture.cluster.discover().await.is_ok_and(|it| it.certainly_lacks(&group, "Thing"))
    })
    .await;
}

/// A list returns the objects that match the selector, complete or metadata only.
pub async fn lists_select_by_label(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    for (name, value) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let mut body = fixture.config_map(name, json!({"k": "1"}));
        body["metadata"]["labels"] = json!({"select": value});
        fixture.cluster.apply(&fixture.at(name), &body, &by("one")).await.expect("an apply");
    }
    for metadata_only in [false, true] {
        let options = ListOptions { label_selector: "select=x".to_owned(), metadata_only, limit: None };
        let list =
            fixture.cluster.list(&fixture.config_maps, Some(&fixture.namespace), &options).await.expect("a list");
        let mut names: Vec<_> = list.items.iter().filter_map(meta::name).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "c"]);
        assert!(!list.meta.truncated && !list.meta.resource_version.is_empty());
        assert!(list.items.iter().all(|it| it.get("data").is_none() == metadata_only));
        assert!(list.items.iter().all(|it| !meta::applied_fields(it, "one").is_empty()));
    }
    let options = ListOptions { label_selector: "select=x".to_owned(), ..ListOptions::default() };
    let everywhere = fixture.cluster.list(&fixture.config_maps, None, &options).await.expect("a list");
    assert!(everywhere.items.iter().filter(|it| meta::namespace(it) == Some(&fixture.namespace)).count() == 2);
}

/// A truncated list says so, and a list that cannot have more objects does not.
pub async fn lists_report_truncation(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    for name in ["a", "b", "c"] {
        let mut body = fixture.config_map(name, json!({"k": "1"}));
        body["metadata"]["labels"] = json!({"cut": "yes"});
        fixture.cluster.apply(&fixture.at(name), &body, &by("one")).await.expect("an apply");
    }
    for (limit, count, truncated) in [(2, 2, true), (100, 3, false)] {
        let options = ListOptions { label_selector: "cut".to_owned(), limit: Some(limit), ..ListOptions::default() };
        let list =
            fixture.cluster.list(&fixture.config_maps, Some(&fixture.namespace), &options).await.expect("a list");
        assert_eq!((list.items.len(), list.meta.truncated), (count, truncated), "limit {limit}");
    }
}

/// A watch delivers the events after its resource version.
pub async fn watches_deliver_events(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    fixture.apply("one", "before", json!({"k": "1"})).await.expect("an apply");
    let options = ListOptions::default();
    let list = fixture.cluster.list(&fixture.config_maps, Some(&fixture.namespace), &options).await.expect("a list");
    let watch = fixture
        .cluster
        .watch(&fixture.config_maps, Some(&fixture.namespace), &options, &list.meta.resource_version)
        .await;
    let mut watch = watch.expect("a watch");
    fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply");
    fixture.apply("one", "a", json!({"k": "2"})).await.expect("an apply");
    fixture.delete("a").await.expect("a deletion");
    let mut received = Vec::new();
    let listening = async {
        while let Some(event) = watch.next().await {
            match event.expect("an event") {
                // Other clients write into every namespace of a real cluster.
                WatchEvent::Changed(it) if meta::name(&it) == Some("a") && !meta::is_deleting(&it) => {
                    received.push(it["data"]["k"].clone());
                }
                WatchEvent::Deleted(it) if meta::name(&it) == Some("a") => break,
                _ => {}
            }
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), listening).await.is_ok(),
        "the watch delivered too few events: {received:?}"
    );
    assert_eq!(received, [json!("1"), json!("2")]);
}
