//! The agent is killed at exact points of its work, and restarted.
//!
//! A proxy detects the point and forwards no further request; then the agent is killed.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use super::key::Key;
use super::manifests::{config_maps, holds};
use super::proxy::{Call, Verdict};
use super::rounds::Rounds;
use super::scene::Scene;
use super::world::World;
use crate::{Outcome, Result};

const ROUNDS: u64 = 10;
/// Time limit to reach a point. Otherwise the round is void.
const REACHED: Duration = Duration::from_secs(40);
/// More objects than an agent's concurrent requests (32), so that some are left at the last point.
const MANY: u64 = 80;

/// Cuts the agent off at the request of this number that is of this kind.
fn at(number: u64, is_it: impl Fn(&Call) -> bool + Send + 'static) -> impl FnMut(&Call) -> Verdict + Send + 'static {
    let mut seen = 0;
    move |call| {
        seen += u64::from(is_it(call));
        if seen == number && is_it(call) { Verdict::CutOff } else { Verdict::Pass }
    }
}

/// Waits until the point is reached, and kills.
async fn kill(scene: &mut Scene) -> Result<()> {
    scene.replica.gate.closed(REACHED).await?;
    scene.replica.process.kill();
    Ok(())
}

/// Restarts the agent and checks the result.
async fn go_on(scene: &mut Scene, rounds: &mut Rounds, round: u64) -> Result<()> {
    scene.replica.start()?;
    rounds.add(format!("round {round}"), scene.judge().await?);
    Ok(())
}

/// The number of manifests that the cluster has unchanged.
async fn made(scene: &Scene, manifests: &[Value]) -> Result<u64> {
    let mut count = 0;
    for manifest in manifests {
        let object = scene.kube.get(&Key::of(manifest)).await?;
        count += u64::from(object.is_some_and(|object| holds(&object, manifest)));
    }
    Ok(count)
}

/// After one of the contents that are new has arrived, of three stacks.
pub(crate) async fn fetched(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "killed-fetched").await?;
    let mut rounds = Rounds::default();
    for round in 0..=ROUNDS {
        if round > 0 {
            let is_content = |call: &Call| {
                call.succeeded() && call.method == Method::GET && call.path.contains("/deployment-objects/")
            };
            scene.replica.broker.hook(at(round % 3 + 1, is_content));
        }
        for stack in ["a", "b", "c"] {
            let contents = config_maps(&scene.namespace, &format!("{stack}-"), 0..4, round);
            scene.publish(stack, contents).await?;
        }
        if round == 0 {
            scene.settle().await?;
            continue;
        }
        scene.replica.gate.closed(REACHED).await?;
        // It asks for the next thing only when it has the content.
        scene.replica.gate.held(REACHED).await?;
        kill(&mut scene).await?;
        go_on(&mut scene, &mut rounds, round).await?;
    }
    scene.end(rounds).await
}

/// After all updates of a revision were tried on the server, before the first is written.
pub(crate) async fn validated(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "killed-validated").await?;
    let mut rounds = Rounds::default();
    let mut contents = config_maps(&scene.namespace, "c", 0..13, 0);
    scene.publish("a", contents.clone()).await?;
    scene.settle().await?;
    for round in 1..=ROUNDS {
        let changed = round + 2;
        let new = config_maps(&scene.namespace, "c", 0..changed, round);
        contents.splice(0..new.len(), new.clone());
        let mut tried = 0;
        scene.replica.api_server.hook(move |call| {
            tried += u64::from(call.is_dry_run() && call.succeeded());
            let first = call.writes_member() && call.answered.is_none();
            if first && tried >= changed { Verdict::CutOff } else { Verdict::Pass }
        });
        scene.publish("a", contents.clone()).await?;
        kill(&mut scene).await?;
        if made(&scene, &new).await? > 0 {
            return Err("the agent wrote an object before all dry runs had ended".into());
        }
        go_on(&mut scene, &mut rounds, round).await?;
    }
    scene.end(rounds).await
}

/// After the inventory says what will be created, before it is.
pub(crate) async fn intent(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "killed-intent").await?;
    let mut rounds = Rounds::default();
    for round in 1..=ROUNDS {
        let is_inventory = |call: &Call| {
            call.succeeded() && call.is_write() && call.path.contains("/namespaces/brokkr-system/secrets/brokkr-")
        };
        scene.replica.api_server.hook(at(1, is_inventory));
        // Alternately the first revision of a stack and a later one, which also drops what the first had.
        let stack = format!("s{}", round.div_ceil(2));
        let new = config_maps(&scene.namespace, &format!("r{round}-"), 0..2 + round, round);
        scene.publish(&stack, new.clone()).await?;
        kill(&mut scene).await?;
        if made(&scene, &new).await? > 0 {
            return Err("the agent created an object before the inventory listed it".into());
        }
        go_on(&mut scene, &mut rounds, round).await?;
    }
    scene.end(rounds).await
}

/// After k of n writes, some of them creations and some updates.
pub(crate) async fn applying(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "killed-applying").await?;
    let mut rounds = Rounds::default();
    scene.publish("a", config_maps(&scene.namespace, "c", 0..MANY, 0)).await?;
    scene.settle().await?;
    for round in 1..=ROUNDS {
        let is_written = |call: &Call| call.succeeded() && call.writes_member() && call.method == Method::PATCH;
        scene.replica.api_server.hook(at(round * 3 - 2, is_written));
        let new = config_maps(&scene.namespace, "c", round * 8..round * 8 + MANY, round);
        scene.publish("a", new.clone()).await?;
        kill(&mut scene).await?;
        let made = made(&scene, &new).await?;
        if made == 0 || made == MANY {
            return Err(format!("{made} of {MANY} were written").into());
        }
        go_on(&mut scene, &mut rounds, round).await?;
    }
    scene.end(rounds).await
}

/// After the last apply, before the report to the broker.
pub(crate) async fn before_report(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "killed-before-report").await?;
    let mut rounds = Rounds::default();
    scene.publish("a", config_maps(&scene.namespace, "c", 0..3, 0)).await?;
    scene.settle().await?;
    for round in 1..=ROUNDS {
        let (stack, revision) = (scene.id("a"), scene.next_revision("a"));
        let says_so = move |call: &Call| {
            let report: Value = serde_json::from_slice(&call.body).unwrap_or_default();
            let told = report["status"].as_array().into_iter().flatten();
            let mut told = told.filter(|it| it["stack_id"] == stack && it["applied_revision"] == revision);
            call.answered.is_none() && call.path.ends_with("/reports") && told.next().is_some()
        };
        scene.replica.broker.hook(at(1, says_so));
        let new = config_maps(&scene.namespace, "c", round..round + 3, round);
        scene.publish("a", new.clone()).await?;
        kill(&mut scene).await?;
        if made(&scene, &new).await? != 3 {
            return Err("the agent reported a revision that it had not applied".into());
        }
        go_on(&mut scene, &mut rounds, round).await?;
    }
    scene.end(rounds).await
}

fn is_deletion(call: &Call) -> bool {
    call.writes_member() && call.method == Method::DELETE
}

/// After the last apply, before the first deletion of a dropped object.
pub(crate) async fn before_prune(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "killed-before-prune").await?;
    let mut rounds = Rounds::default();
    for round in 1..=ROUNDS {
        let old = config_maps(&scene.namespace, &format!("r{round}-"), 0..6 + round, 0);
        scene.publish("a", old.clone()).await?;
        scene.settle().await?;
        scene.replica.api_server.hook(at(1, |call| is_deletion(call) && call.answered.is_none()));
        let kept = usize::try_from(round % 3)? + 1;
        scene.publish("a", old.iter().take(kept).cloned().collect()).await?;
        kill(&mut scene).await?;
        if made(&scene, &old).await? != 6 + round {
            return Err("an object was gone before the first deletion".into());
        }
        go_on(&mut scene, &mut rounds, round).await?;
    }
    scene.end(rounds).await
}

/// After k of n deletions, alternately of dropped objects and of a whole stack.
pub(crate) async fn pruning(world: &mut World) -> Result<Outcome> {
    let mut scene = Scene::new(world, "killed-pruning").await?;
    let mut rounds = Rounds::default();
    for round in 1..=ROUNDS {
        let stack = format!("s{round}");
        let old = config_maps(&scene.namespace, &format!("r{round}-"), 0..MANY, 0);
        scene.publish(&stack, old.clone()).await?;
        scene.settle().await?;
        scene.replica.api_server.hook(at(round * 2 - 1, |call| is_deletion(call) && call.succeeded()));
        if round % 2 == 0 {
            scene.delete(&stack).await?;
        } else {
            scene.publish(&stack, old.iter().take(2).cloned().collect()).await?;
        }
        kill(&mut scene).await?;
        let left = made(&scene, &old).await?;
        if left == MANY || left <= 2 {
            return Err(format!("{left} of {MANY} were left").into());
        }
        go_on(&mut scene, &mut rounds, round).await?;
    }
    scene.end(rounds).await
}
