//! Deletions that others hold back.

use std::time::Duration;

use serde_json::{Value, json};

use super::key::Key;
use super::manifests::{config_map, config_maps, namespace};
use super::proxy::eventually;
use super::rounds::Rounds;
use super::scene::{Scene, must};
use super::world::World;
use crate::{Outcome, Result};

const SOON: Duration = Duration::from_secs(5);
const HOLD: &str = "example.brokkr.io/hold";

async fn hold(scene: &Scene, key: &Key, is_held: bool) -> Result<()> {
    let finalizers: Value = if is_held { json!([HOLD]) } else { json!(null) };
    scene.kube.merge(key, &json!({"metadata": {"finalizers": finalizers}})).await?;
    Ok(())
}

/// The namespace of the stack's objects is being deleted and held by a finalizer; later it is gone.
pub(crate) async fn terminating(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "namespace-terminating").await?;
    let mut rounds = Rounds::default();
    for (round, is_ours) in [(1, true), (2, false)] {
        let place = format!("{}-{round}", scene.namespace);
        let (stack, at) = (format!("s{round}"), Key::namespace(&place));
        let contents = |value: u64| -> Vec<Value> {
            let own = is_ours.then(|| namespace(&place));
            own.into_iter().chain(config_maps(&place, "c", 0..3, value)).collect()
        };
        if !is_ours {
            scene.kube.apply(&namespace(&place)).await?;
        }
        scene.publish(&stack, contents(1)).await?;
        scene.settle().await?;
        let holder = config_map(&place, "holder", "theirs");
        scene.kube.apply(&holder).await?;
        hold(&scene, &Key::of(&holder), true).await?;
        scene.kube.delete(&at).await?;
        let mut wrong = Vec::new();
        scene.publish(&stack, contents(2)).await?;
        must(
            &mut wrong,
            scene.reports(&scene.id(&stack), &["Terminating"]).await?,
            "the status does not report the terminating namespace",
        );
        wrong.extend(scene.others_go_on(SOON).await?);
        must(&mut wrong, scene.kube.get(&at).await?.is_some(), "the namespace did not wait for what is in it");
        hold(&scene, &Key::of(&holder), false).await?;
        if !is_ours {
            let is_gone = eventually(Duration::from_secs(60), || async { Ok(scene.kube.get(&at).await?.is_none()) });
            if !is_gone.await? {
                return Err("the namespace is not deleted".into());
            }
            scene.kube.apply(&namespace(&place)).await?;
        }
        wrong.extend(scene.judge().await?);
        rounds.add(if is_ours { "its own" } else { "one that it uses" }, wrong);
    }
    let (kube, used) = (scene.kube.clone(), format!("{}-2", scene.namespace));
    let outcome = scene.end(rounds).await?;
    kube.delete(&Key::namespace(&used)).await?;
    Ok(outcome)
}

/// A foreign finalizer holds one object: of a removed stack, and of a stack whose new revision drops it.
pub(crate) async fn finalizer(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "stuck-finalizer").await?;
    let mut rounds = Rounds::default();
    for (round, is_removal) in [(1, true), (2, false), (3, true)] {
        let stack = format!("s{round}");
        let objects = config_maps(&scene.namespace, &format!("r{round}-"), 0..6, 1);
        scene.publish(&stack, objects.clone()).await?;
        scene.settle().await?;
        let held = Key::config_map(&scene.namespace, &format!("r{round}-0"));
        hold(&scene, &held, true).await?;
        let id = scene.id(&stack);
        if is_removal {
            scene.delete(&stack).await?;
        } else {
            scene.publish(&stack, objects.into_iter().skip(4).collect()).await?;
        }
        let mut wrong = Vec::new();
        must(
            &mut wrong,
            scene.reports(&id, &[HOLD, &held.name]).await?,
            "the status does not name the finalizer and the object",
        );
        let others_gone = eventually(SOON, || async {
            Ok(scene.kube.get(&Key::config_map(&scene.namespace, &format!("r{round}-1"))).await?.is_none())
        });
        must(&mut wrong, others_gone.await?, "objects without a finalizer still exist");
        wrong.extend(scene.others_go_on(SOON).await?);
        wrong.extend(beside(&mut scene).await?);
        must(&mut wrong, !is_removal || !scene.is_gone(&id).await?, "the removal counts as complete");
        hold(&scene, &held, false).await?;
        wrong.extend(scene.judge().await?);
        rounds.add(if is_removal { "removal" } else { "prune" }, wrong);
    }
    scene.end(rounds).await
}

/// A stack that is applied and removed while the removal of another one is held.
async fn beside(scene: &mut Scene) -> Result<Vec<String>> {
    let object = config_map(&scene.namespace, "beside", 1);
    scene.publish("beside", vec![object.clone()]).await?;
    let (id, key) = (scene.id("beside"), Key::of(&object));
    let mut wrong = Vec::new();
    let came = eventually(SOON, || async { Ok(scene.kube.get(&key).await?.is_some()) });
    must(&mut wrong, came.await?, "another stack is not applied");
    scene.delete("beside").await?;
    let went =
        eventually(2 * SOON, || async { Ok(scene.kube.get(&key).await?.is_none() && scene.is_gone(&id).await?) });
    must(&mut wrong, went.await?, "another stack is not removed");
    Ok(wrong)
}
