//! Definitions that the API server never serves.

use std::time::Duration;

use brokkr_testbed::shapes::{self, CaBundle, Names};
use serde_json::json;

use super::files::File;
use super::look::{SOON, becomes, brief, comes, is_applied, said};
use crate::agent::World;
use crate::agent::key::Key;
use crate::agent::manifests::{config_map, definition};
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

const GONE: Duration = Duration::from_secs(30);

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let mut scene = Scene::new(world, name).await?;
    let at = |bundle: &str| Names { name: format!("never-{bundle}"), namespace: scene.namespace.clone() };
    let bundles =
        [("placeholder", CaBundle::Placeholder), ("broken", CaBundle::Broken), ("truncated", CaBundle::Truncated)];
    let cases = bundles.map(|(name, bundle)| (name, bundle, at(name)));
    for (name, bundle, at) in &cases {
        File::new(name, shapes::conversion_webhook(at, *bundle)).publish(&mut scene, &json!({})).await?;
    }
    let mut defects = Vec::new();
    for (name, _, at) in &cases {
        let mut wrong = Vec::new();
        let what = format!("the status says InvalidCABundle of tunnels.{}", at.group());
        comes(&scene, name, SOON, &what, &mut wrong, |it| {
            let said = said(it);
            said.contains("InvalidCABundle") && said.contains(&format!("tunnels.{}", at.group()))
        })
        .await?;
        comes(&scene, name, SOON, "it is not healthy", &mut wrong, |it| it["health"] != "healthy").await?;
        defects.push(wrong);
    }
    let late = scene.others_go_on(SOON).await?;
    // One is repaired, and its object comes; all are removed.
    let [_, (repaired, _, names), _] = &cases;
    File::new(repaired, shapes::conversion_webhook(names, CaBundle::Absent)).publish(&mut scene, &json!({})).await?;
    is_applied(&scene, repaired, 2 * SOON, "the repaired definition with its object", &mut defects[1]).await?;
    for ((name, _, at), wrong) in cases.iter().zip(&mut defects) {
        let key = Key::new("apiextensions.k8s.io", "customresourcedefinitions", "", &format!("tunnels.{}", at.group()));
        removed(&mut scene, name, &key, wrong).await?;
    }
    for ((name, ..), wrong) in cases.iter().zip(defects) {
        rounds.add(name, wrong);
    }
    rounds.add("others", late);
    rounds.add("names-taken", names_taken(&mut scene).await?);
    super::look::end(scene, rounds).await
}

/// A removal is complete only once the definition is gone.
async fn removed(scene: &mut Scene, stack: &str, key: &Key, wrong: &mut Vec<String>) -> Result<()> {
    let id = scene.id(stack);
    scene.delete(stack).await?;
    let deadline = tokio::time::Instant::now() + GONE;
    loop {
        // First the stack: what is gone then must not be there afterwards.
        let stack_is_gone = scene.is_gone(&id).await?;
        let is_there = scene.kube.get(key).await?.is_some();
        if stack_is_gone {
            must(wrong, !is_there, format!("the removal counts as done, and {key} is there"));
        }
        if !is_there && stack_is_gone {
            return Ok(());
        }
        if stack_is_gone || tokio::time::Instant::now() >= deadline {
            let status = scene.status(&id).await?;
            let late = format!("{} s after the order {key} is there: {is_there}; {}", GONE.as_secs(), brief(&status));
            must(wrong, stack_is_gone, late);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // For those who come afterwards.
    scene.kube.delete(key).await
}

/// Another definition already has the names of the kind: the status gives the taken name and its owner.
async fn names_taken(scene: &mut Scene) -> Result<Vec<String>> {
    let group = "taken.example.com";
    let first = definition(group, "Anchor");
    let mut second = definition(group, "Mooring");
    second["spec"]["names"] = json!({"kind": "Anchor", "plural": "moorings", "singular": "mooring"});
    scene.kube.apply(&first).await?;
    let mut wrong = Vec::new();
    becomes(&scene.kube, &Key::of(&first), SOON, "it is served", &mut wrong, |it| {
        it.is_some_and(|it| it["status"]["conditions"].to_string().contains("Established"))
    })
    .await?;
    let beside = config_map(&scene.namespace, "beside", 1);
    scene.publish("names-taken", vec![second.clone(), beside]).await?;
    comes(scene, "names-taken", SOON, "it says which name is taken", &mut wrong, |it| {
        let said = said(it);
        said.contains("Conflict") && said.contains("moorings.taken.example.com") && said.contains("Anchor")
    })
    .await?;
    removed(scene, "names-taken", &Key::of(&second), &mut wrong).await?;
    scene.kube.delete(&Key::of(&first)).await?;
    Ok(wrong)
}
