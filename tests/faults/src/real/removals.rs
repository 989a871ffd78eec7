//! Removals of files with a Namespace, definitions and their resources: confirmed once every object is gone or really retained.

use std::collections::BTreeSet;
use std::time::Duration;

use brokkr_testbed::shapes::{self, Names, Release};
use http::Method;
use serde_json::{Value, json};

use super::files::File;
use super::look::{SOON, becomes, brief, must_apply};
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::manifests::{config_map, config_maps, custom, definition, namespace};
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

const APPLIED: Duration = Duration::from_secs(150);
const GONE: Duration = Duration::from_secs(90);
/// An object that disappears within this time after the confirmation was not retained.
const SECONDS: Duration = Duration::from_secs(12);

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let mut scene = Scene::new(world, name).await?;
    for round in 1..=2 {
        let at = Names::new(&format!("gone-operator-{round}"));
        let file = File::new(&format!("operator-{round}"), shapes::operator(&at, Release::First));
        file.publish(&mut scene, &json!({})).await?;
        let mut wrong = Vec::new();
        super::look::is_applied(&scene, &file.stack, APPLIED, "the operator", &mut wrong).await?;
        wrong.extend(goes(&mut scene, &file.stack, &at.namespace).await?);
        rounds.add(format!("operator {round}"), wrong);
    }
    let at = Names::new("gone-order");
    let file = File::new("wrong-order", shapes::wrong_order(&at));
    file.publish(&mut scene, &json!({})).await?;
    must_apply(&scene, "wrong-order").await?;
    rounds.add("wrong-order", goes(&mut scene, "wrong-order", &at.namespace).await?);
    for kinds in [1, 3] {
        let stack = format!("kinds-{kinds}");
        small(&mut scene, &stack, kinds).await?;
        rounds.add(&stack, goes(&mut scene, &stack, &format!("gone-{stack}")).await?);
    }
    rounds.add("with-pods", with_pods(&mut scene).await?);
    rounds.add("retained", retained(&mut scene).await?);
    super::look::end(scene, rounds).await
}

fn kind(number: u64) -> String {
    ["Bolt", "Screw", "Rivet"][number as usize % 3].to_owned()
}

/// A Namespace, some kinds, and resources of them in it.
async fn small(scene: &mut Scene, stack: &str, kinds: u64) -> Result<()> {
    let (space, group) = (format!("gone-{stack}"), format!("{stack}.gone.example.com"));
    let mut manifests = vec![namespace(&space)];
    for number in 0..kinds {
        manifests.push(definition(&group, &kind(number)));
        manifests.extend(["a", "b"].map(|it| custom(&group, &kind(number), &space, it, "1")));
    }
    manifests.extend(config_maps(&space, "c", 0..3, 1));
    scene.publish(stack, manifests).await?;
    must_apply(scene, stack).await
}

async fn with_pods(scene: &mut Scene) -> Result<Vec<String>> {
    let space = "gone-pods";
    let labels = json!({"app": "web"});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": space}, "spec": {
        "replicas": 4, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "registry.example.com/web:1"}]}},
    }});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": space},
        "spec": {"selector": labels, "ports": [{"port": 80}]}});
    let kind = definition("pods.gone.example.com", "Nut");
    let resource = custom("pods.gone.example.com", "Nut", space, "a", "1");
    scene.publish("pods", vec![namespace(space), deployment, service, kind, resource]).await?;
    must_apply(scene, "pods").await?;
    let mut wrong = Vec::new();
    super::look::comes(scene, "pods", SOON, "it is healthy", &mut wrong, |it| it["health"] == "healthy").await?;
    wrong.extend(goes(scene, "pods", space).await?);
    Ok(wrong)
}

/// Deletes the stack. Its Namespace must be gone before the stack, and no object that is deleted may count as retained.
async fn goes(scene: &mut Scene, stack: &str, space: &str) -> Result<Vec<String>> {
    let (id, key, mut wrong) = (scene.id(stack), Key::namespace(space), Vec::new());
    scene.delete(stack).await?;
    let mut retained = BTreeSet::new();
    let deadline = tokio::time::Instant::now() + GONE;
    let mut last = Value::Null;
    loop {
        // In this order: what is confirmed now must be gone a moment later.
        let is_gone = scene.is_gone(&id).await?;
        let status = scene.status(&id).await?;
        retained.extend(status["retained"].as_array().into_iter().flatten().map(Value::to_string));
        if !status.is_null() {
            last = status;
        }
        if is_gone {
            retained.extend(confirmed(scene, &id).await?);
            let there = scene.kube.get(&key).await?;
            let phase = there.as_ref().map(|it| it["status"]["phase"].to_string());
            must(&mut wrong, there.is_none(), format!("confirmed while the Namespace is there ({phase:?})"));
            break;
        }
        if tokio::time::Instant::now() >= deadline {
            wrong.push(format!("the removal does not end: {}", brief(&last)));
            break;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let listed: Vec<String> = retained.into_iter().collect();
    must(
        &mut wrong,
        listed.is_empty(),
        format!("called retained, and nothing of others is in it: {}", listed.join(", ")),
    );
    becomes(&scene.kube, &key, SECONDS, "the Namespace is gone", &mut wrong, |it| it.is_none()).await?;
    Ok(wrong)
}

/// The retained objects in the event of the confirmed removal.
async fn confirmed(scene: &Scene, id: &str) -> Result<Vec<String>> {
    let path = format!("/agents/{}/events?stack={id}", scene.agent);
    let (status, events) = scene.broker.ask(Method::GET, &path, "", None).await?;
    if status != 200 {
        return Err(format!("GET {path}: {status} {events}").into());
    }
    let items = events["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|it| it["action"] == "remove" && it["outcome"] == "success");
    Ok(items.flat_map(|it| it["retained"].as_array().into_iter().flatten()).map(Value::to_string).collect())
}

/// The Namespace contains an object of others: the removal is confirmed with the Namespace as retained, and the Namespace goes later.
async fn retained(scene: &mut Scene) -> Result<Vec<String>> {
    small(scene, "kept", 1).await?;
    let (space, id, mut wrong) = ("gone-kept", scene.id("kept"), Vec::new());
    let theirs = config_map(space, "theirs", "theirs");
    scene.kube.apply(&theirs).await?;
    scene.delete("kept").await?;
    let is_gone = crate::agent::proxy::eventually(GONE, || scene.is_gone(&id)).await?;
    must(&mut wrong, is_gone, format!("the removal does not end: {}", brief(&scene.status(&id).await?)));
    let said = confirmed(scene, &id).await?;
    must(
        &mut wrong,
        said.len() == 1 && said[0].contains(space),
        format!("retained is {said:?}, not the Namespace alone"),
    );
    let key = Key::namespace(space);
    super::look::stays(SECONDS, &mut wrong, || async {
        let there = scene.kube.get(&key).await?;
        let is_whole = there.is_some_and(|it| it["metadata"].get("deletionTimestamp").is_none());
        Ok((!is_whole).then(|| "what was called retained goes although something of others is in it".to_owned()))
    })
    .await?;
    scene.kube.delete(&Key::of(&theirs)).await?;
    becomes(&scene.kube, &key, GONE, "the Namespace goes once it is empty", &mut wrong, |it| it.is_none()).await?;
    Ok(wrong)
}
