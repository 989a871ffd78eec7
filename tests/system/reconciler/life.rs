//! The lifecycle of a stack. The agent never removes unknown objects.

use std::time::Duration;

use serde_json::{Value, json};

use super::on_both_clusters;
use crate::support::{Scene, Stage, config_map, eventually, inventory_name, namespace, stays};

on_both_clusters!(
    stack_is_created_changed_and_deleted,
    unchanged_objects_are_not_written,
    special_texts_are_stored_unchanged,
    second_manifest_of_the_same_object_is_refused,
    lost_inventory_does_not_confirm_removal,
    dependents_do_not_wait_again_after_a_restart,
);

async fn stack_is_created_changed_and_deleted(stage: Stage) {
    let web = stage.beside("web");
    let Scene { fleet, cluster: stage, agent, stack, .. } = Scene::on(stage).await;
    let maps = |names: &[&str]| names.iter().map(|name| config_map(&web, name, "1")).collect::<Vec<Value>>();
    fleet.publish(stack, [vec![namespace(&web)], maps(&["a", "b"])].concat()).await;
    eventually("applied", || fleet.applied(stack)).await;
    let version = async || stage.object("ConfigMap", &web, "a").await.unwrap()["metadata"]["resourceVersion"].clone();
    let before = version().await;
    assert!(stage.object("ConfigMap", &web, "b").await.is_some());
    fleet.publish(stack, [vec![namespace(&web)], maps(&["a"])].concat()).await;
    stage.goes("ConfigMap", &web, "b").await;
    assert_eq!(version().await, before, "unchanged objects are not written");
    fleet.delete(stack).await;
    stage.goes("Namespace", "", &web).await;
    assert_eq!(stage.object("Secret", "brokkr-system", &inventory_name(agent, stack)).await, None);
}

async fn unchanged_objects_are_not_written(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, pak, running, stack, .. } = Scene::on(stage).await;
    fleet.publish(stack, (0..40).map(|n| config_map(&here, &format!("c{n}"), "1")).collect()).await;
    eventually("applied", || fleet.applied(stack)).await;
    let before = stage.requests();
    let unwritten = async || {
        let (_, writes) = stage.requests();
        if writes == before.1 { Ok(()) } else { Err(writes) }
    };
    stays(Duration::from_secs(3), "no write", unwritten).await;
    running.cancel();
    let (reads, _) = stage.requests();
    fleet.start(&pak, &stage);
    stays(Duration::from_secs(3), "no write after a restart", unwritten).await;
    assert!(stage.requests().0 > reads, "the agent has read the cluster");
}

/// Includes texts that YAML cannot represent or folds: API servers parse the bodies of applies as YAML.
async fn special_texts_are_stored_unchanged(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, stack, .. } = Scene::on(stage).await;
    let text = "\u{7f} a\u{85}b \u{85} c\u{2028}d\u{2029} \u{9f}\u{fffe}\u{ffff}\u{feff} ä 😀 \u{1}\t\r\n\"'\\";
    fleet.publish(stack, vec![config_map(&here, "odd", text), config_map(&here, "plain", "1")]).await;
    eventually("applied", || fleet.applied(stack)).await;
    assert_eq!(stage.data("odd").await.unwrap()["k"], text);
    let writes = stage.requests().1;
    stays(Duration::from_secs(2), "no write", async || {
        if stage.requests().1 == writes { Ok(()) } else { Err(stage.requests()) }
    })
    .await;
}

/// A cluster-scoped object stays the same, whatever namespace its manifests name.
async fn second_manifest_of_the_same_object_is_refused(stage: Stage) {
    let name = stage.beside("twice");
    let Scene { fleet, cluster: stage, stack, .. } = Scene::on(stage).await;
    let from = |place: &str| {
        let mut manifest = namespace(&name);
        manifest["metadata"]["namespace"] = json!(place);
        manifest["metadata"]["annotations"] = json!({"from": place});
        manifest
    };
    fleet.publish(stack, vec![from("a"), from("b")]).await;
    fleet.fails_with(stack, "Refused").await;
    let made = stage.object("Namespace", "", &name).await.unwrap();
    assert_eq!(made["metadata"]["annotations"]["from"], "a");
    fleet.publish(stack, vec![from("a")]).await;
    eventually("applied", || fleet.applied(stack)).await;
    fleet.delete(stack).await;
    stage.goes("Namespace", "", &name).await;
}

async fn lost_inventory_does_not_confirm_removal(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, agent, pak, running, stack, .. } = Scene::on(stage).await;
    fleet.publish(stack, vec![config_map(&here, "a", "1"), config_map(&here, "b", "1")]).await;
    eventually("applied", || fleet.applied(stack)).await;
    running.cancel();
    stage.delete("Secret", "brokkr-system", &inventory_name(agent, stack)).await;
    let actor = fleet.broker.system_actor();
    fleet.broker.target_remove(&actor, stack, agent).await.unwrap();
    fleet.start(&pak, &stage);
    fleet.fails_with(stack, "InventoryLost").await;
    assert!(stage.data("a").await.is_some() && stage.data("b").await.is_some());
    // The remedy in the message: after a new target, the agent knows the stack again.
    fleet.target(stack, agent).await;
    eventually("adopted", || fleet.applied(stack)).await;
    fleet.broker.target_remove(&actor, stack, agent).await.unwrap();
    stage.goes("ConfigMap", &here, "a").await;
    stage.goes("ConfigMap", &here, "b").await;
}

async fn dependents_do_not_wait_again_after_a_restart(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, agent, pak, running, stack: second } = Scene::on(stage).await;
    let first = fleet.stack("first").await;
    fleet.depends(second, first).await;
    fleet.publish(second, vec![config_map(&here, "second", "1")]).await;
    eventually("it waits for a stack that does not exist yet", || fleet.is(second, "Applied", "DependsOnStack")).await;
    assert_eq!(stage.data("second").await, None);
    fleet.publish(first, vec![config_map(&here, "first", "1")]).await;
    fleet.target(first, agent).await;
    eventually("both stacks are applied", || fleet.applied(second)).await;
    running.cancel();
    fleet.start(&pak, &stage);
    stays(Duration::from_secs(2), "applied", || fleet.is(second, "Applied", "Applied")).await;
    fleet.publish(second, vec![config_map(&here, "second", "2")]).await;
    eventually("the new agent continues", || fleet.applied(second)).await;
}
