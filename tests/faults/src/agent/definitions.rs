//! Custom kinds that appear late, appear with their objects, stop being served, or are removed with their objects.

use std::time::Duration;

use serde_json::{Value, json};

use super::admission::Admission;
use super::key::Key;
use super::manifests::{config_map, custom, definition, labelled};
use super::proxy::eventually;
use super::rounds::Rounds;
use super::scene::{Scene, must};
use super::world::World;
use crate::{Outcome, Result};

const GROUP: &str = "example.brokkr.io";
/// A group whose API can be made unavailable.
const AGGREGATED: &str = "aggregated.brokkr.io";
const SOON: Duration = Duration::from_secs(5);

/// The kind of an object does not exist until a person creates its definition.
pub(crate) async fn late(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "crd-late").await?;
    let mut rounds = Rounds::default();
    for kind in ["LateOne", "LateTwo", "LateThree"] {
        let mut wrong = Vec::new();
        let stack = kind.to_lowercase();
        let plain = config_map(&scene.namespace, &stack, 1);
        scene.publish(&stack, vec![plain.clone(), custom(GROUP, kind, &scene.namespace, "a", "1")]).await?;
        must(
            &mut wrong,
            scene.reports(&scene.id(&stack), &["KindNotServed", kind]).await?,
            "the status does not report the missing kind",
        );
        must(&mut wrong, scene.kube.get(&Key::of(&plain)).await?.is_some(), "objects of known kinds are not applied");
        wrong.extend(scene.others_go_on(SOON).await?);
        scene.kube.apply(&definition(GROUP, kind)).await?;
        wrong.extend(scene.judge().await?);
        rounds.add(kind, wrong);
    }
    let kube = scene.kube.clone();
    let outcome = scene.end(rounds).await?;
    for kind in ["LateOne", "LateTwo", "LateThree"] {
        kube.delete(&Key::of(&definition(GROUP, kind))).await?;
    }
    Ok(outcome)
}

/// Definition and object in one revision: no failure and no second revision.
pub(crate) async fn together(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "crd-with-object").await?;
    let mut rounds = Rounds::default();
    for kind in ["TogetherOne", "TogetherTwo", "TogetherThree"] {
        let stack = kind.to_lowercase();
        let objects = ["a", "b"].map(|name| custom(GROUP, kind, &scene.namespace, name, "1"));
        let revision: Vec<Value> = objects.into_iter().chain([definition(GROUP, kind)]).collect();
        scene.publish(&stack, revision).await?;
        let mut wrong = scene.judge_within(Duration::from_secs(30)).await?;
        let failures = scene.failures(&stack).await?;
        must(&mut wrong, failures.is_empty(), format!("it failed on the way: {failures:?}"));
        rounds.add(kind, wrong);
    }
    scene.end(rounds).await
}

/// The API of a group has no server: the agent keeps its objects, and removes nothing.
pub(crate) async fn down(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "aggregated-api-down").await?;
    let service = Key::new("apiregistration.k8s.io", "apiservices", "", &format!("v1.{AGGREGATED}"));
    let kube = scene.kube.clone();
    let mut rounds = Rounds::default();
    for round in 1..=2 {
        let tried = down_and_up(&mut scene, &service, round).await;
        // Always restore the API: without it, discovery is incomplete for every agent.
        kube.delete(&service).await?;
        rounds.add(format!("round {round}"), tried?);
    }
    let outcome = scene.end(rounds).await?;
    kube.delete(&Key::of(&definition(AGGREGATED, "Thing"))).await?;
    Ok(outcome)
}

async fn down_and_up(scene: &mut Scene, service: &Key, round: u64) -> Result<Vec<String>> {
    scene.kube.apply(&definition(AGGREGATED, "Thing")).await?;
    let thing = |scene: &Scene, name: &str, value: &str| custom(AGGREGATED, "Thing", &scene.namespace, name, value);
    let map = |scene: &Scene, value: u64| config_map(&scene.namespace, "beside", value);
    let (before, after) = (format!("{round}-before"), format!("{round}-after"));
    scene.publish("a", vec![thing(scene, "kept", &before), thing(scene, "dropped", "1"), map(scene, 0)]).await?;
    scene.publish("b", vec![thing(scene, "removed", "1")]).await?;
    scene.settle().await?;
    let mut wrong = Vec::new();
    let nowhere = json!({
        "metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": null}},
        "spec": {"service": {"namespace": "default", "name": "nowhere", "port": 443}, "insecureSkipTLSVerify": true},
    });
    scene.kube.merge(service, &nowhere).await?;
    let path = format!("/apis/{AGGREGATED}/v1");
    let is_down = eventually(Duration::from_secs(30), || async {
        Ok(scene.kube.0.ask(http::Method::GET, &path, "", None).await?.0 == 503)
    });
    if !is_down.await? {
        return Err("the API is not down".into());
    }
    wrong.extend(scene.others_go_on(SOON).await?);
    // Changes in the meantime wait: one object is dropped, one stack deleted, one object changed.
    let (changing, leaving) = (scene.id("a"), scene.id("b"));
    scene.publish("a", vec![thing(scene, "kept", &after), map(scene, 1)]).await?;
    scene.delete("b").await?;
    let beside = map(scene, 1);
    let arrived = eventually(Duration::from_secs(20), || async {
        let there = scene.kube.get(&Key::of(&beside)).await?;
        Ok(there.is_some_and(|it| it["data"] == beside["data"]))
    });
    must(&mut wrong, arrived.await?, "objects of other APIs are not changed");
    for id in [&changing, &leaving] {
        must(
            &mut wrong,
            scene.reports(id, &["Thing"]).await?,
            "the status does not name the objects that wait for the API",
        );
    }
    wrong.extend(scene.others_go_on(SOON).await?);
    must(&mut wrong, !scene.is_gone(&leaving).await?, "a removal counts as complete although the API is unavailable");
    // Without this APIService, the definition registers its own again.
    scene.kube.delete(service).await?;
    wrong.extend(scene.judge().await?);
    Ok(wrong)
}

/// Custom resources, definition, webhook and operator are removed together.
pub(crate) async fn operator_removed(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "operator-removed").await?;
    let admission = Admission::start(&world.file("operator-removed")).await?;
    let mut rounds = Rounds::default();
    for round in 1..=3 {
        let kind = "Operated";
        let names = ["a", "b", "c", "d"];
        let mut revision = vec![
            definition(GROUP, kind),
            admission.configuration(&scene.namespace, GROUP, "operateds", &["CREATE", "UPDATE", "DELETE"]),
            operator(&scene.namespace),
            config_map(&scene.namespace, "settings", round),
        ];
        let resources = names.map(|name| labelled(custom(GROUP, kind, &scene.namespace, name, "1"), "hooked", "yes"));
        revision.extend(resources);
        scene.publish("operator", revision).await?;
        let mut wrong = scene.judge().await?;
        let before = admission.asked().len();
        scene.delete("operator").await?;
        wrong.extend(scene.judge().await?);
        let deletions = admission.asked().into_iter().skip(before).filter(|(operation, ..)| operation == "DELETE");
        let mut asked: Vec<String> = deletions.map(|(_, name, _)| name).collect();
        asked.sort();
        asked.dedup();
        must(&mut wrong, asked == names, format!("the webhook went before its objects: asked about {asked:?}"));
        rounds.add(format!("round {round}"), wrong);
    }
    scene.end(rounds).await
}

fn operator(namespace: &str) -> Value {
    let labels = json!({"app": "operator"});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "operator", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "operator", "image": "registry.example/operator:1"}]},
            },
        },
    })
}

/// A definition that the API server never serves: the status gives the cause, and the removal completes.
pub(crate) async fn never_established(world: &World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "crd-never-established").await?;
    let mut rounds = Rounds::default();
    for (kind, bundle) in [("NeverOne", "bm9uZQ=="), ("NeverTwo", "Cg=="), ("NeverThree", "LS0tLS1CRUdJTi0tLS0t")] {
        let stack = kind.to_lowercase();
        let mut never = definition(GROUP, kind);
        never["spec"]["conversion"] = json!({
            "strategy": "Webhook",
            "webhook": {
                "conversionReviewVersions": ["v1"],
                "clientConfig": {"caBundle": bundle, "service": {"namespace": scene.namespace, "name": "nowhere"}},
            },
        });
        let beside = config_map(&scene.namespace, &stack, 1);
        let revision = vec![never.clone(), custom(GROUP, kind, &scene.namespace, "a", "1"), beside.clone()];
        scene.publish(&stack, revision).await?;
        let mut wrong = Vec::new();
        let (id, key) = (scene.id(&stack), Key::of(&never));
        must(
            &mut wrong,
            scene.reports(&id, &["InvalidCABundle", &key.name]).await?,
            "the status does not give the cause",
        );
        must(&mut wrong, scene.kube.get(&Key::of(&beside)).await?.is_some(), "objects of known kinds are not applied");
        wrong.extend(scene.others_go_on(SOON).await?);
        scene.delete(&stack).await?;
        let gone = eventually(Duration::from_secs(30), || scene.is_gone(&id)).await?;
        must(&mut wrong, gone, "the removal does not complete");
        must(
            &mut wrong,
            scene.kube.get(&key).await?.is_none(),
            "the removal counts as complete while the definition exists",
        );
        wrong.extend(scene.judge().await?);
        scene.kube.delete(&key).await?;
        rounds.add(kind, wrong);
    }
    scene.end(rounds).await
}
