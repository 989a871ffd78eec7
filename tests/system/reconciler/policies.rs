//! Policies and annotations of stacks.

use std::time::Duration;

use brokkr_core::model::{Adopt, Conflicts, Deletion, Drift, IgnoreRule, Policies};
use serde_json::{Value, json};

use super::on_both_clusters;
use crate::support::{Scene, Stage, config_map, eventually, stays};

on_both_clusters!(
    existing_object_is_adopted_if_the_policy_allows,
    report_policy_leaves_drift_in_place,
    ignored_fields_keep_the_values_of_others,
    kept_object_stays_without_ownership,
    objects_are_applied_in_dependency_order,
);

fn with(change: impl FnOnce(&mut Policies)) -> Policies {
    let mut policies = Policies::default();
    change(&mut policies);
    policies
}

async fn existing_object_is_adopted_if_the_policy_allows(stage: Stage) {
    let here = stage.here.clone();
    let names = ["equal", "different", "taken"];
    for name in names {
        stage.write(config_map(&here, name, "theirs")).await;
    }
    let Scene { fleet, cluster: stage, agent, .. } = Scene::on(stage).await;
    let uids = async || {
        let mut uids = Vec::new();
        for name in names {
            uids.push(stage.object("ConfigMap", &here, name).await.unwrap()["metadata"]["uid"].clone());
        }
        uids
    };
    let values = async || {
        let mut values = Vec::new();
        for name in names {
            values.push(stage.data(name).await.map(|it| it["k"].as_str().unwrap().to_owned()));
        }
        values
    };
    let before = uids().await;
    let if_equal = fleet.stack_with("if-equal", with(|it| it.adopt = Adopt::IfEqual)).await;
    let always = with(|it| (it.adopt, it.conflicts) = (Adopt::Always, Conflicts::Force));
    let always = fleet.stack_with("always", always).await;
    for stack in [if_equal, always] {
        fleet.target(stack, agent).await;
    }
    fleet.publish(if_equal, vec![config_map(&here, "equal", "theirs"), config_map(&here, "different", "ours")]).await;
    fleet.publish(always, vec![config_map(&here, "taken", "ours")]).await;
    fleet.fails_with(if_equal, "NotOwned").await;
    eventually("applied", || fleet.applied(always)).await;
    let manager = format!("brokkr-{agent}");
    let managed = async |name: &str| {
        let object = stage.object("ConfigMap", &here, name).await.unwrap();
        object["metadata"]["managedFields"].to_string().contains(&manager)
    };
    eventually("the equal object is adopted", async || if managed("equal").await { Ok(()) } else { Err(()) }).await;
    assert!(!managed("different").await, "the different object is not adopted");
    assert_eq!(uids().await, before);
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(values().await, [text("theirs"), text("theirs"), text("ours")]);
    // Removing the stack deletes adopted objects only.
    fleet.delete(if_equal).await;
    fleet.delete(always).await;
    assert_eq!(values().await, [None, text("theirs"), None]);
}

async fn report_policy_leaves_drift_in_place(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, agent, .. } = Scene::on(stage).await;
    let stack = fleet.stack_with("report", with(|it| it.drift = Drift::Report)).await;
    fleet.target(stack, agent).await;
    let set = |value: &str| ["changed", "deleted"].map(|name| config_map(&here, name, value)).to_vec();
    fleet.publish(stack, set("1")).await;
    eventually("applied", || fleet.applied(stack)).await;
    stage.write(config_map(&here, "changed", "by hand")).await;
    stage.delete("ConfigMap", &here, "deleted").await;
    eventually("the agent reports both differences", async || {
        fleet.is(stack, "Drifted", "ChangedByOthers").await?;
        let message = fleet.condition(stack, "Drifted").await.unwrap().message;
        if ["changed", "deleted"].iter().all(|name| message.contains(name)) { Ok(()) } else { Err(message) }
    })
    .await;
    let values = async || [stage.data("changed").await, stage.data("deleted").await];
    let both = |value: &str| [Some(json!({"k": value})), Some(json!({"k": value}))];
    let as_they_made_it = async || {
        let now = values().await;
        if now == [Some(json!({"k": "by hand"})), None] { Ok(()) } else { Err(now) }
    };
    stays(Duration::from_secs(3), "the agent does not correct them", as_they_made_it).await;
    // A new revision applies its values again.
    fleet.publish(stack, set("2")).await;
    eventually("applied", || fleet.applied(stack)).await;
    assert_eq!(values().await, both("2"));
    eventually("no drift", || fleet.is(stack, "Drifted", "NoDrift")).await;
}

async fn ignored_fields_keep_the_values_of_others(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, agent, .. } = Scene::on(stage).await;
    let rule = IgnoreRule { pointers: vec!["/data/k".to_owned()], ..IgnoreRule::default() };
    let stack = fleet.stack_with("ignore", with(|it| it.ignore = vec![rule])).await;
    fleet.publish(stack, vec![config_map(&here, "a", "first")]).await;
    fleet.target(stack, agent).await;
    eventually("applied", || fleet.applied(stack)).await;
    assert_eq!(stage.data("a").await, Some(json!({"k": "first"})), "the field is set at creation");
    stage.write(config_map(&here, "a", "theirs")).await;
    let mut second = config_map(&here, "a", "second");
    second["data"]["other"] = json!("2");
    fleet.publish(stack, vec![second]).await;
    eventually("applied", || fleet.applied(stack)).await;
    assert_eq!(stage.data("a").await, Some(json!({"k": "theirs", "other": "2"})));
    let before = stage.requests();
    stays(Duration::from_millis(2500), "the agent writes nothing", async || {
        let now = stage.requests();
        if now.1 == before.1 { Ok(()) } else { Err(now) }
    })
    .await;
    assert!(stage.requests().0 > before.0, "the agent has read the cluster");
}

async fn kept_object_stays_without_ownership(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, agent, stack: keeping, .. } = Scene::on(stage).await;
    let orphaning = fleet.stack_with("orphan", with(|it| it.deletion = Deletion::Orphan)).await;
    fleet.target(orphaning, agent).await;
    let mut kept = config_map(&here, "kept", "1");
    kept["metadata"]["annotations"] = json!({"brokkr.io/keep": "true"});
    fleet.publish(keeping, vec![kept, config_map(&here, "goes", "1")]).await;
    fleet.publish(orphaning, vec![config_map(&here, "orphan", "1")]).await;
    for stack in [keeping, orphaning] {
        eventually("applied", || fleet.applied(stack)).await;
        fleet.delete(stack).await;
    }
    assert_eq!(stage.data("goes").await, None);
    for name in ["kept", "orphan"] {
        let object = stage.object("ConfigMap", &here, name).await.unwrap();
        let text = object["metadata"].to_string();
        assert!(object["data"] == json!({"k": "1"}) && !text.contains(&agent.to_string()), "{object}");
    }
}

async fn objects_are_applied_in_dependency_order(stage: Stage) {
    let here = stage.here.clone();
    let Scene { fleet, cluster: stage, stack, .. } = Scene::on(stage).await;
    let after = |name: &str, before: &str| -> Value {
        let mut object = config_map(&here, name, "1");
        let reference = format!("/namespaces/{here}/ConfigMap/{before}");
        object["metadata"]["annotations"] = json!({"config.kubernetes.io/depends-on": reference});
        object
    };
    // An object that depends on itself is never applied, and does not block others.
    fleet.publish(stack, vec![after("x", "y"), after("y", "x"), config_map(&here, "free", "1")]).await;
    fleet.fails_with(stack, "DependencyCycle").await;
    assert!(stage.data("free").await.is_some() && stage.data("x").await.is_none() && stage.data("y").await.is_none());
    fleet.publish(stack, vec![after("x", "stranger"), config_map(&here, "free", "1")]).await;
    fleet.fails_with(stack, "DependencyUnknown").await;
    assert!(stage.data("x").await.is_none());
    fleet.publish(stack, vec![after("c", "b"), after("b", "a"), config_map(&here, "a", "1")]).await;
    eventually("applied", || fleet.applied(stack)).await;
    let mut created = Vec::new();
    for name in ["a", "b", "c"] {
        let object = stage.object("ConfigMap", &here, name).await.unwrap();
        created.push(object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap());
    }
    assert!(created.is_sorted(), "{created:?}");
    assert!(stage.data("free").await.is_none(), "objects that the last revision lacks are gone");
}
