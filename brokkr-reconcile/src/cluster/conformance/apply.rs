//! Checks of server-side apply.

use std::sync::Arc;

use serde_json::json;

use crate::cluster::conformance::fixture::{Fixture, by};
use crate::cluster::{ApplyOptions, Cluster, ClusterError, FieldConflict, Patch, meta};

/// Only the call that creates an object reports `created`.
pub async fn created_is_reported(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    let first = fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply");
    assert!(first.created);
    assert!(meta::uid(&first.object).is_some() && meta::resource_version(&first.object).is_some());
    assert!(!fixture.apply("one", "a", json!({"k": "2"})).await.expect("an apply").created);
    assert!(!fixture.apply("two", "a", json!({"l": "2"})).await.expect("an apply").created);
}

/// Applying an unchanged object changes nothing, not even the resource version.
pub async fn unchanged_apply_changes_nothing(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    let first = fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply").object;
    let again = fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply").object;
    assert_eq!(meta::resource_version(&first), meta::resource_version(&again));
    assert_eq!(meta::applied_fields(&first, "one"), meta::applied_fields(&again, "one"));
    assert!(meta::applied_fields(&first, "one").contains(".data.k"));
}

/// Fields that another manager applied stay.
pub async fn fields_of_others_stay(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    fixture.apply("one", "a", json!({"mine": "1"})).await.expect("an apply");
    fixture.apply("two", "a", json!({"theirs": "2"})).await.expect("an apply");
    fixture.apply("one", "a", json!({"mine": "3"})).await.expect("an apply");
    assert_eq!(fixture.data("a").await, json!({"mine": "3", "theirs": "2"}));
}

/// A field that its manager no longer names is removed, unless another manager owns it too.
pub async fn dropped_fields_are_removed(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    fixture.apply("one", "a", json!({"kept": "1", "dropped": "1", "shared": "1"})).await.expect("an apply");
    fixture.apply("two", "a", json!({"shared": "1"})).await.expect("an apply");
    fixture.apply("one", "a", json!({"kept": "1"})).await.expect("an apply");
    assert_eq!(fixture.data("a").await, json!({"kept": "1", "shared": "1"}));
}

/// A conflict names each field and its owner, and writes nothing.
pub async fn conflicts_name_field_and_manager(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply");
    let conflict = fixture.apply("two", "a", json!({"k": "2", "l": "2"})).await.expect_err("a conflict");
    let expected = FieldConflict { field: ".data.k".to_owned(), manager: "one".to_owned() };
    assert_eq!(conflict, ClusterError::Conflict(vec![expected]));
    assert_eq!(fixture.data("a").await, json!({"k": "1"}));
    fixture.apply("two", "a", json!({"k": "1"})).await.expect("the same value is no conflict");
}

/// A forced apply takes the field over from the other manager.
pub async fn force_takes_fields_over(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    fixture.apply("one", "a", json!({"k": "1", "l": "1"})).await.expect("an apply");
    let force = ApplyOptions { force: true, ..by("two") };
    let body = fixture.config_map("a", json!({"k": "2"}));
    let object = fixture.cluster.apply(&fixture.at("a"), &body, &force).await.expect("an apply").object;
    assert_eq!(object["data"], json!({"k": "2", "l": "1"}));
    assert!(!meta::applied_fields(&object, "one").contains(".data.k"));
    assert!(meta::applied_fields(&object, "one").contains(".data.l"));
    assert!(meta::applied_fields(&object, "two").contains(".data.k"));
}

/// An applied body with a UID only writes that object.
pub async fn apply_checks_the_uid(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    let with_uid = |uid: &str| {
        let mut body = fixture.config_map("a", json!({"k": "2"}));
        body["metadata"]["uid"] = json!(uid);
        body
    };
    let refused = |result: &Result<_, ClusterError>| matches!(result, Err(ClusterError::Precondition(_)));
    let other = uuid::Uuid::now_v7().to_string();
    let missing = fixture.cluster.apply(&fixture.at("a"), &with_uid(&other), &by("one")).await;
    assert!(refused(&missing), "{missing:?}");
    assert_eq!(fixture.get("a").await, None);
    let object = fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply").object;
    let other_uid = fixture.cluster.apply(&fixture.at("a"), &with_uid(&other), &by("one")).await;
    assert!(refused(&other_uid), "{other_uid:?}");
    assert_eq!(fixture.data("a").await, json!({"k": "1"}));
    let uid = meta::uid(&object).unwrap_or_default();
    fixture.cluster.apply(&fixture.at("a"), &with_uid(uid), &by("one")).await.expect("the right UID");
}

/// An applied body with a resource version only writes that version.
pub async fn apply_checks_the_resource_version(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    let first = fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply").object;
    fixture.apply("one", "a", json!({"k": "2"})).await.expect("an apply");
    let mut body = fixture.config_map("a", json!({"k": "3"}));
    body["metadata"]["resourceVersion"] = first["metadata"]["resourceVersion"].clone();
    let stale = fixture.cluster.apply(&fixture.at("a"), &body, &by("one")).await;
    assert!(matches!(stale, Err(ClusterError::Precondition(_))), "{stale:?}");
    assert_eq!(fixture.data("a").await, json!({"k": "2"}));
}

/// A dry run answers like a write, and changes nothing.
pub async fn dry_run_changes_nothing(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    let dry = ApplyOptions { dry_run: true, ..by("one") };
    let create = fixture.config_map("a", json!({"k": "1"}));
    assert!(fixture.cluster.apply(&fixture.at("a"), &create, &dry).await.expect("a dry run").created);
    assert_eq!(fixture.get("a").await, None);
    let before = fixture.apply("one", "a", json!({"k": "1"})).await.expect("an apply").object;
    let update = fixture.config_map("a", json!({"k": "2"}));
    let tried = fixture.cluster.apply(&fixture.at("a"), &update, &dry).await.expect("a dry run").object;
    assert_eq!(tried["data"], json!({"k": "2"}));
    assert_eq!(fixture.get("a").await.as_ref().and_then(meta::resource_version), meta::resource_version(&before));
}

/// Labels and managed fields can be removed without another change.
pub async fn ownership_can_be_edited(cluster: Arc<dyn Cluster>) {
    let fixture = Fixture::new(cluster).await;
    let mut body = fixture.config_map("a", json!({"k": "1"}));
    body["metadata"]["labels"] = json!({"ours": "yes"});
    let object = fixture.cluster.apply(&fixture.at("a"), &body, &by("one")).await.expect("an apply").object;
    let patch = json!({"metadata": {
        "uid": meta::uid(&object),
        "resourceVersion": meta::resource_version(&object),
        "labels": {"ours": null},
        "managedFields": [{}],
    }});
    fixture.cluster.patch(&fixture.at("a"), &Patch::Merge(patch), "editor").await.expect("a patch");
    let after = fixture.get("a").await.expect("still there");
    assert_eq!(after["data"], json!({"k": "1"}));
    assert_eq!(meta::label(&after, "ours"), None);
    assert!(meta::managers(&after).all(|manager| manager != "one"));
}
