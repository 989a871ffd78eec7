//! One object that two API groups serve: the object stays the same, whichever group a manifest names.

use std::time::Duration;

use brokkr_testbed::text_at;
use http::Method;
use serde_json::Value;

use super::look::{SOON, is_applied, live, must_apply};
use crate::agent::World;
use crate::agent::groups::event;
use crate::agent::manifests::config_map;
use crate::agent::proxy::eventually;
use crate::agent::rounds::Rounds;
use crate::agent::scene::{Scene, must};
use crate::{Outcome, Result};

pub(super) async fn check(world: &World, name: &str) -> Result<Outcome> {
    let mut rounds = Rounds::of(name);
    let mut scene = Scene::new(world, name).await?;
    rounds.add("core-first", there_and_back(&mut scene, "core-first", true, false).await?);
    rounds.add("new-first", there_and_back(&mut scene, "new-first", false, false).await?);
    rounds.add("with-a-change", there_and_back(&mut scene, "with-a-change", true, true).await?);
    rounds.add("several", several(&mut scene).await?);
    super::look::end(scene, rounds).await
}

async fn uid(scene: &Scene, manifest: &Value) -> Result<String> {
    let live = live(&scene.kube, manifest).await?.unwrap_or_default();
    Ok(text_at(&live, "/metadata/uid")?.to_owned())
}

/// Deletions of Events by the agent with such a name, whatever the group.
fn deletions(scene: &Scene, name: &str) -> Result<Vec<String>> {
    let writes = scene.replica.writes()?;
    let of = writes
        .into_iter()
        .filter(|it| it.verb.starts_with("delete") && it.key.plural == "events" && it.key.name == name);
    Ok(of.map(|it| it.to_string()).collect())
}

/// Waits for several passes of the agent, so that all effects of a revision are visible.
async fn looks_again(scene: &Scene, stack: &str) -> Result<()> {
    let id = scene.id(stack);
    let path = format!("/stacks/{id}/events");
    let count = || async {
        Ok::<_, crate::BoxedError>(
            scene.broker.send(Method::GET, &path, None).await?["items"].as_array().map_or(0, Vec::len),
        )
    };
    let before = count().await?;
    // Two intervals of the agent; more events come only if something is wrong.
    let _ = eventually(Duration::from_secs(5), || async { Ok(count().await? > before + 1) }).await?;
    Ok(())
}

async fn drifts(scene: &Scene, stack: &str) -> Result<Vec<String>> {
    let path = format!("/stacks/{}/events", scene.id(stack));
    let events = scene.broker.send(Method::GET, &path, None).await?;
    let items = events["items"].as_array().into_iter().flatten();
    Ok(items
        .filter(|it| it["reason"] == "DriftCorrected" || it["outcome"] == "failure")
        .map(Value::to_string)
        .collect())
}

async fn moves(scene: &mut Scene, stack: &str, manifests: Vec<Value>, wrong: &mut Vec<String>) -> Result<()> {
    scene.publish(stack, manifests).await?;
    is_applied(scene, stack, 2 * SOON, "the object under the other group", wrong).await?;
    looks_again(scene, stack).await
}

async fn there_and_back(scene: &mut Scene, stack: &str, core_first: bool, changes: bool) -> Result<Vec<String>> {
    let (space, mut wrong) = (scene.namespace.clone(), Vec::new());
    let label = |round: &'static str| if changes { round } else { "1" };
    let first = event(&space, stack, core_first, label("1"));
    let second = event(&space, stack, !core_first, label("2"));
    scene.publish(stack, vec![first.clone()]).await?;
    must_apply(scene, stack).await?;
    let before = uid(scene, &first).await?;
    moves(scene, stack, vec![second.clone()], &mut wrong).await?;
    must(&mut wrong, uid(scene, &second).await? == before, "it is another object under the other group");
    let third = event(&space, stack, core_first, label("3"));
    moves(scene, stack, vec![third.clone()], &mut wrong).await?;
    must(&mut wrong, uid(scene, &third).await? == before, "it is another object when it is back");
    let live = live(&scene.kube, &third).await?.unwrap_or_default();
    must(&mut wrong, live["metadata"]["labels"]["round"] == label("3"), format!("it differs: {live}"));
    let (deleted, drifts) = (deletions(scene, stack)?, drifts(scene, stack).await?);
    must(&mut wrong, deleted.is_empty(), format!("it was deleted: {}", deleted.join("; ")));
    must(&mut wrong, drifts.is_empty(), format!("there were events: {}", drifts.join("; ")));
    // It belongs to the stack still: it goes with it.
    scene.delete(stack).await?;
    let kube = scene.kube.clone();
    let gone = eventually(2 * SOON, || async { Ok(super::look::live(&kube, &third).await?.is_none()) });
    must(&mut wrong, gone.await?, "it is there after the removal of its stack");
    Ok(wrong)
}

/// Three objects: one changes its group, one stays, and one is dropped. Only the last one is deleted.
async fn several(scene: &mut Scene) -> Result<Vec<String>> {
    let (space, mut wrong) = (scene.namespace.clone(), Vec::new());
    let names = ["moves", "stays", "dropped"].map(|it| format!("several-{it}"));
    let first: Vec<Value> = names.iter().map(|it| event(&space, it, true, "1")).collect();
    let beside = config_map(&space, "several-beside", 1);
    scene.publish("several", [first.clone(), vec![beside.clone()]].concat()).await?;
    must_apply(scene, "several").await?;
    let before = [uid(scene, &first[0]).await?, uid(scene, &first[1]).await?];
    let second = vec![event(&space, &names[0], false, "1"), first[1].clone(), beside];
    moves(scene, "several", second.clone(), &mut wrong).await?;
    let after = [uid(scene, &second[0]).await?, uid(scene, &second[1]).await?];
    must(&mut wrong, before == after, format!("the objects are others: {before:?}, {after:?}"));
    let kube = scene.kube.clone();
    let gone = eventually(SOON, || async { Ok(super::look::live(&kube, &first[2]).await?.is_none()) });
    must(&mut wrong, gone.await?, "what was dropped is there");
    let deleted = [deletions(scene, &names[0])?, deletions(scene, &names[1])?].concat();
    must(&mut wrong, deleted.is_empty(), format!("it was deleted: {}", deleted.join("; ")));
    Ok(wrong)
}
