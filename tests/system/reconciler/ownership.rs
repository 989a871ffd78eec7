//! Ownership: agents write only objects and fields that they own.

use std::time::Duration;

use serde_json::json;

use super::on_both_clusters;
use crate::support::{Scene, Stage, config_map, eventually, namespace, stays};

on_both_clusters!(
    existing_object_is_reported_and_unchanged,
    drift_is_corrected_and_conflicts_are_reported,
    object_moves_between_stacks_without_deletion,
    stack_that_cannot_prune_yet_still_loses_a_moved_object,
    namespace_stays_until_the_last_stack_leaves,
    existing_namespace_is_used_and_not_deleted,
);

async fn existing_object_is_reported_and_unchanged(stage: Stage) {
    let here = stage.here.clone();
    stage.write(config_map(&here, "a", "human")).await;
    let before = stage.object("ConfigMap", &here, "a").await;
    let Scene { fleet, cluster: stage, stack, .. } = Scene::on(stage).await;
    fleet.publish(stack, vec![config_map(&here, "a", "ours"), config_map(&here, "b", "ours")]).await;
    fleet.fails_with(stack, "NotOwned").await;
    assert!(stage.data("b").await.is_some(), "the other objects are applied");
    fleet.delete(stack).await;
    assert_eq!(stage.data("b").await, None);
    assert_eq!(stage.object("ConfigMap", &here, "a").await, before, "the existing object is unchanged");
}

async fn drift_is_corrected_and_conflicts_are_reported(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, stack, .. } = Scene::on(stage).await;
    fleet.publish(stack, vec![config_map(&here, "a", "1")]).await;
    eventually("applied", || fleet.applied(stack)).await;
    let is = async |expected| {
        let data = stage.data("a").await;
        if data == Some(expected) { Ok(()) } else { Err(data) }
    };
    let mut changed = config_map(&here, "a", "changed");
    changed["data"]["added"] = json!("by a human");
    stage.write(changed).await;
    eventually("the field is restored, and the added field stays", || is(json!({"k": "1", "added": "by a human"})))
        .await;
    stage.delete("ConfigMap", &here, "a").await;
    eventually("back", || is(json!({"k": "1"}))).await;
    // A field that the agent never owned stays with its owner.
    let mut theirs = config_map(&here, "a", "1");
    theirs["data"] = json!({"theirs": "1"});
    stage.write(theirs).await;
    let mut wanted = config_map(&here, "a", "1");
    wanted["data"]["theirs"] = json!("2");
    fleet.publish(stack, vec![wanted]).await;
    fleet.fails_with(stack, "Conflict").await;
    assert_eq!(stage.data("a").await.unwrap()["theirs"], "1");
}

async fn object_moves_between_stacks_without_deletion(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, agent, stack: first, .. } = Scene::on(stage).await;
    let second = fleet.stack("second").await;
    fleet.publish(first, vec![config_map(&here, "shared", "first"), config_map(&here, "own", "1")]).await;
    eventually("applied", || fleet.applied(first)).await;
    let uid = async || stage.object("ConfigMap", &here, "shared").await.unwrap()["metadata"]["uid"].clone();
    let before = uid().await;
    fleet.target(second, agent).await;
    fleet.publish(second, vec![config_map(&here, "shared", "second")]).await;
    fleet.fails_with(second, "HeldByStack").await;
    assert_eq!(stage.data("shared").await.unwrap()["k"], "first");
    fleet.publish(first, vec![config_map(&here, "own", "1")]).await;
    eventually("taken over", || fleet.applied(second)).await;
    assert_eq!((stage.data("shared").await.unwrap()["k"].as_str(), uid().await), (Some("second"), before.clone()));
    eventually("the first is content", || fleet.applied(first)).await;
    fleet.delete(first).await;
    assert_eq!((stage.data("own").await, uid().await), (None, before));
    fleet.delete(second).await;
    assert_eq!(stage.data("shared").await, None);
}

async fn stack_that_cannot_prune_yet_still_loses_a_moved_object(stage: Stage) {
    let here = stage.here.clone();
    stage.write(config_map(&here, "theirs", "human")).await;
    let Scene { fleet, cluster: stage, agent, stack: first, .. } = Scene::on(stage).await;
    let second = fleet.stack("second").await;
    fleet.publish(first, vec![config_map(&here, "shared", "first")]).await;
    eventually("applied", || fleet.applied(first)).await;
    fleet.target(second, agent).await;
    fleet.publish(second, vec![config_map(&here, "shared", "second")]).await;
    fleet.fails_with(second, "HeldByStack").await;
    // The new objects of the first stack are not ready, so it prunes nothing. The second stack takes the object nevertheless.
    fleet.publish(first, vec![config_map(&here, "theirs", "first"), config_map(&here, "own", "1")]).await;
    fleet.fails_with(first, "NotOwned").await;
    eventually("taken over", || fleet.applied(second)).await;
    stage.delete("ConfigMap", &here, "theirs").await;
    eventually("the first is content", || fleet.is(first, "Progressing", "Applied")).await;
    fleet.delete(first).await;
    assert_eq!(stage.data("shared").await, Some(json!({"k": "second"})));
    fleet.delete(second).await;
    assert_eq!(stage.data("shared").await, None);
}

async fn namespace_stays_until_the_last_stack_leaves(stage: Stage) {
    let shared = stage.beside("shared");
    let Scene { fleet, cluster: stage, agent, stack: first, .. } = Scene::on(stage).await;
    let second = fleet.stack("second").await;
    for (stack, name) in [(first, "a"), (second, "b")] {
        fleet.target(stack, agent).await;
        fleet.publish(stack, vec![namespace(&shared), config_map(&shared, name, "1")]).await;
        eventually("applied", || fleet.applied(stack)).await;
    }
    stage.write(config_map(&shared, "human", "1")).await;
    let uid = async || stage.object("Namespace", "", &shared).await.unwrap()["metadata"]["uid"].clone();
    let before = uid().await;
    let human = async || stage.object("ConfigMap", &shared, "human").await.ok_or("gone").map(drop);
    for (stack, name) in [(first, "a"), (second, "b")] {
        fleet.delete(stack).await;
        assert_eq!(stage.object("ConfigMap", &shared, name).await, None);
        assert_eq!((uid().await, human().await), (before.clone(), Ok(())));
    }
    stays(Duration::from_secs(2), "the human's objects stay", human).await;
    stage.delete("ConfigMap", &shared, "human").await;
    stage.goes("Namespace", "", &shared).await;
}

async fn existing_namespace_is_used_and_not_deleted(stage: Stage) {
    let here = stage.here.clone();
    let before = stage.object("Namespace", "", &here).await;
    let Scene { fleet, cluster: stage, stack, .. } = Scene::on(stage).await;
    fleet.publish(stack, vec![namespace(&here), config_map(&here, "a", "1")]).await;
    eventually("applied", || fleet.applied(stack)).await;
    fleet.delete(stack).await;
    assert_eq!(stage.data("a").await, None);
    assert_eq!(stage.object("Namespace", "", &here).await, before);
}
