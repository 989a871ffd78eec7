//! Refusals of the API server: the agent reports them, applies all other objects, and succeeds once the cause is removed.

use std::time::Duration;

use brokkr_testbed::text_at;
use http::Method;
use serde_json::{Value, json};

use super::key::Key;
use super::manifests::{config_map, config_maps, custom, definition, holds};
use super::proxy::eventually;
use super::rounds::Rounds;
use super::scene::{Scene, must};
use super::world::World;
use crate::{Outcome, Result};

const SOON: Duration = Duration::from_secs(5);

async fn uid(scene: &Scene, key: &Key) -> Result<String> {
    let object = scene.kube.get(key).await?.unwrap_or_default();
    Ok(text_at(&object, "/metadata/uid")?.to_owned())
}

fn sealed(scene: &Scene, value: u64) -> Value {
    let mut map = config_map(&scene.namespace, "sealed", value);
    map["immutable"] = json!(true);
    map
}

fn claim(scene: &Scene, class: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": scene.namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}},
    })
}

/// An immutable field: the agent reports it, replaces the object if the policy allows, and never replaces a PersistentVolumeClaim.
pub(crate) async fn immutable(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "immutable-field").await?;
    let mut rounds = Rounds::default();
    scene.publish("a", vec![sealed(&scene, 1)]).await?;
    scene.publish("data", vec![claim(&scene, "one")]).await?;
    scene.settle().await?;
    let key = Key::of(&sealed(&scene, 1));
    let first = uid(&scene, &key).await?;
    let mut wrong = Vec::new();
    scene.publish("a", vec![sealed(&scene, 2)]).await?;
    must(
        &mut wrong,
        scene.reports(&scene.id("a"), &["Immutable", "sealed"]).await?,
        "the status does not report the refusal",
    );
    wrong.extend(scene.others_go_on(SOON).await?);
    must(&mut wrong, uid(&scene, &key).await? == first, "the object was replaced although the policy forbids it");
    rounds.add("told", wrong);

    let replace = Some(json!({"replace_immutable": true}));
    scene.publish_with("a", vec![sealed(&scene, 2)], replace.clone()).await?;
    let mut wrong = scene.judge().await?;
    must(&mut wrong, uid(&scene, &key).await? != first, "the object was not replaced");
    rounds.add("replaced", wrong);

    let at = Key::of(&claim(&scene, "one"));
    let first = uid(&scene, &at).await?;
    let mut wrong = Vec::new();
    scene.publish_with("data", vec![claim(&scene, "two")], replace).await?;
    must(
        &mut wrong,
        scene.reports(&scene.id("data"), &["NotReplaceable", "data"]).await?,
        "the status does not report the refusal",
    );
    wrong.extend(scene.others_go_on(SOON).await?);
    scene.publish("data", vec![claim(&scene, "one")]).await?;
    wrong.extend(scene.judge().await?);
    must(&mut wrong, uid(&scene, &at).await? == first, "a PersistentVolumeClaim was replaced");
    rounds.add("claim", wrong);
    scene.end(rounds).await
}

/// A revision sets a field that another manager owns.
pub(crate) async fn foreign_manager(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "foreign-manager").await?;
    let mut rounds = Rounds::default();
    for (round, by_apply) in [(1, true), (2, false), (3, true)] {
        let names = [format!("theirs{round}"), format!("ours{round}")];
        let stack = format!("s{round}");
        let contents = |value: u64| names.each_ref().map(|name| config_map(&scene.namespace, name, value)).to_vec();
        let (before, mut after) = (contents(1), contents(2));
        let key = Key::config_map(&scene.namespace, &names[0]);
        scene.publish(&stack, before).await?;
        scene.settle().await?;
        let mut claimed = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": names[0], "namespace": scene.namespace},
            "data": {"field": "theirs"},
        });
        if by_apply {
            scene.kube.apply(&claimed).await?;
        } else {
            scene.kube.merge(&key, &json!({"data": {"field": "theirs"}})).await?;
        }
        after[0]["data"]["field"] = json!("ours");
        let other = after[1].clone();
        scene.publish(&stack, after).await?;
        let mut wrong = Vec::new();
        must(
            &mut wrong,
            scene.reports(&scene.id(&stack), &["Conflict", &names[0]]).await?,
            "the status does not report the refusal",
        );
        let changed = eventually(SOON, || async {
            Ok(scene.kube.get(&Key::of(&other)).await?.is_some_and(|it| holds(&it, &other)))
        });
        must(&mut wrong, changed.await?, "objects without a conflict are not changed");
        wrong.extend(scene.others_go_on(SOON).await?);
        let object = scene.kube.get(&key).await?.unwrap_or_default();
        must(&mut wrong, object["data"] == json!({"k": "1", "field": "theirs"}), format!("overwritten: {object}"));
        // The other manager gives up the field.
        if by_apply {
            claimed["data"] = json!({});
            scene.kube.apply(&claimed).await?;
        } else {
            scene.kube.merge(&key, &json!({"data": {"field": null}})).await?;
        }
        wrong.extend(scene.judge().await?);
        rounds.add(format!("round {round}"), wrong);
    }
    scene.end(rounds).await
}

/// A quota is exceeded; later a person raises it.
pub(crate) async fn quota(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "quota-exceeded").await?;
    let mut rounds = Rounds::default();
    let quota = |namespace: &str, count: u64| {
        json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "quota", "namespace": namespace},
            "spec": {"hard": {"count/secrets": count.to_string()}},
        })
    };
    let secrets = |namespace: &str, count: u64| -> Vec<Value> {
        let secret = |mut map: Value| {
            map["kind"] = json!("Secret");
            map["data"]["k"] = json!("c2VjcmV0");
            map
        };
        config_maps(namespace, "c", 0..count, 1).into_iter().map(secret).collect()
    };
    for round in 1..=3 {
        let (limit, wanted) = (round * 4 - 2, round * 4);
        let in_force = json!({"count/secrets": limit.to_string()});
        scene.kube.apply(&quota(&scene.namespace, limit)).await?;
        let key = Key::new("", "resourcequotas", &scene.namespace, "quota");
        let counted = eventually(Duration::from_secs(30), || async {
            let object = scene.kube.get(&key).await?.unwrap_or_default();
            Ok(object["status"]["hard"] == in_force && !object["status"]["used"].is_null())
        });
        if !counted.await? {
            return Err("the quota is not in force".into());
        }
        let mut wrong = Vec::new();
        scene.publish("a", secrets(&scene.namespace, wanted)).await?;
        must(
            &mut wrong,
            scene.reports(&scene.id("a"), &["Refused", "Secret"]).await?,
            "the status does not report the refusal",
        );
        wrong.extend(scene.others_go_on(SOON).await?);
        let there = scene.kube.list("", "secrets", &format!("brokkr.io/stack%3D{}", scene.id("a"))).await?;
        let there = there.iter().filter(|it| it["metadata"]["namespace"] == scene.namespace.as_str()).count() as u64;
        must(&mut wrong, there == limit, format!("{there} are there, and {limit} were allowed"));
        scene.kube.apply(&quota(&scene.namespace, wanted)).await?;
        wrong.extend(scene.judge().await?);
        rounds.add(format!("round {round}"), wrong);
    }
    scene.end(rounds).await
}

/// An object that the broker accepts and that, with its managed fields, exceeds the size limit of etcd.
pub(crate) async fn too_large(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "object-too-large").await?;
    let mut rounds = Rounds::default();
    for round in 1..=2 {
        let mut large = config_map(&scene.namespace, "large", round);
        let (padding, small) = ("x".repeat(60), config_map(&scene.namespace, "small", round));
        for number in 0..14_000 {
            large["data"][format!("{padding}{number:05}")] = json!("");
        }
        let before = scene.kube.get(&Key::of(&large)).await?.map(|it| it["data"].clone());
        if scene.kube.0.ask(Method::PATCH, &dry_path(&large), "application/apply-patch+yaml", Some(&large)).await?.0
            > 299
        {
            return Err("the API server refuses it for another reason".into());
        }
        let mut wrong = Vec::new();
        scene.publish("a", vec![large.clone(), small.clone()]).await?;
        must(
            &mut wrong,
            scene.reports(&scene.id("a"), &["TooLarge", "large"]).await?,
            "the status does not report the refusal",
        );
        let arrived = eventually(SOON, || async {
            Ok(scene.kube.get(&Key::of(&small)).await?.is_some_and(|it| holds(&it, &small)))
        });
        must(&mut wrong, arrived.await?, "the small object is not applied");
        wrong.extend(scene.others_go_on(SOON).await?);
        let after = scene.kube.get(&Key::of(&large)).await?.map(|it| it["data"].clone());
        must(&mut wrong, before == after, "the large object was written, at least in part");
        // A revision that is small enough.
        scene.publish("a", vec![config_map(&scene.namespace, "large", round), small]).await?;
        wrong.extend(scene.judge().await?);
        rounds.add(format!("round {round}"), wrong);
    }
    scene.end(rounds).await
}

fn dry_path(manifest: &Value) -> String {
    format!("{}?fieldManager=human&force=true&dryRun=All", Key::of(manifest).path())
}

/// A revision that widens a definition or quota so that its own objects are admitted.
pub(crate) async fn own_admission_widened(world: &World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "own-admission-widened").await?;
    let mut rounds = Rounds::default();
    let group = "example.brokkr.io";
    let kind = |name: &str, most: u64| {
        let mut kind = definition(group, name);
        let size = json!({"type": "object", "properties": {"size": {"type": "integer", "maximum": most}}});
        kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = size;
        kind
    };
    let sized = |space: &str, name: &str, size: u64| {
        ["a", "b"].map(|it| {
            let mut it = custom(group, name, space, it, "");
            it["spec"] = json!({"size": size});
            it
        })
    };
    for (round, name) in ["WideOne", "WideTwo"].into_iter().enumerate() {
        let (space, stack) = (scene.namespace.clone(), name.to_lowercase());
        let revision = |size: u64| {
            let beside = config_maps(&space, &format!("w{round}-"), 0..2, size);
            [vec![kind(name, size)], sized(&space, name, size).to_vec(), beside].concat()
        };
        scene.publish(&stack, revision(3)).await?;
        scene.settle().await?;
        scene.publish(&stack, revision(30)).await?;
        let mut wrong = scene.judge().await?;
        let failures = scene.failures(&stack).await?;
        must(&mut wrong, failures.is_empty(), format!("it failed on the way: {failures:?}"));
        rounds.add(name, wrong);
    }
    let space = scene.namespace.clone();
    let quota = |ports: u64| {
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "ports", "namespace": space},
            "spec": {"hard": {"services.nodeports": ports.to_string()}}})
    };
    let service = |kind: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "open", "namespace": space},
            "spec": {"type": kind, "selector": {"app": "open"}, "ports": [{"port": 80}]}})
    };
    scene.publish("quota", [vec![quota(0), service("ClusterIP")], config_maps(&space, "q", 0..2, 1)].concat()).await?;
    scene.settle().await?;
    scene.publish("quota", [vec![quota(2), service("NodePort")], config_maps(&space, "q", 0..2, 2)].concat()).await?;
    rounds.add("quota", scene.judge().await?);
    scene.end(rounds).await
}
